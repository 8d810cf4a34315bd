// What does a media frame cost in Node? Module ws, a callback per message, JSON.parse, Buffer, mu-law by table.
// The same few lines as ws_plain.py; arguments: where modules are, what to say when ready (with the port put in).
"use strict";

const { decode, checksum, serve } = require("./meter.js");

const [modules, ready] = process.argv.slice(2);
module.paths.push(modules);
const { WebSocketServer } = require("ws");

let received = 0;
const streams = new Map(); // by stream_id, then by track

function receive(data) {
  const message = JSON.parse(data);
  if (message.event !== "media") return;
  received++;
  let tracks = streams.get(message.stream_id);
  if (tracks === undefined) streams.set(message.stream_id, (tracks = {}));
  const sums = (tracks[message.media.track] ??= { count: 0, checksum: 0 });
  sums.count++;
  sums.checksum += checksum(decode(Buffer.from(message.media.payload, "base64"), 0));
}

function evidence() {
  const found = [];
  streams.forEach((tracks, stream_id) => {
    for (const [track, sums] of Object.entries(tracks)) found.push({ stream_id, track, ...sums });
  });
  return { received, tracks: found };
}

const server = new WebSocketServer({ host: "127.0.0.1", port: 0, backlog: 1024, perMessageDeflate: false }, () => {
  const said = { ...JSON.parse(ready), port: server.address().port };
  serve(JSON.stringify(said), () => received, () => server.close(), evidence);
});
server.on("connection", (socket) => socket.on("message", receive));
