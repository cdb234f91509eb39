// How the browser client goes on in its rooms after a reconnection, and what it says about the time between.

import assert from "node:assert/strict";
import test from "node:test";

import { reconnect, said, setUpOnline } from "./client_stage.mjs";

function setUpInRoom(options) {
  const world = setUpOnline(options);
  world.client.join("general");
  world.socket().joined("general", { offset: 40 });
  return world;
}

function sinceOf(socket, room = "general") {
  return said(socket).find((frame) => frame.action === "join" && frame.room === room).since;
}

function told(events, type) {
  return events.filter(([name]) => name === type).map(([, detail]) => detail);
}

test("the first join asks for nothing that was before", () => {
  const { client, socket, events } = setUpInRoom();
  assert.equal(sinceOf(socket()), undefined);
  assert.deepEqual(told(events, "gap"), []);
  assert.deepEqual(client.position("general"), { epoch: "e1", offset: 40 });
});

for (const [what, frames, offset] of [
  ["messages", [{ type: "message", offset: 41 }, { type: "message", offset: 42 }], 42],
  ["the ack of what is not echoed", [{ type: "message", offset: 41 }, { type: "ack", offset: 42 }], 42],
  ["an ack behind its own message", [{ type: "message", offset: 41 }, { type: "ack", offset: 41 }], 41],
  ["a duplicate's ack", [{ type: "message", offset: 45 }, { type: "ack", offset: 43, duplicate: true }], 45],
  ["what is missed", [{ type: "missed", count: 3 }], 43],
  ["what is missed between messages", [{ type: "missed", count: 3 }, { type: "message", offset: 44 }], 44],
  ["the ack of a state, which has no place", [{ type: "ack" }], 40],
  ["the offset of a history, which was asked for", [{ type: "history", offset: 50, messages: [] }], 40],
  ["presence", [{ type: "presence", count: 7, users: 7 }], 40],
  ["other rooms", [{ type: "message", room: "other", offset: 50 }], 40],
]) {
  test(`the position moves on with ${what}`, () => {
    const { client, socket } = setUpInRoom();
    for (const frame of frames) socket().receive({ room: "general", ...frame });
    assert.deepEqual(client.position("general"), { epoch: "e1", offset });
    reconnect(client, socket);
    assert.deepEqual(sinceOf(socket()), { epoch: "e1", offset });
  });
}

test("a listener finds the position behind the message that it hears", () => {
  const { client, socket } = setUpInRoom();
  const positions = [];
  client.addEventListener("message", () => positions.push(client.position("general").offset));
  socket().receive({ type: "message", room: "general", offset: 41 });
  assert.deepEqual(positions, [41]);
});

test("a recovered room has no gap, and its position moves on with what is caught up on", () => {
  const { client, socket, events } = setUpInRoom();
  reconnect(client, socket);
  socket().joined("general", { offset: 60, recovered: true });
  assert.equal(told(events, "joined").at(-1).recovered, true);
  assert.deepEqual(told(events, "gap"), []);
  assert.equal(client.position("general").offset, 40);
  socket().receive({ type: "message", room: "general", offset: 41 });
  reconnect(client, socket, "c3");
  assert.deepEqual(sinceOf(socket()), { epoch: "e1", offset: 41 });
});

test("a room that is not recovered is a gap, told behind the joined, and goes on from there", () => {
  const { client, socket, events } = setUpInRoom();
  reconnect(client, socket);
  socket().joined("general", { epoch: "e2", offset: 3 });
  assert.deepEqual(events.slice(-2).map(([type]) => type), ["joined", "gap"]);
  const [, { room, epoch, offset }] = events.at(-1);
  assert.deepEqual([room, epoch, offset], ["general", "e2", 3]);
  assert.deepEqual(client.position("general"), { epoch: "e2", offset: 3 });
});

test("what comes through a pattern before the room is joined again does not move its position", () => {
  const { client, socket } = setUpInRoom();
  reconnect(client, socket);
  socket().receive({ type: "message", room: "general", offset: 50 });
  assert.equal(client.position("general").offset, 40);
});

test("rooms are joined again before patterns", () => {
  const { client, socket } = setUpOnline();
  client.join("logs.>");
  socket().joined("logs.>", { epoch: "" });
  client.join("general");
  socket().joined("general", { offset: 40 });
  reconnect(client, socket);
  assert.deepEqual(
    said(socket()),
    [
      { action: "join", room: "general", since: { epoch: "e1", offset: 40 } },
      { action: "join", room: "logs.>" },
    ],
  );
});

test("a pattern has no position, and each reconnection is a gap", () => {
  const { client, socket, events } = setUpOnline();
  client.join("logs.>");
  socket().joined("logs.>", { epoch: "" });
  socket().receive({ type: "message", room: "logs.a", offset: 9 });
  assert.equal(client.position("logs.>"), null);
  assert.deepEqual(told(events, "gap"), []);
  reconnect(client, socket);
  socket().joined("logs.>", { epoch: "" });
  assert.deepEqual(told(events, "gap").map(({ room }) => room), ["logs.>"]);
});

for (const [recovered, gaps] of [
  [true, 0],
  [false, 1],
]) {
  test(`a page goes on from where it was before: ${gaps} gaps when recovered is ${recovered}`, async () => {
    const { client, socket, events } = setUpOnline();
    const since = { epoch: "e1", offset: 7 };
    const joined = client.join("general", { since });
    assert.deepEqual(sinceOf(socket()), since);
    socket().joined("general", { offset: 9, recovered });
    assert.equal((await joined).recovered, recovered);
    assert.equal(told(events, "gap").length, gaps);
    assert.equal(client.position("general").offset, recovered ? 7 : 9);
  });
}

test("a position from before that cannot be is told to the caller", async () => {
  const { client, socket } = setUpOnline();
  const joined = client.join("general", { since: { epoch: "e1", offset: 7 } });
  socket().answer("error", { code: "invalid_since", message: "No" });
  await assert.rejects(joined, { code: "invalid_since" });
  assert.equal(client.position("general"), null);
});

test("a join that the connection did not outlive is asked again from the same place, without a gap", () => {
  const { client, socket, events } = setUpOnline();
  client.join("general");
  reconnect(client, socket);
  assert.equal(sinceOf(socket()), undefined);
  socket().joined("general", { offset: 40 });
  assert.deepEqual(told(events, "gap"), []);
});

test("a room that was left is in no place", () => {
  const { client, socket } = setUpInRoom();
  client.leave("general");
  assert.equal(client.position("general"), null);
});

test("presence and what is missed become events", () => {
  const { socket, events } = setUpInRoom();
  for (const frame of [
    { type: "presence", room: "general", count: 2, users: 2, joined: [{ id: "c9", user: "bob" }] },
    { type: "missed", room: "general", count: 3 },
  ]) {
    socket().receive(frame);
    assert.deepEqual(events.at(-1), [frame.type, frame]);
  }
});
