// What the scripts for Node have in common: mu-law by table, the referee's checksum, and the meter of receiver.py.
"use strict";

const fs = require("node:fs");
const readline = require("node:readline");
const zlib = require("node:zlib");

// ITU-T G.711 table 2a, in 16 bits.
const PCM_OF_PCMU = Int16Array.from({ length: 256 }, (_, code) => {
  const inverted = ~code & 0xff;
  const magnitude = ((((inverted & 15) << 3) + 0x84) << ((inverted >> 4) & 7)) - 0x84;
  return inverted & 0x80 ? -magnitude : magnitude;
});

function decode(data, start) {
  const samples = data.length - start, pcm = new Int16Array(samples);
  for (let i = 0; i < samples; i++) pcm[i] = PCM_OF_PCMU[data[start + i]];
  return pcm;
}

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  for (let bit = 0; bit < 8; bit++) byte = byte & 1 ? (byte >>> 1) ^ 0xedb88320 : byte >>> 1;
  return byte >>> 0;
});

function crcByTable(bytes) {
  let crc = 0xffffffff;
  for (let i = 0; i < bytes.length; i++) crc = (crc >>> 8) ^ CRC_TABLE[(crc ^ bytes[i]) & 0xff];
  return (crc ^ 0xffffffff) >>> 0;
}

const crc32 = zlib.crc32 ?? crcByTable; // Node has it from 20.15 on

const checksum = (pcm) => crc32(new Uint8Array(pcm.buffer));

function refereeNs() {
  const pcm = new Int16Array(160).map((_, i) => i), count = 20000;
  let best = Infinity, sum = 0;
  for (let repeat = 0; repeat < 3; repeat++) {
    const numbers = [], start = process.hrtime.bigint();
    for (let i = 0; i < count; i++) { numbers.push(1); sum += checksum(pcm); }
    best = Math.min(best, Number(process.hrtime.bigint() - start) / count);
  }
  return sum ? best : 0;
}

// Written at once, not queued: a mark is taken where it is asked for. A write to a pipe may end early.
function say(line) {
  for (let rest = Buffer.from(line + "\n"); rest.length; ) rest = rest.subarray(fs.writeSync(1, rest));
}

function mark(received) {
  const usage = process.resourceUsage(); // getrusage(2), in microseconds
  const cpuNs = (usage.userCPUTime + usage.systemCPUTime) * 1000;
  // As text: monotonic nanoseconds are too long for a double.
  return `{"now_ns":${process.hrtime.bigint()},"received":${received},"cpu_ns":${cpuNs},"threads_ns":{}}`;
}

// Answer marks until told to stop, then the last mark and what the referee asks for.
function serve(ready, received, stop, evidence) {
  say(ready);
  const lines = readline.createInterface({ input: process.stdin });
  lines.on("line", (line) => {
    if (JSON.parse(line).command !== "stop") return say(mark(received()));
    stop();
    say(mark(received()));
    say(JSON.stringify({ ...evidence(), referee_ns: refereeNs() }));
  });
  lines.on("close", () => process.exit(0));
}

module.exports = { decode, checksum, serve };
