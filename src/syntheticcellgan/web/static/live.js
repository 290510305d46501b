// A run that goes on: its state is fetched anew every few seconds, as long as it lives and the page is seen.
// Without this script the page shows the state at the time it was opened.
"use strict";

const live = document.getElementById("live");
let pressed = false;  // a button that is replaced between press and release would not be clicked
for (const [event, down] of [["pointerdown", true], ["pointerup", false], ["pointercancel", false]])
  document.addEventListener(event, () => { pressed = down; });
async function look() {
  if (!document.hidden && live.querySelector("[data-live]")) {
    try {
      const answer = await fetch(live.dataset.address);
      const text = answer.ok ? await answer.text() : null;
      if (text && !pressed && text !== live.dataset.shown) {
        const focused = document.activeElement?.id;
        const scrolled = live.querySelector(".log")?.scrollTop;
        live.innerHTML = text;
        live.dataset.shown = text;
        if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
        if (scrolled) live.querySelector(".log").scrollTop = scrolled;
      }
    } catch { /* the server is away; it is asked again */ }
  }
  setTimeout(look, 4000);
}
setTimeout(look, 2000);
