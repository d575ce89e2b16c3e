// A chat client on npm's ws: takes a name, sends a text, prints what comes, one line each, closes after `count` messages.
//   node client.mjs URL NAME TEXT INFO COUNT
import WebSocket from "ws";

const [url, name, text, info, count] = process.argv.slice(2);
const envelope = (body, bits) =>
  JSON.stringify({ user: { name }, message: { text: body, text_len: Buffer.byteLength(body), info: bits } });

const socket = new WebSocket(url);
let left = Number(count);
socket.on("open", () => {
  socket.send(envelope("", 5));
  socket.send(envelope(text, Number(info)));
  console.log("open");
});
socket.on("message", (data, binary) => {
  console.log(binary ? "binary" : data.toString());
  if (--left === 0) socket.close(1000, "enough");
});
socket.on("close", (code, reason) => console.log(`closed ${code} ${reason}`));
socket.on("error", (error) => {
  console.log(`error ${error.message}`);
  process.exitCode = 1;
});
