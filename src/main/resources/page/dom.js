// Elements and figures. Text goes into the page as text, never as HTML.

export const $ = (id) => document.getElementById(id);

/** An element with properties ("class" and "aria-…" as attributes) and children: elements or texts. */
export function el(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in element && !name.startsWith("aria-")) element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child != null));
  return element;
}

export function show(element, visible) {
  element.hidden = !visible;
}

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

/** A number with about three digits. */
export function number(value) {
  if (value == null || !Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (size >= 100 || Number.isInteger(value)) return whole.format(value);
  return value.toFixed(size >= 10 ? 1 : size >= 1 ? 2 : 3);
}

export const count = (value) => whole.format(value);

export const plural = (value, noun) => `${count(value)} ${noun}${value === 1 ? "" : "s"}`;

export function millis(value) {
  if (value == null || !Number.isFinite(value)) return "–";
  if (value === 0) return "0 ms";
  if (Math.abs(value) >= 1000) return `${number(value / 1000)} s`;
  return Math.abs(value) < 1 ? `${number(value * 1000)} µs` : `${number(value)} ms`;
}

export function bytes(value) {
  const units = ["B", "kB", "MB", "GB", "TB", "PB"];
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${number(value)} ${units[unit]}`;
}

export function percent(ratio) {
  if (ratio == null || !Number.isFinite(ratio)) return "–";
  const value = 100 * ratio;
  return `${value > 0 && value < 1 ? "<1" : Math.round(value)} %`;
}

/** A bar of parts [{label, value, kind, text, hint}] with its legend. A part without a kind has no colour. */
export function parts(items, total, label) {
  const bar = el("div", { class: "parts", role: "img", "aria-label": `${label}: ${items.map((item) => `${item.label} ${item.text}`).join(", ")}` });
  const legend = el("ul", { class: "legend" });
  for (const item of items) {
    if (item.value > 0 && item.kind) {
      const part = el("div", { class: `c-${item.kind}`, title: `${item.label}: ${item.text}` });
      part.style.width = `${(100 * item.value) / total}%`;
      bar.append(part);
    }
    legend.append(el("li", {}, el("span", { class: `swatch ${item.kind ? `c-${item.kind}` : ""}` }), el("span", {}, `${item.label} `, el("b", {}, item.text), item.hint && el("br"), item.hint)));
  }
  return [bar, legend];
}

/** A list of names and figures; null figures are left out. */
export function figures(entries, kind = "") {
  const list = el("dl", { class: `figures ${kind}` });
  for (const [name, value] of entries) {
    if (value != null) list.append(el("div", {}, el("dt", {}, name), el("dd", {}, value)));
  }
  return list;
}
