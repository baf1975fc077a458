// The live part of an analysis that is under way. Events come from the server; if they cannot, the page asks.
"use strict";

const live = document.getElementById("live");
const bar = document.getElementById("bar");
const now = document.getElementById("now");
const steps = [...live.querySelectorAll("[data-step]")];
const ENDED = ["done", "failed", "refused", "cancelled"];

function show(progress) {
  if (ENDED.includes(progress.state)) {
    location.reload(); // the server writes the result
    return true;
  }
  bar.value = progress.progress;
  const here = steps.findIndex((one) => one.dataset.step === progress.step);
  steps.forEach((one, place) => {
    one.classList.toggle("past", place < here);
    one.classList.toggle("here", place === here);
    if (place === here) one.setAttribute("aria-current", "step");
    else one.removeAttribute("aria-current");
    one.querySelector(".note").textContent = place === here ? progress.note : "";
  });
  if (here >= 0) {
    const text = steps[here].querySelector(".name").textContent;
    if (now.textContent !== text) now.textContent = text; // read out when the step changes, not at each percent
    document.getElementById("state").textContent = "Under way";
    document.getElementById("state").className = "state running";
  }
  return false;
}

async function ask() {
  try {
    const answer = await fetch(live.dataset.progress);
    if (answer.status === 401 || answer.status === 404) return location.reload();
    if (answer.ok && show(await answer.json())) return;
  } catch {
    // the network is away for the moment
  }
  setTimeout(ask, 3000);
}

const events = new EventSource(live.dataset.events);
events.onmessage = (event) => {
  if (show(JSON.parse(event.data))) events.close();
};
events.onerror = () => {
  if (events.readyState === EventSource.CLOSED) ask(); // otherwise the browser connects anew by itself
};
addEventListener("pagehide", () => events.close());
