// What the browser client does on one connection, and over several: rooms, messages and their answers.

import assert from "node:assert/strict";
import test from "node:test";

import { MAX_PENDING, reconnect, said, setUp, setUpOnline } from "./client_stage.mjs";

test("join resolves with the server's answer", async () => {
  const { client, socket, events } = setUpOnline();
  const joined = client.join("general");
  assert.deepEqual(said(socket()), [{ action: "join", room: "general" }]);
  socket().joined("general", { members: 2 });
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
  assert.deepEqual(said(socket()), []);
  socket().welcome();
  socket().joined("general");
  assert.equal((await joined).room, "general");
});

test("rooms are joined again after a reconnection, before what waited is sent", () => {
  const { client, socket } = setUpOnline();
  client.join("general");
  socket().joined("general");
  client.join("unanswered");
  socket().end();
  client.message("general", "waited");
  client.connect();
  socket().welcome();
  assert.deepEqual(
    said(socket()),
    [
      { action: "join", room: "general", since: { epoch: "e1", offset: 0 } },
      { action: "join", room: "unanswered" },
      { action: "message", room: "general", message: "waited" },
    ],
  );
});

test("a join that the connection did not outlive is answered on the next one", async () => {
  const { client, socket } = setUpOnline();
  const joined = client.join("general");
  reconnect(client, socket);
  socket().joined("general", { members: 5 });
  assert.equal((await joined).members, 5);
});

test("a refused join rejects and is not repeated", async () => {
  const { client, socket, events } = setUpOnline();
  const joined = client.join("general");
  socket().answer("error", { code: "forbidden", message: "No" });
  await assert.rejects(joined, { name: "RoomsError", code: "forbidden", message: "No", sent: true });
  assert.deepEqual(events.filter(([type]) => type === "error"), []);
  reconnect(client, socket);
  assert.deepEqual(said(socket()), []);
});

test("a room that is refused on the way back is told by an error event with its name", () => {
  const { client, socket, events } = setUpOnline();
  client.join("general");
  socket().joined("general");
  reconnect(client, socket);
  socket().answer("error", { code: "forbidden", message: "No" });
  const [type, { code, room }] = events.at(-1);
  assert.deepEqual([type, code, room], ["error", "forbidden", "general"]);
});

test("leave resolves with the server's answer and the room is not joined again", async () => {
  const { client, socket } = setUpOnline();
  client.join("general");
  socket().joined("general");
  const left = client.leave("general");
  socket().answer("left", { room: "general" });
  assert.equal((await left).type, "left");
  reconnect(client, socket);
  assert.deepEqual(said(socket()), []);
});

test("leave while offline takes the room off the list and rejects its join", async () => {
  const { client, socket } = setUp();
  const refused = assert.rejects(client.join("general"), { code: "left" });
  assert.deepEqual(await client.leave("general"), { type: "left", room: "general" });
  await refused;
  client.connect();
  socket().welcome();
  assert.deepEqual(said(socket()), []);
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
  socket().joined("general");
  await first;
  assert.equal((await second).members, 1);
  reconnect(client, socket);
  assert.deepEqual(said(socket()).map(({ room }) => room), ["general"]);
});

test("join tells who one is, and the user of the client unless it is given another", () => {
  const { client, socket } = setUpOnline({ user: "alice" });
  client.join("general", { presence: true, state: { typing: false } });
  client.join("other", { user: "bob" });
  const described = { presence: true, state: { typing: false } };
  assert.deepEqual(
    said(socket()),
    [
      { action: "join", room: "general", user: "alice", ...described },
      { action: "join", room: "other", user: "bob" },
    ],
  );
});

test("a room is joined again as it was joined, in the state that was last acknowledged", async () => {
  const { client, socket } = setUpOnline({ user: "alice" });
  client.join("general", { presence: true, state: "here" });
  socket().joined("general");
  const taken = client.state("general", "away");
  socket().answer("ack", { room: "general" });
  await taken;
  const refused = client.state("general", "too long");
  socket().answer("error", { code: "too_large", message: "No" });
  await assert.rejects(refused, { code: "too_large" });
  reconnect(client, socket);
  const [{ since, ...again }] = said(socket());
  assert.deepEqual(again, { action: "join", room: "general", user: "alice", presence: true, state: "away" });
});

test("state, members and history send their fields and resolve with the answer", async () => {
  const { client, socket } = setUpOnline();
  const answers = [];
  for (const [ask, type] of [
    [() => client.state("general", { typing: true }), "ack"],
    [() => client.members("general"), "members"],
    [() => client.members("general", { limit: 5, byUser: true }), "members"],
    [() => client.history("general"), "history"],
    [() => client.history("general", 7), "history"],
  ]) {
    const answer = ask();
    socket().answer(type, { room: "general" });
    answers.push((await answer).type);
  }
  assert.deepEqual(
    said(socket()),
    [
      { action: "state", room: "general", state: { typing: true } },
      { action: "presence", room: "general" },
      { action: "presence", room: "general", limit: 5, by_user: true },
      { action: "history", room: "general" },
      { action: "history", room: "general", limit: 7 },
    ],
  );
  assert.deepEqual(answers, ["ack", "members", "members", "history", "history"]);
});

test("one's own messages are known on every connection", () => {
  const { client, socket } = setUpOnline();
  reconnect(client, socket, "c2");
  const mine = ["c1", "c2", "c3", ""].map((from) => client.isMine({ from }));
  assert.deepEqual(mine, [true, true, false, false]);
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
    said(socket()),
    [
      { user: "alice", action: "message", room: "general", message: { any: ["JSON"] }, id: "k1" },
      { user: "alice", action: "broadcast", message: "all", echo: true },
      { user: "alice", action: "direct", to: { id: "c2" }, message: "you" },
    ],
  );
  assert.deepEqual(acks, [0, 1, 2]);
});

test("act sends an action of the application's own and resolves with its answer", async () => {
  const { client, socket } = setUpOnline();
  const rolled = client.act("roll", { room: "game", sides: 20 });
  const reset = client.act("reset");
  assert.deepEqual(said(socket()), [{ action: "roll", room: "game", sides: 20 }, { action: "reset" }]);
  const [{ ref: first }, { ref: second }] = socket().sent;
  socket().receive({ type: "answer", action: "roll", result: 7, ref: first });
  socket().receive({ type: "ack", ref: second });
  assert.equal((await rolled).result, 7);
  assert.equal((await reset).type, "ack");
});

test("answers are told apart by ref, in whichever order they come", async () => {
  const { client, socket, events } = setUpOnline();
  const first = client.message("general", "1");
  const second = client.message("general", "2");
  socket().answer("ack", { offset: 2 }, 1);
  socket().answer("error", { code: "too_fast", message: "Slower" }, 0);
  assert.equal((await second).offset, 2);
  await assert.rejects(first, { code: "too_fast", message: "Slower", sent: true });
  assert.deepEqual(events.filter(([type]) => type === "error"), []);
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

test("what is said while the socket closes waits for the next one", () => {
  const { client, socket } = setUpOnline();
  socket().readyState = 2;
  client.message("general", "late");
  assert.deepEqual(said(socket()), []);
  reconnect(client, socket);
  assert.equal(socket().sent.at(-1).message, "late");
});

test("a socket that closes right after its welcome is not given what waits", () => {
  const { client, socket } = setUp();
  client.message("general", "early");
  client.connect();
  socket().readyState = 2;
  socket().receive({ type: "welcome", id: "c1" });
  assert.deepEqual(said(socket()), []);
  socket().end();
  assert.equal(client.pending, 1);
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
  socket().joined("general");
  socket().end();
  client.close();
  client.connect();
  socket().welcome();
  assert.deepEqual(said(socket()), []);
  socket().end();
  assert.deepEqual(delays(), [1_000, 1_000]);
});

