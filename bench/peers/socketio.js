// Echo and room on Socket.IO for Node, with its own rooms; clients speak Engine.IO over WebSocket.
const { createServer } = require("http");
const { Server } = require("socket.io");

const http = createServer();
const server = new Server(http, {
  transports: ["websocket"],
  perMessageDeflate: false,
  maxHttpBufferSize: 2 ** 25,
  pingInterval: 600000,
});
server.on("connection", (socket) => {
  socket.on("m", (payload) => socket.emit("m", payload));
  socket.on("join", () => {
    socket.join("bench");
    socket.emit("joined");
  });
  socket.on("leave", () => {
    socket.leave("bench");
    socket.emit("left");
  });
  socket.on("publish", (payload) => server.to("bench").emit("m", payload));
});
http.listen({ host: "127.0.0.1", port: Number(process.argv[2]), backlog: 1024 });
