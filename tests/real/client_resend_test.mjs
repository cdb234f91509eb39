// What the browser client has to say until it is acknowledged: sent again, in order, under the same id.

import assert from "node:assert/strict";
import test from "node:test";

import { reconnect, setUp, setUpOnline } from "./client_stage.mjs";

// What was published on a socket, with its id.
function published(socket) {
  return socket.sent.filter(({ message }) => message !== undefined).map(({ id, message }) => [id, message]);
}

function resumed(socket) {
  return socket.sent.filter(({ action }) => action === "resume").map(({ token }) => token);
}

test("every message has an id of its own, and no other client's", () => {
  const ids = [setUpOnline(), setUpOnline()].flatMap(({ client, socket }) => {
    client.message("general", 1);
    client.broadcast(2);
    client.direct("c9", 3);
    return published(socket()).map(([id]) => id);
  });
  assert.equal(new Set(ids).size, 6);
  assert.ok(ids.every((id) => typeof id === "string" && id.length <= 128));
});

test("what was not acknowledged is sent again under the same id and in the same order", async () => {
  const { client, socket } = setUpOnline();
  const first = client.message("general", "first");
  const second = client.broadcast("second");
  const third = client.direct("c9", "third");
  const before = published(socket());
  socket().answer("ack", { offset: 1 }, 0);
  await first;
  reconnect(client, socket);
  assert.deepEqual(published(socket()), before.slice(1));
  socket().answer("ack", { duplicate: true }, -2);
  socket().answer("ack", {}, -1);
  assert.equal((await second).duplicate, true);
  await third;
  assert.equal(client.pending, 0);
});

test("what was said before the loss, in between and after comes in the order of the calls", () => {
  const { client, socket } = setUpOnline();
  client.message("general", "before");
  socket().end();
  client.message("general", "between");
  client.connect();
  socket().welcome("c2");
  client.message("general", "after");
  assert.deepEqual(published(socket()).map(([, message]) => message), ["before", "between", "after"]);
});

test("a message keeps the value that it had when it was sent", () => {
  const { client, socket } = setUpOnline();
  const value = { count: 1 };
  client.message("general", value);
  value.count = 2;
  reconnect(client, socket);
  assert.deepEqual(published(socket())[0][1], { count: 1 });
});

test("who asks is answered on the next connection", async () => {
  const { client, socket } = setUpOnline();
  const answers = [client.state("general", "here"), client.members("general"), client.history("general")];
  reconnect(client, socket);
  const actions = socket().sent.map(({ action }) => action);
  assert.deepEqual(actions, ["resume", "state", "presence", "history"]);
  for (const index of [1, 2, 3]) socket().answer("answer", { index }, index);
  assert.deepEqual((await Promise.all(answers)).map(({ index }) => index), [1, 2, 3]);
});

// Who the client was.

test("the first connection resumes nothing", () => {
  const { socket } = setUpOnline();
  assert.deepEqual(resumed(socket()), []);
});

test("each later connection shows the token of the first one before all else", () => {
  const { client, socket } = setUpOnline();
  client.join("general");
  client.message("general", "hello");
  for (const id of ["c2", "c3"]) {
    reconnect(client, socket, id);
    const [{ action, token }] = socket().sent;
    assert.deepEqual([action, token], ["resume", "token of c1"]);
    socket().answer("resumed", {}, 0);
  }
});

test("a server that does not know the token knows the client by the new one, and hears what waits", () => {
  const { client, socket, events } = setUpOnline();
  client.message("general", "hello");
  reconnect(client, socket, "c2");
  socket().answer("error", { code: "invalid_token", message: "No" }, 0);
  assert.deepEqual(events.filter(([type]) => type === "error"), []);
  assert.deepEqual(published(socket()).map(([, message]) => message), ["hello"]);
  reconnect(client, socket, "c3");
  assert.deepEqual(resumed(socket()), ["token of c2"]);
});

test("a resumption without an answer is tried again", () => {
  const { client, socket } = setUpOnline();
  reconnect(client, socket, "c2");
  reconnect(client, socket, "c3");
  assert.deepEqual(resumed(socket()), ["token of c1"]);
});

test("after close nobody is resumed", () => {
  const { client, socket } = setUpOnline();
  client.close();
  client.connect();
  socket().welcome("c2");
  assert.deepEqual(resumed(socket()), []);
});

// For how long.

for (const [where, begin, sent] of [
  ["offline", setUp, false],
  ["online", setUpOnline, true],
]) {
  test(`${where}: what has no answer in time is given up`, async () => {
    const { client, clock, socket } = begin({ sendTimeout: 5_000, pingInterval: 60_000 });
    const message = client.message("general", "hello");
    clock.advance(4_999);
    assert.equal(client.pending, 1);
    clock.advance(1);
    await assert.rejects(message, { name: "RoomsError", code: "timeout", sent });
    assert.equal(client.pending, 0);
    if (where === "online") {
      reconnect(client, socket);
      assert.deepEqual(published(socket()), []);
    }
  });
}

test("the time for a message is its own, on however many connections", async () => {
  const { client, clock, socket } = setUpOnline({ sendTimeout: 5_000, random: () => 1, minDelay: 60_000 });
  const message = assert.rejects(client.message("general", "hello"), { code: "timeout" });
  clock.advance(3_000);
  reconnect(client, socket);
  clock.advance(1_999);
  assert.equal(client.pending, 1);
  clock.advance(1);
  await message;
});

test("an answer stops the clock for its message", async () => {
  const { client, clock, socket } = setUpOnline({ sendTimeout: 5_000 });
  const timers = clock.size;
  const message = client.message("general", "hello");
  assert.equal(clock.size, timers + 1);
  socket().answer("ack");
  await message;
  assert.equal(clock.size, timers);
});

test("an answer that comes too late is an event", async () => {
  const { client, clock, socket, events } = setUpOnline({ sendTimeout: 5_000 });
  const message = assert.rejects(client.message("general", "hello"), { code: "timeout" });
  clock.advance(5_000);
  await message;
  socket().answer("error", { code: "forbidden", message: "No" });
  assert.equal(events.at(-1)[1].code, "forbidden");
});

// What the server doesn't take.

test("after 1009 the largest message is given up, and the others are sent again", async () => {
  const { client, socket } = setUpOnline();
  client.message("general", "small");
  // Fewer characters than the last one, and more octets.
  const large = client.message("general", "\u00e9".repeat(30));
  client.message("general", "x".repeat(40));
  socket().end(1009, "too large");
  await assert.rejects(large, { code: "too_large", sent: true });
  client.connect();
  socket().welcome("c2");
  assert.deepEqual(published(socket()).map(([, message]) => message), ["small", "x".repeat(40)]);
});

test("after 1009 a join may be what was too large", async () => {
  const { client, socket } = setUpOnline();
  const joined = client.join("general", { state: "x".repeat(100) });
  client.message("general", "small");
  socket().end(1009);
  await assert.rejects(joined, { code: "too_large" });
  client.connect();
  socket().welcome("c2");
  assert.deepEqual(socket().sent.map(({ action }) => action), ["resume", "message"]);
});

test("after 1009 a join of an earlier connection is not what was too large", async () => {
  const { client, socket } = setUpOnline();
  const joined = assert.rejects(client.join("general", { state: "x".repeat(100) }), { code: "left" });
  socket().end();
  client.leave("general");
  client.connect();
  socket().welcome("c2");
  const message = client.message("general", "small");
  socket().end(1009);
  await assert.rejects(message, { code: "too_large" });
  await joined;
});

test("after 1009 what was not sent is not given up", async () => {
  const { client, socket } = setUpOnline();
  socket().readyState = 2;
  client.message("general", "waits");
  socket().end(1009);
  assert.equal(client.pending, 1);
});
