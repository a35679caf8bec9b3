// Completions and chats, streamed, and what they cost.

import { get, stream } from "./api.js";
import { $, count, el, figures, millis, number, parts, percent, plural, show } from "./dom.js";

const NUMBERS = ["max_tokens", "temperature", "top_p", "top_k"];
const MODE = "weft-mode";

let running = null;
/** Messages of the chat so far: only those that were answered. */
let conversation = [];

const mode = () => document.querySelector("input[name=mode]:checked").value;

function settings() {
  const body = {
    model: $("set-model").value || undefined,
    stream: true,
    stream_options: { include_usage: true, continuous_usage_stats: true },
    weft: { explain: true },
  };
  for (const name of NUMBERS) {
    if ($(`set-${name}`).value !== "") body[name] = Number($(`set-${name}`).value);
  }
  const stops = $("set-stop").value.split("\n").filter((line) => line !== "").map((line) => line.replace(/\\n/g, "\n").replace(/\\t/g, "\t"));
  if (stops.length) body.stop = stops;
  return body;
}

/** The request as JSON. A seed may have more digits than a number of JavaScript, so it is checked here. */
function request(prompt) {
  const body = settings();
  const seed = $("set-seed").value.trim();
  if (seed !== "") {
    if (!/^-?\d+$/.test(seed) || !Number.isSafeInteger(Number(seed))) {
      const failure = new Error(`seed is "${seed}", must be a whole number of at most 15 digits here.`);
      failure.param = "seed";
      throw failure;
    }
    body.seed = Number(seed);
  }
  if (mode() === "completion") return ["v1/completions", { ...body, prompt }];
  const system = $("set-system").value.trim();
  const messages = [...(system ? [{ role: "system", content: system }] : []), ...conversation, { role: "user", content: prompt }];
  return ["v1/chat/completions", { ...body, messages }];
}

/** A turn of the thread: what was asked, and the answer as it grows. */
function turn(prompt) {
  const answer = document.createTextNode("");
  const text = el("p", { class: "text" });
  const chat = mode() === "chat";
  const body = chat
    ? [el("div", {}, el("p", { class: "role" }, "You"), el("p", { class: "asked" }, prompt)), el("div", {}, el("p", { class: "role" }, $("set-model").value || "Answer"), text)]
    : [text];
  if (!chat) text.append(el("span", { class: "prompt" }, prompt));
  text.append(answer);
  const element = el("article", { class: "card turn running" }, ...body);
  if (!chat) $("thread").replaceChildren();
  show($("thread"), true);
  $("thread").append(element);
  element.scrollIntoView({ block: "nearest" });
  return { element, answer, chat };
}

function end(reason) {
  switch (reason) {
    case "stop": return "by itself";
    case "length": return "at its limit of tokens";
    case "stopped": return "stopped by you";
    default: return "with an error";
  }
}

/** What a request cost: tokens, times, and where its cached tokens lay. */
function cost({ usage, firstMillis, gaps, endMillis, reason }) {
  const sorted = [...gaps].sort((a, b) => a - b);
  const decoding = gaps.reduce((sum, gap) => sum + gap, 0);
  const tokens = usage?.completion_tokens;
  const content = el("div", { class: "cost" },
    figures([
      ["Prompt", usage && plural(usage.prompt_tokens, "token")],
      ["Answer", tokens == null ? null : plural(tokens, "token")],
      ["First token", firstMillis == null ? null : millis(firstMillis)],
      ["Speed", tokens > 1 && decoding > 0 ? `${number(((tokens - 1) * 1000) / decoding)} tokens/s` : null],
      ["Between tokens", sorted.length > 1 ? `${millis(sorted[sorted.length >> 1])}, at most ${millis(sorted.at(-1))}` : null],
      ["In all", millis(endMillis)],
      ["Ended", end(reason)],
    ]));
  const lay = usage?.weft;
  if (lay) {
    const items = [
      ["Resident on the device", lay.resident_tokens, "resident"],
      ["Over the link as K and V", lay.transferred_tokens, "transferred"],
      ["Recomputed from activations", lay.recomputed_tokens, "recomputed"],
    ];
    const total = items.reduce((sum, item) => sum + item[1], 0);
    if (total) {
      content.append(el("p", { class: "muted lay" }, "Where its cached tokens lay"), ...parts(items.map(([label, value, kind]) => ({ label, value, kind, text: `${count(value)}, ${percent(value / total)}` })), total, "Cached tokens of the request"));
    }
  }
  return content;
}

function busy(is) {
  $("send").disabled = is;
  $("stop").disabled = !is;
}

function wrong(failure) {
  const field = failure.param && $(`set-${failure.param}`);
  if (field) field.setAttribute("aria-invalid", "true");
}

async function send(event) {
  event?.preventDefault();
  if (running) return;
  const prompt = $("prompt").value;
  document.querySelectorAll("#settings [aria-invalid]").forEach((field) => field.removeAttribute("aria-invalid"));
  running = new AbortController();
  busy(true);
  $("progress").textContent = "Waiting for the first token …";
  const { element, answer, chat } = turn(prompt);
  const measured = { usage: null, firstMillis: null, gaps: [], endMillis: 0, reason: null };
  const began = performance.now();
  let last = null;
  let tokens = 0;
  try {
    const [path, body] = request(prompt);
    for await (const chunk of stream(path, body, running.signal)) {
      const choice = chunk.choices?.[0];
      const text = choice?.text ?? choice?.delta?.content ?? "";
      measured.usage = chunk.usage ?? measured.usage;
      measured.reason = choice?.finish_reason ?? measured.reason;
      if (choice && measured.usage?.completion_tokens > tokens) {
        tokens = measured.usage.completion_tokens;
        const now = performance.now();
        if (last == null) measured.firstMillis = now - began;
        else measured.gaps.push(now - last);
        last = now;
        $("progress").textContent = plural(measured.usage.completion_tokens, "token");
      }
      answer.appendData(text);
    }
    if (chat) conversation.push({ role: "user", content: prompt }, { role: "assistant", content: answer.data });
    if (chat) $("prompt").value = "";
    $("progress").textContent = `The answer has ${plural(measured.usage?.completion_tokens ?? 0, "token")}.`;
  } catch (failure) {
    if (failure.name === "AbortError") {
      measured.reason = "stopped";
      $("progress").textContent = "Stopped.";
    } else {
      measured.reason = "error";
      element.append(el("p", { class: "error", role: "alert" }, failure.message));
      wrong(failure);
      $("progress").textContent = "";
    }
  } finally {
    measured.endMillis = performance.now() - began;
    element.classList.remove("running");
    if (measured.usage) element.append(cost(measured));
    running = null;
    busy(false);
  }
}

function stop() {
  running?.abort();
}

function forget() {
  stop();
  conversation = [];
  $("thread").replaceChildren();
  show($("thread"), false);
  $("progress").textContent = "";
}

function clear() {
  forget();
  $("prompt").focus();
}

let hasTemplate = true;

function modeChanged() {
  const chat = mode() === "chat";
  sessionStorage.setItem(MODE, mode());
  $("prompt-label").textContent = chat ? "Message" : "Prompt";
  $("prompt").rows = chat ? 3 : 5;
  show($("system-field"), chat);
  show($("enter-sends"), chat);
  show($("no-template"), chat && !hasTemplate);
  forget();
}

function pressed(event) {
  const sends = event.key === "Enter" && !event.isComposing && (event.ctrlKey || event.metaKey || (mode() === "chat" && !event.shiftKey));
  if (sends) send(event);
}

/** Whether chats are possible, by the service's status. */
export function chats(possible) {
  hasTemplate = possible;
  show($("no-template"), mode() === "chat" && !possible);
}

export function start() {
  $("ask").addEventListener("submit", send);
  $("prompt").addEventListener("keydown", pressed);
  $("stop").addEventListener("click", stop);
  $("clear").addEventListener("click", clear);
  document.addEventListener("keydown", (event) => event.key === "Escape" && stop());
  const known = document.querySelector(`input[name=mode][value="${sessionStorage.getItem(MODE) === "chat" ? "chat" : "completion"}"]`);
  known.checked = true;
  document.querySelectorAll("input[name=mode]").forEach((choice) => choice.addEventListener("change", modeChanged));
  if (window.matchMedia("(max-width: 60rem)").matches) $("settings").open = false;
  modeChanged();
}

/** Fills in the models once the service is there. */
export async function serve() {
  const models = (await get("v1/models")).data;
  $("set-model").replaceChildren(...models.map((model) => el("option", {}, model.id)));
  $("set-max_tokens").max = models[0].max_model_len;
}
