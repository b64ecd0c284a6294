// The page: what is shown when, and what a person's actions do.

import * as api from "./api.js";
import { find, toggle } from "./dom.js";
import * as intake from "./intake.js";
import * as key from "./key.js";
import * as options from "./options.js";
import * as result from "./result.js";
import { explained, isFaceless } from "./words.js";

const STAGES = ["drop", "busy", "result"];
const KEY_REFUSED = {
  401: "The server does not take this key. Paste another one.",
  403: "This key may not restore pictures. Paste one with the scope infer.",
};

let picture = null; // the file that was last given
let unsent = null; // the file that waits for another key
let shown = null; // file and wishes of the result
let running = null; // the AbortController of the work that goes on
let settled = "drop"; // the stage to go back to

start();

function start() {
  intake.listen(restore);
  options.listen(() => toggle(picture !== null && !running, "again"));
  result.listen();
  find("choose").addEventListener("click", () => find("file").click());
  find("another").addEventListener("click", () => find("file").click());
  find("sample").addEventListener("click", takeSample);
  find("cancel").addEventListener("click", () => running?.abort());
  find("again").addEventListener("click", () => restore(picture));
  find("problem-again").addEventListener("click", () => restore(picture));
  find("problem-aligned").addEventListener("click", takeAsOneFace);
  find("attention-switch").addEventListener("change", toggleAttention);
  find("key-form").addEventListener("submit", takeKey);
  find("forget").addEventListener("click", forgetKey);
  addEventListener("hashchange", () => location.hash.startsWith("#key=") && enter());
  enter();
}

/** Open the page with the key at hand, or ask for one. */
async function enter() {
  const held = key.present();
  if (held === null) {
    askForKey("");
    return false;
  }
  try {
    options.offer(await api.models(held));
  } catch (problem) {
    if (problem.status in KEY_REFUSED) askForKey(KEY_REFUSED[problem.status]);
    else showClosed(problem);
    return false;
  }
  toggle(false, "key-form", "problem");
  toggle(true, "work", "forget");
  return true;
}

async function takeKey(event) {
  event.preventDefault();
  const field = find("key");
  if (!key.keep(field.value)) {
    askForKey("This is not a key. A key is one word with a dot in it.");
    return;
  }
  field.value = "";
  if (!(await enter())) return;
  if (unsent) restore(unsent);
  else focusSettled();
}

function forgetKey() {
  running?.abort();
  picture = unsent = shown = running = null;
  settled = "drop";
  show("drop");
  toggle(false, "again");
  result.clear();
  askForKey("");
}

function askForKey(why) {
  key.forget();
  toggle(false, "work", "forget", "problem");
  toggle(true, "key-form");
  find("key-problem").textContent = why;
  find("key").setAttribute("aria-invalid", String(why !== ""));
  find("key").focus();
}

async function takeSample() {
  try {
    restore(await api.sample());
  } catch (problem) {
    showProblem(problem, null);
  }
}

function takeAsOneFace() {
  options.setAligned();
  restore(picture);
}

/** The maps come with the answer, so the first wish for them asks again. */
function toggleAttention() {
  const wished = wantsAttention();
  result.showAttentionPart(wished);
  if (wished && find("attention").hidden) restore(shown.file, shown.wishes);
}

/** Send this file, with the chosen options where no others are given, and show what comes back. */
async function restore(file, chosen = options.chosen()) {
  if (find("work").hidden) return;
  running?.abort();
  const work = new AbortController();
  running = work;
  const before = await begin(file);
  const held = key.present();
  try {
    const wishes = { ...chosen, attention: wantsAttention() && options.hasAttention(chosen.model) };
    const started = performance.now();
    const answer = await api.restore(file, wishes, held, { signal: work.signal, uploading, waiting });
    const seconds = (performance.now() - started) / 1000;
    const told = { file, before, upscale: wishes.upscale ?? 1, seconds };
    if (running === work) await result.show(answer, told);
    if (running === work) finish(file, chosen);
  } catch (problem) {
    if (before) URL.revokeObjectURL(before.src);
    if (running === work) fail(problem, file);
  }
}

function wantsAttention() {
  return find("attention-switch").checked;
}

async function begin(file) {
  picture = file;
  unsent = null;
  show("busy");
  toggle(false, "problem", "again");
  find("file-name").textContent = file.name || "pasted picture";
  uploading(0);
  find("cancel").focus();
  const before = await result.decoded(file);
  find("preview").replaceChildren(...(before ? [before.cloneNode()] : []));
  return before;
}

function uploading(fraction) {
  const bar = find("progress");
  const whole = fraction >= 1;
  if (whole) bar.removeAttribute("value");
  else bar.value = fraction;
  progress(whole ? "Restoring the faces" : "Sending the photograph");
}

function waiting(seconds) {
  find("progress").removeAttribute("value");
  progress(`The server is busy. Trying again in ${seconds} s`);
}

function progress(words) {
  if (find("progress-words").textContent !== words) find("progress-words").textContent = words;
}

function finish(file, wishes) {
  running = null;
  shown = { file, wishes };
  settled = "result";
  show("result");
  toggle(options.hasAttention(wishes.model), "attention-label");
  result.showAttentionPart(wantsAttention());
  focusSettled();
}

function fail(problem, file) {
  running = null;
  show(settled);
  if (problem.name === "AbortError") {
    focusSettled();
  } else if (problem.status in KEY_REFUSED) {
    unsent = file;
    askForKey(KEY_REFUSED[problem.status]);
  } else {
    showProblem(problem, file);
  }
}

function focusSettled() {
  find(settled === "drop" ? "choose" : "result-title").focus();
}

function showProblem(problem, file) {
  if (!(problem instanceof api.Problem)) console.error(problem);
  const [title, advice] = explained({ status: problem.status, detail: problem.detail ?? "" });
  find("problem-title").textContent = title;
  find("problem-advice").textContent = advice;
  const about = [file?.name, problem.requestId && `request ${problem.requestId}`];
  find("problem-about").textContent = about.filter(Boolean).join(" · ");
  toggle(file !== null && isFaceless(problem), "problem-aligned");
  toggle(file !== null && !(problem.status >= 400 && problem.status < 429), "problem-again");
  toggle(true, "problem");
  find("problem").focus();
}

/** The server cannot say what it serves: nothing else can be done here yet. */
function showClosed(problem) {
  toggle(false, "key-form", "work");
  toggle(true, "forget");
  showProblem(problem, null);
}

function show(stage) {
  for (const id of STAGES) toggle(id === stage, id);
  toggle(stage === "drop", "pitch");
}
