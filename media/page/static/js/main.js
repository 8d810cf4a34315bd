// Puts the page together: who may see it, which of its views is shown, and the clock that everything is drawn by.

import {Calls} from "./calls.js";
import {Detail} from "./detail.js";
import {byId, el, fill, put, say} from "./dom.js";
import {startKeys} from "./keys.js";
import {List} from "./list.js";
import {ask, Refused, setToken, takeTokenFromAddress} from "./net.js";
import {Recordings} from "./recordings.js";
import {Summary} from "./summary.js";
import {nextTheme, startTheme} from "./theme.js";

const calls = new Calls();
const isCalm = matchMedia("(prefers-reduced-motion: reduce)");
const isNarrow = matchMedia("(max-width: 899px)");
const FRAME_MS = 33, CALM_FRAME_MS = 250;
let list, detail, recordings;

takeTokenFromAddress();
startTheme();
document.fonts.load('600 12px "JetBrains Mono"'); // canvases do not ask for it by themselves
begin();

async function begin() {
  try {
    await ask("/v1/page");
    lay();
    await calls.start();
  } catch (error) {
    if (error instanceof Refused && error.status === 401) askForToken();
    else {
      tellLink("lost", error.message);
      setTimeout(begin, 3000);
    }
  }
}

function askForToken(wrong = false) {
  const dialog = byId("ask-token"), input = el("input", {type: "password", id: "token", autocomplete: "off", required: true, "aria-describedby": "ask-token-why"});
  const submit = async (event) => {
    event.preventDefault();
    setToken(input.value.trim());
    dialog.close();
    try {
      await ask("/v1/page");
      await begin();
    } catch (error) {
      setToken("");
      if (error instanceof Refused && error.status === 401) askForToken(true);
      else tellLink("lost", error.message);
    }
  };
  fill(dialog, el("form", {onsubmit: submit}, el("h2", {id: "ask-token-title"}, "Token"),
    el("p", {id: "ask-token-why"}, wrong ? "That is not the one. " : "", "This server shows its calls to whoever has its token (--http-token). It stays in this tab."), input, el("button", {type: "submit", class: "primary"}, "Show the calls")));
  if (!dialog.open) dialog.showModal();
  dialog.addEventListener("cancel", (event) => event.preventDefault());
  input.focus();
}

function lay() {
  if (list) return;
  list = new List(calls, (call) => go(`#/call/${encodeURIComponent(call.call_id)}`));
  detail = new Detail(calls, {onClose: () => go("#/live")});
  put(byId("view-live"), list.element, detail.element);
  recordings = new Recordings(byId("view-recordings"), {onChoose: (name) => go(name ? `#/recordings/${encodeURIComponent(name)}` : "#/recordings")});
  window.strep = {calls, list, detail, recordings}; // for the curious, and for tests
  new Summary(byId("summary"), byId("alarms"), calls);
  calls.addEventListener("state", () => tellLink(calls.state, calls.why));
  calls.addEventListener("list", chooseFirst);
  window.addEventListener("hashchange", route);
  startKeys(shortcuts);
  route();
  setInterval(refresh, 500);
  let drawn = 0;
  const draw = (now) => {
    if (now - drawn >= (isCalm.matches ? CALM_FRAME_MS : FRAME_MS)) {
      drawn = now;
      if (byId("view-live").hidden) recordings.draw();
      else {
        list.draw(now);
        detail.draw(now);
      }
    }
    requestAnimationFrame(draw);
  };
  requestAnimationFrame(draw);
}

const shortcuts = {
  "/": () => list.search.focus(),
  escape: (isTyping) => {
    if (isTyping) document.activeElement.blur();
    else if (byId("view-live").hidden) recordings.panel.focus();
    else {
      if (isNarrow.matches) go("#/live");
      list.box.focus();
    }
  },
  ArrowDown: () => list.step(1), ArrowUp: () => list.step(-1), j: () => list.step(1), k: () => list.step(-1),
  Enter: () => (byId("view-live").hidden ? null : detail.element.focus()),
  l: () => detail.toggleListening(),
  s: () => list.sortBy({newest: "longest", longest: "worst", worst: "newest"}[list.order]),
  "+": () => detail.zoom(-1), "-": () => detail.zoom(1), t: nextTheme,
  " ": () => (byId("view-live").hidden ? recordings.toggle() : null),
  gl: () => go("#/live"), gr: () => go("#/recordings"),
  action: (number) => detail.actions?.verbs.children[number]?.click?.(),
};

const go = (hash) => {
  if (location.hash !== hash) location.hash = hash;
};

function route() {
  const [, view = "live", name = ""] = location.hash.split("/");
  const isLive = view !== "recordings";
  byId("view-live").hidden = !isLive;
  byId("view-recordings").hidden = isLive;
  for (const tab of document.querySelectorAll(".tabs a")) {
    if ((tab.dataset.view === "live") === isLive) tab.setAttribute("aria-current", "page");
    else tab.removeAttribute("aria-current");
  }
  document.body.dataset.open = name ? "yes" : "no";
  if (isLive && view === "call") {
    const call = calls.find(decode(name));
    if (call) {
      if (list.chosen !== call) list.choose(call);
      detail.show(call);
    }
  }
  if (!isLive) {
    if (!recordings.found.length) recordings.load(0);
    if (name) recordings.show(decode(name));
  }
}

function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** On a wide screen something is always shown: the call of the address, else the newest. */
function chooseFirst() {
  if (byId("view-live").hidden) return;
  if (detail.call && !detail.call.ended) return;
  const [, view, name] = location.hash.split("/");
  const wanted = view === "call" ? calls.find(decode(name)) : null;
  if (wanted && wanted !== detail.call) {
    list.choose(wanted);
    detail.show(wanted);
  } else if (!detail.call && !isNarrow.matches && list.found.length) {
    list.choose(list.found[0]);
    detail.show(list.found[0]);
  }
}

function refresh() {
  if (document.hidden) return;
  list.refresh();
  list.drawMosaic();
  detail.refresh();
}

function tellLink(state, why) {
  const link = byId("link");
  link.dataset.state = state;
  say(link.lastElementChild, {connecting: "Connecting", live: "Live", lost: "No connection", denied: "Token needed"}[state] || state);
  link.title = why;
  document.body.dataset.link = state;
  const notice = byId("notice") || byId("summary").insertAdjacentElement("afterend", el("p", {id: "notice", role: "status"}));
  notice.hidden = !why;
  say(notice, why);
  if (state === "denied") askForToken();
}
