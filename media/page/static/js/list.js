// The list of calls: only the rows in sight exist. Sorted, searched, moved through by arrows.

import {colour, el, fill, say, surface} from "./dom.js";
import {count, duration, gradeOf, parties, share, short, stateOf} from "./format.js";
import {drawRow} from "./wave.js";

const ROW_PX = 60, SPARE = 3, MOSAIC_PX = 84;
const ORDERS = {
  newest: ["Newest", (a, b) => b.began - a.began],
  longest: ["Longest", (a, b) => a.began - b.began],
  worst: ["Worst", (a, b) => (a.mos ?? 5) - (b.mos ?? 5) || b.permille - a.permille || b.lost - a.lost || b.began - a.began],
};

export class List {
  constructor(calls, onChoose) {
    this.calls = calls;
    this.onChoose = onChoose;
    this.order = "newest";
    this.words = "";
    this.found = [];
    this.chosen = null;
    this.rows = new Map();
    this.element = this.build();
    calls.addEventListener("list", () => this.sort());
    calls.addEventListener("figures", () => this.order === "worst" && this.sort());
  }

  build() {
    this.search = el("input", {
      type: "search", placeholder: "Search number, id, door", "aria-label": "Search calls", spellcheck: "false", autocomplete: "off",
      oninput: () => this.seek(this.search.value),
    });
    this.orders = Object.entries(ORDERS).map(([name, [label]]) =>
      el("button", {type: "button", "aria-pressed": String(name === this.order), dataset: {order: name}, onclick: () => this.sortBy(name)}, label));
    this.tally = el("p", {class: "tally", role: "status"});
    this.mosaic = el("canvas", {class: "mosaic", "aria-hidden": "true", onclick: (event) => this.pick(event), title: "Every call, newest first; red: what it lost"});
    this.sheet = el("div", {class: "sheet"});
    this.box = el("div", {
      class: "rows", role: "listbox", tabindex: "0", "aria-label": "Calls", onscroll: () => this.lay(), onkeydown: (event) => this.key(event),
    }, this.sheet);
    this.empty = el("div", {class: "empty", hidden: true});
    new ResizeObserver(() => this.lay()).observe(this.box);
    return el("div", {class: "list"},
      el("div", {class: "bar"}, el("label", {class: "search"}, this.search, el("kbd", {"aria-hidden": "true"}, "/")),
        el("div", {class: "segments", role: "group", "aria-label": "Order"}, this.orders)),
      this.mosaic, this.tally, this.box, this.empty);
  }

  sortBy(name) {
    this.order = name;
    for (const button of this.orders) button.setAttribute("aria-pressed", String(button.dataset.order === name));
    this.box.scrollTop = 0;
    this.sort();
  }

  seek(words) {
    this.words = words.trim().toLowerCase();
    this.box.scrollTop = 0;
    this.sort();
  }

  sort() {
    const all = [...this.calls.byNumber.values()];
    const words = this.words.split(/\s+/).filter(Boolean);
    this.found = words.length ? all.filter((call) => words.every((word) => call.words.includes(word))) : all;
    this.found.sort(ORDERS[this.order][1]);
    say(this.tally, words.length ? `${count(this.found.length)} of ${count(all.length)} calls` : "");
    this.box.hidden = !this.found.length;
    this.empty.hidden = Boolean(this.found.length);
    if (!this.found.length) this.explain(all.length);
    this.mosaic.hidden = all.length < 24;
    this.calls.ranking = this.order === "worst" || !this.mosaic.hidden;
    this.sheet.style.height = `${this.found.length * ROW_PX}px`;
    this.lay();
  }

  explain(total) {
    if (total) fill(this.empty, el("h2", {}, "Nothing matches"), el("p", {}, "No live call has that in its number, id or door."));
    else fill(this.empty, el("h2", {}, "Quiet"), el("p", {}, "No calls at the moment. They appear here as soon as they begin."),
      el("p", {class: "hint"}, "To see one: ", el("code", {}, "strep simulate --udp HOST:PORT")));
  }

  /** Give every call in sight a row, and take rows from those that are not. */
  lay() {
    const first = Math.max(0, Math.floor(this.box.scrollTop / ROW_PX) - SPARE);
    const last = Math.min(this.found.length, Math.ceil((this.box.scrollTop + this.box.clientHeight) / ROW_PX) + SPARE);
    const seen = this.found.slice(first, last);
    const kept = new Set(seen);
    for (const [call, row] of this.rows) {
      if (kept.has(call)) continue;
      row.element.remove();
      this.rows.delete(call);
    }
    seen.forEach((call, at) => {
      let row = this.rows.get(call);
      if (!row) {
        row = makeRow(call, () => this.choose(call, true));
        this.rows.set(call, row);
        this.sheet.append(row.element);
      }
      row.element.style.transform = `translateY(${(first + at) * ROW_PX}px)`;
      row.element.setAttribute("aria-posinset", first + at + 1);
      row.element.setAttribute("aria-setsize", this.found.length);
      row.element.setAttribute("aria-selected", String(call === this.chosen));
    });
    const inSight = this.chosen && !kept.has(this.chosen) ? [this.chosen, ...seen] : seen;
    this.calls.look(inSight);
    this.refresh();
  }

  choose(call, byHand = false) {
    this.chosen = call;
    if (call && byHand) this.onChoose(call);
    const row = this.rows.get(call);
    if (row) this.box.setAttribute("aria-activedescendant", row.element.id);
    this.lay();
  }

  key(event) {
    const steps = {ArrowDown: 1, ArrowUp: -1, j: 1, k: -1, PageDown: 8, PageUp: -8, Home: -1e9, End: 1e9};
    if (!(event.key in steps) || event.ctrlKey || event.metaKey || event.altKey || !this.found.length) return;
    event.preventDefault();
    event.stopPropagation();
    this.step(steps[event.key]);
  }

  /** Choose the call so many places further. */
  step(by) {
    if (!this.found.length) return;
    const at = this.found.indexOf(this.chosen);
    const next = at < 0 ? 0 : Math.min(Math.max(at + by, 0), this.found.length - 1);
    const top = next * ROW_PX, bottom = top + ROW_PX - this.box.clientHeight;
    if (this.box.scrollTop > top) this.box.scrollTop = top;
    if (this.box.scrollTop < bottom) this.box.scrollTop = bottom;
    this.choose(this.found[next], true);
  }

  /** What changes by itself, twice a second. */
  refresh() {
    for (const [call, row] of this.rows) {
      const state = stateOf(call);
      say(row.length, state === "live" ? duration(Date.now() - call.began) : state);
      say(row.loss, call.received ? share(call.permille / 1000) : "–");
      row.loss.dataset.grade = call.permille >= 30 ? "bad" : call.permille >= 5 ? "poor" : "good";
      say(row.mos, call.mos === null ? "–" : `MOS ${call.mos.toFixed(1)}`);
      row.mos.dataset.grade = gradeOf(call.mos);
      say(row.jitter, call.received ? `${call.jitter.toFixed(call.jitter < 10 ? 1 : 0)} ms` : "–");
    }
  }

  draw(now) {
    for (const [call, row] of this.rows) if (call.wave) drawRow(surface(row.canvas), call.wave, now);
  }

  /** Every call as a tile. */
  drawMosaic() {
    if (this.mosaic.hidden) return;
    const wide = this.mosaic.clientWidth;
    let size = 12;
    while (size > 3 && Math.floor(wide / size) * Math.floor(MOSAIC_PX / size) < this.found.length) size -= 0.5;
    this.tile = {size, across: Math.max(Math.floor(wide / size), 1)};
    this.mosaic.style.height = `${Math.min(Math.ceil(this.found.length / this.tile.across) * size, MOSAIC_PX)}px`;
    const {context, height} = surface(this.mosaic);
    this.found.forEach((call, at) => {
      const x = (at % this.tile.across) * size, y = Math.floor(at / this.tile.across) * size;
      if (y + size > height + 0.5) return;
      context.fillStyle = call === this.chosen ? colour("ink") : colour("tile");
      context.fillRect(x, y, size - 1, size - 1);
      if (call !== this.chosen && call.permille >= 5) {
        context.globalAlpha = Math.min(1, 0.25 + call.permille / 80);
        context.fillStyle = colour("loss");
        context.fillRect(x, y, size - 1, size - 1);
        context.globalAlpha = 1;
      }
    });
  }

  pick(event) {
    if (!this.tile) return;
    const at = Math.floor(event.offsetY / this.tile.size) * this.tile.across + Math.floor(event.offsetX / this.tile.size);
    if (!this.found[at]) return;
    this.box.scrollTop = at * ROW_PX - this.box.clientHeight / 2;
    this.choose(this.found[at], true);
  }
}

function makeRow(call, onclick) {
  const {from, to, known, name} = parties(call);
  const length = el("span", {class: "length"}), loss = el("b", {class: "loss"});
  const mos = el("span", {class: "mos", title: "Estimated by the E-model, ITU-T G.107"}), jitter = el("span", {class: "jitter"});
  const canvas = el("canvas", {"aria-hidden": "true"});
  const title = known
    ? [el("span", {class: "in"}, from || "?"), el("i", {"aria-label": "to"}, "→"), el("span", {class: "out"}, to || "?")]
    : [el("span", {class: "id"}, name || short(call.call_id))];
  const element = el("div", {class: "row", role: "option", id: `call-${call.call}`, onclick},
    el("div", {class: "who"}, el("p", {class: "title"}, title),
      el("p", {class: "sub"}, length, el("span", {class: "door"}, call.door), known && el("span", {class: "id"}, short(call.call_id)))),
    canvas,
    el("div", {class: "figures"}, loss, mos, jitter));
  return {element, canvas, length, loss, mos, jitter};
}
