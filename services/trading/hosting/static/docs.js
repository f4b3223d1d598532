// Shows a service's OpenAPI document: operations, parameters, examples, and a button that sends
// requests. All texts are inserted as text, never as HTML.

const $ = (id) => document.getElementById(id);
const METHODS = ["get", "post", "put", "patch", "delete"];
const MAX_SHOWN = 20000;
const MAX_DEPTH = 6;

let api = {};

const element = (tag, text, properties = {}, ...children) => {
  const made = document.createElement(tag);
  if (text !== undefined && text !== null) made.textContent = text;
  for (const [name, value] of Object.entries(properties)) {
    if (name.includes("-")) made.setAttribute(name, value); else made[name] = value;
  }
  made.append(...children);
  return made;
};

// ---- schemas and examples ----------------------------------------------------------------------

const resolved = (thing) => {
  if (!thing || !thing.$ref) return thing || {};
  return thing.$ref.slice(2).split("/").reduce((at, name) => at?.[name], api) || {};
};

function given(thing) {
  if (thing.example !== undefined) return thing.example;
  if (Array.isArray(thing.examples)) return thing.examples[0];
  if (thing.examples) return resolved(Object.values(thing.examples)[0]).value;
  return undefined;
}

function example(reference, depth = 0) {
  const schema = resolved(reference);
  const found = given(schema) ?? schema.const ?? schema.default ?? schema.enum?.[0];
  if (found !== undefined && found !== null) return found;
  const choices = schema.anyOf || schema.oneOf;
  if (choices) {
    if (schema.default === null) return null;
    return example(choices.find((c) => c.type !== "null") || choices[0], depth);
  }
  if (schema.allOf) return Object.assign({}, ...schema.allOf.map((s) => example(s, depth)));
  if (depth > MAX_DEPTH) return null;
  if (schema.properties) {
    return Object.fromEntries(Object.entries(schema.properties)
      .map(([name, value]) => [name, example(value, depth + 1)]));
  }
  if (schema.type === "array") return [example(schema.items, depth + 1)];
  if (schema.type === "object") return {};
  return { string: "string", integer: 0, number: 0, boolean: false }[schema.type] ?? null;
}

function typeOf(reference) {
  const schema = resolved(reference);
  const choices = schema.anyOf || schema.oneOf;
  if (choices) return choices.map(typeOf).filter((t) => t !== "null").join(" or ");
  if (schema.enum) return schema.enum.join(" | ");
  return schema.type === "array" ? `list of ${typeOf(schema.items)}` : schema.type || "any";
}

const written = (value) => (typeof value === "string" ? value : JSON.stringify(value, null, 2));

// ---- one operation -----------------------------------------------------------------------------

function parameterRow(parameter, inputs) {
  const schema = resolved(parameter.schema);
  const value = given(parameter) ?? given(schema) ?? schema.default;
  const input = element("input", undefined, {
    value: value === undefined || value === null ? "" : written(value),
    "aria-label": parameter.name,
  });
  inputs.push({ parameter, input });
  const name = element("th", undefined, { scope: "row" }, element("code", parameter.name));
  const kind = `${parameter.in}, ${typeOf(schema)}${parameter.required ? ", required" : ""}`;
  return element("tr", undefined, {}, name, element("td", undefined, {}, input),
    element("td", kind, { className: "quiet" }),
    element("td", parameter.description || schema.description || ""));
}

function bodyOf(operation) {
  const content = resolved(operation.requestBody).content;
  if (!content) return null;
  const [type, media] = Object.entries(content)[0];
  return { type, text: written(given(media) ?? example(media.schema)) };
}

function responseParts(operation) {
  const parts = [element("h3", "Answers")];
  for (const [status, reference] of Object.entries(operation.responses || {})) {
    const response = resolved(reference);
    parts.push(element("p", undefined, {}, element("code", status), ` ${response.description}`));
    const [type, media] = Object.entries(response.content || {})[0] || [];
    if (!media) continue;
    const shown = given(media) ?? (media.schema ? example(media.schema) : undefined);
    if (shown === undefined || shown === null || shown === "") continue;
    parts.push(element("pre", written(shown), {
      className: "example", tabIndex: 0, "aria-label": `Example, ${status}, ${type}`,
    }));
  }
  return parts;
}

function fill(details, path, method, operation) {
  const inputs = [];
  if (operation.description) details.append(element("p", operation.description));
  if (operation.parameters?.length) {
    const rows = operation.parameters.map((p) => parameterRow(resolved(p), inputs));
    const table = element("table", undefined, {}, element("tbody", undefined, {}, ...rows));
    details.append(element("h3", "Parameters"),
      element("div", undefined, { className: "scroll" }, table));
  }
  const body = bodyOf(operation);
  let editor = null;
  if (body) {
    editor = element("textarea", undefined, { value: body.text, "aria-label": "Request body" });
    details.append(element("h3", `Body, ${body.type}`), editor);
  }
  const button = element("button", "Send", { type: "button" });
  const result = element("div", undefined, { "aria-live": "polite" });
  let running = null;
  button.addEventListener("click", async () => {
    if (running) {
      running.abort();
      return;
    }
    running = new AbortController();
    button.textContent = "Stop";
    try {
      const request = await requestOf(path, method, inputs, body, editor);
      await show(request, result, running.signal);
    } catch (error) {
      if (error.name !== "AbortError") result.replaceChildren(element("p", String(error)));
    } finally {
      running = null;
      button.textContent = "Send";
    }
  });
  details.append(button, result, ...responseParts(operation));
}

// ---- sending -----------------------------------------------------------------------------------

async function signature(query) {
  if (!crypto.subtle) throw new Error("Signing needs https, or a loopback address.");
  const bytes = new TextEncoder();
  const hmac = { name: "HMAC", hash: "SHA-256" };
  const secret = bytes.encode($("api-secret").value);
  const key = await crypto.subtle.importKey("raw", secret, hmac, false, ["sign"]);
  const signed = new Uint8Array(await crypto.subtle.sign("HMAC", key, bytes.encode(query)));
  return [...signed].map((b) => b.toString(16).padStart(2, "0")).join("");
}

async function requestOf(path, method, inputs, body, editor) {
  const headers = {};
  const query = new URLSearchParams();
  const signs = inputs.some((i) => i.parameter.name === "signature") && $("api-secret").value;
  for (const { parameter, input } of inputs) {
    const { name } = parameter;
    if (signs && ["signature", "timestamp"].includes(name)) continue;
    if (parameter.in === "path") path = path.replace(`{${name}}`, encodeURIComponent(input.value));
    else if (input.value === "") continue;
    else if (parameter.in === "query") query.append(name, input.value);
    else if (parameter.in === "header") headers[name] = input.value;
  }
  if ($("bearer").value) headers.Authorization = `Bearer ${$("bearer").value}`;
  let text = query.toString();
  if (signs) {
    headers["X-MBX-APIKEY"] = $("api-key").value;
    query.append("timestamp", Date.now());
    text = `${query}&signature=${await signature(query.toString())}`;
  }
  if (body) headers["Content-Type"] = body.type;
  const options = { method: method.toUpperCase(), headers, body: editor?.value };
  return { url: text ? `${path}?${text}` : path, options };
}

async function show({ url, options }, result, signal) {
  const pre = element("pre", "…", { tabIndex: 0, "aria-label": "Answer" });
  const line = element("p", "");
  result.replaceChildren(element("h3", "Answer"), line, pre);
  const response = await fetch(url, { ...options, signal });
  line.textContent = `${response.status} ${response.statusText}`.trim();
  const decoder = new TextDecoder();
  let text = "";
  for (const reader = response.body.getReader(); text.length < MAX_SHOWN;) {
    const { done, value } = await reader.read();
    if (done) break;
    text += decoder.decode(value, { stream: true });
    pre.textContent = text;
    if (text.length >= MAX_SHOWN) {
      text = `${text.slice(0, MAX_SHOWN)}\n… cut off here`;
      await reader.cancel();
    }
  }
  pre.textContent = text;
  try {
    pre.textContent = JSON.stringify(JSON.parse(text), null, 2);
  } catch { /* Not JSON: show the text as it was received. */ }
}

// ---- the page ----------------------------------------------------------------------------------

function build() {
  const sections = new Map();
  for (const [path, item] of Object.entries(api.paths)) {
    for (const method of METHODS.filter((m) => item[m])) {
      const operation = item[method];
      const tag = operation.tags?.[0] || "other";
      if (!sections.has(tag)) {
        sections.set(tag, element("section", undefined, {}, element("h2", tag)));
      }
      const badge = element("span", method.toUpperCase(), { className: `method ${method}` });
      const summary = element("summary", undefined, {}, badge, element("code", path),
        element("span", ` ${operation.summary || ""}`, { className: "quiet" }));
      const details = element("details", undefined, { className: "operation" }, summary);
      details.dataset.text = `${method} ${path} ${operation.summary} ${tag}`.toLowerCase();
      const open = () => details.open && details.children.length === 1
        && fill(details, path, method, operation);
      details.addEventListener("toggle", open);
      sections.get(tag).append(details);
    }
  }
  $("operations").replaceChildren(...sections.values());
}

function filter() {
  const wanted = $("filter").value.trim().toLowerCase();
  for (const section of document.querySelectorAll("section")) {
    let any = false;
    for (const details of section.querySelectorAll(".operation")) {
      details.hidden = !details.dataset.text.includes(wanted);
      any ||= !details.hidden;
    }
    section.hidden = !any;
  }
}

async function start() {
  const response = await fetch("/openapi.json");
  if (!response.ok) throw new Error(`openapi.json: ${response.status}`);
  api = await response.json();
  document.title = `${api.info.title} API`;
  $("title").textContent = `${api.info.title} API`;
  $("description").textContent = api.info.description || "";
  $("signing-line").hidden = !JSON.stringify(api.paths).includes('"name":"signature"');
  $("filter").addEventListener("input", filter);
  build();
  filter();
}

start()
  .catch((error) => { $("status").textContent = String(error); })
  .finally(() => $("operations").setAttribute("aria-busy", "false"));
