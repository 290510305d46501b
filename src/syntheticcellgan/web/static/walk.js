// The walk: a slider over pictures that the strip below has loaded. Without this script the strip shows them all.
"use strict";

const share = document.getElementById("share");
if (share) {
  const strip = [...document.querySelectorAll(".strip img")];
  const shown = document.getElementById("shown"), said = document.getElementById("said");
  const [from, to] = [...document.querySelectorAll(".slider span")].map((end) => end.textContent);
  const show = () => {
    shown.src = strip[share.value].src;
    shown.alt = said.textContent = share.value === "0" ? from : share.value === share.max ? to : strip[share.value].alt;
  };
  document.querySelector(".slider").hidden = false;
  share.addEventListener("input", show);
  strip.forEach((picture, k) => picture.parentElement.addEventListener("click", (event) => {
    event.preventDefault();
    share.value = k;
    show();
  }));
  show();
}
