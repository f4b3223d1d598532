// Small helpers. Texts are set as text, never as HTML.

export const $ = (id) => document.getElementById(id);

export function element(tag, text, properties = {}, ...children) {
  const made = document.createElement(tag);
  if (text !== undefined && text !== null) made.textContent = text;
  for (const [name, value] of Object.entries(properties)) {
    if (name.includes("-")) made.setAttribute(name, value); else made[name] = value;
  }
  made.append(...children);
  return made;
}

export function svg(tag, attributes = {}, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

export function setText(node, text) {
  if (node.textContent !== String(text)) node.textContent = text;
}

// The children become one for each item, in order; a node whose item has not changed stays, and
// with it focus and selection.
export function reconcile(parent, items, key, make) {
  const known = new Map([...parent.children].map((node) => [node.dataset.key, node]));
  let place = parent.firstElementChild;
  for (const item of items) {
    const name = key(item);
    const content = JSON.stringify(item);
    let node = known.get(name);
    known.delete(name);
    if (node?.madeFrom !== content) {
      const fresh = make(item);
      fresh.dataset.key = name;
      fresh.madeFrom = content;
      if (node) {
        const focused = node.contains(document.activeElement);
        if (node === place) place = fresh;
        node.replaceWith(fresh);
        if (focused) (fresh.querySelector("button, a") ?? fresh).focus();
      }
      node = fresh;
    }
    if (node === place) place = place.nextElementSibling;
    else parent.insertBefore(node, place);
  }
  for (const node of known.values()) node.remove();
}

export const number = (value) => Number(value).toLocaleString("en-US");
export const time = (text) => (text ? text.slice(11, 23) : "–");
export const moment = (text) => (text ? `${text.slice(0, 10)} ${text.slice(11, 23)}` : "–");
export const short = (hash) => `${hash.slice(0, 8)}…${hash.slice(-6)}`;
export const seconds = (text) => Date.parse(text) / 1000;
export const idOf = (record) => `${record.source}/${record.seq}`;

// "52.5 s", "2 min 1.5 s", "1 h 3 min": as short as it can be.
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

// A login ends while the page is open: what needs one leads to the next.
export async function leaveIfLoggedOut(path) {
  const answer = await fetch(path).catch(() => null);
  if (answer?.status === 401) location.assign("/login");
}
