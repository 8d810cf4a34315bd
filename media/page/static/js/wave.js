// The waveform of a call: the last minutes of it in pieces of 50 ms, and how they are drawn.

import {amplitude, duration} from "./format.js";
import {colour} from "./dom.js";

export const BUCKET_MS = 50;
const BUCKETS = 2400; // two minutes
const SILENT = 255;
const DELAY_MS = 350; // drawn so late, so that there is always something to draw
const HEIGHTS = Float32Array.from({length: 256}, (_, value) => amplitude(value) ** 0.55);

class Lane {
  constructor() {
    this.bucket = new Int32Array(BUCKETS).fill(-1);
    this.peak = new Uint8Array(BUCKETS);
    this.rms = new Uint8Array(BUCKETS);
    this.lost = new Uint8Array(BUCKETS);
    this.late = new Uint8Array(BUCKETS);
    this.first = -1;
    this.last = -1;
  }

  take(bucket, level) {
    if (bucket < 0 || bucket <= this.last - BUCKETS) return;
    const at = bucket % BUCKETS;
    if (this.bucket[at] !== bucket) {
      this.bucket[at] = bucket;
      this.peak[at] = this.rms[at] = SILENT;
      this.lost[at] = this.late[at] = 0;
    }
    this.peak[at] = Math.min(this.peak[at], level.peak);
    this.rms[at] = Math.min(this.rms[at], level.rms);
    if (level.late) this.late[at] = 1;
    else this.lost[at] = Math.max(this.lost[at], level.lost);
    if (this.first < 0) this.first = bucket;
    this.last = Math.max(this.last, bucket);
  }

  /** The place of a bucket in the columns, -1 if nothing is known of it. */
  at(bucket) {
    const at = ((bucket % BUCKETS) + BUCKETS) % BUCKETS;
    return bucket >= 0 && this.bucket[at] === bucket ? at : -1; // what was never filled says -1
  }
}

export class Wave {
  constructor() {
    this.lanes = [new Lane(), new Lane()];
    this.digits = []; // {position_ms, digit, track}
    this.offset = null; // of the call's time to the page's clock
    this.levels = [SILENT, SILENT];
    this.changed = true;
  }

  take(level, now) {
    const lane = this.lanes[level.track & 1];
    lane.take(Math.floor(level.position_ms / BUCKET_MS), level);
    if (level.late) return;
    this.levels[level.track & 1] = level.rms;
    const offset = level.position_ms + level.length_ms - now;
    if (this.offset === null || offset > this.offset || this.offset - offset > 3000) this.offset = offset;
    else this.offset += (offset - this.offset) * 0.01;
    this.changed = true;
  }

  mark(digit) {
    this.digits.push(digit);
    if (this.digits.length > 64) this.digits.shift();
  }

  /** Where in the call the right edge of a picture lies now. */
  head(now) {
    if (this.offset === null) return 0;
    const end = Math.max(this.lanes[0].last, this.lanes[1].last) * BUCKET_MS;
    return Math.min(now + this.offset - DELAY_MS, end + 1500);
  }

  get isEmpty() {
    return this.offset === null;
  }
}

/** Draw both tracks on one line: inbound above, outbound below. */
export function drawRow({context, width, height}, wave, now) {
  const step = 3, per = 2; // a bar of 3 px has 100 ms
  const middle = Math.round(height / 2), most = height / 2 - 2;
  const head = Math.floor(wave.head(now) / BUCKET_MS / per);
  const shift = ((wave.head(now) / BUCKET_MS / per) % 1) * step;
  context.fillStyle = colour("hair");
  context.fillRect(0, middle, width, 1);
  for (let lane = 0; lane < 2; lane++) {
    const track = wave.lanes[lane], sign = lane ? 1 : -1;
    for (let bar = 0; bar <= width / step + 1; bar++) {
      const x = width - bar * step - shift;
      const {peak, lost, late, known} = joined(track, (head - bar) * per, per);
      if (!known) continue;
      if (lost > 40) {
        context.fillStyle = colour("loss");
        context.globalAlpha = 0.35 + 0.65 * (lost / 255);
        context.fillRect(x, lane ? middle + 1 : middle - most, step, most);
        context.globalAlpha = 1;
        continue;
      }
      context.fillStyle = late ? colour("late") : colour(lane ? "out" : "in");
      const high = Math.max(1, HEIGHTS[peak] * most);
      context.fillRect(x, sign < 0 ? middle - high : middle + 1, step - 1, high);
    }
  }
  for (const digit of wave.digits) {
    const x = width - ((head + 1) * per * BUCKET_MS - digit.position_ms) / (per * BUCKET_MS) * step - shift + step;
    if (x < -10 || x > width) continue;
    flag(context, x, digit.track === "outbound" ? height - 13 : 1, digit.digit, 12);
  }
}

function joined(lane, bucket, count) {
  let peak = SILENT, rms = SILENT, lost = 0, late = 0, known = false;
  for (let one = bucket; one < bucket + count; one++) {
    const at = lane.at(one);
    if (at < 0) continue;
    known = true;
    peak = Math.min(peak, lane.peak[at]);
    rms = Math.min(rms, lane.rms[at]);
    lost = Math.max(lost, lane.lost[at]);
    late |= lane.late[at];
  }
  return {peak, rms, lost, late, known};
}

function flag(context, x, y, text, size) {
  context.font = `600 ${size - 2}px "JetBrains Mono", monospace`;
  const width = Math.max(context.measureText(text).width + 6, size);
  context.fillStyle = colour("digit");
  context.beginPath();
  context.roundRect(x - width / 2, y, width, size + 1, 3);
  context.fill();
  context.fillStyle = colour("digit-ink");
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.fillText(text, x, y + size / 2 + 1);
}

/** Draw a call large: two lanes, a ruler, what was lost and pressed in place; `span` milliseconds wide. */
export function drawScope({context, width, height}, wave, now, span, cursor = null) {
  const ruler = 20, gap = 10, high = (height - ruler - gap) / 2;
  const head = wave.head(now), from = head - span, scale = width / span;
  const x = (position) => (position - from) * scale;
  drawRuler(context, x, from, span, width, height, ruler);
  wave.lanes.forEach((lane, number) => {
    drawLane(context, lane, number, number * (high + gap), high, {x, from, head, width, scale});
  });
  for (const digit of wave.digits) {
    const lane = digit.track === "outbound" ? 1 : 0, at = x(digit.position_ms);
    if (at < -20 || at > width + 20) continue;
    const top = lane * (high + gap);
    context.fillStyle = colour("digit");
    context.fillRect(Math.round(at), top, 1, high);
    flag(context, at, top, digit.digit, 17);
  }
  if (cursor !== null && cursor > from) {
    context.fillStyle = colour("ink");
    context.fillRect(Math.round(x(cursor)), 0, 1, height - ruler);
  }
}

function drawRuler(context, x, from, span, width, height, ruler) {
  const every = [1, 2, 5, 10, 20, 30, 60].find((seconds) => (seconds * 1000 * width) / span > 70) * 1000;
  context.font = '11px "JetBrains Mono", monospace';
  context.textAlign = "center";
  context.textBaseline = "alphabetic";
  for (let at = Math.ceil(Math.max(from, 0) / every) * every; x(at) <= width + 30; at += every) {
    context.fillStyle = colour("hair");
    context.fillRect(Math.round(x(at)), 0, 1, height - ruler);
    context.fillStyle = colour("ink-3");
    context.fillText(duration(at), Math.round(x(at)), height - 5);
  }
}

function drawLane(context, lane, number, top, high, {x, from, head, width, scale}) {
  const middle = top + high / 2, most = high / 2 - 1;
  const per = Math.max(1, Math.ceil(3 / (BUCKET_MS * scale))), step = per * BUCKET_MS * scale;
  context.fillStyle = colour("lane");
  context.beginPath();
  context.roundRect(0, top, width, high, 6);
  context.fill();
  context.save();
  context.clip();
  const first = Math.floor(from / BUCKET_MS / per) * per, last = Math.floor(head / BUCKET_MS);
  for (let bucket = first; bucket <= last; bucket += per) {
    const at = x(bucket * BUCKET_MS);
    const {peak, rms, lost, late, known} = joined(lane, bucket, per);
    if (!known) {
      const isGap = lane.first >= 0 && bucket > lane.first && bucket < lane.last;
      context.fillStyle = colour(isGap ? "gap" : "hair");
      context.fillRect(at, middle, Math.max(step * 0.5, 1), 1);
      continue;
    }
    if (lost > 0) {
      context.fillStyle = colour("loss-soft");
      context.fillRect(at, top, step + 0.5, high);
      context.fillStyle = colour("loss");
      context.fillRect(at, top + high - 3, Math.max((step * lost) / 255, 1.5), 3);
      context.fillRect(at, top, Math.max((step * lost) / 255, 1.5), 3);
    }
    bar(context, at, middle, step, HEIGHTS[peak] * most, colour(late ? "late" : number ? "out-soft" : "in-soft"));
    bar(context, at, middle, step, HEIGHTS[rms] * most, colour(late ? "late" : number ? "out" : "in"));
  }
  context.restore();
}

function bar(context, at, middle, step, high, fill) {
  const half = Math.max(high, 0.5);
  context.fillStyle = fill;
  context.fillRect(at, middle - half, Math.max(step - 1, 1), 2 * half);
}
