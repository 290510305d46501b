// Forms whose answer takes long say so, and are sent once; links to hand on can be copied. Without this script nothing is lacking.
"use strict";

for (const form of document.querySelectorAll("form[data-wait]")) {
  const told = document.createElement("p");
  told.className = "note";
  told.setAttribute("role", "status");
  form.append(told);
  const button = form.querySelector("button");
  const again = () => { button.disabled = false; told.textContent = ""; };
  form.addEventListener("submit", () => {
    told.textContent = form.dataset.wait;
    setTimeout(() => { button.disabled = true; });  // after it was sent
    if ("stays" in form.dataset) setTimeout(again, 4000);  // a download leaves the page as it is
  });
  window.addEventListener("pageshow", (event) => { if (event.persisted) again(); });
}

for (const button of document.querySelectorAll("button[data-copy]")) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    const field = document.getElementById(button.dataset.copy);
    field.select();
    try {
      await navigator.clipboard.writeText(field.value);
      button.textContent = "Copied";
    } catch { button.textContent = "Marked: press Ctrl+C"; }
  });
}
