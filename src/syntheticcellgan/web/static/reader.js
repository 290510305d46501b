// The reading page: keeps each answer at once, waits out a lost connection, keys, zoom, time in view.
// Without this script the page works too: its form keeps the answer when “Next” is pressed.
"use strict";

const form = document.getElementById("answer");
const state = document.getElementById("state");
const frozen = "frozen" in form.dataset;
const STORE = "scg-unsent " + form.dataset.start;

// Time in view, in seconds; added to that of earlier visits.
let seen = Number(form.dataset.seconds), since = document.hidden ? null : performance.now();
function seconds() {
  return seen + (since === null ? 0 : (performance.now() - since) / 1000);
}
document.addEventListener("visibilitychange", () => {
  seen = seconds();
  since = document.hidden ? null : performance.now();
});

// Answers not yet confirmed by the server, oldest first; they outlive a reload and a closed browser.
let memory = [];
try { memory = JSON.parse(localStorage.getItem(STORE)) || []; } catch { /* private window: memory must do */ }
function unsent() {
  return memory;
}
function remember(list) {
  memory = list;
  try { localStorage.setItem(STORE, JSON.stringify(list)); } catch { /* as above */ }
}

function say(text, waiting) {
  state.textContent = text;
  state.classList.toggle("waiting", Boolean(waiting));
}

function newKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(12)), (b) => b.toString(16).padStart(2, "0")).join("");
}

function keep() {
  if (frozen) return;
  const body = new URLSearchParams(new FormData(form));
  body.set("key", newKey());
  body.set("seconds", seconds().toFixed(1));
  body.set("scripted", "1");
  // An older unsent state of the same cell need not travel any more.
  const others = unsent().filter((one) => one.item !== body.get("item"));
  remember([...others, { item: body.get("item"), url: form.getAttribute("action"), body: body.toString() }]);
  send();
}

let busy = null;
function send() {
  busy ??= deliver().finally(() => { busy = null; });
  return busy;
}

async function deliver() {
  let retry = false;
  for (let list = unsent(); list.length; list = unsent()) {
    const one = list[0];
    say("Saving …");
    let answer;
    try {
      answer = await fetch(one.url, { method: "POST", body: new URLSearchParams(one.body), redirect: "manual" });
    } catch {
      retry = true;
    }
    if (retry || answer.status >= 500) {
      say("No connection. Your answers are kept on this device and sent as soon as it is back.", true);
      setTimeout(send, 1500);
      return false;
    }
    remember(unsent().filter((other) => other.body !== one.body));
    if (answer.status !== 204) {
      say(answer.status === 409 ? "Not kept: the session is closed." : "Not kept: this link no longer works.", true);
      return false;
    }
  }
  say("Saved");
  return true;
}

async function move(step) {
  const position = Number(form.dataset.position) + step;
  if (position < 1) return;
  const target = position > Number(form.dataset.total) ? form.dataset.start : form.dataset.cells + "/" + position;
  if (!unsent().length || (await send())) location.assign(target);
  else wanted = target;
}
let wanted = null;
setInterval(() => {
  if (!wanted || unsent().length) return;
  const target = wanted;
  wanted = null;  // once: to go there again while the page comes, slowly, would begin anew
  location.assign(target);
}, 300);

form.addEventListener("change", keep);
form.addEventListener("submit", (event) => {
  event.preventDefault();
  move(event.submitter?.value === "back" ? -1 : 1);
});
if (unsent().length) send();

// Zoom.
const view = document.getElementById("view");
let zoom = 1;
function setZoom(wish, x = 0.5, y = 0.5) {
  zoom = Math.min(4, Math.max(1, wish));
  view.classList.remove("z2", "z3", "z4");
  if (zoom > 1) view.classList.add("z" + zoom);
  document.getElementById("zoom").textContent = zoom + "×";
  view.scrollTo(x * view.scrollWidth - view.clientWidth / 2, y * view.scrollHeight - view.clientHeight / 2);
}
view.addEventListener("click", (event) => {
  const box = document.getElementById("cell").getBoundingClientRect();
  setZoom(zoom === 4 ? 1 : zoom + 1, (event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height);
});
for (const button of document.querySelectorAll("[data-zoom]")) {
  button.addEventListener("click", () => setZoom(zoom + Number(button.dataset.zoom)));
}

// Single keys, except while a remark is written.
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("textarea, select")) return;
  const key = event.key.toLowerCase();
  const chosen = [...form.querySelectorAll("[data-key]")].find((input) => input.dataset.key === key);
  if (chosen && !frozen) {
    chosen.checked = true;
    keep();
  } else if (key === "n" || (key === "enter" && !event.target.matches("button, summary, a"))) {
    move(1);
  } else if (key === "b") {
    move(-1);
  } else if (key === "z") {
    setZoom(zoom === 4 ? 1 : zoom + 1);
  } else if (key === "+" || key === "-") {
    setZoom(zoom + (key === "+" ? 1 : -1));
  } else {
    return;
  }
  event.preventDefault();
});
