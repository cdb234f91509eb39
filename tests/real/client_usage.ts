// A page in TypeScript: it is compiled, not run. Each line behind an expected error has to be one.

import { RoomsClient, RoomsError } from "/client.js";
import type { Joined, Member, Options, Position, Presence, Status, User } from "/client.js";

interface Move {
  x: number;
  y: number;
}

const options: Options = { user: "alice", maxPending: 10, sendTimeout: 5_000, random: () => 0.5, WebSocket };
const client = new RoomsClient("ws://localhost:8765/ws", options);

const positions = new Map<string, Position>();
const here = new Map<string, Member>();

client.addEventListener("status", ({ detail }) => {
  const status: Status = detail.status;
  if (detail.status === "offline") console.log(status, detail.retryIn.toFixed(), detail.code, detail.reason);
  // @ts-expect-error: nobody tries again when it is closed.
  if (detail.status === "closed") console.log(detail.retryIn);
});

client.addEventListener("message", ({ detail }) => {
  const { x, y }: Move = detail.message;
  console.log(detail.room, detail.user, detail.offset.toFixed(), new Date(detail.time * 1_000), x + y);
  const mine: boolean = client.isMine(detail);
  console.log(mine);
  // @ts-expect-error: the time is a number.
  detail.time.getHours();
});

client.addEventListener("presence", ({ detail }: CustomEvent<Presence>) => {
  for (const member of [...(detail.joined ?? []), ...(detail.changed ?? [])]) here.set(member.id, member);
  for (const member of detail.left ?? []) here.delete(member.id);
  if (detail.truncated) here.clear();
});

// @ts-expect-error: a broadcast has no place in a room.
client.addEventListener("broadcast", ({ detail }) => console.log(detail.offset));
// @ts-expect-error: a message is not a presence.
client.addEventListener("message", ({ detail }: CustomEvent<Presence>) => console.log(detail.count));
client.addEventListener("missed", ({ detail }) => console.log(detail.room, detail.count + 1));
client.addEventListener("error", ({ detail }) => console.log(detail.code, detail.room?.length));
client.addEventListener("binary", ({ detail }) => console.log(detail.byteLength));
// An application's own.
client.addEventListener("anything", (event) => console.log(event.type));

async function reload({ detail }: CustomEvent<Joined>): Promise<void> {
  const { epoch, offset, messages } = await client.history(detail.room, 50);
  positions.set(detail.room, { epoch, offset });
  for (const { message, from, encoding } of messages) console.log(message, from, encoding === "base64");
}

client.addEventListener("gap", reload, { once: true });
client.removeEventListener("gap", reload);

async function main(): Promise<void> {
  client.connect();
  const since = positions.get("game") ?? client.position("game");
  const { recovered, members } = await client.join("game", { presence: true, state: { score: 0 }, since });
  await client.join("logs.>");
  await client.state("game", { score: 1 });

  const move: Move = { x: 1, y: 2 };
  const { offset, duplicate } = await client.message("game", move, { echo: false, ttl: 5, id: "first" });
  await client.broadcast("hello", { echo: true });
  await client.direct("c1", null);
  await client.direct({ id: "c1" }, [1, 2]);
  await client.direct({ user: "bob" }, "hello", { ttl: 1 });
  const rolled: number = (await client.act("roll", { room: "game", sides: 20 })).result;
  await client.act("reset");
  // @ts-expect-error: a direct message is not echoed.
  await client.direct("c1", "hello", { echo: true });
  // @ts-expect-error: to nobody.
  await client.direct({}, "hello");

  const listed: Member[] = (await client.members("game", { limit: 10 })).members;
  const counted: User[] = (await client.members("game", { byUser: true })).members;
  // @ts-expect-error: users are counted, they have no id.
  counted[0]?.id;

  // @ts-expect-error: the server's to set.
  client.id = "mine";
  const id: string | null = client.id;
  console.log(rolled, recovered, members, offset?.toFixed(), duplicate, listed, counted, id, client.pending + 1);
  await client.leave("game");
  client.close(1000, "done");
}

main().catch((error: unknown) => {
  if (error instanceof RoomsError && error.code === "queue_full" && !error.sent) return;
  throw error;
});

// @ts-expect-error: there is no such option.
new RoomsClient("ws://localhost", { retries: 3 });
