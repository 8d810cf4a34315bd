// One live call: who it is, its waveform, what is said and pressed, how good it is, and what can be done to it.

import {Actions} from "./actions.js";
import {el, fill, say, surface} from "./dom.js";
import {amplitude, count, duration, gradeOf, parties, share, stateOf, time} from "./format.js";
import {Listening} from "./listen.js";
import {ask} from "./net.js";
import {drawScope} from "./wave.js";

const SPANS_S = [6, 12, 30, 60, 110];
const ASK_EVERY_MS = 2000;
const QUIET = new Set(["speech_started", "speech_ended", "transcription", "call_started"]);

export class Detail {
  constructor(calls, {onClose}) {
    this.calls = calls;
    this.call = null;
    this.span = 12;
    this.listening = null;
    this.element = el("article", {class: "detail", tabindex: "-1", "aria-label": "The chosen call"});
    this.onClose = onClose;
    this.rest();
    calls.addEventListener("happened", ({detail}) => detail.call === this.call && this.happened(detail.what));
    calls.addEventListener("ended", ({detail}) => detail === this.call && this.ended());
    setInterval(() => this.askMore(), ASK_EVERY_MS);
  }

  /** Nothing is chosen. */
  rest() {
    this.call = null;
    fill(this.element, el("div", {class: "empty"}, el("h2", {}, "Choose a call"),
      el("p", {}, "Its waveform, what is said in it and what can be done with it are shown here.")));
  }

  show(call) {
    if (call === this.call) return;
    this.stopListening();
    this.call = call;
    this.ledgers = null;
    const {from, to, known, name} = parties(call);
    this.length = el("b", {class: "length"});
    this.state = el("span", {class: "state"}, "live");
    this.listen = el("button", {type: "button", class: "primary", id: "listen", "aria-pressed": "false", title: "Listen in (l)", onclick: () => this.toggleListening()}, "Listen");
    this.ear = el("div", {class: "ear", hidden: true});
    this.canvas = el("canvas", {class: "scope", role: "img", "aria-label": "Waveform: inbound above, outbound below; lost audio is red, keys are flags"});
    this.talk = el("ol", {class: "talk", "aria-label": "Transcript", "aria-live": "polite"});
    this.log = el("ol", {class: "log", "aria-label": "Events"});
    this.facts = el("div", {class: "facts"});
    this.meters = [0, 1].map((lane) => el("i", {class: lane ? "out" : "in"}));
    this.actions = new Actions(call);
    fill(this.element,
      el("header", {},
        el("button", {type: "button", class: "quiet back", onclick: () => this.onClose(), "aria-label": "Back to the list"}, "‹ Calls"),
        el("div", {class: "names"},
          el("h1", {class: known || name ? null : "id"}, known ? [el("span", {class: "in"}, from || "?"), el("i", {"aria-label": "to"}, " → "), el("span", {class: "out"}, to || "?")] : name || call.call_id),
          el("p", {class: "sub"}, this.state, el("span", {class: "door"}, call.door), this.length, el("span", {}, `since ${time(call.started_at)}`), (known || name) && el("code", {class: "id", title: "Call id"}, call.call_id))),
        el("div", {class: "do"}, this.listen)),
      this.ear,
      el("figure", {class: "scope-frame"}, this.canvas,
        el("figcaption", {}, el("span", {class: "in"}, "inbound"), el("span", {class: "meter"}, this.meters[0]), el("span", {class: "out"}, "outbound"), el("span", {class: "meter"}, this.meters[1]),
          el("span", {class: "key loss"}, "lost"), el("span", {class: "key late"}, "late"), el("span", {class: "key digit"}, "key"),
          el("span", {class: "zoom"}, el("button", {type: "button", class: "quiet round", "aria-label": "Wider", onclick: () => this.zoom(1)}, "−"), this.spanned = el("span", {}), el("button", {type: "button", class: "quiet round", "aria-label": "Closer", onclick: () => this.zoom(-1)}, "+")))),
      el("div", {class: "columns"},
        el("section", {class: "said"}, el("h2", {}, "Transcript"), this.talk, el("h2", {}, "Events"), this.log),
        el("section", {class: "known"}, this.facts, this.actions.element)));
    this.zoom(0);
    this.lines = new Map();
    for (const what of call.happened) this.happened(what, true);
    this.placeholders();
    this.ended();
    this.askMore();
  }

  zoom(by) {
    const at = Math.min(Math.max(SPANS_S.indexOf(this.span) + by, 0), SPANS_S.length - 1);
    this.span = SPANS_S[at];
    if (this.spanned) say(this.spanned, `${this.span} s`);
  }

  ended() {
    if (!this.call) return;
    this.sayState();
    this.listen.disabled = this.call.ended || this.calls.state !== "live";
    this.actions.setLive(!this.call.ended);
  }

  sayState() {
    const state = stateOf(this.call);
    say(this.state, state);
    this.state.dataset.state = state.split(" ")[0];
  }

  // -- what happens ------------------------------------------------------------------------------------

  happened(what) {
    if (what.event === "transcription") this.speak(what);
    else if (!QUIET.has(what.event)) this.note(what);
    this.actions.happened(what);
    this.placeholders();
  }

  speak(what) {
    const track = what.track || "inbound", open = this.lines.get(track);
    const line = open || el("li", {class: track}, el("time"), el("p"));
    const [when, text] = line.children;
    say(when, duration(what.position_ms || 0));
    say(text, what.text);
    line.classList.toggle("partial", !what.is_final);
    if (!open) this.talk.append(line);
    if (what.is_final) this.lines.delete(track);
    else this.lines.set(track, line);
    while (this.talk.children.length > 200) this.talk.firstChild.remove();
    this.talk.scrollTop = this.talk.scrollHeight;
  }

  note(what) {
    const {event, position_ms, track, call_id, event_id, sequence, occurred_at, ...rest} = what;
    const said = Object.entries(rest).map(([name, value]) => `${name.replace(/_/g, " ")} ${typeof value === "object" ? JSON.stringify(value) : value}`);
    this.log.prepend(el("li", {class: event}, el("time", {}, position_ms === undefined ? time(occurred_at) : duration(position_ms)),
      el("b", {}, event.replace(/_/g, " ")), track && el("span", {class: track === "outbound" ? "out" : "in"}, track), el("span", {}, said.join(" · ").slice(0, 300))));
    while (this.log.children.length > 100) this.log.lastChild.remove();
  }

  placeholders() {
    this.talk.dataset.empty = "Nothing transcribed yet.";
    this.log.dataset.empty = "None since this page had the call in sight.";
  }

  // -- figures -----------------------------------------------------------------------------------------

  async askMore() {
    const call = this.call;
    if (!call || call.ended || document.hidden) return;
    try {
      const said = await ask(`/v1/calls/${encodeURIComponent(call.call_id)}`);
      if (call === this.call) this.tell(said);
    } catch {
      // it has ended, or the server is busy: the next answer will be as good
    }
  }

  tell(said) {
    fill(this.facts, (said.tracks || []).map((track) => {
      const quality = track.quality || {}, mos = quality.mos ?? null;
      const codec = track.codec || "";
      return el("dl", {class: track.direction === "outbound" ? "track out" : "track in"},
        el("div", {class: "head"}, el("dt", {}, track.direction), el("dd", {}, codec)),
        mos === null ? null : fact("MOS", mos.toFixed(2), gradeOf(mos), "Estimated by the E-model, ITU-T G.107"),
        fact("lost", share(track.never_arrived / Math.max(track.received + track.never_arrived, 1)), track.never_arrived / Math.max(track.received, 1) > 0.03 ? "bad" : ""),
        fact("packets", count(track.received)),
        fact("jitter", `${track.jitter_mean_ms.toFixed(1)} ms`, "", `now ${track.jitter_ms.toFixed(1)} ms, most ${track.jitter_max_ms.toFixed(1)} ms`),
        fact("late, twice", `${count(track.late)}, ${count(track.duplicate)}`, "", "Packets that came too late for live listeners; packets that came twice"));
    }));
  }

  // -- listening ---------------------------------------------------------------------------------------

  async toggleListening() {
    if (this.listening) return this.stopListening();
    if (!this.call || this.call.ended || this.listen.disabled) return undefined;
    const listening = new Listening(this.call);
    try {
      this.listening = await listening.start();
    } catch (error) {
      listening.stop();
      this.hush(error.message);
      return undefined;
    }
    listening.addEventListener("over", ({detail}) => this.listening === listening && this.hush(detail));
    say(this.listen, "Stop listening");
    this.listen.setAttribute("aria-pressed", "true");
    this.showEar(listening);
    return undefined;
  }

  showEar(listening) {
    const choose = (event) => {
      const value = event.target.value;
      listening.sound.setStereo(value === "stereo");
      listening.sound.hearOnly(value === "inbound" ? 0 : value === "outbound" ? 1 : null);
    };
    this.ear.hidden = false;
    fill(this.ear, el("span", {class: "pulse"}), el("label", {}, "Hear ",
      el("select", {onchange: choose}, ["stereo", "mixed", "inbound", "outbound"].map((value) => el("option", {value}, value)))),
    el("label", {}, "Volume ", el("input", {type: "range", min: 0, max: 1.5, step: 0.05, value: 1, oninput: (event) => listening.sound.setVolume(Number(event.target.value))})),
    this.heard = el("span", {class: "quiet-text"}));
  }

  stopListening() {
    if (!this.listening) return;
    const listening = this.listening;
    this.listening = null;
    listening.stop();
    this.hush("");
  }

  hush(why) {
    this.listening = null;
    say(this.listen, "Listen");
    this.listen.setAttribute("aria-pressed", "false");
    this.ear.hidden = !why;
    if (why) fill(this.ear, el("span", {}, why));
  }

  // -- drawing -----------------------------------------------------------------------------------------

  draw(now) {
    const call = this.call;
    if (!call || !this.canvas.isConnected) return;
    const cursor = this.listening ? this.listening.position_ms : null;
    drawScope(surface(this.canvas), this.calls.waveOf(call), now, this.span * 1000, cursor);
    call.wave.levels.forEach((level, lane) => (this.meters[lane].style.transform = `scaleX(${call.ended ? 0 : amplitude(level) ** 0.4})`));
  }

  refresh() {
    if (!this.call) return;
    this.sayState();
    say(this.length, duration((this.call.ended ? this.call.endedAt : Date.now()) - this.call.began));
    if (this.listening && this.heard) {
      const {sound} = this.listening;
      const behind = Math.max(0, ((sound.end || 0) - sound.position) / sound.rateHz);
      say(this.heard, `${Math.round(behind * 1000)} ms buffered${sound.underruns ? `, ${sound.underruns} gaps` : ""}`);
    }
  }
}

function fact(name, value, grade = "", title = "") {
  return el("div", {dataset: {grade}, title: title || null}, el("dt", {}, name), el("dd", {}, value));
}
