// Trade from JavaScript with what Node.js 18 or newer brings: fetch and crypto.
//
//     trading up                                  # in another terminal
//     node examples/programs/02_bot.mjs [URL] [CREDENTIALS]

import { createHmac } from "node:crypto";
import { readFile } from "node:fs/promises";

const [url = "http://127.0.0.1:8080", file = ".trading/credentials.json"] = process.argv.slice(2);
const { api_key: key, api_secret: secret } = JSON.parse(await readFile(file, "utf8"));

// Return the response's JSON; throw an Error with the exchange's code and message if it refuses.
async function signed(method, path, parameters) {
  const query = new URLSearchParams({ ...parameters, timestamp: Date.now() }).toString();
  const signature = createHmac("sha256", secret).update(query).digest("hex");
  const response = await fetch(`${url}${path}?${query}&signature=${signature}`, {
    method,
    headers: { "X-MBX-APIKEY": key },
  });
  const answer = await response.json();
  if (!response.ok) throw new Error(`${answer.code}: ${answer.msg}`);
  return answer;
}

const order = { symbol: "BTCUSDT", quantity: "0.01" };
const bought = await signed("POST", "/api/v3/order", { ...order, side: "BUY", type: "MARKET" });
console.log("bought", bought.executedQty, "for", bought.cummulativeQuoteQty);

const account = await signed("GET", "/api/v3/account", {});
const bitcoin = account.balances.find((balance) => balance.asset === "BTC");
console.log("holds", bitcoin.free, "BTC");
