// The browser client against the server, at SERVER_URL, over connections that the test cuts.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import test from "node:test";

import { RoomsClient } from "../../server/static/client.js";

const { WebSocket } = createRequire(import.meta.url)("ws");
const URL = process.env.SERVER_URL;
const EVENTS = ["status", "joined", "gap", "message", "direct", "presence", "missed", "error"];

// A client whose connections the test can cut, and whose acks it can keep back.
class Stage {
  events = [];
  sockets = [];
  #waiting = new Set();
  keepsAcks = false;

  constructor(t, options = {}) {
    const stage = this;
    class Socket extends WebSocket {
      constructor(url) {
        super(url);
        stage.sockets.push(this);
      }

      set onmessage(listener) {
        super.onmessage = (event) => {
          if (!(stage.keepsAcks && JSON.parse(event.data).type === "ack")) listener(event);
        };
      }
    }
    // It comes back when it is told to, not before.
    this.client = new RoomsClient(URL, { WebSocket: Socket, random: () => 1, minDelay: 60_000, ...options });
    for (const type of EVENTS) this.client.addEventListener(type, ({ detail }) => this.#note([type, detail]));
    t.after(() => this.client.close());
    this.client.connect();
  }

  // What was heard last, once something of this kind was, after `start` events.
  async heard(type, matches = () => true, start = 0) {
    const find = () => this.events.slice(start).find(([name, detail]) => name === type && matches(detail));
    while (!find()) await new Promise((resolve) => this.#waiting.add(resolve));
    return find()[1];
  }

  messages() {
    return this.events.filter(([type]) => type === "message").map(([, { message }]) => message);
  }

  cut() {
    const offline = this.heard("status", ({ status }) => status === "offline", this.events.length);
    this.sockets.at(-1).terminate();
    return offline;
  }

  back() {
    const joined = this.heard("joined", () => true, this.events.length);
    this.client.connect();
    return joined;
  }

  #note(event) {
    this.events.push(event);
    for (const resolve of this.#waiting) resolve();
    this.#waiting.clear();
  }
}

test("what was said while the connection was lost is caught up on, in order", async (t) => {
  const alice = new Stage(t);
  const bob = new Stage(t);
  await alice.client.join("kitchen");
  await bob.client.message("kitchen", "before");
  await alice.heard("message");
  await alice.cut();
  await Promise.all([1, 2, 3].map((number) => bob.client.message("kitchen", number)));
  assert.equal((await alice.back()).recovered, true);
  await bob.client.message("kitchen", "after");
  await alice.heard("message", ({ message }) => message === "after");
  assert.deepEqual(alice.messages(), ["before", 1, 2, 3, "after"]);
  assert.ok(!alice.events.some(([type]) => type === "gap"));
});

test("more than the server keeps is a gap, and the history has what is left", async (t) => {
  const alice = new Stage(t);
  const bob = new Stage(t);
  const { epoch } = await alice.client.join("study");
  await alice.cut();
  for (let number = 1; number <= 6; number += 1) await bob.client.message("study", number);
  assert.equal((await alice.back()).recovered, false);
  assert.equal((await alice.heard("gap")).offset, 6);
  const { messages } = await alice.client.history("study", 2);
  assert.deepEqual(messages.map(({ message }) => message), [5, 6]);
  assert.deepEqual(alice.client.position("study"), { epoch, offset: 6 });
});

test("a message whose ack is lost is sent again, and heard once", async (t) => {
  const alice = new Stage(t);
  const bob = new Stage(t);
  await alice.client.join("hall");
  await bob.client.join("hall");
  alice.keepsAcks = true;
  const first = alice.client.message("hall", "first");
  const second = alice.client.message("hall", "second", { echo: false });
  await bob.heard("message", ({ message }) => message === "second");
  alice.keepsAcks = false;
  await alice.cut();
  alice.client.connect();
  assert.deepEqual([(await first).duplicate, (await first).offset], [true, 1]);
  assert.deepEqual([(await second).duplicate, (await second).offset], [true, 2]);
  // And over a third connection.
  await alice.cut();
  await alice.back();
  await alice.client.message("hall", "third");
  await bob.heard("message", ({ message }) => message === "third");
  assert.deepEqual(bob.messages(), ["first", "second", "third"]);
  const messages = bob.events.filter(([type]) => type === "message").map(([, message]) => message);
  assert.ok(messages.every((message) => alice.client.isMine(message)));
});

test("a message of one's own that is not echoed moves the position on", async (t) => {
  const alice = new Stage(t);
  await alice.client.join("attic");
  await alice.client.message("attic", "unheard", { echo: false });
  assert.equal(alice.client.position("attic").offset, 1);
  await alice.cut();
  assert.equal((await alice.back()).recovered, true);
  await alice.client.message("attic", "heard");
  await alice.heard("message");
  assert.deepEqual(alice.messages(), ["heard"]);
});

test("what was worth nothing any more is missed", async (t) => {
  const alice = new Stage(t);
  const bob = new Stage(t);
  const { epoch, offset } = await bob.client.join("porch");
  await bob.client.message("porch", "short", { ttl: 0.001 });
  await bob.client.message("porch", "long");
  // Some more than that time has gone by when this is answered.
  await new Promise((resolve) => setTimeout(resolve, 2));
  const joined = await alice.client.join("porch", { since: { epoch, offset } });
  assert.equal(joined.recovered, true);
  assert.equal((await alice.heard("missed")).count, 1);
  await alice.heard("message");
  assert.deepEqual(alice.messages(), ["long"]);
  assert.equal(alice.client.position("porch").offset, 2);
});

test("a room that conflates is never recovered", async (t) => {
  const alice = new Stage(t);
  await alice.client.join("ticker");
  await alice.client.message("ticker", { symbol: "A", price: 1 });
  await alice.cut();
  await alice.back();
  assert.equal((await alice.heard("gap")).recovered, false);
});

test("a pattern hears its rooms, and tells of a gap when it was away", async (t) => {
  const alice = new Stage(t);
  const bob = new Stage(t);
  assert.equal((await alice.client.join("sensors.*")).epoch, "");
  await bob.client.message("sensors.a", 21);
  assert.equal((await alice.heard("message")).room, "sensors.a");
  assert.equal(alice.client.position("sensors.*"), null);
  await alice.cut();
  await alice.back();
  assert.equal((await alice.heard("gap")).room, "sensors.*");
  await bob.client.message("sensors.b", 22);
  await alice.heard("message", ({ room }) => room === "sensors.b");
});

test("who comes, changes and goes is told, and members and users are listed", async (t) => {
  const alice = new Stage(t, { user: "alice" });
  const bob = new Stage(t, { user: "bob" });
  const tells = (change, member) =>
    alice.heard("presence", ({ [change]: told }) => told?.some(({ id }) => id === member));
  await alice.client.join("salon", { presence: true });
  await bob.client.join("salon", { state: "here" });
  const before = bob.client.id;
  const { joined } = await tells("joined", before);
  assert.deepEqual(joined.find(({ id }) => id === before), { id: before, user: "bob", state: "here" });
  await bob.client.state("salon", "away");
  assert.equal((await tells("changed", before)).changed[0].state, "away");
  await bob.cut();
  await bob.back();
  await Promise.all([tells("left", before), tells("joined", bob.client.id)]);
  const { count, users, members } = await alice.client.members("salon");
  assert.deepEqual([count, users], [2, 2]);
  assert.deepEqual(members.map(({ user, state }) => [user, state]), [["alice", undefined], ["bob", "away"]]);
  const counted = await alice.client.members("salon", { byUser: true, limit: 1 });
  assert.deepEqual(counted.members, [{ user: "alice", sessions: 1 }]);
  await bob.client.leave("salon");
  await tells("left", bob.client.id);
});

test("a message that is too large is given up, and the others get through", async (t) => {
  const alice = new Stage(t);
  await alice.client.join("cellar");
  const large = alice.client.message("cellar", "x".repeat(1 << 20));
  const small = alice.client.message("cellar", "small");
  await assert.rejects(large, { code: "too_large" });
  alice.client.connect();
  assert.equal((await small).offset, 1);
});

test("an application's own action is answered, and its refusal rejects", async (t) => {
  const alice = new Stage(t);
  await alice.client.join("game");
  const { action, result } = await alice.client.act("roll", { room: "game", sides: 2 });
  assert.ok(action === "roll" && [1, 2].includes(result));
  assert.deepEqual((await alice.heard("message")).message, { roll: result, sides: 2 });
  await assert.rejects(alice.client.act("roll", { room: "game", sides: 1 }), { code: "invalid_message" });
});
