// The studio: what the chosen type looks like, how many cells are made, which are rejected; on the sheet and on a cell's own page.
"use strict";

const type = document.getElementById("type");
const describe = () => { document.getElementById("note").textContent = type.selectedOptions[0].dataset.note; };
type?.addEventListener("change", describe);
if (type) describe();  // it may have been chosen before this ran, or brought back by the browser

// What is rejected is remembered until the tab is closed: a cell can be enlarged, rejected there, and come back from.
const place = document.querySelector("[data-manner]");
const boxes = place ? [...place.querySelectorAll("input[name=keep]")] : [];
const key = place && "rejected " + place.dataset.manner;
const rejected = new Set(key ? JSON.parse(sessionStorage.getItem(key) ?? "[]") : []);
for (const box of boxes) {
  box.checked = !rejected.has(box.value);
  box.addEventListener("change", () => {
    rejected[box.checked ? "delete" : "add"](box.value);
    sessionStorage.setItem(key, JSON.stringify([...rejected]));
  });
  box.closest("[hidden]")?.removeAttribute("hidden");
}

const images = [...document.querySelectorAll(".sheet img")];
const made = document.getElementById("made");
function count() {
  const done = images.filter((image) => image.complete && image.naturalWidth).length;
  const kept = boxes.filter((box) => box.checked).length;
  made.textContent = done < images.length ? `${done} of ${images.length} made` : `${done} made, ${kept} kept`;
  document.getElementById("pack").disabled = !kept;
}
for (const image of images) image.addEventListener("load", count);
if (images.length) {
  for (const box of boxes) box.addEventListener("change", count);
  sessionStorage.setItem("sheet " + place.dataset.manner, location.href);
  count();
}

const back = document.getElementById("sheet");
if (back) back.href = sessionStorage.getItem("sheet " + place.dataset.manner) ?? back.href;
