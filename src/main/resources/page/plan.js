// Plans in words and bars, and the what-if form.

import { get, post } from "./api.js";
import { $, bytes, count, el, figures, millis, number, parts, percent, plural } from "./dom.js";

export const FORMS = {
  device_kv: "K and V on the device",
  device_act: "activations on the device",
  host_kv: "K and V in host memory",
  host_act: "activations in host memory",
  device_packed_kv: "packed K and V on the device",
  device_packed_act: "packed activations on the device",
  host_packed_kv: "packed K and V in host memory",
  host_packed_act: "packed activations in host memory",
  device_fp8: "K and V in fp8 on the device",
  device_int8: "K and V in int8 on the device",
  device_int4: "K and V in int4 on the device",
  host_fp8: "K and V in fp8 in host memory",
  host_int8: "K and V in int8 in host memory",
  host_int4: "K and V in int4 in host memory",
};

const MEMORIES = { device_memory: "device memory", host_memory: "host memory" };
const BOUND_BY = { link: "the link", compute: "compute", ...MEMORIES };

/** What each form costs in a step. */
const COSTS = {
  device_kv: "attention reads them where they lie",
  device_act: "recomputed in each step",
  host_kv: "cross the link in each step",
  host_act: "cross the link in half the bytes or less, and are recomputed",
  device_packed_kv: "decoded in each step",
  device_packed_act: "decoded and recomputed in each step",
  host_packed_kv: "cross the link in fewer bytes, and are decoded",
  host_packed_act: "cross the link in fewer bytes, are decoded and recomputed",
};
for (const encoding of ["fp8", "int8", "int4"]) {
  COSTS[`device_${encoding}`] = COSTS.device_packed_kv;
  COSTS[`host_${encoding}`] = COSTS.host_packed_kv;
}

/** The bar of tokens by form, of those forms that the service names. */
export function formBar(tokens, withCosts) {
  const total = Object.values(tokens).reduce((sum, value) => sum + value, 0);
  const items = Object.entries(FORMS).filter(([form]) => form in tokens).map(([form, name]) => {
    const value = tokens[form];
    return { label: capital(name), value, kind: form, text: total ? `${count(value)}, ${percent(value / total)}` : "0", hint: withCosts ? COSTS[form] : null };
  });
  const [bar, legend] = parts(items, total || 1, "Cached tokens");
  legend.classList.toggle("column-wise", withCosts);
  return [bar, legend];
}

const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);

function list(texts) {
  return texts.length < 2 ? texts.join("") : `${texts.slice(0, -1).join(", ")} and ${texts.at(-1)}`;
}

/** A plan in sentences. */
export function words(plan) {
  const said = [`${plural(plan.batch, "sequence")} of ${plural(plan.context_tokens, "token")} on ${plan.hardware}${plan.measured ? ", as measured" : ""}.`];
  if (!plan.fits && !plan.schedule) {
    return [...said, "That does not fit the memory, so there is no step to predict."];
  }
  const tokens = Object.entries(plan.tokens_by_form).filter(([, value]) => value > 0);
  const all = tokens.reduce((sum, [, value]) => sum + value, 0);
  if (tokens.length === 1) said.push(`All ${plural(all, "cached token")} lie as ${FORMS[tokens[0][0]]}.`);
  else if (tokens.length) said.push(`Of ${plural(all, "cached token")}, ${list(tokens.map(([form, value]) => `${percent(value / all)} lie as ${FORMS[form]}`))}.`);
  const recomputed = tokens.reduce((sum, [form, value]) => sum + (form.endsWith("_act") ? value : 0), 0);
  if (plan.link_bytes_per_step > 0) {
    said.push(`A step brings ${bytes(plan.link_bytes_per_step)} over the link${recomputed ? ` and recomputes K and V of ${plural(recomputed, "token")} meanwhile` : ""}${plan.chunk_tokens ? `, in chunks of ${plural(plan.chunk_tokens, "token")}` : ""}.`);
  } else {
    said.push(`Nothing crosses the link${recomputed ? `; a step recomputes K and V of ${plural(recomputed, "token")}` : ""}.`);
  }
  said.push(`It takes ${millis(plan.predicted_step_millis)}: the link is busy for ${percent(plan.link_busy_ratio)} of it, compute for ${percent(plan.compute_busy_ratio)}. What binds is ${BOUND_BY[plan.bound_by] ?? plan.bound_by}.`);
  return said;
}

function memory(name, total, items) {
  const used = items.reduce((sum, item) => sum + item.value, 0);
  const shown = items.filter((item) => item.value > 0).map((item) => ({ ...item, text: bytes(item.value) }));
  const free = Math.max(0, total - used);
  shown.push({ label: "free", value: free, kind: null, text: bytes(free) });
  const [bar, legend] = parts(shown, Math.max(total, used) || 1, name);
  return el("div", {}, el("p", {}, `${name}: ${bytes(total)}`), bar, legend);
}

function memories(plan) {
  const m = plan.memory;
  return [
    memory("Device memory", m.device_bytes, [
      { label: "weights", value: m.weights_bytes, kind: "weights" },
      { label: "workspace", value: m.workspace_bytes + m.open_block_bytes, kind: "workspace" },
      { label: "chunks on their way", value: m.staging_bytes, kind: "transferred" },
      { label: "cache", value: m.device_cache_used_bytes, kind: "cache" },
    ]),
    memory("Host memory", m.host_bytes, [
      { label: "workspace", value: m.host_workspace_bytes, kind: "workspace" },
      { label: "cache", value: m.host_cache_used_bytes, kind: "host_kv" },
    ]),
  ];
}

function alternatives(plan) {
  const head = el("tr", {}, ...["Schedule", "Step", "Tokens/s", "Over the link"].map((name, column) => el("th", { scope: "col", class: column ? "number" : "" }, name)));
  const rows = plan.alternatives.flatMap((other) => [
    el("tr", { class: other.fits ? "" : "none" },
      el("th", { scope: "row" }, other.name),
      el("td", { class: "number" }, millis(other.predicted_step_millis)),
      el("td", { class: "number" }, number(other.tokens_per_second)),
      el("td", { class: "number" }, bytes(other.link_bytes_per_step))),
    el("tr", { class: "what" }, el("td", { colSpan: 4 }, other.description + (other.fits ? "" : `; does not fit, lacks ${bytes(other.missing_bytes)}`))),
  ]);
  return el("div", { class: "scroll" }, el("table", {}, el("caption", { class: "visually-hidden" }, "Other schedules"), el("thead", {}, head), el("tbody", {}, ...rows)));
}

function shortages(plan) {
  const missing = plan.shortages.map((one) => `${bytes(one.missing_bytes)} more ${MEMORIES[one.memory] ?? one.memory}`);
  const choice = missing.length > 1 ? " Each alone would do, unless a note below says otherwise." : "";
  return el("p", { class: "error" }, `It does not fit.${missing.length ? ` What would help: ${missing.join("; ")}.${choice}` : ""}`);
}

function busy(name, kind, ratio) {
  const filled = el("div");
  filled.style.width = `${Math.min(100, 100 * ratio)}%`;
  return [el("span", { class: "muted" }, name), el("div", { class: `meter ${kind}`, role: "meter", "aria-label": `${name} busy`, "aria-valuemin": 0, "aria-valuemax": 100, "aria-valuenow": Math.round(100 * ratio) }, filled)];
}

/** Everything about a plan. */
export function render(plan, { brief = false } = {}) {
  const predicts = plan.fits || plan.schedule != null;
  const content = el("div", { class: "plan" });
  if (!plan.fits) content.append(shortages(plan));
  if (predicts) {
    content.append(
      figures([
        ["A step", millis(plan.predicted_step_millis)],
        ["Tokens/s", number(plan.tokens_per_second)],
        ["What binds", BOUND_BY[plan.bound_by] ?? plan.bound_by],
        ["Schedule", plan.schedule],
        ["No plan is below", millis(plan.bound_millis)],
      ], "large"));
  }
  content.append(el("p", { class: "words" }, words(plan).join(" ")));
  if (predicts) {
    content.append(el("div", { class: "labelled" }, ...busy("Link", "link", plan.link_busy_ratio), ...busy("Compute", "compute", plan.compute_busy_ratio)));
    content.append(el("div", {}, ...formBar(plan.tokens_by_form, false)));
  }
  if (!brief) content.append(...memories(plan));
  if (plan.alternatives.length) content.append(alternatives(plan));
  content.append(el("p", {}, `At most ${plural(plan.largest_context, "token")} fit in each of ${plural(plan.batch, "sequence")}, or ${plural(plan.largest_batch, "sequence")} of ${plural(plan.context_tokens, "token")}.`));
  if (plan.notes.length) content.append(el("ul", { class: "notes" }, ...plan.notes.map((note) => el("li", {}, note))));
  return content;
}

const FIELDS = ["preset", "hardware", "cache_encoding", "batch", "context_tokens", "device_memory_bytes", "host_memory_bytes", "link_gbps", "tflops"];

function question() {
  const body = {};
  for (const name of FIELDS) {
    const field = $(`q-${name}`);
    if (field.value === "") continue;
    if (field.tagName === "SELECT") body[name] = field.value;
    else if (field.dataset.unit) body[name] = Math.round(Number(field.value) * Number(field.dataset.unit));
    else body[name] = Number(field.value);
  }
  const forms = [...$("q-forms").querySelectorAll("input")];
  const chosen = forms.filter((form) => form.checked).map((form) => form.value);
  if (!$("q-forms").disabled && chosen.length && chosen.length < forms.length) body.forms = chosen;
  return body;
}

async function ask(event) {
  event.preventDefault();
  FIELDS.forEach((name) => $(`q-${name}`).removeAttribute("aria-invalid"));
  $("q-ask").disabled = true;
  try {
    $("answer").replaceChildren(render(await post("weft/v1/plan", question())));
  } catch (failure) {
    $("answer").replaceChildren(el("p", { class: "error" }, failure.message));
    if (failure.param) $(`q-${failure.param}`)?.setAttribute("aria-invalid", "true");
  } finally {
    $("q-ask").disabled = false;
  }
}

/** Whether the service's own cache is exact, and so may have the forms to choose from. */
let isExact = true;

/** A lossy cache has one encoding, of which there is nothing to choose. */
function chooseForms() {
  const encoding = $("q-cache_encoding").value;
  $("q-forms").disabled = encoding ? encoding !== "exact" : !isExact;
}

/** What the service has goes into empty fields as a hint. */
function hint(plan) {
  isExact = "device_kv" in plan.tokens_by_form;
  chooseForms();
  $("q-batch").placeholder = plan.batch;
  $("q-context_tokens").placeholder = plan.context_tokens;
  $("q-device_memory_bytes").placeholder = number(plan.memory.device_bytes / 1e9);
  $("q-host_memory_bytes").placeholder = number(plan.memory.host_bytes / 1e9);
}

export function start() {
  $("question").addEventListener("submit", ask);
  $("q-cache_encoding").addEventListener("change", chooseForms);
  $("question").addEventListener("reset", () => setTimeout(chooseForms));
}

export async function open() {
  try {
    hint(await get("weft/v1/plan"));
  } catch {
    // Hints only; the answer to a question says what is wrong.
  }
}
