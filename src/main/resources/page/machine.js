// The machine, live: curves, the timeline of the last steps, where tokens lie, and the plan in force.

import { get } from "./api.js";
import { $, count, el, millis, number, percent, plural } from "./dom.js";
import { curves, extent, timeline } from "./draw.js";
import { formBar, render } from "./plan.js";

const WINDOW_MILLIS = 120_000;
const STEPS_KEPT = 32;
const LEGEND = [
  ["transferred", "K and V over the link"],
  ["activations", "activations over the link"],
  ["recomputed", "recompute"],
  ["resident", "attend"],
  ["rows", "new tokens: project, feed forward, head"],
  ["copies", "other copies"],
];

/** Points of the last minutes: {time, link, compute, rate, gap, first, running, waiting, predicted, measured}. */
const history = [];
let before = null;

/** Timed steps, oldest first, and the one that is shown: the newest unless somebody chose another. */
const steps = [];
let shown = null;
let follows = true;
let view = null;
let at = () => null;

function difference(now, then, name) {
  const events = now[name].count - then[name].count;
  return events > 0 ? (now[name].millis - then[name].millis) / events : NaN;
}

/** Takes in a status; returns the point that it adds. */
export function observe(status) {
  const time = performance.now();
  const then = before;
  before = { status, time };
  if (!then) return null;
  // A service that started anew counts from 0.
  const restarted = status.steps.count < then.status.steps.count;
  const works = !restarted && status.steps.count > then.status.steps.count;
  const step = works ? status.last_timed_step : null;
  const seconds = (time - then.time) / 1000;
  const point = {
    time,
    link: works ? (step?.link_busy_ratio ?? NaN) : 0,
    compute: works ? (step?.compute_busy_ratio ?? NaN) : 0,
    rate: restarted ? NaN : (status.generated_tokens - then.status.generated_tokens) / seconds,
    pass: works ? 1 + (status.steps.accepted_tokens - then.status.steps.accepted_tokens) / (status.steps.passes - then.status.steps.passes) : NaN,
    gap: restarted ? NaN : difference(status, then.status, "between_tokens"),
    first: restarted ? NaN : difference(status, then.status, "first_token"),
    running: status.running,
    waiting: status.waiting,
    predicted: step?.predicted_millis ?? NaN,
    measured: step?.measured_millis ?? NaN,
  };
  history.push(point);
  while (history.length && history[0].time < time - WINDOW_MILLIS) history.shift();
  return point;
}

/** The title, what is drawn, the scale, and the figures of now: [text, what it is]. */
const CURVES = [
  { id: "busy", title: "Link and compute busy", lines: [["link", "link"], ["compute", "compute"]], most: 1, label: percent,
    now: (p) => [[percent(p.link), "link"], [percent(p.compute), "compute"]] },
  { id: "rate", title: "Generated tokens a second", lines: [["rate", "accent"]], label: number, 
    now: (p) => [[number(p.rate), "tokens/s"], ...(p.pass > 1 ? [[p.pass.toFixed(2), "a pass"]] : [])] },
  { id: "requests", title: "Requests", lines: [["running", "resident"], ["waiting", "bad"]], label: number,
    now: (p) => [[count(p.running), "running"], [count(p.waiting), "waiting"]] },
  { id: "step", title: "A step, measured and predicted (dashed)", lines: [["measured", "accent"], ["predicted", "rows", true]], label: millis,
    now: (p) => [[millis(p.measured), "measured"], [millis(p.predicted), "predicted"]] },
  { id: "gap", title: "Between two tokens of a request, mean", lines: [["gap", "accent"]], label: millis, now: (p) => [[millis(p.gap), ""]] },
  { id: "first", title: "Time to the first token, mean", lines: [["first", "accent"]], label: millis, now: (p) => [[millis(p.first), ""]] },
];

function makeCurves() {
  for (const curve of CURVES) {
    curve.canvas = el("canvas", { role: "img", "aria-label": curve.title });
    curve.figures = el("p", { class: "now" });
    $("curves").append(el("section", { class: "card curve", id: `curve-${curve.id}` }, el("h3", {}, curve.title), curve.figures, curve.canvas));
  }
}

function drawCurves() {
  const to = performance.now();
  const newest = history.at(-1);
  for (const curve of CURVES) {
    const lines = curve.lines.map(([name, colour, dashed]) => ({ colour, dashed, points: history.map((point) => [point.time, point[name]]) }));
    curves(curve.canvas, lines, to - WINDOW_MILLIS, to, curve.most, curve.label);
    if (newest) {
      const said = curve.now(newest);
      curve.figures.replaceChildren(...said.map(([figure, what]) => el("span", {}, figure, what && " ", what && el("small", {}, what))));
      curve.canvas.setAttribute("aria-label", `${curve.title}, the last two minutes; now ${said.map((one) => one.join(" ")).join(", ")}`);
    }
  }
}

function describe(step) {
  const longer = step.measured_millis / step.predicted_millis - 1;
  const off = Math.abs(longer) < 0.005 ? "as predicted" : `${percent(Math.abs(longer))} ${longer > 0 ? "longer" : "shorter"} than predicted`;
  return `Step ${count(step.number)}: ${plural(step.sequences, "sequence")}, ${plural(step.rows, "new token")}. It took ${millis(step.measured_millis)}, ${off} (${millis(step.predicted_millis)}). `
    + `The link was busy for ${percent(step.link_busy_ratio)} of it, compute for ${percent(step.compute_busy_ratio)}.`;
}

function drawTimeline() {
  if (!shown) return;
  at = timeline($("timeline"), shown, view ?? extent(shown));
  $("step-words").textContent = describe(shown);
  const index = steps.indexOf(shown);
  $("step-older").disabled = index <= 0;
  $("step-newer").disabled = index < 0 || index >= steps.length - 1;
}

function choose(step) {
  shown = step;
  view = null;
  follows = step === steps.at(-1);
  drawTimeline();
}

/** Zooms about a place (0 to 1 of the shown time), or moves by a part of it. */
function look(factor, place = 0.5, by = 0) {
  if (!shown) return;
  const whole = extent(shown);
  const now = view ?? whole;
  const length = Math.min(whole.to - whole.from, Math.max(1, (now.to - now.from) * factor));
  const wanted = now.from + (now.to - now.from) * place - length * place + (now.to - now.from) * by;
  const from = Math.min(whole.to - length, Math.max(whole.from, wanted));
  view = length >= whole.to - whole.from ? null : { from, to: from + length };
  follows = follows && view === null;
  drawTimeline();
}

function stageWords(event) {
  const box = $("timeline").getBoundingClientRect();
  const stage = at(event.clientX - box.left, event.clientY - box.top);
  $("stage-words").textContent = stage
    ? `${stage.stage}, ${stage.lane}: measured ${millis(stage.measured_micros / 1000)} at ${millis(stage.measured_start_micros / 1000)}, predicted ${millis(stage.predicted_micros / 1000)} at ${millis(stage.predicted_start_micros / 1000)}`
    : "Of each lane, the upper bars are measured, the thin ones below predicted.";
}

function handleTimeline() {
  const canvas = $("timeline");
  $("step-older").addEventListener("click", () => choose(steps[steps.indexOf(shown) - 1]));
  $("step-newer").addEventListener("click", () => choose(steps[steps.indexOf(shown) + 1]));
  $("zoom-in").addEventListener("click", () => look(0.5));
  $("zoom-out").addEventListener("click", () => look(2));
  $("zoom-fit").addEventListener("click", () => look(Infinity));
  canvas.addEventListener("keydown", (event) => {
    const action = {
      "+": () => look(0.5), "=": () => look(0.5), "-": () => look(2), "0": () => look(Infinity),
      ArrowLeft: () => look(1, 0.5, -0.2), ArrowRight: () => look(1, 0.5, 0.2),
    }[event.key];
    if (action && !event.ctrlKey && !event.metaKey) {
      event.preventDefault();
      action();
    }
  });
  let dragged = null;
  canvas.addEventListener("pointerdown", (event) => {
    dragged = event.clientX;
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) => {
    stageWords(event);
    if (dragged !== null) {
      look(1, 0.5, (dragged - event.clientX) / canvas.clientWidth);
      dragged = event.clientX;
    }
  });
  canvas.addEventListener("pointerup", () => (dragged = null));
  canvas.addEventListener("pointercancel", () => (dragged = null));
  canvas.addEventListener("dblclick", () => look(0.25));
}

/** Asks for the newest timed step. From then on the service times every step for a minute. */
async function newestStep() {
  const [newest] = (await get("weft/v1/timeline?steps=1")).steps;
  if (!newest || steps.at(-1)?.number === newest.number) return;
  if (steps.at(-1)?.number > newest.number) steps.length = 0;
  steps.push(newest);
  if (steps.length > STEPS_KEPT) steps.shift();
  if (follows || !steps.includes(shown)) {
    shown = newest;
    view = null;
  }
}

export async function plan() {
  $("plan").replaceChildren(render(await get("weft/v1/plan"), { brief: true }));
}

/** Draws what is known; asks for the newest step if any ran. */
export async function refresh(status) {
  const total = Object.values(status.tokens_by_form).reduce((sum, value) => sum + value, 0);
  $("forms").replaceChildren(
    el("p", { class: total ? "" : "muted" }, total ? `${plural(total, "cached token")} of ${plural(status.running, "running request")}.` : "Nothing is cached: no request runs."),
    ...(["fp8", "int8", "int4"].includes(status.cache_encoding) ? [el("p", {}, `Full blocks are stored in ${status.cache_encoding}.`)] : []),
    ...formBar(status.tokens_by_form, true));
  if (status.state === "serving" && (status.last_timed_step || !steps.length)) {
    await newestStep();
  }
  draw();
}

export function draw() {
  if ($("view-machine").hidden) return;
  drawCurves();
  drawTimeline();
}

export function start() {
  makeCurves();
  handleTimeline();
  $("timeline-legend").append(...LEGEND.map(([colour, name]) => el("li", {}, el("span", { class: `swatch c-${colour}` }), name)));
}
