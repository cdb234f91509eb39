// Echo and room on `ws` for Node; the room is a bare loop over its members.
const { WebSocketServer, WebSocket } = require("ws");

const [port, deflate] = process.argv.slice(2);
const members = new Set();

function echo(socket, data, isBinary) {
  socket.send(data, { binary: isBinary });
}

function room(socket, data) {
  const text = data.toString();
  if (text === "join") {
    members.add(socket);
    socket.send("joined");
  } else if (text === "leave") {
    members.delete(socket);
    socket.send("left");
  } else {
    for (const member of members) {
      if (member.readyState === WebSocket.OPEN) member.send(data, { binary: false });
    }
  }
}

const compression = {
  serverNoContextTakeover: true,
  clientNoContextTakeover: true,
  threshold: 128,
};
const server = new WebSocketServer({
  host: "127.0.0.1",
  port: Number(port),
  backlog: 1024,
  maxPayload: 2 ** 25,
  perMessageDeflate: deflate === "on" ? compression : false,
});
server.on("connection", (socket, request) => {
  const answer = request.url === "/room" ? room : echo;
  socket.on("message", (data, isBinary) => answer(socket, data, isBinary));
  socket.on("close", () => members.delete(socket));
  socket.on("error", () => socket.terminate());
});
