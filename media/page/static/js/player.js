// Plays a recording: pieces of the file are fetched as they are needed, decoded here, and given to the loudspeaker.
// WAV is decoded piece by piece (PCM, mu-law, A-law); what was made of it (FLAC, MP3, Opus) as a whole, by the browser.

import {request} from "./net.js";
import {Sound, whyNoSound} from "./sound.js";

const PIECE_S = 4, AHEAD_S = 8, WAIT_MS = 120;
const MAX_WHOLE_BYTES = 64 << 20;

const MULAW = Float32Array.from({length: 256}, (_, code) => {
  const bits = ~code & 0xff, magnitude = (((bits & 15) << 3) + 132) << ((bits >> 4) & 7);
  return ((bits & 128 ? 132 - magnitude : magnitude - 132) / 32768);
});
const ALAW = Float32Array.from({length: 256}, (_, code) => {
  const bits = code ^ 0x55, exponent = (bits >> 4) & 7, mantissa = ((bits & 15) << 4) + 8;
  const magnitude = exponent ? (mantissa + 256) << (exponent - 1) : mantissa;
  return (bits & 128 ? magnitude : -magnitude) / 32768;
});

/** Where the samples of a WAV (or RF64) file lie, from its beginning; throws if it is none. */
export function readWavHeader(buffer) {
  const view = new DataView(buffer), word = (at) => String.fromCharCode(...new Uint8Array(buffer, at, 4));
  if (!["RIFF", "RF64"].includes(word(0)) || word(8) !== "WAVE") throw new Error("no WAV file");
  let format = null;
  for (let at = 12; at + 8 <= buffer.byteLength; ) {
    const name = word(at), size = view.getUint32(at + 4, true);
    if (name === "fmt ") {
      format = {code: view.getUint16(at + 8, true), channels: view.getUint16(at + 10, true), rateHz: view.getUint32(at + 12, true), frameBytes: view.getUint16(at + 20, true)};
      if (format.code === 0xfffe) format.code = view.getUint16(at + 32, true);
    } else if (name === "data") {
      return {...format, offset: at + 8};
    }
    at += 8 + size + (size & 1);
  }
  throw new Error("no samples in the first part of the file");
}

/** Return the channels of frames as Float32Arrays. */
export function decodeFrames(buffer, {code, channels, frameBytes}) {
  const frames = Math.floor(buffer.byteLength / frameBytes);
  const lanes = Array.from({length: channels}, () => new Float32Array(frames));
  const bytes = new Uint8Array(buffer), view = new DataView(buffer), table = code === 7 ? MULAW : code === 6 ? ALAW : null;
  for (let at = 0; at < frames; at++) {
    for (let lane = 0; lane < channels; lane++) {
      lanes[lane][at] = table ? table[bytes[at * channels + lane]] : view.getInt16((at * channels + lane) * 2, true) / 32768;
    }
  }
  return lanes;
}

export class Player extends EventTarget {
  constructor(name, path, rateHz, lengthSamples) {
    super();
    this.name = name;
    this.path = path;
    this.rateHz = rateHz;
    this.length = lengthSamples;
    this.state = "stopped";
    this.fetched = 0;
    this.generation = 0;
    this.start = 0;
  }

  async play() {
    const why = whyNoSound();
    if (why) throw new Error(why);
    if (!this.sound) {
      await this.prepare();
      this.sound = new Sound(this.rateHz, {isLive: false, waitMs: WAIT_MS});
      await this.sound.open();
      this.sound.addEventListener("place", () => this.state === "playing" && this.more());
      this.sound.addEventListener("over", () => this.settle("stopped"));
      this.seek(this.start);
    } else {
      if (this.position >= this.length) this.seek(0);
      await this.sound.resume();
      this.more();
    }
    this.settle("playing");
  }

  async prepare() {
    const head = await (await request(this.path, {more: {Range: "bytes=0-4095"}})).arrayBuffer();
    try {
      this.wav = readWavHeader(head);
      this.rateHz = this.wav.rateHz;
    } catch {
      const whole = await (await request(this.path)).arrayBuffer();
      if (whole.byteLength > MAX_WHOLE_BYTES) throw new Error("This file is too large to be decoded in the browser; download it.");
      const decoded = await new OfflineAudioContext(1, 1, this.rateHz).decodeAudioData(whole);
      this.whole = Array.from({length: decoded.numberOfChannels}, (_, lane) => decoded.getChannelData(lane));
      this.length = decoded.length;
    }
  }

  async pause() {
    await this.sound?.pause();
    this.settle("paused");
  }

  settle(state) {
    this.state = state;
    this.dispatchEvent(new Event("state"));
  }

  get position() {
    return this.sound ? Math.min(this.sound.position, this.length) : this.start;
  }

  seek(position) {
    const place = Math.max(0, Math.min(Math.round(position), this.length - 1));
    this.start = place;
    this.fetched = place;
    this.isAsking = false;
    this.generation++;
    if (!this.sound) return;
    this.sound.seek(place);
    this.more();
  }

  /** Fetch what comes next, if it is soon to be heard; what cannot be had pauses, and is asked for again by who plays. */
  async more() {
    if (this.isAsking || this.fetched >= this.length || this.fetched > this.position + AHEAD_S * this.rateHz) return;
    this.isAsking = true;
    const generation = this.generation, from = this.fetched, until = Math.min(from + PIECE_S * this.rateHz, this.length);
    try {
      const lanes = await this.piece(from, until);
      if (generation !== this.generation) return;
      const isOne = lanes.length === 1;
      for (let lane = 0; lane < 2; lane++) this.sound.give(lane, from, isOne ? lanes[0].slice() : lanes[lane]);
      this.fetched = until;
      if (until >= this.length) this.sound.last();
    } catch (error) {
      if (generation !== this.generation) return;
      await this.pause();
      this.dispatchEvent(new CustomEvent("failed", {detail: error.message}));
      this.isAsking = false;
      return;
    }
    this.isAsking = false;
    this.more();
  }

  async piece(from, until) {
    if (this.whole) return this.whole.map((lane) => lane.slice(from, until));
    const {offset, frameBytes} = this.wav;
    const Range = `bytes=${offset + from * frameBytes}-${offset + until * frameBytes - 1}`;
    return decodeFrames(await (await request(this.path, {more: {Range}})).arrayBuffer(), this.wav);
  }

  close() {
    this.generation++;
    this.sound?.close();
    this.sound = null;
  }
}
