// The rules of the browser client, on a clock that moves when told to and a socket that is played by the test.

import assert from "node:assert/strict";
import test from "node:test";

import { RoomsClient } from "../../server/static/client.js";

const URL = "ws://localhost:8765/ws";
const MAX_PENDING = 3;

class FakeClock {
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

class FakeWebSocket {
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
    this.receive({ type: "welcome", id });
  }

  end(code = 1006, reason = "") {
    this.readyState = 3;
    this.onclose?.({ code, reason });
  }

  answer(type, fields = {}, index = -1) {
    this.receive({ type, ref: this.sent.at(index).ref, ...fields });
  }
}

function setUp(options = {}) {
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
  for (const type of ["state", "welcome", "joined", "message", "broadcast", "direct", "error", "binary"]) {
    client.addEventListener(type, ({ detail }) => events.push([type, detail]));
  }
  const states = () => events.filter(([type]) => type === "state").map(([, detail]) => detail.state);
  const delays = () => events.filter(([, detail]) => "retryIn" in detail).map(([, detail]) => detail.retryIn);
  return { client, clock, sockets, events, states, delays, socket: () => sockets.at(-1) };
}

function setUpOnline(options) {
  const world = setUp(options);
  world.client.connect();
  world.socket().welcome();
  return world;
}

function withoutRef(frames) {
  return frames.map(({ ref, ...frame }) => frame);
}

test("a connection is online when it is welcomed, not when it is open", () => {
  const { client, socket, states } = setUp();
  client.connect();
  socket().readyState = 1;
  assert.equal(client.state, "connecting");
  socket().welcome("c7");
  assert.equal(client.id, "c7");
  assert.deepEqual(states(), ["connecting", "online"]);
});

test("the socket gets the URL and hands out binary messages as array buffers", () => {
  const { socket, events } = setUpOnline();
  assert.equal(socket().url, URL);
  assert.equal(socket().binaryType, "arraybuffer");
  const buffer = new ArrayBuffer(2);
  socket().onmessage({ data: buffer });
  assert.deepEqual(events.at(-1), ["binary", buffer]);
});

test("connect opens one socket however often it is called", () => {
  const { client, sockets, socket } = setUp();
  client.connect();
  client.connect();
  socket().welcome();
  client.connect();
  assert.equal(sockets.length, 1);
});

test("connect throws what the WebSocket constructor throws and stays closed", () => {
  const refusing = class {
    constructor() {
      throw new SyntaxError("bad URL");
    }
  };
  const { client, clock } = setUp({ WebSocket: refusing });
  assert.throws(() => client.connect(), SyntaxError);
  assert.equal(client.state, "closed");
  assert.equal(clock.size, 0);
});

test("a connection without a welcome is given up after the timeout", () => {
  const { client, clock, socket, events } = setUp({ welcomeTimeout: 10_000 });
  client.connect();
  clock.advance(9_999);
  assert.equal(client.state, "connecting");
  clock.advance(1);
  assert.deepEqual(socket().closedWith, { code: 4000, reason: "no welcome" });
  const offline = { state: "offline", retryIn: 500, code: 4000, reason: "no welcome" };
  assert.deepEqual(events.at(-1), ["state", offline]);
});

test("the delay doubles from the minimum up to the cap", () => {
  const { client, socket, delays } = setUp({ random: () => 1, minDelay: 1_000, maxDelay: 30_000 });
  client.connect();
  for (let round = 0; round < 7; round += 1) {
    socket().end();
    client.connect();
  }
  assert.deepEqual(delays(), [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
});

test("the delay is spread over the whole range from zero", () => {
  const draws = [0, 0.25, 0.999];
  const { client, socket, delays } = setUp({ random: () => draws.shift(), minDelay: 1_000 });
  client.connect();
  for (let round = 0; round < 3; round += 1) {
    socket().end();
    client.connect();
  }
  assert.deepEqual(delays(), [0, 500, 3_996]);
});

test("the next attempt comes when the delay is over, not before", () => {
  const { client, clock, sockets, socket } = setUp({ random: () => 1, minDelay: 1_000 });
  client.connect();
  socket().end();
  clock.advance(999);
  assert.equal(sockets.length, 1);
  clock.advance(1);
  assert.equal(sockets.length, 2);
  assert.equal(client.state, "connecting");
});

test("connect while offline ends the wait", () => {
  const { client, clock, sockets, socket } = setUp();
  client.connect();
  socket().end();
  client.connect();
  assert.equal(sockets.length, 2);
  socket().welcome();
  clock.advance(5_000);
  assert.equal(sockets.length, 2);
});

test("a welcome alone does not reset the backoff", () => {
  const { client, clock, socket, delays } = setUp({ random: () => 1, minDelay: 1_000, stableAfter: 10_000 });
  client.connect();
  for (let round = 0; round < 3; round += 1) {
    socket().welcome();
    clock.advance(9_999);
    socket().end();
    client.connect();
  }
  assert.deepEqual(delays(), [1_000, 2_000, 4_000]);
});

test("a connection that lasts resets the backoff", () => {
  const { client, clock, socket, delays } = setUp({ random: () => 1, minDelay: 1_000, stableAfter: 10_000 });
  client.connect();
  for (let round = 0; round < 3; round += 1) {
    socket().welcome();
    clock.advance(10_000);
    socket().end();
    client.connect();
  }
  assert.deepEqual(delays(), [1_000, 1_000, 1_000]);
});

test("the offline state carries the close code and the reason", () => {
  const { socket, events } = setUpOnline();
  socket().end(1013, "slow");
  assert.deepEqual(events.at(-1), ["state", { state: "offline", retryIn: 500, code: 1013, reason: "slow" }]);
});

test("join resolves with the server's answer", async () => {
  const { client, socket, events } = setUpOnline();
  const joined = client.join("general");
  assert.deepEqual(withoutRef(socket().sent), [{ action: "join", room: "general" }]);
  socket().answer("joined", { room: "general", members: 2 });
  assert.equal((await joined).members, 2);
  assert.equal(events.at(-1)[0], "joined");
});

test("a room is joined once however often it is asked for", () => {
  const { client, socket } = setUpOnline();
  assert.equal(client.join("general"), client.join("general"));
  assert.equal(socket().sent.length, 1);
});

test("a join that was asked for while offline is sent after the welcome", async () => {
  const { client, socket } = setUp();
  const joined = client.join("general");
  client.connect();
  assert.deepEqual(socket().sent, []);
  socket().welcome();
  socket().answer("joined", { room: "general", members: 1 });
  assert.equal((await joined).room, "general");
});

test("rooms are joined again after a reconnection, before what waited is sent", () => {
  const { client, socket } = setUpOnline();
  client.join("general");
  socket().answer("joined", { room: "general", members: 1 });
  client.join("unanswered");
  socket().end();
  client.message("general", "waited");
  client.connect();
  socket().welcome();
  assert.deepEqual(
    withoutRef(socket().sent),
    [
      { action: "join", room: "general" },
      { action: "join", room: "unanswered" },
      { action: "message", room: "general", message: "waited" },
    ],
  );
});

test("a join that the connection did not outlive is answered on the next one", async () => {
  const { client, socket } = setUpOnline();
  const joined = client.join("general");
  socket().end();
  client.connect();
  socket().welcome();
  socket().answer("joined", { room: "general", members: 5 });
  assert.equal((await joined).members, 5);
});

test("a refused join rejects and is not repeated", async () => {
  const { client, socket, events } = setUpOnline();
  const joined = client.join("general");
  socket().answer("error", { code: "forbidden", message: "No" });
  await assert.rejects(joined, { name: "RoomsError", code: "forbidden", message: "No", sent: true });
  assert.deepEqual(events.filter(([type]) => type === "error"), []);
  socket().end();
  client.connect();
  socket().welcome();
  assert.deepEqual(socket().sent, []);
});

test("a room that is refused on the way back is told by an error event with its name", () => {
  const { client, socket, events } = setUpOnline();
  client.join("general");
  socket().answer("joined", { room: "general", members: 1 });
  socket().end();
  client.connect();
  socket().welcome();
  socket().answer("error", { code: "forbidden", message: "No" });
  const [type, { code, room }] = events.at(-1);
  assert.deepEqual([type, code, room], ["error", "forbidden", "general"]);
});

test("leave resolves with the server's answer and the room is not joined again", async () => {
  const { client, socket } = setUpOnline();
  client.join("general");
  socket().answer("joined", { room: "general", members: 1 });
  const left = client.leave("general");
  socket().answer("left", { room: "general" });
  assert.equal((await left).type, "left");
  socket().end();
  client.connect();
  socket().welcome();
  assert.deepEqual(socket().sent, []);
});

test("leave while offline takes the room off the list and rejects its join", async () => {
  const { client, socket } = setUp();
  const refused = assert.rejects(client.join("general"), { code: "left" });
  assert.deepEqual(await client.leave("general"), { type: "left", room: "general" });
  await refused;
  client.connect();
  socket().welcome();
  assert.deepEqual(socket().sent, []);
});

test("a connection that ends has left the room", async () => {
  const { client, socket } = setUpOnline();
  const left = client.leave("general");
  socket().end();
  assert.deepEqual(await left, { type: "left", room: "general" });
});

test("leave rejects with the server's error", async () => {
  const { client, socket } = setUpOnline();
  const left = client.leave("general");
  socket().answer("error", { code: "not_a_member", message: "No" });
  await assert.rejects(left, { code: "not_a_member" });
});

test("a room that was left and joined again survives the late refusal of the first join", async () => {
  const { client, socket } = setUpOnline();
  const first = assert.rejects(client.join("general"), { code: "left" });
  client.leave("general");
  const second = client.join("general");
  socket().answer("error", { code: "busy", message: "No" }, 0);
  socket().answer("joined", { room: "general", members: 1 });
  await first;
  assert.equal((await second).members, 1);
});

test("message, broadcast and direct send their fields and resolve with the ack", async () => {
  const { client, socket } = setUpOnline({ user: "alice" });
  const acks = [];
  for (const publish of [
    () => client.message("general", { any: ["JSON"] }, { id: "k1" }),
    () => client.broadcast("all", { echo: true }),
    () => client.direct({ id: "c2" }, "you"),
  ]) {
    const ack = publish();
    socket().answer("ack", { offset: acks.length });
    acks.push((await ack).offset);
  }
  assert.deepEqual(
    withoutRef(socket().sent),
    [
      { user: "alice", action: "message", room: "general", message: { any: ["JSON"] }, id: "k1" },
      { user: "alice", action: "broadcast", message: "all", echo: true },
      { user: "alice", action: "direct", to: { id: "c2" }, message: "you" },
    ],
  );
  assert.deepEqual(acks, [0, 1, 2]);
});

test("answers are told apart by ref, in whichever order they come", async () => {
  const { client, socket } = setUpOnline();
  const first = client.message("general", "1");
  const second = client.message("general", "2");
  socket().answer("ack", { offset: 2 }, 1);
  socket().answer("error", { code: "too_fast", message: "Slower" }, 0);
  assert.equal((await second).offset, 2);
  await assert.rejects(first, { code: "too_fast", message: "Slower", sent: true });
});

test("a message that is not JSON rejects and does not wait", async () => {
  const { client } = setUpOnline();
  await assert.rejects(client.message("general", 1n), TypeError);
  assert.equal(client.pending, 0);
});

for (const [count, refused] of [
  [MAX_PENDING - 1, 0],
  [MAX_PENDING, 0],
  [MAX_PENDING + 1, 1],
]) {
  for (const [where, begin] of [
    ["offline", setUp],
    ["online", setUpOnline],
  ]) {
    const rule = `${refused} of ${count} unanswered messages refused when ${MAX_PENDING} may wait`;
    test(`${where}: ${rule}`, async () => {
      const { client, socket } = begin();
      const codes = [];
      for (let number = 0; number < count; number += 1) {
        client.message("general", number).catch((error) => codes.push([error.code, error.sent]));
      }
      await Promise.resolve();
      assert.deepEqual(codes, Array(refused).fill(["queue_full", false]));
      assert.equal(client.pending, Math.min(count, MAX_PENDING));
      if (where === "offline") {
        client.connect();
        socket().welcome();
      }
      const numbers = socket().sent.map(({ message }) => message);
      assert.deepEqual(numbers, [0, 1, 2].slice(0, count));
    });
  }
}

test("an answer makes room for another message", async () => {
  const { client, socket } = setUpOnline();
  for (let number = 0; number < MAX_PENDING; number += 1) client.message("general", number);
  socket().answer("ack");
  client.message("general", "another");
  assert.equal(socket().sent.at(-1).message, "another");
});

test("what was sent and not answered is told to the caller, not sent again", async () => {
  const { client, socket } = setUpOnline();
  const sent = client.message("general", "sent");
  socket().end();
  await assert.rejects(sent, { code: "connection_lost", sent: true });
  client.connect();
  socket().welcome();
  assert.deepEqual(socket().sent, []);
});

test("what is said while the socket closes waits for the next one", () => {
  const { client, socket } = setUpOnline();
  socket().readyState = 2;
  client.message("general", "late");
  assert.deepEqual(socket().sent, []);
  socket().end();
  client.connect();
  socket().welcome();
  assert.equal(socket().sent.at(-1).message, "late");
});

test("a socket that closes right after its welcome is not given what waits", () => {
  const { client, socket } = setUp();
  client.message("general", "early");
  client.connect();
  socket().readyState = 2;
  socket().receive({ type: "welcome", id: "c1" });
  assert.deepEqual(socket().sent, []);
  socket().end();
  assert.equal(client.pending, 1);
});

test("silence is answered by a ping, and a pong keeps the connection", () => {
  const { client, clock, socket } = setUpOnline({ pingInterval: 25_000, pongTimeout: 10_000 });
  for (let round = 1; round <= 3; round += 1) {
    clock.advance(25_000);
    assert.deepEqual(socket().sent, Array(round).fill({ action: "ping" }));
    clock.advance(9_999);
    socket().receive({ type: "pong" });
  }
  assert.equal(client.state, "online");
});

test("any message is life", () => {
  const { client, clock, socket } = setUpOnline({ pingInterval: 25_000, pongTimeout: 10_000 });
  clock.advance(34_999);
  socket().receive({ type: "broadcast", message: "hello" });
  clock.advance(1);
  assert.equal(client.state, "online");
});

test("no pong closes the connection and makes another", () => {
  const { clock, sockets, events, states } = setUpOnline({ pingInterval: 25_000, pongTimeout: 10_000 });
  clock.advance(34_999);
  assert.deepEqual(states(), ["connecting", "online"]);
  clock.advance(1);
  assert.deepEqual(sockets[0].closedWith, { code: 4001, reason: "no pong" });
  const offline = { state: "offline", retryIn: 500, code: 4001, reason: "no pong" };
  assert.deepEqual(events.at(-1), ["state", offline]);
  clock.advance(500);
  assert.equal(sockets.length, 2);
});

test("a socket that was given up is heard no more", () => {
  const { client, clock, sockets, states } = setUpOnline({ pingInterval: 25_000, pongTimeout: 10_000 });
  clock.advance(35_500);
  sockets[0].receive({ type: "welcome", id: "old" });
  sockets[0].end();
  assert.equal(client.state, "connecting");
  assert.deepEqual(states(), ["connecting", "online", "offline", "connecting"]);
});

test("no ping is sent on a socket that is closing", () => {
  const { clock, socket } = setUpOnline({ pingInterval: 25_000 });
  socket().readyState = 2;
  clock.advance(25_000);
  assert.deepEqual(socket().sent, []);
});

for (const [when, prepare] of [
  ["connecting", (world) => world.client.connect()],
  ["online", (world) => (world.client.connect(), world.socket().welcome())],
  ["offline", (world) => (world.client.connect(), world.socket().end())],
]) {
  test(`close while ${when} stops all timers and reconnecting`, () => {
    const world = setUp();
    prepare(world);
    world.client.close();
    assert.equal(world.client.state, "closed");
    assert.equal(world.client.id, null);
    assert.equal(world.clock.size, 0);
    world.socket().end();
    world.clock.advance(1_000_000);
    assert.equal(world.sockets.length, 1);
    assert.equal(world.states().at(-1), "closed");
  });
}

test("close passes code and reason, and says nothing when there is nothing to close", () => {
  const { client, socket, events } = setUpOnline();
  client.close(3000, "done");
  assert.deepEqual(socket().closedWith, { code: 3000, reason: "done" });
  const told = events.length;
  client.close();
  assert.equal(events.length, told);
});

test("close rejects what waits and what was sent, and says which is which", async () => {
  const { client, socket } = setUpOnline();
  const sent = assert.rejects(client.message("general", "sent"), { code: "closed", sent: true });
  const join = assert.rejects(client.join("general"), { code: "closed", sent: true });
  const left = client.leave("other");
  socket().readyState = 2;
  const waiting = assert.rejects(client.message("general", "waiting"), { code: "closed", sent: false });
  client.close();
  await Promise.all([sent, join, waiting]);
  assert.deepEqual(await left, { type: "left", room: "other" });
  assert.equal(client.pending, 0);
});

test("connect after close begins anew, in no room and without backoff", () => {
  const { client, socket, delays } = setUpOnline({ random: () => 1, minDelay: 1_000 });
  client.join("general");
  socket().answer("joined", { room: "general", members: 1 });
  socket().end();
  client.close();
  client.connect();
  socket().welcome();
  assert.deepEqual(socket().sent, []);
  socket().end();
  assert.deepEqual(delays(), [1_000, 1_000]);
});

test("a listener may close the client in the middle of any event", () => {
  for (const moment of ["connecting", "online", "offline"]) {
    const world = setUp();
    world.client.addEventListener("state", ({ detail }) => {
      if (detail.state === moment) world.client.close();
    });
    world.client.connect();
    world.socket().welcome();
    world.socket().end();
    assert.equal(world.client.state, "closed");
    assert.equal(world.clock.size, 0);
  }
});

test("what the server sends unasked becomes an event of its type", () => {
  const { socket, events } = setUpOnline();
  for (const type of ["message", "broadcast", "direct", "error"]) {
    const frame = { type, message: "hello" };
    socket().receive(frame);
    assert.deepEqual(events.at(-1), [type, frame]);
  }
});

for (const [what, data] of [
  ["no JSON", "{"],
  ["null", "null"],
  ["an object without a type", "{}"],
  ["a type that is no text", '{"type":1}'],
]) {
  test(`${what} from the server is an error event, and the connection goes on`, () => {
    const { client, socket, events } = setUpOnline();
    socket().onmessage({ data });
    const [type, { code }] = events.at(-1);
    assert.deepEqual([type, code], ["error", "invalid_answer"]);
    assert.equal(client.state, "online");
  });
}

test("a second welcome changes nothing", () => {
  const { client, socket, events } = setUpOnline();
  const told = events.length;
  socket().receive({ type: "welcome", id: "c2" });
  assert.equal(client.id, "c1");
  assert.equal(events.length, told);
});

test("a socket's error event is left to the close event that follows", () => {
  const { client, socket } = setUpOnline();
  socket().onerror({});
  assert.equal(client.state, "online");
});

test("by default the timers and the randomness are those of the platform", async () => {
  const sockets = [];
  const client = new RoomsClient(URL, {
    WebSocket: class extends FakeWebSocket {
      constructor(url) {
        super(url);
        sockets.push(this);
      }
    },
    minDelay: 0,
  });
  const back = new Promise((resolve) => {
    client.addEventListener("state", () => sockets.length === 2 && resolve());
  });
  client.connect();
  sockets[0].end();
  await back;
  client.close();
  assert.equal(client.state, "closed");
});
