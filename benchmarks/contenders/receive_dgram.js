// What does a packet cost in Node? Module dgram, a callback per packet, a Map of streams, mu-law by table.
// The same few lines as per_packet.py; arguments: the socket's descriptor, a directory, what to say when ready.
"use strict";

const dgram = require("node:dgram");
const fs = require("node:fs");
const path = require("node:path");
const readline = require("node:readline");
const zlib = require("node:zlib");

const [fd, directory, ready] = process.argv.slice(2);
const STREP_1 = 0b110001, STREP_BYTES = 24, RTP_BYTES = 12;

// ITU-T G.711 table 2a, in 16 bits.
const PCM_OF_PCMU = Int16Array.from({ length: 256 }, (_, code) => {
  const inverted = ~code & 0xff;
  const magnitude = ((((inverted & 15) << 3) + 0x84) << ((inverted >> 4) & 7)) - 0x84;
  return inverted & 0x80 ? -magnitude : magnitude;
});

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  for (let bit = 0; bit < 8; bit++) byte = byte & 1 ? (byte >>> 1) ^ 0xedb88320 : byte >>> 1;
  return byte >>> 0;
});

function crcByTable(bytes) {
  let crc = 0xffffffff;
  for (let i = 0; i < bytes.length; i++) crc = (crc >>> 8) ^ CRC_TABLE[(crc ^ bytes[i]) & 0xff];
  return (crc ^ 0xffffffff) >>> 0;
}

const crc32 = zlib.crc32 ?? crcByTable; // of Node itself from 20.15 on

let received = 0, rejected = 0;
const streams = [new Map(), new Map(), new Map(), new Map()]; // by L << 1 | D, then by call_leg_id

function receive(datagram) {
  received++;
  if (datagram.length < STREP_BYTES + RTP_BYTES) { rejected++; return; }
  const first = datagram[0];
  if (first >> 2 !== STREP_1 || datagram[1] !== STREP_BYTES || datagram[24] !== 0x80 || datagram[25] & 0x7f) {
    rejected++;
    return;
  }
  const leg = datagram.latin1Slice(8, 24), legs = streams[first & 3];
  let stream = legs.get(leg);
  if (stream === undefined) legs.set(leg, (stream = { sequenceNumbers: [], checksum: 0 }));
  const samples = datagram.length - STREP_BYTES - RTP_BYTES;
  const pcm = new Int16Array(samples);
  for (let i = 0; i < samples; i++) pcm[i] = PCM_OF_PCMU[datagram[i + STREP_BYTES + RTP_BYTES]];
  stream.sequenceNumbers.push(datagram.readUInt16BE(STREP_BYTES + 2));
  stream.checksum += crc32(new Uint8Array(pcm.buffer));
}

function mark() {
  const usage = process.resourceUsage(); // getrusage(2), in microseconds
  const cpuNs = (usage.userCPUTime + usage.systemCPUTime) * 1000;
  // As text: monotonic nanoseconds are too long for a double.
  return `{"now_ns":${process.hrtime.bigint()},"received":${received},"cpu_ns":${cpuNs},"threads_ns":{}}`;
}

function refereeNs() {
  const pcm = new Uint8Array(320).map((_, i) => i), count = 20000, numbers = [];
  let best = Infinity, sum = 0;
  for (let repeat = 0; repeat < 3; repeat++) {
    const start = process.hrtime.bigint();
    for (let i = 0; i < count; i++) { numbers.push(1); sum += crc32(new Uint8Array(pcm.buffer)); }
    best = Math.min(best, Number(process.hrtime.bigint() - start) / count);
  }
  return sum ? best : 0;
}

function npy(numbers) {
  const described = `{'descr': '<u2', 'fortran_order': False, 'shape': (${numbers.length},), }`;
  const header = described.padEnd(117) + "\n"; // with the ten bytes before it, a multiple of 64
  const front = Buffer.from("\x93NUMPY\x01\x00\x76\x00" + header, "latin1");
  return Buffer.concat([front, Buffer.from(Uint16Array.from(numbers).buffer)]);
}

function evidence() {
  const found = [], numbers = [];
  streams.forEach((legs, bits) => legs.forEach((stream, leg) => {
    const hex = Buffer.from(leg, "latin1").toString("hex");
    found.push({ leg: hex, leg_direction: bits, checksum: stream.checksum, count: stream.sequenceNumbers.length });
    for (const number of stream.sequenceNumbers) numbers.push(number);
  }));
  const file = path.join(directory, "sequence_numbers.npy");
  fs.writeFileSync(file, npy(numbers));
  return { received, rejected, streams: found, sequence_numbers: file, referee_ns: refereeNs() };
}

// Written at once, not queued: a mark is taken where it is asked for.
const say = (line) => fs.writeSync(1, line + "\n");

const socket = dgram.createSocket("udp4");
socket.on("message", receive);
socket.bind({ fd: Number(fd) }, () => {
  say(ready);
  const lines = readline.createInterface({ input: process.stdin });
  lines.on("line", (line) => {
    if (JSON.parse(line).command !== "stop") return say(mark());
    socket.close();
    say(mark());
    say(JSON.stringify(evidence()));
  });
  lines.on("close", () => process.exit(0));
});
