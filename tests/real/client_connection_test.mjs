// The connection of the browser client: made, watched, lost and made again.

import assert from "node:assert/strict";
import test from "node:test";

import { RoomsClient } from "../../server/static/client.js";
import { FakeWebSocket, URL, setUp, setUpOnline } from "./client_stage.mjs";

test("a connection is online when it is welcomed, not when it is open", () => {
  const { client, socket, statuses } = setUp();
  client.connect();
  socket().readyState = 1;
  assert.equal(client.status, "connecting");
  socket().welcome("c7");
  assert.equal(client.id, "c7");
  assert.deepEqual(statuses(), ["connecting", "online"]);
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
  assert.equal(client.status, "closed");
  assert.equal(clock.size, 0);
});

test("a connection without a welcome is given up after the timeout", () => {
  const { client, clock, socket, events } = setUp({ welcomeTimeout: 10_000 });
  client.connect();
  clock.advance(9_999);
  assert.equal(client.status, "connecting");
  clock.advance(1);
  assert.deepEqual(socket().closedWith, { code: 4000, reason: "no welcome" });
  const offline = { status: "offline", retryIn: 500, code: 4000, reason: "no welcome" };
  assert.deepEqual(events.at(-1), ["status", offline]);
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
  assert.equal(client.status, "connecting");
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

for (const [reason, advised] of [
  ["the server is going away; retry=3.2", 3_200],
  ["too slow; retry=5", 5_000],
  ["retry=0.5", 500],
  ["go away; retry=0", 0],
  ["for ever; retry=9999999999", 3_600_000],
  ["retry=3.2 or so", 0],
  ["noretry=3.2", 0],
  ["retry=", 0],
  ["", 0],
]) {
  test(`after ${JSON.stringify(reason)} the client waits ${advised} ms and its own delay`, () => {
    const { clock, sockets, socket, delays } = setUpOnline({ random: () => 0.25, minDelay: 1_000 });
    socket().end(1001, reason);
    assert.deepEqual(delays(), [advised + 250]);
    clock.advance(advised + 249);
    assert.equal(sockets.length, 1);
    clock.advance(1);
    assert.equal(sockets.length, 2);
  });
}

for (const code of [1000, 3000, 4000, 4999]) {
  test(`${code} from the server is for good`, async () => {
    const { client, clock, socket, events } = setUpOnline();
    const joined = client.join("general");
    socket().end(code, "signed out");
    await assert.rejects(joined, { code: "closed", message: "The connection was closed: signed out" });
    assert.deepEqual(events.at(-1), ["status", { status: "closed", code, reason: "signed out" }]);
    assert.equal(client.status, "closed");
    assert.equal(clock.size, 0);
  });

  test(`${code} from the server with an advice is not for good`, () => {
    const { client, clock, sockets, socket } = setUpOnline({ random: () => 0 });
    socket().end(code, "come back; retry=2");
    assert.equal(client.status, "offline");
    clock.advance(2_000);
    assert.equal(sockets.length, 2);
  });
}

for (const code of [1001, 1005, 1006, 1009, 1011, 1012, 1013, 2999]) {
  test(`after ${code} the client comes back`, () => {
    const { client, socket, delays } = setUpOnline();
    socket().end(code);
    assert.equal(client.status, "offline");
    assert.deepEqual(delays(), [500]);
  });
}

test("1008 in the place of a welcome is for good", () => {
  const { client, clock, socket } = setUp();
  client.connect();
  socket().end(1008, "Sign in first.");
  assert.equal(client.status, "closed");
  assert.equal(clock.size, 0);
});

test("1008 later is followed by a long wait", () => {
  const draws = [0, 1];
  const { client, socket, delays } = setUp({ random: () => draws.shift(), maxDelay: 30_000 });
  for (let round = 0; round < 2; round += 1) {
    client.connect();
    socket().welcome();
    socket().end(1008, "too many messages a second");
  }
  assert.deepEqual(delays(), [15_000, 30_000]);
});

test("the offline state carries the close code and the reason", () => {
  const { socket, events } = setUpOnline();
  socket().end(1013, "slow");
  const offline = { status: "offline", retryIn: 500, code: 1013, reason: "slow" };
  assert.deepEqual(events.at(-1), ["status", offline]);
});

test("silence is answered by a ping, and a pong keeps the connection", () => {
  const { client, clock, socket } = setUpOnline({ pingInterval: 25_000, pongTimeout: 10_000 });
  for (let round = 1; round <= 3; round += 1) {
    clock.advance(25_000);
    assert.deepEqual(socket().sent, Array(round).fill({ action: "ping" }));
    clock.advance(9_999);
    socket().receive({ type: "pong" });
  }
  assert.equal(client.status, "online");
});

test("any message is life", () => {
  const { client, clock, socket } = setUpOnline({ pingInterval: 25_000, pongTimeout: 10_000 });
  clock.advance(34_999);
  socket().receive({ type: "broadcast", message: "hello" });
  clock.advance(1);
  assert.equal(client.status, "online");
});

test("no pong closes the connection and makes another", () => {
  const { clock, sockets, events, statuses } = setUpOnline({ pingInterval: 25_000, pongTimeout: 10_000 });
  clock.advance(34_999);
  assert.deepEqual(statuses(), ["connecting", "online"]);
  clock.advance(1);
  assert.deepEqual(sockets[0].closedWith, { code: 4001, reason: "no pong" });
  const offline = { status: "offline", retryIn: 500, code: 4001, reason: "no pong" };
  assert.deepEqual(events.at(-1), ["status", offline]);
  clock.advance(500);
  assert.equal(sockets.length, 2);
});

test("a socket that was given up is heard no more", () => {
  const { client, clock, sockets, statuses } = setUpOnline({ pingInterval: 25_000, pongTimeout: 10_000 });
  clock.advance(35_500);
  sockets[0].receive({ type: "welcome", id: "old" });
  sockets[0].end();
  assert.equal(client.status, "connecting");
  assert.deepEqual(statuses(), ["connecting", "online", "offline", "connecting"]);
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
    assert.equal(world.client.status, "closed");
    assert.equal(world.client.id, null);
    assert.equal(world.clock.size, 0);
    world.socket().end();
    world.clock.advance(1_000_000);
    assert.equal(world.sockets.length, 1);
    assert.equal(world.statuses().at(-1), "closed");
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

test("a listener may close the client in the middle of any event", () => {
  for (const moment of ["connecting", "online", "offline"]) {
    const world = setUp();
    world.client.addEventListener("status", ({ detail }) => {
      if (detail.status === moment) world.client.close();
    });
    world.client.connect();
    world.socket().welcome();
    world.socket().end();
    assert.equal(world.client.status, "closed");
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
    assert.equal(client.status, "online");
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
  assert.equal(client.status, "online");
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
    client.addEventListener("status", () => sockets.length === 2 && resolve());
  });
  client.connect();
  sockets[0].end();
  await back;
  client.close();
  assert.equal(client.status, "closed");
});
