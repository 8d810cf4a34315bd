// What does a packet cost in Node? Module dgram, a callback per packet, a Map of streams, mu-law by table.
// The same few lines as per_packet.py; arguments: the socket's descriptor, a directory, what to say when ready.
"use strict";

const dgram = require("node:dgram");
const fs = require("node:fs");
const path = require("node:path");
const { decode, checksum, serve } = require("./meter.js");

const [fd, directory, ready] = process.argv.slice(2);
const STREP_1 = 0b110001, STREP_BYTES = 24, RTP_BYTES = 12;

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
  stream.sequenceNumbers.push(datagram.readUInt16BE(STREP_BYTES + 2));
  stream.checksum += checksum(decode(datagram, STREP_BYTES + RTP_BYTES));
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
  return { received, rejected, streams: found, sequence_numbers: file };
}

const socket = dgram.createSocket("udp4");
socket.on("message", receive);
socket.bind({ fd: Number(fd) }, () => serve(ready, () => received, () => socket.close(), evidence));
