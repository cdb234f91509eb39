// Who is here, on the demo page: it begins with what the room answers, and goes on with what it tells.

const MAX_SHOWN = 12;

export class People {
  #client;
  #room;
  #show;
  #members = new Map();

  // `show(users, names)` draws it: how many there are, and each of the first names with its number of tabs.
  constructor(client, room, show) {
    this.#client = client;
    this.#room = room;
    this.#show = show;
    client.addEventListener("joined", () => this.#load());
    client.addEventListener("presence", ({ detail }) => this.#change(detail));
  }

  async #load() {
    try {
      const { users, members } = await this.#client.members(this.#room, { limit: 1_000 });
      this.#members = new Map(members.map((member) => [member.id, member]));
      this.#tell(users);
    } catch {
      // Whoever has left, or isn't let in, is shown nobody; whoever comes back asks again.
      this.#members.clear();
    }
  }

  #change({ users, joined = [], changed = [], left = [], truncated }) {
    if (truncated) return this.#load();
    for (const member of [...joined, ...changed]) this.#members.set(member.id, member);
    for (const { id } of left) this.#members.delete(id);
    this.#tell(users);
  }

  #tell(users) {
    const tabs = new Map();
    for (const { user = "anonymous" } of this.#members.values()) tabs.set(user, (tabs.get(user) ?? 0) + 1);
    this.#show(users, [...tabs].slice(0, MAX_SHOWN));
  }
}
