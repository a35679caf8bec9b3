// The page: tabs, the strip of what goes on now, the API key, and asking again and again while somebody looks.

import { events, get, key } from "./api.js";
import { $, count, number, percent, show } from "./dom.js";
import * as machine from "./machine.js";
import * as plan from "./plan.js";
import * as playground from "./playground.js";

/** The names in the address. No element has one as its id, or the browser would scroll to it. */
const TABS = ["playground", "machine", "whatif"];
const PAUSE_MILLIS = 2000;
const PLAN_MILLIS = 30_000;
/** Timing every step costs the service a little, so nobody's forgotten tab may ask for it for long. */
const UNATTENDED_MILLIS = 300_000;

let open = "playground";
let live = true;
let served = false;
let keyMissing = false;
let plannedAt = -Infinity;
let attendedAt = performance.now();

function choose(tab, focus) {
  open = TABS.includes(tab) ? tab : TABS[0];
  for (const name of TABS) {
    const selected = name === open;
    $(`tab-${name}`).setAttribute("aria-selected", selected);
    $(`tab-${name}`).tabIndex = selected ? 0 : -1;
    show($(`view-${name}`), selected);
    if (selected && focus) $(`tab-${name}`).focus();
  }
  if (location.hash.slice(1) !== open) history.replaceState(null, "", `#${open}`);
  if (served && open === "whatif") plan.open();
  machine.draw();
  poll();
}

function handleTabs() {
  for (const name of TABS) $(`tab-${name}`).addEventListener("click", () => choose(name));
  document.querySelector("[role=tablist]").addEventListener("keydown", (event) => {
    const at = TABS.indexOf(open);
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1 + TABS.length, Home: 0, End: TABS.length - 1 }[event.key];
    if (to !== undefined) {
      event.preventDefault();
      choose(TABS[to % TABS.length], true);
    }
  });
  window.addEventListener("hashchange", () => choose(location.hash.slice(1)));
}

function meter(id, ratio) {
  const known = Number.isFinite(ratio);
  const bar = $(id).querySelector("[role=meter]");
  bar.setAttribute("aria-valuenow", known ? Math.round(100 * ratio) : 0);
  bar.firstElementChild.style.width = known ? `${Math.min(100, 100 * ratio)}%` : "0";
  $(id).querySelector(".figure").textContent = known ? percent(ratio) : "–";
}

function chip(text, mood = "") {
  if ($("state").textContent !== text) $("state").textContent = text;
  $("state").className = `chip ${mood}`;
}

function pulse(status, point) {
  $("model").textContent = status.model;
  const moods = { serving: "good", failed: "bad" };
  chip(status.detail ? `${status.state}: ${status.detail}` : status.state, moods[status.state]);
  $("pulse-running").textContent = status.seats ? `${count(status.running)} of ${count(status.seats)}` : count(status.running);
  $("pulse-waiting").textContent = status.queue_limit ? `${count(status.waiting)} of ${count(status.queue_limit)}` : count(status.waiting);
  if (point) {
    meter("pulse-link", point.link);
    meter("pulse-compute", point.compute);
    $("pulse-rate").textContent = number(point.rate);
  }
}

async function becameServed() {
  await playground.serve();
  served = true;
  if (open === "whatif") plan.open();
}

function attended() {
  attendedAt = performance.now();
}

function setLive(is) {
  live = is;
  $("live").textContent = is ? "Pause" : "Go on";
  $("live").setAttribute("aria-pressed", is);
  $("live-note").textContent = is ? "While this is open, every step is timed, which costs the service a little." : "Paused.";
}

let timer = null;
let asking = false;

/** Asks once, and again after a while; one question at a time. */
async function poll() {
  clearTimeout(timer);
  if (asking || document.hidden || keyMissing) return;
  asking = true;
  try {
    const status = await get("weft/v1/status");
    pulse(status, machine.observe(status));
    playground.chats(status.chat_template);
    if (status.state === "serving" && !served) await becameServed();
    if (open === "machine" && live) {
      if (performance.now() - attendedAt > UNATTENDED_MILLIS) {
        setLive(false);
        $("live-note").textContent = "Paused after five minutes without you.";
      } else {
        await machine.refresh(status);
        if (status.state === "serving" && performance.now() - plannedAt > PLAN_MILLIS) {
          await machine.plan();
          plannedAt = performance.now();
        }
      }
    }
  } catch (failure) {
    if (failure.status === 0) {
      chip("unreachable", "bad");
      served = false;
    } else if (failure.status !== 401) {
      chip(failure.message, "bad");
    }
  } finally {
    asking = false;
    if (!keyMissing) timer = setTimeout(poll, PAUSE_MILLIS);
  }
}

function askForKey(message) {
  keyMissing = true;
  clearTimeout(timer);
  chip("needs a key", "bad");
  show($("key-change"), true);
  $("key-error").textContent = key.get() ? message : "";
  if (!$("key-dialog").open) $("key-dialog").showModal();
  $("key").value = "";
  $("key").focus();
}

async function useKey(event) {
  event.preventDefault();
  key.set($("key").value.trim());
  $("key-error").textContent = "";
  try {
    // A wrong one brings the question back, with the service's words.
    await get("weft/v1/status");
  } catch (failure) {
    if (failure.status !== 401) $("key-error").textContent = failure.message;
    return;
  }
  $("key-dialog").close();
  keyMissing = false;
  poll();
}

function handleKey() {
  events.addEventListener("key-needed", (event) => askForKey(event.detail));
  $("key-form").addEventListener("submit", useKey);
  $("key-cancel").addEventListener("click", () => $("key-dialog").close());
  $("key-change").addEventListener("click", () => {
    $("key-error").textContent = "";
    $("key-dialog").showModal();
  });
  show($("key-change"), key.get() !== null);
}

playground.start();
machine.start();
plan.start();
handleTabs();
handleKey();
setLive(true);
$("live").addEventListener("click", () => {
  attended();
  setLive(!live);
  poll();
});
for (const kind of ["pointerdown", "keydown", "pointermove"]) document.addEventListener(kind, attended, { passive: true });
document.addEventListener("visibilitychange", () => !document.hidden && poll());
window.addEventListener("resize", machine.draw);
window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", machine.draw);
choose(location.hash.slice(1) || "playground");
