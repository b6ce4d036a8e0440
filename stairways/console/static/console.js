// The console's own script: curves, the theme, keys and copying. It changes nothing anywhere.
"use strict";

const styled = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const percent = (share) => `${(share * 100).toFixed(0)}%`;
const thousands = (n) => (Math.abs(n) >= 1000 ? `${(n / 1000).toLocaleString("en", { maximumFractionDigits: 1 })}k` : String(n));

// ---- curves ------------------------------------------------------------------------------
const charts = [];
let curves = null;

const axis = (values, size = 52) => ({
  stroke: styled("--soft"), font: `11px ${styled("--mono")}`, size,
  grid: { stroke: styled("--grid"), width: 1 }, ticks: { show: false },
  ...(values ? { values: (_, splits) => splits.map((v) => (v == null ? "" : values(v))) } : {}),
});

// Where attempts begin: a hairline over the whole height, and the cycle's number above it.
const attemptLines = (attempts) => ({
  hooks: { draw: [(u) => {
    const { ctx } = u, { left, top, width, height } = u.bbox, dots = devicePixelRatio;
    ctx.save();
    ctx.strokeStyle = styled("--line");
    ctx.fillStyle = styled("--soft");
    ctx.font = `${10 * dots}px ${styled("--mono")}`;
    for (const one of attempts) {
      const x = Math.round(u.valToPos(one.step, "x", true));
      if (x < left || x > left + width) continue;
      ctx.beginPath(); ctx.moveTo(x, top); ctx.lineTo(x, top + height); ctx.stroke();
      ctx.fillText(one.attempt > 1 ? `${one.cycle}·${one.attempt}` : one.cycle, x + 3 * dots, top + 10 * dots);
    }
    ctx.restore();
  }] },
});

const line = (label, color, more = {}) => ({ label, stroke: styled(color), width: 1.5, points: { show: false }, spanGaps: true, ...more });

// Columns of several curves, each with its own x, as one x and a column each.
const joined = (tables) => uPlot.join(tables.map(([x, ...columns]) => {
  const order = x.map((_, i) => i).sort((a, b) => x[a] - x[b]);
  return [x, ...columns].map((column) => order.map((i) => column[i]));
}));

const draw = (id, options, data) => {
  const place = document.getElementById(id);
  if (!place) return;
  place.replaceChildren();
  if (!data || !data.length || !data[0].length) {
    const none = document.createElement("p");
    none.className = "empty"; none.textContent = "Nothing recorded yet.";
    place.append(none);
    return;
  }
  const chart = new uPlot({ width: place.clientWidth, height: place.clientHeight - 30, cursor: { sync: options.sync ? { key: options.sync } : undefined, points: { size: 5 } }, ...options }, data, place);
  charts.push([place, chart]);
};

const drawAll = () => {
  if (!curves || !window.uPlot) return;
  charts.splice(0).forEach(([, chart]) => chart.destroy());
  const [steps, hold, target, fast, slow] = curves.controller;
  const plugins = [attemptLines(curves.attempts)];
  const x = { scales: { x: { time: false } }, sync: "steps", plugins };
  draw("hold", { ...x, scales: { x: { time: false }, y: { range: [0, 1] } }, axes: [axis(thousands, 26), axis(percent)],
    series: [{ label: "step" }, line("held", "--chart-1", { value: (_, v) => (v == null ? "–" : `${(v * 100).toFixed(1)}%`) }), line("target", "--chart-2", { paths: uPlot.paths.stepped({ align: 1 }), value: (_, v) => (v == null ? "–" : `${(v * 100).toFixed(1)}%`) })] }, [steps, hold, target]);
  draw("lanes", { ...x, axes: [axis(thousands, 26), axis()],
    series: [{ label: "step" }, line("fast", "--chart-3", { width: 1 }), line("slow", "--chart-4", { width: 2 })] }, [steps, fast, slow]);
  const [updates, distance, cold] = curves.divergence.length ? curves.divergence : [[], [], []];
  draw("divergence", { ...x, axes: [axis(thousands, 26), axis()],
    series: [{ label: "step" }, line("diverged", "--chart-5", { paths: () => null, points: { show: true, size: 5, fill: styled("--chart-5") } }), line("no reference yet", "--soft", { paths: () => null, points: { show: true, size: 5 } })] },
    [updates, distance.map((d, i) => (cold[i] ? null : d)), distance.map((d, i) => (cold[i] ? d : null))]);
  const lanes = curves.equity;
  draw("equity", { ...x, legend: { show: false }, axes: [axis(thousands, 26), axis(thousands)],
    series: [{ label: "step" }, ...lanes.map(([lane], i) => line(`lane ${lane}`, `--chart-${(i % 8) + 1}`, { width: 1 }))] },
    lanes.length ? joined(lanes.map(([, s, e]) => [s, e])) : []);
  const judged = curves.validations.filter((one) => one[2].length);
  draw("validation", { axes: [axis(null, 42), axis(thousands)],
    series: [{ label: "bar", value: "{YYYY}-{MM}-{DD}" }, ...judged.map(([cycle, attempt], i) => line(attempt > 1 ? `${cycle}·${attempt}` : `${cycle}`, `--chart-${(i % 8) + 1}`, { value: (_, v) => (v == null ? "–" : Math.round(v).toLocaleString("en")) }))] },
    judged.length ? joined(judged.map(([, , t, e]) => [t, e])) : []);
};

const fetchCurves = async (place) => {
  const answer = await fetch(place.dataset.curves, { headers: { Accept: "application/json" } });
  if (!answer.ok) return;
  curves = await answer.json();
  drawAll();
  place.dataset.drawn = "yes";
};

const follow = (place) => {
  const isRunning = () => document.getElementById("live")?.dataset.status === "running";
  let wasRunning = isRunning();
  setInterval(() => {
    if ((wasRunning || isRunning()) && !document.hidden) fetchCurves(place).catch(() => {});
    wasRunning = isRunning();
  }, 4000);
};

// ---- theme -------------------------------------------------------------------------------
const isDark = () => (document.documentElement.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
const changeTheme = () => {
  const chosen = isDark() ? "light" : "dark";
  document.documentElement.dataset.theme = chosen;
  try { localStorage.setItem("theme", chosen); } catch { /* it lasts for this page then */ }
  drawAll();
};

// ---- keys --------------------------------------------------------------------------------
const moveRow = (by) => {
  const rows = [...document.querySelectorAll("main a.row")];
  if (!rows.length) return;
  const here = rows.indexOf(document.activeElement);
  rows[Math.min(rows.length - 1, Math.max(0, here + by))].focus();
};
const press = (selector) => document.querySelector(selector)?.click();
let going = false;

const onKey = (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea, dialog[open]")) return;
  const key = event.key;
  if (going) { going = false; press(`nav a[data-key="${CSS.escape(key)}"]`); return; }
  const actions = {
    g: () => { going = true; setTimeout(() => { going = false; }, 1200); },
    j: () => moveRow(1), k: () => moveRow(-1), t: changeTheme,
    "/": () => document.querySelector(".filters input")?.focus(),
    "[": () => press('a[rel="prev"]'), "]": () => press('a[rel="next"]'),
    "?": () => document.getElementById("help")?.showModal(),
  };
  if (actions[key]) { event.preventDefault(); actions[key](); }
};

// ---- start -------------------------------------------------------------------------------
document.addEventListener("keydown", onKey);
document.getElementById("theme")?.addEventListener("click", changeTheme);
document.getElementById("keys")?.addEventListener("click", () => document.getElementById("help").showModal());
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
document.addEventListener("click", async (event) => {
  const button = event.target.closest("button.copy");
  if (!button) return;
  const text = button.parentElement.querySelector("pre").textContent;
  try { await navigator.clipboard.writeText(text); button.textContent = "Copied"; }
  catch { getSelection().selectAllChildren(button.parentElement.querySelector("pre")); button.textContent = "Selected"; }
  setTimeout(() => { button.textContent = "Copy"; }, 1600);
});
const box = document.querySelector(".filterbox");
if (box && matchMedia("(max-width: 760px)").matches && !location.search) box.open = false;
const place = document.querySelector("[data-curves]");
if (place) {
  fetchCurves(place).catch(() => {});
  follow(place);
  new ResizeObserver(() => charts.forEach(([box, chart]) => chart.setSize({ width: box.clientWidth, height: box.clientHeight - 30 }))).observe(place);
}
