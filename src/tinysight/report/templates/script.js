"use strict";

const tip = document.querySelector(".tip");

function openRecord(id) {
  const record = document.getElementById("record-" + id);
  document.querySelectorAll("dialog[open]").forEach((other) => other.close());
  if (record) record.showModal();
}

function light(id, on) {
  document.querySelectorAll("tr[data-row]").forEach((row) => row.classList.toggle("lit", on && row.dataset.row === id));
}

function showTip(point) {
  const box = (point.querySelector(".mark") || point).getBoundingClientRect(); // without its spread
  tip.textContent = point.dataset.tip;
  tip.hidden = false;
  const room = document.documentElement.clientWidth - tip.offsetWidth - 12;
  const left = Math.max(12, Math.min(room, box.left + box.width / 2 - tip.offsetWidth / 2));
  const above = box.top - tip.offsetHeight - 8;
  tip.style.left = left + window.scrollX + "px";
  tip.style.top = (above > 8 ? above : box.bottom + 8) + window.scrollY + "px";
  light(point.dataset.id, true);
}

function hideTip(point) {
  tip.hidden = true;
  light(point.dataset.id, false);
}

document.querySelectorAll(".point").forEach((point) => {
  const title = point.querySelector("title");
  point.dataset.tip = title ? title.textContent : "";
  if (title) title.remove(); // or the browser's own tip comes on top
  point.setAttribute("role", "button");
  point.addEventListener("pointerenter", () => showTip(point));
  point.addEventListener("pointerleave", () => hideTip(point));
  point.addEventListener("focus", () => showTip(point));
  point.addEventListener("blur", () => hideTip(point));
  point.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    openRecord(point.dataset.id);
  });
});

document.addEventListener("click", (event) => {
  const opener = event.target.closest(".point, .open");
  if (opener) openRecord(opener.dataset.id);
  else if (event.target.matches("dialog, .close")) event.target.closest("dialog").close();
});

window.addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((part) => (part.open = true)));
