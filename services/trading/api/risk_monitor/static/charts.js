// The charts. The curves are fetched once and then extended by events. Every curve has its own dash
// pattern and label, so that they can be distinguished without colours.
import uPlot from "/vendor/uplot-1.6.32/uPlot.esm.js";
import { $, colour, setAttribute } from "/shared/dom.js";
import { number, percent, signed, time } from "/static/format.js";

const MAX_POINTS = 2400;
const HEIGHT = 220;
const DASHES = [[], [8, 4], [2, 3], [10, 3, 2, 3], [5, 5], [1, 5]];
const TIMES = [[3600, "{HH}:{mm}", null, null, "\n{YYYY}-{MM}-{DD}", null, null, null, 1],
  [60, "{HH}:{mm}", null, null, "\n{YYYY}-{MM}-{DD}", null, null, null, 1],
  [1, "{HH}:{mm}:{ss}", null, null, null, null, null, null, 1]];

let curves = null;
let marks = [];
let range = 0;
let plots = [];
let describedAt = 0;

// Replaces the curves: `pnl` is a list of points, `prices` has one by asset, all with the same times.
export function setCurves(newCurves) {
  const names = Object.keys(newCurves.prices);
  curves = {
    times: newCurves.pnl.map((p) => p[0]),
    pnl: newCurves.pnl.map((p) => p[1]),
    prices: new Map(names.map((name) => [name, newCurves.prices[name].map((p) => p[1])])),
  };
  draw();
}

export const opening = () =>
  Object.fromEntries([...(curves?.prices ?? [])].map(([name, values]) => [name, values[0]]));

// Appends a point. Returns false if the curves must be fetched again since there is a new asset.
export function extend(portfolio) {
  if (!curves || !portfolio.known) return true;
  const names = Object.keys(portfolio.marks);
  if (names.length !== curves.prices.size) return false;
  const at = Date.parse(portfolio.time) / 1e3;
  if (at <= (curves.times.at(-1) ?? 0)) return true;
  curves.times.push(at);
  curves.pnl.push(Number(portfolio.pnl));
  for (const name of names) curves.prices.get(name).push(Number(portfolio.marks[name]));
  if (curves.times.length > MAX_POINTS) thin();
  if (plots.length) refresh(); else draw();
  return true;
}

// Removes every other point, but neither the first nor the last.
function thin() {
  const everyOther = (values) => values.filter((_, i) => i % 2 === 0 || i === values.length - 1);
  curves.times = everyOther(curves.times);
  curves.pnl = everyOther(curves.pnl);
  for (const [name, values] of curves.prices) curves.prices.set(name, everyOther(values));
}

// Replaces the marks, [{time, label, kind}]: changes of the breaker, and alerts that fired.
export function setMarks(newMarks) {
  marks = newMarks;
  plots[0]?.redraw(false);
}

// ---- drawing -----------------------------------------------------------------------------------

const percents = () => [...curves.prices.values()].map((values) => {
  const first = values.find((v) => v) ?? 1;
  return values.map((v) => (v / first - 1) * 100);
});

const lineOf = (i) => ({ stroke: colour(`--curve-${i}`), dash: DASHES[i % DASHES.length] });

function chart(holder, series, data, { values, width, hooks }) {
  holder.replaceChildren();
  const style = { stroke: colour("--quiet"), grid: { stroke: colour("--line"), width: 1 },
    ticks: { stroke: colour("--line"), width: 1 } };
  const size = () => ({ width: Math.max(holder.clientWidth, 200), height: HEIGHT });
  const plot = new uPlot({
    legend: { show: false },
    ...size(),
    padding: [16, width, 0, 0],
    series: [{}, ...series],
    cursor: { drag: { x: false, y: false }, points: { size: 6 } },
    scales: { x: { range: (_, low, high) => (range && high - low > range ? [high - range, high] : [low, high]) } },
    tzDate: (s) => uPlot.tzDate(new Date(s * 1e3), "UTC"),
    axes: [{ ...style, values: TIMES, space: 70 }, { ...style, size: 84, values }],
    hooks,
  }, data, holder);
  plot.watcher = new ResizeObserver(() => plot.setSize(size()));
  plot.watcher.observe(holder);
  return plot;
}

function draw() {
  for (const plot of plots) { plot.watcher.disconnect(); plot.destroy(); }
  plots = [];
  if (!curves || curves.times.length < 2) return;
  const accent = colour("--accent");
  const fill = colour("--area");
  plots = [
    chart($("pnl-chart"), [{ stroke: accent, fill, width: 2, points: { show: false } }],
      [curves.times, curves.pnl], {
        width: 12,
        values: (_, ticks) => ticks.map((v) => number(v)),
        hooks: { draw: [drawMarks], setCursor: [(u) => readout(u, "pnl-readout", (i) => number(curves.pnl[i]))] },
      }),
    chart($("price-chart"),
      [...curves.prices.keys()].map((label, i) => ({ label, ...lineOf(i), width: 1.8, points: { show: false } })),
      [curves.times, ...percents()], {
        width: 56,
        values: (_, ticks) => ticks.map((v) => `${signed(v, 2)} %`),
        hooks: { draw: [drawNames], setCursor: [(u) => readout(u, "price-readout", priceReadout)] },
      }),
  ];
  publishCounts();
  describe();
}

// Exposes what is drawn as data attributes, for tests and support.
function publishCounts() {
  const { dataset } = $("pnl-chart");
  dataset.points = curves.times.length;
  dataset.from = curves.times[0];
}

function refresh() {
  publishCounts();
  plots[0].setData([curves.times, curves.pnl]);
  plots[1].setData([curves.times, ...percents()]);
  if (performance.now() - describedAt > 10_000) describe();
}

const priceReadout = (i) => [...curves.prices]
  .map(([name, values]) => `${name} ${percent(values[i] / values[0] - 1)}`).join("  ");

function readout(plot, id, text) {
  const at = plot.cursor.idx;
  const inside = at !== null && at !== undefined && plot.cursor.left >= 0 && at < curves.times.length;
  $(id).textContent = inside
    ? `${time(new Date(curves.times[at] * 1e3).toISOString())}  ${text(at)}` : "";
}

// Describes the charts in text, for screen readers.
function describe() {
  describedAt = performance.now();
  const low = Math.min(...curves.pnl);
  const high = Math.max(...curves.pnl);
  setAttribute($("pnl-chart"), "aria-label", `Curve of the P&L in USD: now ${number(curves.pnl.at(-1))},`
    + ` lowest ${number(low)}, highest ${number(high)}`);
  const now = [...curves.prices].map(([name, values]) =>
    `${name} ${percent(values.at(-1) / values[0] - 1)}`);
  setAttribute($("price-chart"), "aria-label",
    `Curves of the index prices, change since the session opened: ${now.join(", ")}`);
}

function prepared(plot) {
  const { ctx } = plot;
  const scale = devicePixelRatio;
  ctx.save();
  ctx.font = `600 ${11 * scale}px system-ui, sans-serif`;
  ctx.lineWidth = scale;
  ctx.textAlign = "left";
  ctx.textBaseline = "alphabetic";
  return { ctx, scale, box: plot.bbox };
}

// Draws vertical lines where the breaker changed, and ticks along the bottom where alerts fired. Where
// there is no room for all labels, the newest ones are drawn.
function drawMarks(plot) {
  const { ctx, scale, box } = prepared(plot);
  let rightLimit = Infinity;
  for (const mark of marks.toReversed()) {
    const x = plot.valToPos(mark.time, "x", true);
    if (x < box.left || x > box.left + box.width) continue;
    ctx.strokeStyle = ctx.fillStyle = colour(`--mark-${mark.kind}`);
    ctx.beginPath();
    if (mark.label) {
      ctx.setLineDash([4 * scale, 3 * scale]);
      ctx.moveTo(x, box.top);
      ctx.lineTo(x, box.top + box.height);
      ctx.stroke();
      ctx.setLineDash([]);
      const textWidth = ctx.measureText(mark.label).width;
      const left = Math.min(x - textWidth / 2, box.left + box.width - textWidth, rightLimit - textWidth - 8 * scale);
      if (left >= box.left && left + textWidth > x - 40 * scale) {
        ctx.fillText(mark.label, left, box.top - 4 * scale);
        rightLimit = left;
      }
    } else {
      const y = box.top + box.height;
      ctx.moveTo(x - 4 * scale, y);
      ctx.lineTo(x, y - 8 * scale);
      ctx.lineTo(x + 4 * scale, y);
      ctx.fill();
    }
  }
  ctx.restore();
}

// Draws each curve's name at its end; names that would overlap are moved apart.
function drawNames(plot) {
  const { ctx, scale, box } = prepared(plot);
  const ends = [...curves.prices.keys()].map((name, i) => ({
    name, i, y: plot.valToPos(plot.data[i + 1].at(-1), "y", true),
  })).sort((a, b) => a.y - b.y);
  const step = 13 * scale;
  ends.forEach((end, i) => { if (i) end.y = Math.max(end.y, ends[i - 1].y + step); });
  const overflow = (ends.at(-1)?.y ?? 0) - (box.top + box.height);
  if (overflow > 0) ends.forEach((end) => { end.y -= overflow; });
  for (let i = ends.length - 2; i >= 0; i -= 1) ends[i].y = Math.min(ends[i].y, ends[i + 1].y - step);
  const x = box.left + box.width + 6 * scale;
  for (const { name, i, y } of ends) {
    const { stroke, dash } = lineOf(i);
    ctx.strokeStyle = ctx.fillStyle = stroke;
    ctx.lineWidth = 2 * scale;
    ctx.setLineDash(dash.map((d) => d * scale * 0.6));
    ctx.beginPath();
    ctx.moveTo(x, y);
    ctx.lineTo(x + 14 * scale, y);
    ctx.stroke();
    ctx.fillText(name, x + 17 * scale, y + 4 * scale);
  }
  ctx.restore();
}

$("range").addEventListener("change", (event) => {
  range = Number(event.target.value);
  if (plots.length) refresh();
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
addEventListener("themechange", draw);
