// What can be done to a call. Which fields an action takes, their kinds, bounds and defaults, is the server's own
// word: /openapi.json. Here is only which of them come first, and in which words.

import {el, fill, say} from "./dom.js";
import {ask, Refused} from "./net.js";

const MAX_FILE_BYTES = 6 << 20;
const FILE = "playback_content";
const HIDDEN = new Set(["command_id", "client_state", "target_legs", "cache_audio", "service_level", "audio_type", "payload_type"]);
const VERBS = [
  {label: "Speak", main: "speak", fields: ["payload"], go: "Say it"},
  {label: "Play", main: "playback_start", fields: [FILE, "audio_url", "media_name"], go: "Play", also: {playback_pause: "Pause", playback_resume: "Resume", playback_stop: "Stop"}},
  {label: "Keys", main: "send_dtmf", fields: ["digits"], go: "Press", pad: true},
  {label: "Gather", main: "gather_using_speak", fields: ["payload", "maximum_digits"], go: "Ask", also: {gather: "Without a prompt", gather_stop: "Stop"}},
  {label: "Record", main: "record_start", fields: ["channels", "format"], go: "Record", also: {record_pause: "Pause", record_resume: "Resume", record_stop: "Stop"}},
  {label: "Transcribe", main: "transcription_start", fields: [], go: "Transcribe", also: {transcription_stop: "Stop"}},
  {label: "Denoise", main: "suppression_start", fields: ["direction"], go: "Suppress noise", also: {suppression_stop: "Stop"}},
  {label: "Clear", main: "clear", fields: [], go: "Fall silent now"},
  {label: "Hang up", main: "hangup", fields: [], go: "Hang up", danger: true},
];
const LABELS = {payload: "Text", [FILE]: "File", audio_url: "or URL", media_name: "or name on the server", digits: "Keys", maximum_digits: "At most so many digits"};

let described; // a promise of /openapi.json, once for the page

function description() {
  described ??= ask("/openapi.json").catch((error) => {
    described = undefined;
    throw error;
  });
  return described;
}

/** Return the fields of an action's body, by name; null if the server has no such action. */
export function fieldsOf(document, action) {
  const operation = document.paths?.[`/v1/calls/{call_id}/actions/${action}`]?.post;
  if (!operation) return null;
  const schema = resolve(document, operation.requestBody?.content?.["application/json"]?.schema || {});
  const required = new Set(schema.required || []);
  return Object.fromEntries(Object.entries(schema.properties || {}).map(([name, field]) =>
    [name, {...resolve(document, field), required: required.has(name)}]));
}

function resolve(document, schema) {
  let found = schema;
  if (found.allOf?.length) found = {...found, ...found.allOf[0]};
  for (let steps = 0; found.$ref && steps < 8; steps++) {
    found = {...found.$ref.replace(/^#\//, "").split("/").reduce((at, name) => at?.[name], document), ...found, $ref: undefined};
    if (!found) return {};
  }
  return found;
}

export class Actions {
  constructor(call) {
    this.call = call;
    this.verbs = el("div", {class: "verbs", role: "tablist", "aria-label": "Actions"});
    this.form = el("form", {class: "act", role: "tabpanel", onsubmit: (event) => this.submit(event)});
    this.result = el("p", {class: "result", role: "status", "aria-live": "polite"});
    this.element = el("section", {class: "actions", "aria-label": "Actions"}, el("h2", {}, "Do"), this.verbs, this.form, this.result);
    this.isLive = true;
    this.load();
  }

  async load() {
    try {
      this.document = await description();
    } catch (error) {
      const none = error instanceof Refused && error.status === 404;
      fill(this.verbs, el("p", {class: "quiet-text"}, none ? "This server takes no actions." : error.message));
      return;
    }
    const offered = VERBS.filter((verb) => fieldsOf(this.document, verb.main));
    if (!offered.length) fill(this.verbs, el("p", {class: "quiet-text"}, "This server takes no actions."));
    else fill(this.verbs, offered.map((verb) => el("button", {type: "button", role: "tab", "aria-selected": "false", class: verb.danger ? "danger" : null, dataset: {verb: verb.main}, onclick: () => this.open(verb)}, verb.label)));
  }

  setLive(isLive) {
    this.isLive = isLive;
    this.element.toggleAttribute("inert", !isLive);
  }

  open(verb) {
    const isOpen = this.verb === verb;
    this.verb = isOpen ? null : verb;
    for (const button of this.verbs.children) button.setAttribute("aria-selected", String(button.dataset.verb === this.verb?.main));
    say(this.result, "");
    if (!this.verb) return fill(this.form);
    const fields = fieldsOf(this.document, verb.main);
    const first = verb.fields.filter((name) => fields[name]), rest = Object.keys(fields).filter((name) => !first.includes(name) && !HIDDEN.has(name));
    this.inputs = new Map();
    fill(this.form,
      first.map((name) => this.field(name, fields[name])),
      verb.pad && this.pad(),
      rest.length ? el("details", {}, el("summary", {}, "More"), el("div", {class: "more"}, rest.map((name) => this.field(name, fields[name])))) : null,
      el("div", {class: "buttons"}, el("button", {type: "submit", class: verb.danger ? "danger solid" : "primary"}, verb.go),
        Object.entries(verb.also || {}).filter(([action]) => fieldsOf(this.document, action)).map(([action, label]) =>
          el("button", {type: "button", onclick: () => this.do(action, action === "gather" ? this.body(fieldsOf(this.document, "gather")) : {})}, label))));
    (this.form.querySelector("textarea, input:not([type=file]), select") || this.form.querySelector("button")).focus();
    return undefined;
  }

  field(name, schema) {
    const input = inputFor(name, schema);
    this.inputs.set(name, {input, schema});
    const label = LABELS[name] || name.replace(/_/g, " ");
    return el("label", {class: schema.type === "boolean" ? "field check" : "field", title: schema.description || null}, el("span", {}, label), input);
  }

  pad() {
    const digits = this.inputs.get("digits").input;
    const press = (key) => {
      digits.value += key;
      digits.focus();
    };
    return el("div", {class: "pad", "aria-label": "Keypad", role: "group"}, [..."123456789*0#"].map((key) => el("button", {type: "button", onclick: () => press(key)}, key)));
  }

  /** What was filled in, and differs from the default. */
  body(fields = null) {
    const body = {};
    for (const [name, {input, schema}] of this.inputs) {
      if (fields && !fields[name]) continue;
      const value = valueOf(input, schema);
      if (value !== undefined && (schema.required || value !== schema.default)) body[name] = value;
    }
    return body;
  }

  async submit(event) {
    event.preventDefault();
    const {main, danger} = this.verb, button = event.submitter;
    if (danger && button && button.dataset.sure !== "yes") {
      button.dataset.sure = "yes";
      say(button, "Really hang up?");
      setTimeout(() => {
        delete button.dataset.sure;
        say(button, "Hang up");
      }, 4000);
      return;
    }
    const body = this.body();
    const file = this.inputs.get(FILE)?.input.files?.[0];
    try {
      if (file) body[FILE] = await base64Of(file);
    } catch (error) {
      this.tell("bad", error.message);
      return;
    }
    await this.do(main, body);
  }

  async do(action, body) {
    this.tell("", "…");
    try {
      const path = `/v1/calls/${encodeURIComponent(this.call.call_id)}/actions/${encodeURIComponent(action)}`;
      const {data} = await ask(path, {method: "POST", body: {...body, command_id: crypto.randomUUID?.() || String(Math.random())}});
      const more = Object.entries(data || {}).filter(([name]) => name !== "result").map(([name, value]) => `${name.replace(/_/g, " ")} ${JSON.stringify(value)}`);
      this.tell("good", `${action.replace(/_/g, " ")}: ${data?.result || "ok"}${more.length ? ` · ${more.join(" · ").slice(0, 200)}` : ""}`);
    } catch (error) {
      this.tell("bad", error.message);
    }
  }

  tell(grade, text) {
    this.result.dataset.grade = grade;
    say(this.result, text);
  }

  happened(what) {
    if (what.event === "playback_ended" && what.status === "failed") this.tell("bad", what.error || "the play failed");
    if (what.event === "gather_ended") this.tell("good", `gathered: ${what.digits || "nothing"} (${what.status || what.reason || ""})`);
  }
}

function inputFor(name, schema) {
  const choices = schema.enum || schema.anyOf?.find((one) => one.enum)?.enum;
  const kind = schema.type || schema.anyOf?.map((one) => one.type).find((type) => type && type !== "null");
  if (name === FILE) return el("input", {type: "file", accept: "audio/*,.wav,.mp3,.flac,.ogg"});
  if (schema.type === "boolean") return el("input", {type: "checkbox", checked: schema.default === true});
  if (choices) return el("select", {}, schema.default === null && el("option", {value: ""}, "–"), choices.map((value) => el("option", {value, selected: value === schema.default}, String(value))));
  if (name === "payload") return el("textarea", {rows: 2, maxlength: schema.maxLength, required: schema.required, placeholder: "Good morning. This call may be recorded."});
  if (["integer", "number"].includes(kind) && !schema.anyOf) return el("input", {type: "number", min: schema.minimum, max: schema.maximum, step: kind === "integer" ? 1 : "any", value: schema.default ?? ""});
  return el("input", {type: name.endsWith("url") ? "url" : "text", maxlength: schema.maxLength, pattern: name === "digits" ? "[0-9A-D*#wW]+" : null, required: schema.required, value: schema.default ?? "", autocomplete: "off", spellcheck: "false"});
}

function valueOf(input, schema) {
  if (input.type === "file") return undefined;
  if (input.type === "checkbox") return input.checked;
  if (input.value === "") return schema.default === "" ? "" : undefined;
  if (input.type === "number") return Number(input.value);
  if (input.tagName === "INPUT" && schema.anyOf?.some((one) => one.type === "integer") && /^\d+$/.test(input.value)) return Number(input.value);
  return input.value;
}

async function base64Of(file) {
  if (file.size > MAX_FILE_BYTES) throw new Error(`A file has at most ${MAX_FILE_BYTES >> 20} MB here; give a URL, or put it into --media.`);
  const bytes = new Uint8Array(await file.arrayBuffer());
  let text = "";
  for (let at = 0; at < bytes.length; at += 0x8000) text += String.fromCharCode(...bytes.subarray(at, at + 0x8000));
  return btoa(text);
}
