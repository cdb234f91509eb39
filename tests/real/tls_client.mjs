// A client of `ws`, driven by tls_clients.py: it takes what to do and tells what happens in lines of JSON.

import { createRequire } from "node:module";
import { createInterface } from "node:readline";

// Unlike `import`, this looks into NODE_PATH.
const WebSocket = createRequire(import.meta.url)("ws");

const tell = (what) => console.log(JSON.stringify(what));
const socket = new WebSocket(process.argv[2]);

socket.on("upgrade", ({ headers }) => tell({ extensions: headers["sec-websocket-extensions"] }));
socket.on("message", (data, isBinary) =>
  tell(isBinary ? { octets: data.toString("base64") } : { text: data.toString() }),
);
socket.on("close", (code, reason) => {
  tell({ code, reason: reason.toString() });
  process.stdin.destroy();
});

const orders = createInterface({ input: process.stdin });
orders.on("line", (line) => {
  const { text, octets, code, reason } = JSON.parse(line);
  if (code !== undefined) socket.close(code, reason);
  else socket.send(text ?? Buffer.from(octets, "base64"));
});
orders.on("close", () => socket.close(1000));
