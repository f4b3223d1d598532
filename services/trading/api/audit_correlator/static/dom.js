// Helpers for the DOM and for formatting. Texts are set as text, never as HTML.

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

export function svg(tag, attributes = {}, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

export function setText(node, text) {
  if (node.textContent !== String(text)) node.textContent = text;
}

// Makes the children of `parent` match `items`, one node for each, in order. A node whose item has
// not changed is left in place, so that it keeps focus and selection.
export function reconcile(parent, items, key, make) {
  const existing = new Map([...parent.children].map((node) => [node.dataset.key, node]));
  let place = parent.firstElementChild;
  for (const item of items) {
    const name = key(item);
    const content = JSON.stringify(item);
    let node = existing.get(name);
    existing.delete(name);
    if (node?.madeFrom !== content) {
      const replacement = make(item);
      replacement.dataset.key = name;
      replacement.madeFrom = content;
      if (node) {
        const focused = node.contains(document.activeElement);
        if (node === place) place = replacement;
        node.replaceWith(replacement);
        if (focused) (replacement.querySelector("button, a") ?? replacement).focus();
      }
      node = replacement;
    }
    if (node === place) place = place.nextElementSibling;
    else parent.insertBefore(node, place);
  }
  for (const node of existing.values()) node.remove();
}

export const number = (value) => Number(value).toLocaleString("en-US");
export const time = (text) => (text ? text.slice(11, 23) : "–");
export const moment = (text) => (text ? `${text.slice(0, 10)} ${text.slice(11, 23)}` : "–");
export const short = (hash) => `${hash.slice(0, 8)}…${hash.slice(-6)}`;
export const seconds = (text) => Date.parse(text) / 1000;
export const idOf = (record) => `${record.source}/${record.seq}`;

// Formats seconds as briefly as possible: "52.5 s", "2 min 2 s", "1 h 3 min".
export function duration(value) {
  if (value < 1) return `${Math.round(value * 1000)} ms`;
  if (value < 60) return `${Number(value.toFixed(value < 10 ? 2 : 1))} s`;
  if (value < 3600) {
    const rest = Math.round(value % 60);
    return `${Math.floor(value / 60)} min${rest ? ` ${rest} s` : ""}`;
  }
  const minutes = Math.round(value / 60);
  return `${Math.floor(minutes / 60)} h${minutes % 60 ? ` ${minutes % 60} min` : ""}`;
}

// Goes to the login page if the login has expired: if fetching `path`, which needs one, is refused.
export async function leaveIfLoggedOut(path) {
  const response = await fetch(path).catch(() => null);
  if (response?.status === 401) location.assign("/login");
}
