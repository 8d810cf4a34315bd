// The keyboard: what each key does, and the list of it under "?".

import {byId, el, fill} from "./dom.js";

const HELP = [
  ["/", "Search"], ["↑ ↓  or  k j", "Previous, next call"], ["Enter", "To the chosen call"], ["Esc", "Back to the list"],
  ["l", "Listen in, or stop"], ["s", "Order: newest, longest, worst loss"], ["+ −", "Waveform closer, wider"],
  ["1 … 9", "Open an action: speak, play, keys …"], ["Space", "Play or pause a recording"], ["← →", "Five seconds back, on (on its waveform)"],
  ["g then l, g then r", "To live calls, to recordings"], ["t", "Light, dark, automatic"], ["?", "This list"],
];

export function startKeys(does) {
  const dialog = byId("shortcuts");
  fill(dialog, el("h2", {id: "shortcuts-title"}, "Keyboard"),
    el("dl", {}, HELP.map(([keys, what]) => el("div", {}, el("dt", {}, keys.split("  ").map((key) => (key.trim() === "or" ? " or " : el("kbd", {}, key)))), el("dd", {}, what)))),
    el("form", {method: "dialog"}, el("button", {class: "primary"}, "Close")));
  const help = () => (dialog.open ? dialog.close() : dialog.showModal());
  byId("help").addEventListener("click", help);
  let isGoing = false;
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    const isTyping = event.target.closest("input:not([type=range]):not([type=checkbox]), textarea, select");
    if (event.key === "Escape" && !dialog.open) {
      does.escape(Boolean(isTyping));
      return;
    }
    if (isTyping || document.querySelector("dialog[open]:not(#shortcuts)")) return;
    const isPressing = event.target.closest("button, a, summary, input") && ["Enter", " "].includes(event.key);
    if (isPressing) return; // what has the focus is meant
    const key = isGoing ? `g${event.key}` : event.key;
    isGoing = event.key === "g" && !isGoing;
    if (isGoing) return;
    if (key === "?") help();
    else if (!dialog.open && does[key]) does[key]();
    else if (!dialog.open && /^[1-9]$/.test(key)) does.action(Number(key) - 1);
    else return;
    event.preventDefault();
  });
}
