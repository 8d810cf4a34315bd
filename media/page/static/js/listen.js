// Listening in to a live call: /v1/calls/{id}/pcm, messages as docs/feed.md has them, into the loudspeaker.

import {Refused, socket} from "./net.js";
import {Sound, whyNoSound} from "./sound.js";

const MAGIC = 0x4d435053; // "SPCM", little-endian
const BUFFER_MS = 250;

/** Take a message of PCM apart; null if it is none. */
export function parsePcm(data) {
  const view = new DataView(data);
  if (data.byteLength < 48 || view.getUint32(0, true) !== MAGIC || view.getUint8(4) !== 1) return null;
  const header = view.getUint16(8, true), samples = view.getUint32(40, true);
  if (view.getUint8(5) !== 1 || header + 2 * samples > data.byteLength) return null;
  const whole = new Int16Array(data, header, samples), pcm = new Float32Array(samples);
  for (let at = 0; at < samples; at++) pcm[at] = whole[at] / 32768;
  return {
    track: view.getUint8(6), flags: view.getUint8(7), rate_hz: view.getUint32(12, true),
    position: Number(view.getBigInt64(24, true)), pcm,
  };
}

export class Listening extends EventTarget {
  constructor(call) {
    super();
    this.call = call;
    this.heard = 0;
  }

  async start() {
    const why = whyNoSound();
    if (why) throw new Refused(0, "no_sound", why);
    this.sound = new Sound(this.call.sample_rate_hz, {isLive: true, waitMs: BUFFER_MS});
    await this.sound.open();
    const path = `/v1/calls/${encodeURIComponent(this.call.call_id)}/pcm?when_slow=drop-oldest`;
    this.socket = socket(path);
    this.socket.onmessage = ({data}) => this.take(data);
    this.socket.onclose = (event) => this.stop(event.reason);
    return this;
  }

  take(data) {
    if (typeof data === "string") return;
    const message = parsePcm(data);
    if (!message || message.rate_hz !== this.sound.rateHz || message.flags & 2 || !message.pcm.length) return;
    this.heard += message.pcm.length;
    this.sound.give(message.track & 1, message.position, message.pcm);
  }

  /** Where in the call what is heard now lies, in milliseconds. */
  get position_ms() {
    return (this.sound.position * 1000) / this.sound.rateHz;
  }

  stop(why = "") {
    if (this.isOver) return;
    this.isOver = true;
    this.socket?.close();
    this.sound?.close();
    this.dispatchEvent(new CustomEvent("over", {detail: why}));
  }
}
