// A client of the rooms dialect: a connection that comes back by itself, and the rooms it is in.
//
//   import { RoomsClient } from "/client.js";
//
//   const client = new RoomsClient("ws://localhost:8765/ws", { user: "alice" });
//   client.addEventListener("message", ({ detail }) => console.log(detail.room, detail.user, detail.message));
//   client.connect();
//   await client.join("general");
//   await client.message("general", "hello");
//
// Events: what the server sends arrives as an event named by its `type` ("welcome", "joined", "message", ...),
// the object itself in `detail`; a binary message arrives as "binary" with an ArrayBuffer. An error that
// answers a call rejects that call's promise instead. "state" tells every change of `client.state`; its
// `detail` is { state }, and when that is "offline" also { retryIn, code, reason }: milliseconds to the next
// attempt, and why the connection ended.

export class RoomsError extends Error {
  name = "RoomsError";

  // `sent`: the request left this machine, so that it may have been carried out although no answer came.
  constructor(code, message, sent = false) {
    super(message);
    this.code = code;
    this.sent = sent;
  }
}

const DEFAULTS = Object.freeze({
  user: undefined,
  // Requests without an answer, waiting or sent. With 100 rooms that are joined again after a reconnection
  // they stay below the 400 messages that the server takes at once.
  maxPending: 256,
  minDelay: 1_000,
  maxDelay: 30_000,
  // A server that greets and then hangs up must not be asked again at once: only a connection that lasts
  // resets the backoff.
  stableAfter: 10_000,
  welcomeTimeout: 10_000,
  pingInterval: 25_000,
  pongTimeout: 10_000,
  random: Math.random,
  // Browsers refuse these two when they are called as a method of another object.
  setTimeout: (callback, delay) => globalThis.setTimeout(callback, delay),
  clearTimeout: (timer) => globalThis.clearTimeout(timer),
});

const OPEN = 1;

// Close codes of our own, from the range that is left to applications.
const NO_WELCOME = 4000;
const NO_PONG = 4001;

export class RoomsClient extends EventTarget {
  #url;
  #options;
  #state = "closed";
  #id = null;
  #socket = null;
  #failures = 0;
  #lastRef = 0;
  #timers = new Map();
  // The rooms to be in, by name; they outlive the connection.
  #rooms = new Map();
  // The joins under way on this connection, by ref.
  #joins = new Map();
  // All other requests without an answer, by ref, in the order of the calls.
  #requests = new Map();

  constructor(url, options = {}) {
    super();
    this.#url = url;
    this.#options = { ...DEFAULTS, WebSocket: globalThis.WebSocket, ...options };
  }

  // "closed" (nothing is tried), "connecting", "online" (welcomed) or "offline" (waiting to try again).
  get state() {
    return this.#state;
  }

  // The id that the server gave this connection; another one after each reconnection.
  get id() {
    return this.#id;
  }

  // Requests without an answer.
  get pending() {
    return this.#requests.size;
  }

  // Starts, or ends the wait for the next attempt. Throws what `new WebSocket` throws for a URL it can't use.
  connect() {
    if (this.#state === "connecting" || this.#state === "online") return;
    const socket = new this.#options.WebSocket(this.#url);
    socket.binaryType = "arraybuffer";
    socket.onmessage = (event) => this.#receive(event.data);
    socket.onclose = (event) => this.#lose(event.code, event.reason);
    // A close event follows every error event and says more. (The `ws` package throws where nobody listens.)
    socket.onerror = () => {};
    this.#socket = socket;
    this.#disarm("retry");
    this.#arm("welcome", this.#options.welcomeTimeout, () => this.#abandon(NO_WELCOME, "no welcome"));
    this.#become("connecting");
  }

  // Ends the connection and everything that waits for it. `connect` begins anew, in no room.
  close(code = 1000, reason = "") {
    if (this.#state === "closed") return;
    const socket = this.#detach();
    const error = (sent) => new RoomsError("closed", "The client was closed", sent);
    for (const entry of this.#rooms.values()) entry.reject(error(entry.sent));
    for (const request of this.#requests.values()) request.reject(error(request.sent));
    this.#rooms.clear();
    this.#requests.clear();
    this.#failures = 0;
    socket?.close(code, reason);
    this.#become("closed");
  }

  // Resolves with the server's `joined`, on whichever connection it comes. From then on the room is joined
  // again after each reconnection: the event "joined" tells it, or "error" with the name of a room that is
  // lost.
  join(room) {
    const known = this.#rooms.get(room);
    if (known) return known.promise;
    const entry = { room, answered: false, sent: false, ...deferred() };
    this.#rooms.set(room, entry);
    this.#sendJoin(entry);
    return entry.promise;
  }

  // Resolves with `left`. Without a connection there is no membership to end.
  async leave(room) {
    const left = { type: "left", room };
    this.#rooms.get(room)?.reject(new RoomsError("left", `Left ${room} before the join was answered`));
    this.#rooms.delete(room);
    if (!this.#isOpen()) return left;
    try {
      return await this.#request({ action: "leave", room });
    } catch (error) {
      if (error.code === "connection_lost" || error.code === "closed") return left;
      throw error;
    }
  }

  // Publishes any JSON value to a room. Resolves with `ack`. `options`: `id`, the idempotency key; `user`.
  message(room, message, options = {}) {
    return this.#publish({ action: "message", room, message, ...options });
  }

  // To everyone connected. Resolves with `ack`. `options`: `echo`, to hear it too.
  broadcast(message, options = {}) {
    return this.#publish({ action: "broadcast", message, ...options });
  }

  // To one client, by id or { id }, or to each client of a { user }. Resolves with `ack`.
  direct(to, message, options = {}) {
    return this.#publish({ action: "direct", to, message, ...options });
  }

  // Waits for a connection where there is none. Rejects with a RoomsError: `queue_full` (refused here, never
  // sent), `connection_lost` (sent, but not answered: sending it again is for the caller to decide), `closed`,
  // or the code of the server's error.
  async #publish(fields) {
    if (this.#requests.size >= this.#options.maxPending) {
      throw new RoomsError("queue_full", `${this.#options.maxPending} requests wait for an answer already`);
    }
    return this.#request({ user: this.#options.user, ...fields });
  }

  #request(fields) {
    const ref = this.#nextRef();
    const request = { text: JSON.stringify({ ...fields, ref }), sent: false, ...deferred() };
    this.#requests.set(ref, request);
    this.#sendRequest(request);
    return request.promise;
  }

  #sendRequest(request) {
    if (!this.#isOpen()) return;
    request.sent = true;
    this.#socket.send(request.text);
  }

  #sendJoin(entry) {
    if (!this.#isOpen()) return;
    const ref = this.#nextRef();
    entry.sent = true;
    this.#joins.set(ref, entry);
    this.#socket.send(JSON.stringify({ action: "join", room: entry.room, ref }));
  }

  #nextRef() {
    this.#lastRef += 1;
    return this.#lastRef;
  }

  // A socket that is closing takes what it is given and drops it without a word.
  #isOpen() {
    return this.#state === "online" && this.#socket.readyState === OPEN;
  }

  #receive(data) {
    this.#hearLife();
    if (typeof data !== "string") return this.#emit("binary", data);
    const frame = parse(data);
    if (typeof frame?.type !== "string") {
      return this.#emit("error", { type: "error", code: "invalid_answer", message: "No object with a type" });
    }
    if (frame.type === "welcome") return this.#greet(frame);
    if (this.#joins.has(frame.ref)) return this.#answerJoin(frame);
    if (this.#requests.has(frame.ref)) return this.#answerRequest(frame);
    this.#emit(frame.type, frame);
  }

  #greet(frame) {
    if (this.#state !== "connecting") return;
    this.#id = frame.id;
    this.#state = "online";
    this.#disarm("welcome");
    this.#arm("stable", this.#options.stableAfter, () => (this.#failures = 0));
    this.#awaitSilence();
    for (const entry of this.#rooms.values()) this.#sendJoin(entry);
    for (const request of this.#requests.values()) this.#sendRequest(request);
    this.#become("online");
    this.#emit("welcome", frame);
  }

  #answerJoin(frame) {
    const entry = this.#joins.get(frame.ref);
    this.#joins.delete(frame.ref);
    if (frame.type !== "error") {
      entry.answered = true;
      entry.resolve(frame);
      return this.#emit(frame.type, frame);
    }
    if (this.#rooms.get(entry.room) === entry) this.#rooms.delete(entry.room);
    if (entry.answered) return this.#emit("error", { ...frame, room: entry.room });
    entry.reject(new RoomsError(frame.code, frame.message, true));
  }

  #answerRequest(frame) {
    const request = this.#requests.get(frame.ref);
    this.#requests.delete(frame.ref);
    if (frame.type === "error") return request.reject(new RoomsError(frame.code, frame.message, true));
    request.resolve(frame);
    this.#emit(frame.type, frame);
  }

  // Browsers can't see protocol pings, so after a silence we ask. Whatever arrives is life.
  #awaitSilence() {
    this.#arm("ping", this.#options.pingInterval, () => {
      if (this.#isOpen()) this.#socket.send(JSON.stringify({ action: "ping" }));
      this.#arm("pong", this.#options.pongTimeout, () => this.#abandon(NO_PONG, "no pong"));
    });
  }

  #hearLife() {
    if (!this.#timers.has("pong")) return;
    this.#disarm("pong");
    this.#awaitSilence();
  }

  // The closing handshake of a dead connection takes minutes: start it, and don't wait for its end.
  #abandon(code, reason) {
    this.#socket.close(code, reason);
    this.#lose(code, reason);
  }

  #lose(code, reason) {
    this.#detach();
    for (const [ref, request] of this.#requests) {
      if (!request.sent) continue;
      this.#requests.delete(ref);
      request.reject(new RoomsError("connection_lost", "The connection ended before the answer came", true));
    }
    // Full jitter: clients that were cut off together don't come back together.
    const { minDelay, maxDelay, random } = this.#options;
    const retryIn = random() * Math.min(maxDelay, minDelay * 2 ** this.#failures);
    this.#failures += 1;
    this.#arm("retry", retryIn, () => this.connect());
    this.#become("offline", { retryIn, code, reason });
  }

  #detach() {
    const socket = this.#socket;
    if (socket) socket.onmessage = socket.onclose = null;
    this.#socket = null;
    this.#id = null;
    this.#joins.clear();
    for (const name of [...this.#timers.keys()]) this.#disarm(name);
    return socket;
  }

  #arm(name, delay, callback) {
    const fire = () => {
      this.#timers.delete(name);
      callback();
    };
    this.#timers.set(name, this.#options.setTimeout(fire, delay));
  }

  #disarm(name) {
    this.#options.clearTimeout(this.#timers.get(name));
    this.#timers.delete(name);
  }

  // Listeners may call any method, so this comes last in whatever changes the state.
  #become(state, detail = {}) {
    this.#state = state;
    this.#emit("state", { state, ...detail });
  }

  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function deferred() {
  let resolve, reject;
  const promise = new Promise((onResolve, onReject) => {
    resolve = onResolve;
    reject = onReject;
  });
  return { promise, resolve, reject };
}
