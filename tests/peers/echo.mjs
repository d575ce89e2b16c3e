// An echo server on npm's ws, doing what tests/peers/echo.md says.
import { WebSocketServer } from "ws";

const server = new WebSocketServer({
  host: "127.0.0.1",
  port: 0,
  maxPayload: 8 * 1024 * 1024,
  perMessageDeflate: false,
  handleProtocols: (offered) => (offered.has("echo.v1") ? "echo.v1" : false),
});

function command(socket, text) {
  const [verb, ...rest] = text.split(" ");
  if (verb === "/close") socket.close(Number(rest[0]), rest.slice(1).join(" "));
  else if (verb === "/ping") socket.ping(rest.join(" "));
  else if (verb === "/fragments") rest.forEach((part, i) => socket.send(part, { fin: i === rest.length - 1 }));
  else return false;
  return true;
}

server.on("listening", () => console.log(`port ${server.address().port}`));
server.on("connection", (socket) => {
  socket.on("message", (data, binary) => {
    if (binary || !command(socket, data.toString())) socket.send(data, { binary });
  });
  socket.on("pong", (data) => console.log(`pong ${data}`));
  socket.on("error", (error) => console.log(`error ${error.message}`));
  socket.on("close", (code, reason) => console.log(`closed ${code} ${reason}`));
});
