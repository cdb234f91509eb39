// The types of client.js: what it takes, and what the server sends. A value that is to be JSON is `unknown`,
// because TypeScript can't say that of an interface; one that was received is `any`.

// What isn't marked so is not exported.
export {};

/** How far a room was heard: all up to `offset`, in the life of the room that `epoch` names. */
export interface Position {
  epoch: string;
  offset: number;
}

/** "closed" (nothing is tried), "connecting", "online" (welcomed) or "offline" (waiting to try again). */
export type Status = StatusChange["status"];

/** `retryIn` is in milliseconds; `code` and `reason` are those with which the connection ended. */
export type StatusChange =
  | { status: "connecting" }
  | { status: "online" }
  | { status: "offline"; retryIn: number; code: number; reason: string }
  | { status: "closed"; code: number; reason: string };

export interface Options {
  /** The name that messages and memberships bear. */
  user?: string;
  /** By which the server knows who this is; a function is asked before each attempt and before it expires. */
  token?: string | (() => string | Promise<string>);
  /** Requests without an answer, waiting or sent; one more is refused. 256. */
  maxPending?: number;
  /** Milliseconds until a request is given up; less than the server remembers ids. 240,000. */
  sendTimeout?: number;
  /** The delay before an attempt is up to this many milliseconds, twice that after each that fails. 1,000. */
  minDelay?: number;
  /** Up to this many at most. 30,000. */
  maxDelay?: number;
  /** After so many milliseconds online the delay starts at `minDelay` again. 10,000. */
  stableAfter?: number;
  /** Milliseconds until a connection without a welcome is given up. 10,000. */
  welcomeTimeout?: number;
  /** Milliseconds of silence before a ping. 25,000. */
  pingInterval?: number;
  /** Milliseconds until a connection without a pong is given up. 10,000. */
  pongTimeout?: number;
  /** The class of the sockets, where there is none in the platform. */
  WebSocket?: new (url: string, protocols?: string[]) => object;
  random?: () => number;
  setTimeout?: (callback: () => void, delay: number) => unknown;
  clearTimeout?: (timer: any) => void;
}

export interface JoinOptions {
  /** Another name than the client's `user`. */
  user?: string;
  /** Whether to hear who comes, goes and changes: the event "presence". */
  presence?: boolean;
  /** What this member tells of itself, up to 1 KiB of JSON. */
  state?: unknown;
  /** A `position` from before, to hear all that came since. */
  since?: Position | null;
}

export interface SendOptions {
  /** Another name than the client's `user`. */
  user?: string;
  /** Published once under the same id; without one the client makes one up. */
  id?: string;
  /** For so many seconds the message is worth something once the server has it. */
  ttl?: number;
}

export interface PublishOptions extends SendOptions {
  /** Whether the sender hears it too: by default in a room, not of a broadcast. */
  echo?: boolean;
}

export type Receiver = string | { id: string } | { user: string } | { id: string; user: string };

/** What comes back in the answer to a request. */
interface Answer {
  ref?: string | number;
}

export interface Welcome extends Answer {
  type: "welcome";
  id: string;
  token: string;
  /** Who signed in, and for how many seconds. */
  user?: string;
  expires_in?: number;
}

/** `epoch` is empty for a pattern. If `recovered`, then all messages since the last one heard follow. */
export interface Joined extends Answer, Position {
  type: "joined";
  status: "joined";
  room: string;
  members: number;
  users: number;
  recovered: boolean;
}

export interface Left extends Answer {
  type: "left";
  room: string;
  /** If nobody asked for it. */
  code?: "forbidden";
}

export interface Ack extends Answer {
  type: "ack";
  room?: string;
  offset?: number;
  /** The message was published before, at that offset. */
  duplicate?: boolean;
}

/** `from` is the sender's id, `time` Unix time in seconds; with an `encoding` the `message` is bytes. */
interface Published {
  user: string;
  message: any;
  encoding?: "base64";
  from: string;
  time: number;
}

export interface Message extends Published {
  type: "message";
  room: string;
  offset: number;
}

export interface Broadcast extends Published {
  type: "broadcast";
}

export interface Direct extends Published {
  type: "direct";
}

export interface Member {
  id: string;
  user?: string;
  state?: any;
}

/** A user of a room, in so many sessions. */
export interface User {
  user: string;
  sessions: number;
}

/** `count` counts members, `users` each name once and each nameless member. */
interface Counted {
  room: string;
  count: number;
  users: number;
}

export interface Members<Listed = Member> extends Answer, Counted {
  type: "members";
  members: Listed[];
}

/** Who came, went and changed; if those were too many then it is `truncated`. */
export interface Presence extends Counted {
  type: "presence";
  joined?: Member[];
  left?: Member[];
  changed?: Member[];
  truncated?: true;
}

export interface History extends Answer, Position {
  type: "history";
  room: string;
  messages: Message[];
}

/** What an application's own action returned; an `ack` if that was nothing. */
export interface Outcome extends Answer {
  type: "answer" | "ack";
  action?: string;
  result?: any;
}

/** So many messages of a room don't come. */
export interface Missed {
  type: "missed";
  room: string;
  count: number;
}

/** What was wrong; `room` names one that couldn't be joined again. */
export interface ErrorMessage extends Answer {
  type: "error";
  code: string;
  message: string;
  room?: string;
}

/** The `detail` of each event, by its name. */
export interface RoomsEvents {
  status: StatusChange;
  /** Behind a `joined`: messages since the last one heard are lost, and what is shown of the room is old. */
  gap: Joined;
  welcome: Welcome;
  joined: Joined;
  left: Left;
  message: Message;
  broadcast: Broadcast;
  direct: Direct;
  presence: Presence;
  missed: Missed;
  error: ErrorMessage;
  ack: Ack;
  members: Members<Member | User>;
  history: History;
  answer: Outcome;
  resumed: Answer & { type: "resumed" };
  refreshed: Answer & { type: "refreshed"; expires_in?: number };
  pong: Answer & { type: "pong" };
  binary: ArrayBuffer;
}

export class RoomsError extends Error {
  readonly name: "RoomsError";
  /** `queue_full`, `timeout`, `too_large`, `left`, `closed`, or the code of the server's error. */
  readonly code: string;
  /** It left this machine, so that it may have been carried out although no answer came. */
  readonly sent: boolean;
  constructor(code: string, message: string, sent?: boolean);
}

export class RoomsClient extends EventTarget {
  constructor(url: string, options?: Options);

  readonly status: Status;
  /** The id of this connection, another one after each reconnection; null when not online. */
  readonly id: string | null;
  /** How many requests are without an answer. */
  readonly pending: number;

  /** Starts, or ends the wait for the next attempt. */
  connect(): void;
  /** Ends the connection and all that waits for it. */
  close(code?: number, reason?: string): void;

  /** Joins a room or a pattern, and joins it again after each reconnection. */
  join(room: string, options?: JoinOptions): Promise<Joined>;
  leave(room: string): Promise<Left>;
  /** Changes what this member tells of itself. */
  state(room: string, state: unknown): Promise<Ack>;
  members(room: string, options: { limit?: number; byUser: true }): Promise<Members<User>>;
  members(room: string, options?: { limit?: number; byUser?: false }): Promise<Members>;
  history(room: string, limit?: number): Promise<History>;
  /** How far a room was heard; null for a pattern, and before the first `joined`. */
  position(room: string): Position | null;

  message(room: string, message: unknown, options?: PublishOptions): Promise<Ack>;
  broadcast(message: unknown, options?: PublishOptions): Promise<Ack>;
  direct(to: Receiver, message: unknown, options?: SendOptions): Promise<Ack>;
  /** Asks for an action of the application's own. */
  act(action: string, fields?: object): Promise<Outcome>;
  /** Tells whether this client sent it, on this connection or one before. */
  isMine(message: { from: string }): boolean;

  addEventListener<Name extends keyof RoomsEvents>(
    type: Name,
    listener: ((event: CustomEvent<RoomsEvents[Name]>) => void) | null,
    options?: boolean | AddEventListenerOptions,
  ): void;
  addEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | AddEventListenerOptions,
  ): void;
  removeEventListener<Name extends keyof RoomsEvents>(
    type: Name,
    listener: ((event: CustomEvent<RoomsEvents[Name]>) => void) | null,
    options?: boolean | EventListenerOptions,
  ): void;
  removeEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | EventListenerOptions,
  ): void;
}
