// A client of the rooms dialect: the rooms it is in and what it has to say outlive the connection.
//
//   import { RoomsClient } from "/client.js";
//
//   const client = new RoomsClient("ws://localhost:8765/ws", { user: "alice" });
//   client.addEventListener("message", ({ detail }) => console.log(detail.user, detail.message));
//   client.addEventListener("gap", ({ detail }) => console.log("load again what you show of", detail.room));
//   client.connect();
//   await client.join("general");
//   await client.message("general", "hello");
//
// Events: what the server sends arrives as an event named by its `type` ("welcome", "joined", "message",
// "presence", "missed", ...), the object itself in `detail`; a binary message arrives as "binary" with an
// ArrayBuffer. An error that answers a call rejects that call's promise instead. "status" tells every change
// of `client.status`, "gap" that messages of a room are lost. client.d.ts has the types of it all.

import { Connection } from "./connection.js";
import { Outbox, RoomsError, deferred } from "./outbox.js";

export { RoomsError };

const DEFAULTS = Object.freeze({
  user: undefined,
  // A string, or a function that returns one or a promise of one: asked before each attempt to connect, and
  // before the token expires.
  token: undefined,
  // Requests without an answer, waiting or sent. With 100 rooms that are joined again after a reconnection
  // they stay below the 400 messages that the server takes at once.
  maxPending: 256,
  // Less than the five minutes for which the server remembers ids, else a message might be published twice.
  sendTimeout: 240_000,
  minDelay: 1_000,
  maxDelay: 30_000,
  stableAfter: 10_000,
  welcomeTimeout: 10_000,
  pingInterval: 25_000,
  pongTimeout: 10_000,
  random: Math.random,
  // Browsers refuse these two when they are called as a method of another object.
  setTimeout: (callback, delay) => globalThis.setTimeout(callback, delay),
  clearTimeout: (timer) => globalThis.clearTimeout(timer),
});

const MESSAGE_TOO_BIG = 1009;
// Ids of connections before, by which one's own messages are known when they are heard again.
const MAX_IDS = 100;

export class RoomsClient extends EventTarget {
  #options;
  #connection;
  #outbox;
  #ids = [];
  // Of the first connection in this life of the server: who shows it is known by the ids of its messages.
  #token = null;
  // The token of this connection, for when the server doesn't know that one, and the question that tells it.
  #newToken = null;
  #resumeRef = null;
  #count = 0;
  // No other client's: the tabs of a user who has signed in are one sender to the server.
  #idPrefix = [...crypto.getRandomValues(new Uint32Array(2))].map((part) => part.toString(36)).join("");
  // The rooms and patterns to be in, by name.
  #rooms = new Map();
  // The joins under way on this connection, by ref.
  #joins = new Map();

  constructor(url, options = {}) {
    super();
    this.#options = { ...DEFAULTS, WebSocket: globalThis.WebSocket, ...options };
    this.#outbox = new Outbox(this.#options);
    this.#connection = new Connection(url, this.#options, {
      welcome: (frame) => this.#greet(frame),
      frame: (frame) => this.#receive(frame),
      binary: (data) => this.#emit("binary", data),
      status: (detail) => this.#change(detail),
    });
  }

  // "closed" (nothing is tried), "connecting", "online" (welcomed) or "offline" (waiting to try again).
  get status() {
    return this.#connection.status;
  }

  // The id that the server gave this connection; another one after each reconnection.
  get id() {
    return this.status === "online" ? this.#ids.at(-1) : null;
  }

  // Requests without an answer.
  get pending() {
    return this.#outbox.size;
  }

  // Tells whether this client has sent a message, on this connection or one before.
  isMine({ from }) {
    return this.#ids.includes(from);
  }

  // How far a room was heard: `since` for whoever is to go on from there. Null for a pattern.
  position(room) {
    return this.#rooms.get(room)?.position ?? null;
  }

  // Starts, or ends the wait for the next attempt. Throws what `new WebSocket` throws for a URL it can't use.
  connect() {
    this.#connection.connect();
  }

  // Ends the connection and everything that waits for it. `connect` begins anew, in no room.
  close(code = 1000, reason = "") {
    this.#connection.close(code, reason);
  }

  // Resolves with the server's `joined`, on whichever connection it comes. From then on the room is joined
  // again after each reconnection, from where it was heard: the event "joined" tells it, with "gap" behind it
  // if messages are lost, or "error" with the name of a room that is lost.
  join(room, { user = this.#options.user, presence, state, since = null } = {}) {
    const known = this.#rooms.get(room);
    if (known) return known.promise;
    const here = { answered: false, isMember: false, sent: false, text: "" };
    const entry = { room, user, presence, state, position: since, ...here, ...deferred() };
    this.#rooms.set(room, entry);
    this.#sendJoin(entry);
    return entry.promise;
  }

  // Resolves with `left`. Without a connection there is no membership to end.
  async leave(room) {
    const left = { type: "left", room };
    this.#rooms.get(room)?.reject(new RoomsError("left", `Left ${room} before the join was answered`));
    this.#rooms.delete(room);
    if (!this.#connection.isOpen) return left;
    return this.#post({ action: "leave", room }, left);
  }

  // Publishes any JSON value to a room. Resolves with `ack`. `options`: `echo`, false not to hear it; `ttl`,
  // seconds that it is worth something once the server has it; `id`, `user`.
  message(room, message, options) {
    return this.#publish({ action: "message", room, message }, options);
  }

  // To everyone connected. Resolves with `ack`. `options`: `echo`, true to hear it too; `ttl`, `id`, `user`.
  broadcast(message, options) {
    return this.#publish({ action: "broadcast", message }, options);
  }

  // To one client, by id or { id }, or to each client of a { user }. Resolves with `ack`. `options`: `ttl`,
  // `id`, `user`.
  direct(to, message, options) {
    return this.#publish({ action: "direct", to, message }, options);
  }

  // Changes what this member of a room tells of itself, any JSON value. Resolves with `ack`.
  async state(room, state) {
    const ack = await this.#request({ action: "state", room, state });
    const entry = this.#rooms.get(room);
    if (entry) entry.state = state;
    return ack;
  }

  // Resolves with `members`: the first `limit` of them, or with `byUser` of the users.
  members(room, { limit, byUser } = {}) {
    return this.#request({ action: "presence", room, limit, by_user: byUser });
  }

  // Resolves with `history`: the last messages of a room, up to `limit`.
  history(room, limit) {
    return this.#request({ action: "history", room, limit });
  }

  // Asks for an action of the application's own. Resolves with `answer`, whose `result` is what it returned, or
  // with `ack` if that was nothing.
  act(action, fields) {
    return this.#request({ ...fields, action });
  }

  // With an id a message can be sent again on the next connection, and is published once.
  #publish(fields, options = {}) {
    const { user } = this.#options;
    return this.#request({ ...fields, user, id: `${this.#idPrefix}-${this.#next()}`, ...options });
  }

  // Resolves with the server's answer, on whichever connection it comes. Rejects with a RoomsError:
  // `queue_full` (refused here, never sent), `timeout`, `too_large`, `closed`, or the server's error code.
  async #request(fields) {
    const { maxPending } = this.#options;
    if (this.pending >= maxPending) {
      throw new RoomsError("queue_full", `${maxPending} requests wait for an answer already`);
    }
    return this.#post(fields);
  }

  #post(fields, lost) {
    const request = this.#outbox.add({ ...fields, ref: this.#next() }, lost);
    this.#send(request);
    return request.promise;
  }

  #send(request) {
    if (this.#connection.send(request.text)) request.sent = true;
  }

  #sendJoin(entry) {
    if (!this.#connection.isOpen) return;
    const { room, user, presence, state } = entry;
    const since = entry.position ?? undefined;
    const ref = this.#next();
    entry.text = JSON.stringify({ action: "join", room, user, presence, state, since, ref });
    this.#joins.set(ref, entry);
    this.#send(entry);
  }

  #next() {
    this.#count += 1;
    return this.#count;
  }

  // The server takes one after the other, so nothing here waits for an answer: who we were, where we were,
  // and then what we have to say.
  #greet({ id, token }) {
    this.#ids = [...this.#ids, id].slice(-MAX_IDS);
    this.#newToken = token;
    if (this.#token === null) this.#token = token;
    else this.#resume();
    // Rooms before patterns, through which messages could be heard that a room is still to catch up on.
    const entries = [...this.#rooms.values()];
    for (const entry of entries.filter(({ position }) => position)) this.#sendJoin(entry);
    for (const entry of entries.filter(({ position }) => !position)) this.#sendJoin(entry);
    for (const request of this.#outbox) this.#send(request);
  }

  #resume() {
    this.#resumeRef = this.#next();
    this.#connection.send(JSON.stringify({ action: "resume", token: this.#token, ref: this.#resumeRef }));
  }

  #receive(frame) {
    const { type, ref } = frame;
    if (this.#joins.has(ref)) return this.#answerJoin(frame);
    // The server was started anew, and knows us by what we send from now on.
    if (type === "error" && ref === this.#resumeRef) return (this.#token = this.#newToken);
    this.#moveOn(frame);
    // A newer token doesn't allow that room.
    if (type === "left" && ref === undefined) this.#rooms.delete(frame.room);
    if (this.#outbox.has(ref)) {
      this.#outbox.answer(frame);
      if (type === "error") return;
    }
    this.#emit(type, frame);
  }

  #answerJoin(frame) {
    const entry = this.#joins.get(frame.ref);
    this.#joins.delete(frame.ref);
    if (frame.type === "error") return this.#refuseJoin(entry, frame);
    // Whoever was here before, or came with a position, shows messages that the next ones should follow on.
    const isGap = !frame.recovered && (entry.answered || entry.position !== null);
    const { epoch, offset } = frame;
    // If it is recovered, then what is missing comes behind this, and is counted as it comes.
    if (!frame.recovered) entry.position = epoch ? { epoch, offset } : null;
    entry.answered = entry.isMember = true;
    entry.resolve(frame);
    this.#emit("joined", frame);
    if (isGap) this.#emit("gap", frame);
  }

  #refuseJoin(entry, frame) {
    if (this.#rooms.get(entry.room) === entry) this.#rooms.delete(entry.room);
    if (entry.answered) return this.#emit("error", { ...frame, room: entry.room });
    entry.reject(new RoomsError(frame.code, frame.message, true));
  }

  // An `ack` tells the place of a message of our own, which may be one that we don't hear. Through patterns
  // rooms are heard that one isn't in, or not yet again: these have no place to keep.
  #moveOn({ type, room, offset, count }) {
    const entry = this.#rooms.get(room);
    if (!entry?.isMember || entry.position === null) return;
    const { epoch, offset: before } = entry.position;
    const place = { message: offset, ack: offset, missed: before + count }[type];
    if (place > before) entry.position = { epoch, offset: place };
  }

  #change(detail) {
    if (detail.status === "offline") this.#lose(detail.code);
    if (detail.status === "closed") this.#end(detail.reason);
    this.#emit("status", detail);
  }

  #lose(code) {
    if (code === MESSAGE_TOO_BIG) this.#dropLargest();
    this.#joins.clear();
    for (const entry of this.#rooms.values()) entry.isMember = false;
    this.#outbox.lose();
  }

  // Sent again it would end the next connection too. Which message it was isn't told; the largest is one that
  // is too large, too.
  #dropLargest() {
    const sizeOf = ({ text }) => new TextEncoder().encode(text).length;
    const sent = [...this.#joins.values(), ...this.#outbox].filter(({ sent }) => sent);
    const [largest] = sent.sort((one, other) => sizeOf(other) - sizeOf(one));
    if (!largest) return;
    this.#outbox.take(largest.ref);
    if (this.#rooms.get(largest.room) === largest) this.#rooms.delete(largest.room);
    largest.reject(new RoomsError("too_large", "A message is larger than the server takes", true));
  }

  #end(reason) {
    this.#lose();
    const told = reason ? `The connection was closed: ${reason}` : "The connection was closed";
    for (const { reject, sent } of this.#rooms.values()) reject(new RoomsError("closed", told, sent));
    this.#rooms.clear();
    this.#outbox.giveUp("closed", told);
    this.#token = null;
  }

  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
