// The API page: Swagger UI, with what it does not do by itself. It signs requests to the exchange, and
// shows the beginning of streams that never end.

const MAX_SHOWN = 20_000;
const MAX_WAIT = 3_000;
const STREAMS = /^(text\/event-stream|application\/x-ndjson)/;

// ---- signatures --------------------------------------------------------------------------------

async function hmac(secret, text) {
  const encoder = new TextEncoder();
  const algorithm = { name: "HMAC", hash: "SHA-256" };
  const key = await crypto.subtle.importKey("raw", encoder.encode(secret), algorithm, false, ["sign"]);
  const bytes = new Uint8Array(await crypto.subtle.sign("HMAC", key, encoder.encode(text)));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

// Replaces the API secret, which Swagger UI puts where the signature belongs, by the signature of the
// parameters at the present time. Where the browser cannot sign, nothing is sent.
async function sign(request) {
  const url = new URL(request.url, location.href);
  const secret = url.searchParams.get("signature");
  if (secret === null) return;
  const parameters = url.search.slice(1).split("&").filter((p) => !/^(signature|timestamp)=/.test(p));
  const query = [...parameters, `timestamp=${Date.now()}`].join("&");
  request.url = `${url.origin}${url.pathname}?${query}`;
  if (crypto.subtle) request.url += `&signature=${await hmac(secret, query)}`;
  else request.userFetch = () => Promise.reject(new Error("Signing needs https, or a loopback address."));
}

// ---- streams -----------------------------------------------------------------------------------

// Like fetch(); of a stream it returns what arrives within MAX_WAIT milliseconds, at most MAX_SHOWN
// characters.
async function fetchBeginning(url, options) {
  const response = await fetch(url, options);
  if (!STREAMS.test(response.headers.get("content-type"))) return response;
  const reader = response.body.getReader();
  const timer = setTimeout(() => reader.cancel(), MAX_WAIT);
  const decoder = new TextDecoder();
  let text = "";
  let chunk = await reader.read();
  while (!chunk.done && text.length < MAX_SHOWN) {
    text += decoder.decode(chunk.value, { stream: true });
    chunk = await reader.read();
  }
  clearTimeout(timer);
  reader.cancel();
  const { status, statusText, headers } = response;
  return new Response(text.slice(0, MAX_SHOWN), { status, statusText, headers });
}

// ---- the page ----------------------------------------------------------------------------------

const dark = matchMedia("(prefers-color-scheme: dark)");
function followTheme() {
  const theme = localStorage.getItem("theme") || (dark.matches ? "dark" : "light");
  document.documentElement.classList.toggle("dark-mode", theme === "dark");
}
dark.addEventListener("change", followTheme);
followTheme();

const ui = SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#api",
  deepLinking: true,
  defaultModelsExpandDepth: 0,
  tryItOutEnabled: true,
  validatorUrl: null,
  requestInterceptor: async (request) => {
    request.userFetch = fetchBeginning;
    await sign(request);
    return request;
  },
  onComplete: () => { document.title = `${ui.specSelectors.info().get("title")} API`; },
});
