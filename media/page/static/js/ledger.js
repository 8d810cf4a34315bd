// The waveform of a recording, and under it its ledger: where every sample that was not simply received came from.

import {amplitude, duration} from "./format.js";
import {colour} from "./dom.js";

const HEIGHTS = Float32Array.from({length: 256}, (_, value) => amplitude(value) ** 0.6);
export const KINDS = {
  lost: ["lost", "lost in the network; silence in the file"],
  "late-patched": ["late", "came too late for live listeners, and is in the file"],
  silence: ["silence", "the sender sent nothing (DTX, hold)"],
  restart: ["restart", "between two streams, or two processes that recorded"],
  paused: ["paused", "paused on purpose"],
  unaccounted: ["unaccounted", "written by a process that died before it could say more"],
};
export const LEDGER_PX = 14;

/** Draw it; `view` is {from, until} in samples, `cursor` a position. */
export function drawRecording({context, width, height}, {peaks, sidecar, shift}, view, cursor) {
  const lanes = peaks ? peaks.channels.length : sidecar.channels || 2;
  const ruler = 20, gap = 8, strip = LEDGER_PX + 6;
  const high = (height - ruler - gap * (lanes - 1)) / lanes;
  const x = (position) => ((position - view.from) / (view.until - view.from)) * width;
  drawTimes(context, x, view, sidecar.sample_rate_hz, width, height, ruler);
  for (let lane = 0; lane < lanes; lane++) {
    const top = lane * (high + gap);
    if (peaks) drawPeaks(context, peaks, lane, top, high - strip, x, width, view);
    const track = lanes === 1 ? null : (sidecar.tracks || []).find((one) => one.channel === lane);
    const ledgers = track ? [track] : lanes === 1 ? sidecar.tracks || [] : [];
    drawLedger(context, ledgers, top + high - LEDGER_PX, top, high, x, width, shift);
  }
  drawMarks(context, sidecar, x, width, height - ruler, shift);
  if (cursor !== null) {
    context.fillStyle = colour("ink");
    context.fillRect(Math.round(x(cursor)), 0, 1.5, height - ruler);
  }
}

function drawTimes(context, x, view, rate, width, height, ruler) {
  const seconds = (view.until - view.from) / rate;
  const every = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600].find((step) => (step * width) / seconds > 70) || 7200;
  context.font = '11px "JetBrains Mono", monospace';
  context.textBaseline = "alphabetic";
  for (let at = Math.ceil(view.from / rate / every) * every; at * rate <= view.until; at += every) {
    const place = Math.round(x(at * rate));
    context.textAlign = place < 16 ? "left" : place > width - 16 ? "right" : "center";
    context.fillStyle = colour("hair");
    context.fillRect(place, 0, 1, height - ruler);
    context.fillStyle = colour("ink-3");
    context.fillText(duration(at * 1000), place, height - 5);
  }
}

function drawPeaks(context, peaks, lane, top, high, x, width, view) {
  const {peak, rms} = peaks.channels[lane], bucket = peaks.bucket_samples, middle = top + high / 2, most = high / 2;
  const wide = Math.max(1, x(view.from + bucket)), per = Math.max(1, Math.ceil(2 / wide));
  context.fillStyle = colour("lane");
  context.beginPath();
  context.roundRect(0, top, width, high, 6);
  context.fill();
  for (let at = Math.floor(view.from / bucket / per) * per; at < peak.length && at * bucket < view.until; at += per) {
    const loudest = Math.min(...peak.slice(at, at + per)), mean = Math.min(...rms.slice(at, at + per)), place = x(at * bucket);
    const step = Math.max(wide * per - (wide * per > 2.5 ? 1 : 0), 1);
    context.fillStyle = colour(lane ? "out-soft" : "in-soft");
    context.fillRect(place, middle - Math.max(HEIGHTS[loudest] * most, 0.5), step, Math.max(2 * HEIGHTS[loudest] * most, 1));
    context.fillStyle = colour(lane ? "out" : "in");
    context.fillRect(place, middle - HEIGHTS[mean] * most, step, 2 * HEIGHTS[mean] * most);
  }
}

function drawLedger(context, tracks, y, top, high, x, width, shift) {
  context.fillStyle = colour("lane");
  context.beginPath();
  context.roundRect(0, y, width, LEDGER_PX, 3);
  context.fill();
  for (const track of tracks) {
    for (const span of track.ledger) {
      const from = x(span.start_samples - shift), until = x(span.start_samples + span.length_samples - shift);
      if (until < 0 || from > width) continue;
      context.fillStyle = colour(`kind-${span.kind}`);
      context.fillRect(from, y, Math.max(until - from, 1.5), LEDGER_PX);
      if (span.kind === "lost" || span.kind === "restart") {
        context.fillStyle = colour(span.kind === "lost" ? "loss-soft" : "gap-soft");
        context.fillRect(from, top, Math.max(until - from, 1), high - LEDGER_PX - 6);
      }
    }
  }
}

function drawMarks(context, sidecar, x, width, height, shift) {
  for (const event of sidecar.events || []) {
    if (typeof event.position_samples !== "number" || event.event !== "dtmf") continue;
    const at = x(event.position_samples - shift);
    if (at < -10 || at > width + 10) continue;
    context.fillStyle = colour("digit");
    context.fillRect(Math.round(at), 0, 1, height);
    const text = String(event.digit ?? "?").slice(0, 2);
    context.font = '600 12px "JetBrains Mono", monospace';
    context.beginPath();
    context.roundRect(at - 8, 0, 16, 16, 3);
    context.fill();
    context.fillStyle = colour("digit-ink");
    context.textAlign = "center";
    context.textBaseline = "middle";
    context.fillText(text, at, 8.5);
  }
}

/** The span of a track that lies at a position, or null. */
export function spanAt(sidecar, lane, position, shift) {
  const track = (sidecar.tracks || []).find((one) => one.channel === lane) || (sidecar.tracks || [])[0];
  const place = position + shift;
  return track?.ledger.find((span) => place >= span.start_samples && place < span.start_samples + span.length_samples) || null;
}
