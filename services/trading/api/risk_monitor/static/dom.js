// Helpers for the DOM and for formatting. Texts are set as text, never as HTML, and only if they have
// changed, so that focus and selection are kept and screen readers do not repeat them.

export const $ = (id) => document.getElementById(id);

export function element(tag, text, properties = {}, ...children) {
  const node = document.createElement(tag);
  if (text !== undefined && text !== null) node.textContent = text;
  for (const [name, value] of Object.entries(properties)) {
    if (name.includes("-")) node.setAttribute(name, value); else node[name] = value;
  }
  node.append(...children);
  return node;
}

export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export function setAttribute(node, name, value) {
  if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value);
}

// Makes the children of `parent` match `items`, one node for each, in order: calls `make(item)` once
// for each key, then `update(node, item)`. A node that is already in its place is not moved.
export function reconcile(parent, items, key, make, update) {
  const existing = new Map([...parent.children].map((node) => [node.dataset.key, node]));
  let place = parent.firstElementChild;
  for (const item of items) {
    const name = key(item);
    let node = existing.get(name);
    if (node) existing.delete(name);
    else {
      node = make(item);
      node.dataset.key = name;
    }
    update(node, item);
    if (node === place) place = place.nextElementSibling;
    else parent.insertBefore(node, place);
  }
  for (const node of existing.values()) node.remove();
}

// ---- formatting --------------------------------------------------------------------------------

const signs = (text) => text.replace("-", "−");
const plain = (text) => (/^-[0.,]*$/.test(text) ? text.slice(1) : text);

export const number = (value, digits = 0) =>
  signs(plain(Number(value).toLocaleString("en-US", { maximumFractionDigits: digits })));

export const signed = (value, digits = 0) => {
  const text = number(value, digits);
  return Number(value) > 0 && /[1-9]/.test(text) ? `+${text}` : text;
};

// 0.0123 -> "+1.23 %"
export const percent = (ratio) => {
  const text = plain((ratio * 100).toFixed(2));
  return `${ratio > 0 && Number(text) ? "+" : ""}${signs(text)} %`;
};

// Adds separators to numbers in the monitor's texts: "230632.72 USD" becomes "230,632.72 USD".
export const readable = (text) => signs(text.replace(/(?<![\d.])\d{4,}(\.\d+)?/g,
  (digits) => Number(digits).toLocaleString("en-US", { maximumFractionDigits: 2 })));

export const price = (value) => {
  const digits = Math.abs(value) < 10 ? 4 : 2;
  return Number(value).toLocaleString("en-US",
    { minimumFractionDigits: digits, maximumFractionDigits: digits });
};

export const time = (text) => (text ? text.slice(11, 19) : "");

export function duration(seconds) {
  if (seconds < 60) return `${Math.max(0, Math.floor(seconds))} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ${Math.floor(seconds / 60) % 60} min`;
  return `${Math.floor(seconds / 86400)} d ${Math.floor(seconds / 3600) % 24} h`;
}

// Returns a colour of the style sheet as the browser computes it, for drawing on a canvas.
export function colour(name) {
  const probe = $("probe") ?? document.body.appendChild(element("i", "", { id: "probe", hidden: true }));
  probe.style.color = `var(${name})`;
  return getComputedStyle(probe).color;
}

// Goes to the login page if the login has expired: if fetching `path`, which needs one, is refused.
export async function leaveIfLoggedOut(path) {
  const response = await fetch(path).catch(() => null);
  if (response?.status === 401) location.assign("/login");
}
