// Elements. What comes from the network becomes text here, and nothing else: no markup is ever parsed.

/**
 * Make an element: el("p", {class: "note", onclick: f}, "text", child, ...).
 * Strings become text nodes; null and false are left out.
 */
export function el(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "dataset") Object.assign(element.dataset, value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  put(element, ...children);
  return element;
}

/** Put children behind those that there are. */
export function put(element, ...children) {
  for (const child of children.flat(2)) {
    if (child === null || child === undefined || child === false) continue;
    element.append(child instanceof Node ? child : String(child));
  }
  return element;
}

/** Have these children, and no others. */
export function fill(element, ...children) {
  element.replaceChildren();
  return put(element, ...children);
}

/** Say something, if it is not what is said already: no layout for nothing. */
export function say(element, text) {
  const said = String(text);
  if (element.textContent !== said) element.textContent = said;
}

export const byId = (id) => document.getElementById(id);

/** Size a canvas as it is laid out; return its context in CSS pixels, and its width and height. */
export function surface(canvas) {
  const ratio = Math.min(window.devicePixelRatio || 1, 2);
  const width = canvas.clientWidth, height = canvas.clientHeight;
  const wide = Math.round(width * ratio), high = Math.round(height * ratio);
  if (canvas.width !== wide || canvas.height !== high) {
    canvas.width = wide;
    canvas.height = high;
  }
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  return {context, width, height};
}

const palette = {};

/** Colours of the theme, for canvases: colour("in"). */
export function colour(name) {
  if (!(name in palette)) {
    palette[name] = getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
  }
  return palette[name];
}

/** The theme has changed. */
export function forgetColours() {
  for (const name of Object.keys(palette)) delete palette[name];
}
