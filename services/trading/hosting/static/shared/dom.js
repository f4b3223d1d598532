// Helpers for the DOM, for every page. Texts are set as text, never as HTML, and only if they have
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

export function svg(tag, attributes = {}, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

export function setText(node, text) {
  if (node.textContent !== String(text)) node.textContent = text;
}

export function setAttribute(node, name, value) {
  if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value);
}

// Makes the children of `parent` match `items`, one node for each, in order. `make(item)` makes the node
// of a new key. Later `update(node, item)` changes it; without `update` it is made again if its item
// has changed. A node that is already in its place is not moved, so that it keeps focus and selection.
export function reconcile(parent, items, key, make, update = null) {
  const existing = new Map([...parent.children].map((node) => [node.dataset.key, node]));
  let place = parent.firstElementChild;
  for (const item of items) {
    const name = key(item);
    const content = update ? "" : JSON.stringify(item);
    let node = existing.get(name);
    existing.delete(name);
    if (node?.madeFrom !== content) {
      const replacement = make(item);
      replacement.dataset.key = name;
      replacement.madeFrom = content;
      if (node) {
        if (node === place) place = replacement;
        replace(node, replacement);
      }
      node = replacement;
    }
    update?.(node, item);
    if (node === place) place = place.nextElementSibling;
    else parent.insertBefore(node, place);
  }
  for (const node of existing.values()) node.remove();
}

function replace(node, replacement) {
  const focused = node.contains(document.activeElement);
  node.replaceWith(replacement);
  if (focused) (replacement.querySelector("button, a") ?? replacement).focus();
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
