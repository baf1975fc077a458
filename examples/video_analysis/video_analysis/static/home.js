// The form says what is going on while a file is sent; the list follows the analyses that are under way.
"use strict";

const form = document.getElementById("submit");
const file = document.getElementById("file");
const list = document.getElementById("analyses");

file.addEventListener("change", () => {
  const chosen = file.files[0];
  const tooLarge = chosen && chosen.size > Number(file.dataset.most) * 1024 * 1024;
  file.setCustomValidity(tooLarge ? `This file is too large: ${file.dataset.most} MiB is the most.` : "");
  if (tooLarge) file.reportValidity();
});

form.addEventListener("submit", (event) => {
  const url = document.getElementById("url");
  if (!url.value.trim() && !file.files.length) {
    event.preventDefault();
    document.getElementById("sending").textContent = "Give the address of a video, or choose a file.";
    url.focus();
    return;
  }
  form.querySelector("button").disabled = true; // a second click would be the same analysis anyway: the form has a key
  document.getElementById("sending").textContent = file.files.length ? "Sending the file …" : "";
});
addEventListener("pageshow", () => { form.querySelector("button").disabled = false; });

const NAMES = {
  queued: "Waiting", running: "Under way", done: "Done", failed: "Failed", refused: "Over your quota", cancelled: "Cancelled",
};
let next = 0;

function show(row, one) {
  const state = row.querySelector(".state");
  row.dataset.state = one.state;
  state.className = `state ${one.state}`;
  state.textContent = NAMES[one.state];
  const bar = row.querySelector("progress");
  if (one.state === "queued" || one.state === "running") bar.value = one.progress;
  else bar.remove();
}

async function follow() {
  clearTimeout(next);
  const rows = list ? [...list.querySelectorAll('[data-state="queued"], [data-state="running"]')] : [];
  if (!rows.length || document.hidden) return;
  const answer = await fetch(list.dataset.address).catch(() => null);
  if (answer?.ok) {
    const known = new Map((await answer.json()).analyses.map((one) => [one.id, one]));
    for (const row of rows) if (known.has(row.dataset.id)) show(row, known.get(row.dataset.id));
  }
  next = setTimeout(follow, 2000);
}

next = setTimeout(follow, 1000);
document.addEventListener("visibilitychange", () => { if (!document.hidden) follow(); });
