// A server of `ws` for tests of our client, driven by server_ws.py; servers.py says what the paths mean.
// The one argument is its setup as JSON; it prints its port, then each connection's end, as lines of JSON.

import { createRequire } from "node:module";

// Unlike `import`, this looks into NODE_PATH.
const { WebSocketServer } = createRequire(import.meta.url)("ws");

const setup = JSON.parse(process.argv[2]);
const tell = (what) => console.log(JSON.stringify(what));
const parse = (request) => new URL(request.url, "ws://localhost");

const actions = {
  echo(socket) {
    socket.on("message", (data, binary) => socket.send(data, { binary }));
  },
  fragments(socket, parameters) {
    const size = Number(parameters.get("size"));
    socket.on("message", (data, binary) => {
      for (let start = 0; start < data.length; start += size) {
        socket.send(data.subarray(start, start + size), { binary, fin: false });
        socket.ping();
      }
      socket.send(Buffer.alloc(0), { binary, fin: true });
      socket.ping();
    });
  },
  ping(socket, parameters) {
    socket.on("pong", (payload) => socket.send(payload.toString()));
    socket.ping(parameters.get("payload"));
  },
  close(socket, parameters) {
    socket.send(setup.lastMessage);
    if (parameters.has("code")) socket.close(Number(parameters.get("code")), parameters.get("reason") ?? "");
    else socket.close();
  },
  abort(socket) {
    socket.on("message", () => socket.terminate());
  },
};

const server = new WebSocketServer({
  host: "127.0.0.1",
  port: 0,
  maxPayload: setup.maxSize,
  // Without a threshold it compresses short messages too, which says more of what was agreed.
  perMessageDeflate: setup.deflate && { threshold: 0, ...setup.deflate },
  handleProtocols: (offered) => setup.subprotocols.find((name) => offered.has(name)) ?? false,
  verifyClient({ req }, judge) {
    const { pathname, searchParams } = parse(req);
    const isRefused = pathname === "/refuse";
    judge(!isRefused, Number(searchParams.get("status")), setup.refusal);
  },
});

server.on("listening", () => tell({ port: server.address().port }));
server.on("connection", (socket, request) => {
  const { pathname, searchParams } = parse(request);
  // The end is told behind an error as well.
  socket.on("error", () => {});
  socket.on("close", (code, reason) => tell({ code, reason: reason.toString() }));
  actions[pathname.slice(1)](socket, searchParams);
});

process.stdin.on("end", () => process.exit());
process.stdin.resume();
