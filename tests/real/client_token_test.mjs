// The browser client's token: offered at each attempt, refreshed before it expires, and asked for anew.

import assert from "node:assert/strict";
import { test } from "node:test";

import { RoomsClient } from "../../server/static/client.js";
import { FakeClock, FakeWebSocket, URL } from "./client_stage.mjs";

// Lets what is awaited happen.
const settle = () => new Promise((resolve) => setImmediate(resolve));

function setUp(token) {
  const clock = new FakeClock();
  const sockets = [];
  const offers = [];
  const client = new RoomsClient(URL, {
    token,
    WebSocket: class extends FakeWebSocket {
      constructor(url, ...offer) {
        super(url);
        sockets.push(this);
        offers.push(offer);
      }
    },
    setTimeout: clock.setTimeout,
    clearTimeout: clock.clearTimeout,
    random: () => 0.5,
  });
  const socket = () => sockets.at(-1);
  const welcome = (expires_in) => {
    socket().readyState = 1;
    socket().receive({ type: "welcome", id: "c1", token: "resume", user: "alice", expires_in });
  };
  return { client, clock, sockets, offers, socket, welcome };
}

// A function that gives another token each time.
function numbered() {
  let count = 0;
  return async () => `t${(count += 1)}`;
}

test("without a token nothing is offered", () => {
  const { client, offers } = setUp(undefined);
  client.connect();
  assert.deepEqual(offers, [[]]);
  client.close();
});

test("a string is offered at once, beside the name that is answered", () => {
  const { client, offers } = setUp("abc.def");
  client.connect();
  assert.deepEqual(offers, [[["rooms", "bearer.abc.def"]]]);
  client.close();
});

test("a function is asked anew for each attempt", async () => {
  const { client, clock, offers, socket, welcome } = setUp(numbered());
  client.connect();
  assert.deepEqual([client.status, offers], ["connecting", []]);
  await settle();
  welcome();
  socket().end();
  clock.advance(500);
  await settle();
  assert.deepEqual(offers, [[["rooms", "bearer.t1"]], [["rooms", "bearer.t2"]]]);
  client.close();
});

test("a function may return its token at once", async () => {
  const { client, offers } = setUp(() => "now");
  client.connect();
  await settle();
  assert.deepEqual(offers, [[["rooms", "bearer.now"]]]);
  client.close();
});

for (const [what, ask] of [
  ["rejects", () => Promise.reject(new Error("no"))],
  ["throws", () => { throw new Error("no"); }],
]) {
  test(`a function that ${what} is like a server that is away`, async () => {
    let asked = 0;
    const { client, clock, sockets } = setUp(() => { asked += 1; return ask(); });
    client.connect();
    await settle();
    assert.deepEqual([client.status, sockets.length, asked], ["offline", 0, 1]);
    clock.advance(500);
    await settle();
    assert.ok(asked > 1);
    client.close();
    await settle();
    assert.deepEqual([client.status, clock.size], ["closed", 0]);
  });
}

test("a function that hangs is given up with the welcome", async () => {
  const { client, clock } = setUp(() => new Promise(() => {}));
  client.connect();
  clock.advance(10_000);
  assert.equal(client.status, "offline");
  client.close();
});

test("a token that comes after the attempt is over opens nothing", async () => {
  let give;
  const { client, sockets } = setUp(() => new Promise((resolve) => (give = resolve)));
  client.connect();
  client.close();
  give("late");
  await settle();
  assert.deepEqual([client.status, sockets.length], ["closed", 0]);
});

test("when a fifth of its time is left a newer one is shown, and counts", async () => {
  const { client, clock, socket, welcome } = setUp(numbered());
  client.connect();
  await settle();
  welcome(20);
  clock.advance(15_000);
  await settle();
  const refreshes = () => socket().sent.filter(({ action }) => action === "refresh");
  assert.deepEqual(refreshes(), []);
  clock.advance(1_000);
  await settle();
  assert.deepEqual(refreshes(), [{ action: "refresh", token: "t2" }]);
  socket().receive({ type: "refreshed", expires_in: 20 });
  clock.advance(16_000);
  await settle();
  assert.equal(refreshes().length, 2);
  client.close();
  assert.equal(clock.size, 0);
});

test("the same token given again and again isn't shown all the time", async () => {
  const { client, clock, socket, welcome } = setUp(() => "same");
  client.connect();
  await settle();
  welcome(0.001);
  let shown = 0;
  for (let second = 0; second < 12; second += 1) {
    clock.advance(1_000);
    await settle();
    const refreshes = socket().sent.filter(({ action }) => action === "refresh").length;
    if (refreshes > shown) socket().receive({ type: "refreshed", expires_in: 0.001 });
    shown = refreshes;
  }
  assert.equal(shown, 2);
  client.close();
});

test("a string is never refreshed, and a newer one that can't be had isn't missed", async () => {
  for (const token of ["abc", undefined]) {
    const { client, clock, socket, welcome } = setUp(token);
    client.connect();
    welcome(10);
    clock.advance(9_000);
    await settle();
    assert.deepEqual(socket().sent, []);
    client.close();
  }
  let asked = 0;
  const { client, clock, socket, welcome } = setUp(async () => {
    asked += 1;
    if (asked > 1) throw new Error("no");
    return "abc";
  });
  client.connect();
  await settle();
  welcome(10);
  clock.advance(8_000);
  await settle();
  assert.deepEqual([asked, socket().sent, client.status], [2, [], "online"]);
  client.close();
});

test("after 3000 a client comes back that can ask for another token, and no other", async () => {
  for (const [token, status] of [[numbered(), "offline"], ["abc", "closed"]]) {
    const { client, socket, welcome } = setUp(token);
    client.connect();
    await settle();
    welcome(10);
    socket().end(3000, "the token has expired");
    assert.equal(client.status, status);
    client.close();
  }
});

test("a room that a newer token doesn't allow isn't joined again", async () => {
  const { client, clock, socket, welcome } = setUp(numbered());
  client.connect();
  await settle();
  welcome();
  client.join("a").catch(() => {});
  client.join("b").catch(() => {});
  for (const room of ["a", "b"]) socket().joined(room);
  socket().receive({ type: "left", room: "a", code: "forbidden" });
  socket().end();
  clock.advance(500);
  await settle();
  welcome();
  const joins = socket().sent.filter(({ action }) => action === "join").map(({ room }) => room);
  assert.deepEqual(joins, ["b"]);
  client.close();
});
