// Asking the server: the token, requests, sockets. The token is in the fragment of a URL, which browsers do not send,
// or asked for once; it stays in this tab (sessionStorage), and is in no other URL.

const KEY = "strep-token";

/** The server has said no; `status`, `code` and `message` are its own words. */
export class Refused extends Error {
  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

/** Take the token out of the address, if it is there. */
export function takeTokenFromAddress() {
  const found = /^#token=([^&]+)/.exec(location.hash);
  if (!found) return;
  setToken(decodeURIComponent(found[1]));
  history.replaceState(null, "", location.pathname + location.search + "#/live");
}

export const token = () => sessionStorage.getItem(KEY) || "";

export function setToken(text) {
  if (text) sessionStorage.setItem(KEY, text);
  else sessionStorage.removeItem(KEY);
}

/** The bytes of a text in UTF-8, as the characters that stand for bytes in a header and in btoa. */
const bytesOf = (text) => String.fromCharCode(...new TextEncoder().encode(text));

function headers(more = {}) {
  return token() ? {...more, Authorization: `Bearer ${bytesOf(token())}`} : more;
}

/** Return the reply to a request; raises Refused. */
export async function request(path, {method = "GET", body, more = {}, signal} = {}) {
  const json = body === undefined ? {} : {"Content-Type": "application/json"};
  const reply = await fetch(path, {
    method,
    headers: headers({...json, ...more}),
    body: body === undefined ? undefined : JSON.stringify(body),
    cache: "no-store",
    credentials: "omit",
    signal,
  });
  if (reply.ok) return reply;
  let said = {};
  try {
    said = (await reply.json()).error || {};
  } catch {
    // whoever answers in between may have no JSON
  }
  throw new Refused(reply.status, String(said.code || reply.status), String(said.message || reply.statusText));
}

export const ask = async (path, options) => (await request(path, options)).json();

/** Open a WebSocket; the token goes where browsers let it: into a subprotocol. */
export function socket(path) {
  const url = new URL(path, location.href);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  const base64 = btoa(bytesOf(token())).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
  const opened = new WebSocket(url, base64 ? ["strep.v1", `strep.bearer.${base64}`] : ["strep.v1"]);
  opened.binaryType = "arraybuffer";
  return opened;
}
