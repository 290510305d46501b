// The studio: what the chosen type looks like, how many cells are made, rejected ones fade.
"use strict";

const type = document.getElementById("type");
type.addEventListener("change", () => {
  document.getElementById("note").textContent = type.selectedOptions[0].dataset.note;
});

const images = [...document.querySelectorAll(".sheet img")];
const made = document.getElementById("made");
function count() {
  const done = images.filter((image) => image.complete && image.naturalWidth).length;
  const kept = document.querySelectorAll(".sheet input:checked").length;
  made.textContent = done < images.length ? `${done} of ${images.length} made` : `${done} made, ${kept} kept`;
}
for (const image of images) image.addEventListener("load", count);
for (const box of document.querySelectorAll(".sheet input")) box.addEventListener("change", count);
if (images.length) count();
