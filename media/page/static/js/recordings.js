// Recordings: the list, and one of them with its waveform, its ledger, and a player.

import {el, fill, say, surface} from "./dom.js";
import {count, date, duration, parties, share, short, time} from "./format.js";
import {drawRecording, KINDS, spanAt} from "./ledger.js";
import {ask, Refused, request} from "./net.js";
import {Player} from "./player.js";

const PAGE = 50, BUCKETS = 1600;

export class Recordings {
  constructor(element, {onChoose}) {
    this.element = element;
    this.onChoose = onChoose;
    this.found = [];
    this.total = 0;
    this.chosen = null;
    this.player = null;
    this.list = el("ol", {class: "takes", "aria-label": "Recordings, the newest first"});
    this.moreButton = el("button", {type: "button", class: "quiet", hidden: true, onclick: () => this.load(this.found.length)}, "Older");
    this.note = el("div", {class: "empty", hidden: true});
    this.panel = el("article", {class: "detail", tabindex: "-1", "aria-label": "The chosen recording"});
    this.words = el("p", {class: "tally", role: "status"});
    fill(element, el("div", {class: "list"}, el("div", {class: "bar"}, this.words, el("button", {type: "button", class: "quiet", onclick: () => this.load(0)}, "Refresh")),
      el("div", {class: "scroll"}, this.list, this.moreButton), this.note), this.panel);
    this.rest();
  }

  rest() {
    fill(this.panel, el("div", {class: "empty"}, el("h2", {}, "Choose a recording"), el("p", {}, "Its waveform is shown with its ledger: what was lost, late, silent or paused, to the sample.")));
  }

  async load(offset = 0) {
    try {
      const {total, recordings} = await ask(`/v1/recordings?offset=${offset}&limit=${PAGE}`);
      this.found = offset ? [...this.found, ...recordings] : recordings;
      this.total = total;
    } catch (error) {
      this.explain(error);
      return;
    }
    say(this.words, `${count(this.total)} recording${this.total === 1 ? "" : "s"}`);
    fill(this.list, this.found.map((one) => this.row(one)));
    this.moreButton.hidden = this.found.length >= this.total;
    this.note.hidden = this.total > 0;
    if (!this.total) fill(this.note, el("h2", {}, "None yet"), el("p", {}, "A call is listed as soon as it is recorded."));
  }

  explain(error) {
    const isOff = error instanceof Refused && error.code === "recordings_off";
    this.note.hidden = false;
    fill(this.list);
    say(this.words, "");
    fill(this.note, el("h2", {}, isOff ? "Not served here" : "Not to be had"),
      isOff ? el("p", {}, "This server does not serve recordings. It does with ", el("code", {}, "--record DIRECTORY --http-recordings on"), ".") : el("p", {}, error.message));
  }

  row(one) {
    const rate = one.sample_rate_hz || 8000, {from, to, known} = parties(one);
    const lost = (one.tracks || []).map((track) => (track.totals.lost || 0) / Math.max(1, Object.values(track.totals).reduce((a, b) => a + b, 0)));
    const worst = Math.max(0, ...lost);
    const button = el("button", {type: "button", class: "take", "aria-current": String(one.name === this.chosen?.name), dataset: {name: one.name}, onclick: () => this.onChoose(one.name)},
      el("span", {class: "title"}, known ? [el("span", {class: "in"}, from || "?"), el("i", {}, "→"), el("span", {class: "out"}, to || "?")] : short(one.call_id || one.name)),
      el("span", {class: "sub"}, one.started_at ? `${date(one.started_at)}, ${time(one.started_at)}` : "", one.take ? ` · take ${one.take.name}` : ""),
      el("span", {class: "badges"},
        one.state !== "complete" && el("em", {class: `badge ${one.state}`}, one.state),
        one.is_sealed && el("em", {class: "badge"}, "sealed"),
        worst > 0 && el("em", {class: "badge lost"}, `${share(worst)} lost`)),
      el("span", {class: "length"}, one.length_samples ? duration((one.length_samples * 1000) / rate) : "–"));
    return el("li", {}, button);
  }

  async show(name) {
    if (this.player) this.player.close();
    this.player = null;
    const wanted = (this.wanted = {});
    let sidecar;
    try {
      sidecar = await ask(`/v1/recordings/${encodeURIComponent(name)}/sidecar`);
    } catch (error) {
      fill(this.panel, el("div", {class: "empty"}, el("h2", {}, "Not there"), el("p", {}, error.message)));
      return;
    }
    if (wanted !== this.wanted) return;
    this.chosen = {name};
    for (const button of this.list.querySelectorAll("button")) button.setAttribute("aria-current", String(button.dataset.name === name));
    const shift = (sidecar.take?.start_samples || 0) + (sidecar.trimmed?.leading_samples || 0);
    this.data = {name, sidecar, peaks: null, shift};
    this.view = {from: 0, until: Math.max(sidecar.length_samples, 1)};
    this.lay();
    if ((sidecar.encrypted_to || []).length) return this.tell("Sealed: only who has the private key can open it (strep unseal).");
    try {
      const peaks = await ask(`/v1/recordings/${encodeURIComponent(name)}/peaks?buckets=${BUCKETS}`);
      if (wanted !== this.wanted) return undefined;
      this.data.peaks = peaks;
      this.view = {from: 0, until: Math.max(peaks.length_samples, 1)};
      say(this.whole, `of ${duration((peaks.length_samples * 1000) / peaks.sample_rate_hz)}`);
      this.canvas.setAttribute("aria-valuemax", Math.round(peaks.length_samples / peaks.sample_rate_hz));
      this.player = new Player(name, `/v1/recordings/${encodeURIComponent(name)}/audio`, peaks.sample_rate_hz, peaks.length_samples);
      this.player.addEventListener("state", () => this.settle());
      this.player.addEventListener("failed", ({detail}) => this.tell(detail));
      this.button.disabled = false;
    } catch (error) {
      if (wanted === this.wanted) this.tell(error.message);
    }
    await this.readTranscript(name, wanted);
    return undefined;
  }

  lay() {
    const {sidecar} = this.data, {from, to, known} = parties(sidecar), rate = sidecar.sample_rate_hz;
    this.canvas = el("canvas", {class: "scope seekable", role: "slider", tabindex: "0", "aria-label": "Place in the recording", "aria-valuemin": 0, "aria-valuemax": Math.round(this.view.until / rate), "aria-valuenow": 0,
      onclick: (event) => this.seekTo(event), onmousemove: (event) => this.hover(event), onmouseleave: () => say(this.hint, ""), onkeydown: (event) => this.key(event), onwheel: (event) => this.zoom(event)});
    this.hint = el("span", {class: "hint-line", role: "status"});
    this.button = el("button", {type: "button", class: "primary play", id: "play", disabled: true, title: "Play, pause (space)", onclick: () => this.toggle()}, "Play");
    this.place = el("span", {class: "place"}, "0:00");
    this.said = el("ol", {class: "talk", "aria-label": "Transcript"});
    this.said.dataset.empty = "No transcript beside this recording.";
    this.message = el("p", {class: "result", role: "status"});
    const kinds = [...new Set((sidecar.tracks || []).flatMap((track) => track.ledger.map((span) => span.kind)))];
    const ending = sidecar.format && !["pcm16", "pcmu", "pcma"].includes(sidecar.format) ? sidecar.format : "wav";
    fill(this.panel,
      el("header", {}, el("button", {type: "button", class: "quiet back", onclick: () => this.onChoose(null), "aria-label": "Back to the list"}, "‹ Recordings"),
        el("div", {class: "names"}, el("h1", {class: known ? null : "id"}, known ? [el("span", {class: "in"}, from || "?"), el("i", {}, " → "), el("span", {class: "out"}, to || "?")] : sidecar.call_id),
          el("p", {class: "sub"}, el("span", {class: "state", dataset: {state: sidecar.state}}, sidecar.state), el("span", {class: "door"}, sidecar.door), el("span", {}, `${date(sidecar.started_at)}, ${time(sidecar.started_at)}`), known && el("code", {class: "id"}, sidecar.call_id))),
        el("div", {class: "do"}, el("button", {type: "button", class: "quiet", onclick: () => this.download(ending)}, "Download"))),
      el("div", {class: "transport"}, this.button, this.place, this.whole = el("span", {class: "quiet-text"}, `of ${duration((this.view.until * 1000) / rate)}`), this.hint),
      el("figure", {class: "scope-frame tall"}, this.canvas,
        el("figcaption", {}, el("span", {class: "in"}, "inbound"), el("span", {class: "out"}, "outbound"), kinds.map((kind) => el("span", {class: `key kind ${kind}`, title: KINDS[kind]?.[1] || null}, KINDS[kind]?.[0] || kind)), (sidecar.events || []).some((event) => event.event === "dtmf") && el("span", {class: "key digit"}, "key"))),
      sidecar.state === "recording" && el("p", {class: "result"}, "The call is being recorded: this is what of it is written so far, and its ledger comes at its end."),
      sidecar.error && el("p", {class: "result", dataset: {grade: "bad"}}, sidecar.error),
      this.message,
      el("div", {class: "columns"}, el("section", {class: "said"}, el("h2", {}, "Transcript"), this.said),
        el("section", {class: "known"}, el("div", {class: "facts"}, (sidecar.tracks || []).map((track) => this.track(track, rate))))));
  }

  track(track, rate) {
    const lines = Object.entries(track.totals).filter(([, samples]) => samples).sort((a, b) => b[1] - a[1]);
    return el("dl", {class: `track ${track.direction === "outbound" ? "out" : "in"}`}, el("div", {class: "head"}, el("dt", {}, track.direction), el("dd", {}, track.codec || "")),
      lines.map(([kind, samples]) => el("div", {}, el("dt", {}, KINDS[kind]?.[0] || kind), el("dd", {}, `${(samples / rate).toFixed(2)} s`))),
      el("div", {}, el("dt", {}, "packets"), el("dd", {}, count(track.statistics.received || 0))));
  }

  async readTranscript(name, wanted) {
    const listed = await this.lines(name, "transcript");
    if (wanted !== this.wanted) return;
    for (const line of listed) {
      if (line.event !== "transcription" || !line.text) continue;
      const at = ((line.position_ms || 0) * this.data.sidecar.sample_rate_hz) / 1000 - this.data.shift;
      this.said.append(el("li", {class: line.track || "inbound"}, el("time", {}, duration(line.position_ms || 0)),
        el("p", {}, el("button", {type: "button", class: "line", onclick: () => this.player?.seek(at)}, line.text))));
    }
  }

  async lines(name, what) {
    try {
      const text = await (await request(`/v1/recordings/${encodeURIComponent(name)}/${what}`)).text();
      return text.split("\n").filter(Boolean).map((line) => JSON.parse(line));
    } catch {
      return [];
    }
  }

  async download(ending) {
    try {
      const blob = await (await request(`/v1/recordings/${encodeURIComponent(this.data.name)}/audio`)).blob();
      const url = URL.createObjectURL(blob);
      el("a", {href: url, download: `${this.data.name}.${ending}`}).click();
      setTimeout(() => URL.revokeObjectURL(url), 10_000);
    } catch (error) {
      this.tell(error.message);
    }
  }

  tell(text) {
    if (!this.message) return;
    this.message.dataset.grade = "bad";
    say(this.message, text);
  }

  // -- the player --------------------------------------------------------------------------------------

  async toggle() {
    if (!this.player) return;
    try {
      if (this.player.state === "playing") await this.player.pause();
      else await this.player.play();
    } catch (error) {
      this.tell(error.message);
    }
  }

  settle() {
    say(this.button, this.player.state === "playing" ? "Pause" : "Play");
  }

  positionOf(event) {
    return this.view.from + (event.offsetX / this.canvas.clientWidth) * (this.view.until - this.view.from);
  }

  seekTo(event) {
    this.player?.seek(this.positionOf(event));
  }

  hover(event) {
    const position = this.positionOf(event), {sidecar, shift, peaks} = this.data, rate = sidecar.sample_rate_hz;
    const lane = (peaks?.channels.length ?? 2) > 1 && event.offsetY > this.canvas.clientHeight / 2 ? 1 : 0;
    const span = spanAt(sidecar, lane, position, shift);
    const where = `${duration((position * 1000) / rate)}`;
    say(this.hint, span ? `${where} · ${KINDS[span.kind]?.[0] || span.kind}: ${KINDS[span.kind]?.[1] || ""}, ${((span.length_samples * 1000) / rate).toFixed(0)} ms` : where);
  }

  key(event) {
    const rate = this.data.sidecar.sample_rate_hz, steps = {ArrowLeft: -5, ArrowRight: 5, PageUp: -30, PageDown: 30};
    if (event.key in steps) this.player?.seek(this.player.position + steps[event.key] * rate);
    else if (event.key === "Home") this.player?.seek(0);
    else if (event.key === "+" || event.key === "-") this.zoomBy(event.key === "+" ? 0.5 : 2, this.player?.position ?? 0);
    else return;
    event.preventDefault();
  }

  zoom(event) {
    if (!event.ctrlKey && Math.abs(event.deltaY) < Math.abs(event.deltaX)) return;
    event.preventDefault();
    this.zoomBy(event.deltaY > 0 ? 1.25 : 0.8, this.positionOf(event));
  }

  zoomBy(factor, around) {
    const whole = this.data.peaks?.length_samples || this.data.sidecar.length_samples || 1;
    const wide = Math.min(Math.max((this.view.until - this.view.from) * factor, 2 * this.data.sidecar.sample_rate_hz), whole);
    const share = (around - this.view.from) / (this.view.until - this.view.from);
    const from = Math.min(Math.max(around - share * wide, 0), whole - wide);
    this.view = {from, until: from + wide};
  }

  draw() {
    if (!this.data || !this.canvas?.isConnected || this.element.hidden) return;
    const cursor = this.player ? this.player.position : null;
    drawRecording(surface(this.canvas), this.data, this.view, cursor);
    if (cursor === null) return;
    const seconds = cursor / this.data.sidecar.sample_rate_hz;
    say(this.place, duration(seconds * 1000));
    this.canvas.setAttribute("aria-valuenow", Math.round(seconds));
    this.canvas.setAttribute("aria-valuetext", duration(seconds * 1000));
  }
}
