// A WebSocket client that does what it is told: in Node with `ws`, by lines of JSON; in a page with the
// browser's own, by `call()`. See scripted.py.
"use strict";

const inNode = typeof require === "function";
const Socket = inNode ? require("ws") : WebSocket;
// Milliseconds until what should have come is missed.
const PATIENCE = 20_000;
// What repeats itself after so many characters travels as these and a length.
const PERIOD = 1000;

/** What has come and wasn't asked for yet, or was asked for and hasn't come yet. */
class Queue {
  #items = [];
  #takers = [];

  put(item) {
    this.#takers.length ? this.#takers.shift()(item) : this.#items.push(item);
  }

  take() {
    return new Promise((resolve, reject) => {
      if (this.#items.length) return resolve(this.#items.shift());
      const timer = setTimeout(reject, PATIENCE, new Error("nothing came"));
      this.#takers.push((item) => (clearTimeout(timer), resolve(item)));
    });
  }
}

function fromJSON(told) {
  if (typeof told === "string") return told;
  const octets = Uint8Array.from(atob(told.base64 ?? ""), (octet) => octet.charCodeAt());
  if (!told.length) return octets;
  if (told.text) return told.text.repeat(Math.ceil(told.length / PERIOD)).slice(0, told.length);
  return new Uint8Array(told.length).map((_, index) => octets[index % PERIOD]);
}

function toJSON(message) {
  if (typeof message === "string") {
    const repeats = message.length > PERIOD && message.slice(PERIOD) === message.slice(0, -PERIOD);
    return repeats ? { text: message.slice(0, PERIOD), length: message.length } : message;
  }
  const octets = new Uint8Array(message);
  const repeats =
    octets.length > PERIOD && octets.every((octet, index) => octet === octets[index % PERIOD]);
  const base64 = btoa(String.fromCharCode(...(repeats ? octets.slice(0, PERIOD) : octets)));
  return repeats ? { base64, length: octets.length } : { base64 };
}

let socket, messages, pongs, endings;

const peer = {
  open(url, subprotocols, options) {
    // A browser takes no third argument.
    socket = new Socket(url, subprotocols, options);
    socket.binaryType = "arraybuffer";
    messages = new Queue();
    pongs = new Queue();
    endings = new Queue();
    // Of the extensions `ws` itself tells but the names.
    let extensions;
    socket.on?.("upgrade", ({ headers }) => (extensions = headers["sec-websocket-extensions"]));
    socket.on?.("pong", (payload) => pongs.put(toJSON(payload)));
    socket.onmessage = ({ data }) => messages.put(toJSON(data));
    socket.onclose = ({ code, reason }) => endings.put([code, reason]);
    return new Promise((resolve, reject) => {
      socket.onopen = () => resolve([extensions ?? socket.extensions, socket.protocol]);
      socket.onerror = () => reject(new Error("refused"));
    });
  },
  send(...fragments) {
    fragments.forEach((fragment, index) =>
      socket.send(fromJSON(fragment), { fin: index === fragments.length - 1 }),
    );
  },
  receive: () => messages.take(),
  ping: (payload) => (socket.ping(fromJSON(payload)), pongs.take()),
  close: (...codeAndReason) => socket?.close(...codeAndReason),
  closed: () => endings.take(),
  abort: () => socket.terminate(),
};

/** Call by name; what comes of it can be written as JSON. */
async function call(name, given) {
  try {
    return { result: (await peer[name](...given)) ?? null };
  } catch (error) {
    return { error: String(error) };
  }
}

if (inNode)
  require("readline")
    .createInterface({ input: process.stdin })
    .on("line", async (line) => console.log(JSON.stringify(await call(...JSON.parse(line)))));
