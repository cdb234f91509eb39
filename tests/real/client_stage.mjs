// The stage for tests of the browser client: a clock that moves when told to, sockets that the test plays.

import { RoomsClient } from "../../server/static/client.js";

export const URL = "ws://localhost:8765/ws";
export const MAX_PENDING = 3;
const ROOM_EVENTS = ["joined", "gap", "message", "presence", "missed"];
const EVENTS = ["status", "welcome", ...ROOM_EVENTS, "broadcast", "direct", "error", "binary"];

export class FakeClock {
  #now = 0;
  #lastTimer = 0;
  #timers = new Map();

  setTimeout = (callback, delay) => {
    this.#lastTimer += 1;
    this.#timers.set(this.#lastTimer, { callback, due: this.#now + delay });
    return this.#lastTimer;
  };

  clearTimeout = (timer) => {
    this.#timers.delete(timer);
  };

  get size() {
    return this.#timers.size;
  }

  advance(duration) {
    const end = this.#now + duration;
    for (;;) {
      const due = [...this.#timers].filter(([, timer]) => timer.due <= end);
      if (due.length === 0) break;
      const [first] = due.sort(([, a], [, b]) => a.due - b.due);
      const [id, timer] = first;
      this.#now = timer.due;
      this.#timers.delete(id);
      timer.callback();
    }
    this.#now = end;
  }
}

export class FakeWebSocket {
  readyState = 0;
  binaryType = "blob";
  sent = [];
  closedWith = null;

  constructor(url) {
    this.url = url;
  }

  send(text) {
    this.sent.push(JSON.parse(text));
  }

  close(code, reason) {
    this.readyState = 2;
    this.closedWith = { code, reason };
  }

  receive(frame) {
    this.onmessage?.({ data: JSON.stringify(frame) });
  }

  welcome(id = "c1") {
    this.readyState = 1;
    this.receive({ type: "welcome", id, token: `token of ${id}` });
  }

  // As a room's member is answered, and as one that is at an offset of an epoch.
  joined(room, fields = {}) {
    const { ref } = this.sent.findLast((frame) => frame.action === "join" && frame.room === room);
    const place = { epoch: "e1", offset: 0, recovered: false };
    this.receive({ type: "joined", ref, room, members: 1, ...place, ...fields });
  }

  end(code = 1006, reason = "") {
    this.readyState = 3;
    this.onclose?.({ code, reason });
  }

  answer(type, fields = {}, index = -1) {
    this.receive({ type, ref: this.sent.at(index).ref, ...fields });
  }
}

export function setUp(options = {}) {
  const clock = new FakeClock();
  const sockets = [];
  const events = [];
  const client = new RoomsClient(URL, {
    WebSocket: class extends FakeWebSocket {
      constructor(url) {
        super(url);
        sockets.push(this);
      }
    },
    setTimeout: clock.setTimeout,
    clearTimeout: clock.clearTimeout,
    random: () => 0.5,
    maxPending: MAX_PENDING,
    ...options,
  });
  for (const type of EVENTS) client.addEventListener(type, ({ detail }) => events.push([type, detail]));
  const statuses = () => events.filter(([type]) => type === "status").map(([, detail]) => detail.status);
  const delays = () => events.filter(([, detail]) => "retryIn" in detail).map(([, detail]) => detail.retryIn);
  return { client, clock, sockets, events, statuses, delays, socket: () => sockets.at(-1) };
}

export function setUpOnline(options) {
  const world = setUp(options);
  world.client.connect();
  world.socket().welcome();
  return world;
}

// The connection is lost, and there is another one.
export function reconnect(client, socket, id = "c2") {
  socket().end();
  client.connect();
  socket().welcome(id);
}

// What was sent on a socket, without `ref`, made-up ids and the resumption.
export function said(socket) {
  const frames = socket.sent.filter(({ action }) => action !== "resume");
  return frames.map(({ ref, id, ...frame }) => (isMadeUp(id) ? frame : { ...frame, id }));
}

function isMadeUp(id) {
  return id === undefined || /^[0-9a-z]+-[0-9]+$/.test(id);
}

