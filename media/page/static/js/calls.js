// What the page knows of live calls, and the socket that tells it (docs/page.md has its messages).

import {ask, Refused, socket} from "./net.js";
import {Wave} from "./wave.js";

const LEVELS = 1, FIGURES = 2, HEADER_BYTES = 8;
const MAX_WAVES = 160, MAX_HAPPENED = 300;
// Figures come every second of calls in sight, every five of all: what was told of before that says nothing of now.
const UNTOLD_MS = 7000;
const AGAIN_MS = [500, 1000, 2000, 4000, 8000];

export class Calls extends EventTarget {
  constructor() {
    super();
    this.byNumber = new Map();
    this.totals = null;
    this.history = []; // [{at, calls, packets, lost}], one a second, for the sparklines
    this.state = "connecting"; // live, lost, denied
    this.why = "";
    this.ranking = false;
    this.sight = [];
    this.failures = 0;
  }

  tell(what) {
    this.dispatchEvent(new Event(what));
  }

  find(callId) {
    for (const call of this.byNumber.values()) if (call.call_id === callId) return call;
    return null;
  }

  /** Connect, and again whenever the connection is lost. */
  async start() {
    const opened = socket("/v1/watch");
    opened.onmessage = (message) => {
      if (typeof message.data === "string") this.hear(JSON.parse(message.data));
      else this.measure(message.data);
    };
    opened.onopen = () => {
      this.socket = opened;
      this.forget();
      this.said = "";
      this.settle("live", "");
      this.look(this.sight);
    };
    opened.onclose = () => {
      this.socket = null;
      this.settle("lost", "The connection is lost. Trying again.");
      const wait = AGAIN_MS[Math.min(this.failures++, AGAIN_MS.length - 1)];
      setTimeout(() => this.again(), wait);
    };
  }

  async again() {
    try {
      await ask("/v1/page");
      await this.start();
    } catch (error) {
      if (error instanceof Refused && error.status === 401) this.settle("denied", "The token is not good any more.");
      else setTimeout(() => this.again(), AGAIN_MS[Math.min(this.failures++, AGAIN_MS.length - 1)]);
    }
  }

  /** All that was known is of another connection: numbers may mean others now. */
  forget() {
    for (const call of this.byNumber.values()) call.ended = true;
    this.byNumber.clear();
    this.tell("list");
  }

  settle(state, why) {
    if (state === "live") this.failures = 0;
    this.state = state;
    this.why = why;
    this.tell("state");
  }

  /** Say which calls are in sight. */
  look(calls) {
    this.sight = calls;
    const visible = calls.filter((call) => !call.ended).map((call) => call.call).slice(0, 64);
    const said = JSON.stringify({visible, ranking: this.ranking});
    if (this.socket && said !== this.said) {
      this.socket.send(said);
      this.said = said;
    }
  }

  hear(said) {
    if (said.event === "calls") {
      for (const number of said.ended) this.end(number);
      for (const call of said.begun) this.begin(call);
      this.tell("list");
    } else if (said.event === "totals") {
      this.count(said);
    } else if (said.event === "happened") {
      const call = this.byNumber.get(said.call);
      if (call) this.happen(call, said.what);
    }
  }

  begin(call) {
    this.byNumber.set(call.call, {
      ...call, began: Date.parse(call.started_at), wave: null, happened: [], received: 0, lost: 0, jitter: 0, permille: 0, mos: null, heardAt: 0, toldAt: 0,
      ended: false, words: `${call.call_id} ${call.door} ${Object.values(call.identity).join(" ")}`.toLowerCase(),
    });
  }

  end(number) {
    const call = this.byNumber.get(number);
    if (!call) return;
    call.ended = true;
    call.endedAt = Date.now();
    this.byNumber.delete(number);
    this.dispatchEvent(new CustomEvent("ended", {detail: call}));
  }

  happen(call, what) {
    call.happened.push(what);
    if (call.happened.length > MAX_HAPPENED) call.happened.shift();
    if (what.event === "dtmf" && what.position_ms !== undefined) {
      this.waveOf(call).mark({position_ms: what.position_ms, digit: String(what.digit), track: what.track || "inbound"});
    }
    this.dispatchEvent(new CustomEvent("happened", {detail: {call, what}}));
  }

  count(totals) {
    this.totals = totals;
    this.history.push({at: performance.now(), calls: totals.calls, packets: totals.packets, started: totals.calls_started});
    if (this.history.length > 120) this.history.shift();
    this.tell("totals");
  }

  /** Take note of how many packets have come, and whether any has of late: a fork over UDP does not say that it ends. */
  receive(call, packets) {
    const now = Date.now();
    if (packets !== call.received || now - call.toldAt > UNTOLD_MS) call.heardAt = now;
    call.toldAt = now;
    call.received = packets;
  }

  waveOf(call) {
    if (!call.wave) {
      call.wave = new Wave();
      const kept = [...this.byNumber.values()].filter((one) => one.wave);
      if (kept.length > MAX_WAVES) {
        const seen = new Set(this.sight);
        const old = kept.find((one) => !seen.has(one) && one !== call);
        if (old) old.wave = null;
      }
    }
    return call.wave;
  }

  measure(data) {
    const view = new DataView(data), kind = view.getUint8(0), size = view.getUint16(2, true), count = view.getUint32(4, true);
    const now = performance.now();
    for (let at = HEADER_BYTES, end = HEADER_BYTES + count * size; at < end; at += size) {
      const call = this.byNumber.get(view.getUint32(at, true));
      if (!call) continue;
      if (kind === LEVELS) {
        this.waveOf(call).take({
          position_ms: view.getUint32(at + 4, true), track: view.getUint8(at + 8), late: view.getUint8(at + 9) & 1,
          length_ms: view.getUint8(at + 10), lost: view.getUint8(at + 11), peak: view.getUint8(at + 12),
          rms: view.getUint8(at + 13),
        }, now);
      } else if (kind === FIGURES) {
        this.receive(call, view.getUint32(at + 4, true));
        call.lost = view.getUint32(at + 8, true);
        call.jitter = view.getUint16(at + 12, true) / 10;
        call.permille = view.getUint16(at + 14, true);
        call.mos = view.getUint16(at + 16, true) / 100 || null;
      }
    }
    this.tell(kind === LEVELS ? "levels" : "figures");
  }
}
