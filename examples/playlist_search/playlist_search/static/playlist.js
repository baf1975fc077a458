// The live bar of a playlist's page, and its buttons without a new page.
// Without this script the same forms and links work by loading the page again.

const panel = document.querySelector("[data-run]");
const bar = panel.querySelector("progress");
const summary = panel.querySelector("[data-summary]");
const spoken = panel.querySelector("[data-spoken]");
const startButton = document.querySelector("[data-start] button");
const failureList = document.querySelector("[data-failure-list]");

let stream = null;
let poll = null;
let lastSpoken = "";
let shownFailures = Number(panel.querySelector("[data-count=failed]").textContent.replace(/\D/g, ""));

function render(shot) {
  panel.hidden = false;
  bar.max = Math.max(shot.total, 1);
  if (shot.determinate) bar.value = shot.ended;
  else bar.removeAttribute("value");
  summary.textContent = shot.summary;
  for (const cell of panel.querySelectorAll("[data-count]")) {
    cell.textContent = shot[cell.dataset.count].toLocaleString("en");
  }
  startButton.disabled = !shot.over;
  startButton.textContent = shot.over ? "Index again" : "Indexing …";
  speak(shot);
  if (shot.failed !== shownFailures || shot.over) {
    shownFailures = shot.failed;
    refreshFailures();
  }
}

// A screen reader hears every tenth of the way, not every video.
function speak(shot) {
  const text = shot.over ? shot.summary : `${Math.floor(shot.percent / 10) * 10} percent`;
  if (text !== lastSpoken) spoken.textContent = lastSpoken = text;
}

function follow() {
  stop();
  stream = new EventSource(panel.dataset.events);
  stream.addEventListener("progress", (event) => render(JSON.parse(event.data)));
  stream.addEventListener("end", (event) => {
    stop();
    render(JSON.parse(event.data));
  });
  stream.onerror = () => {
    // The browser reconnects by itself after a break; it gives up where the server refuses a stream.
    if (stream && stream.readyState === EventSource.CLOSED) {
      stop();
      poll = setInterval(ask, 2000);
      ask();
    }
  };
}

async function ask() {
  const answer = await fetch(panel.dataset.progress, { headers: { Accept: "application/json" } }).catch(() => null);
  if (!answer || !answer.ok) return;
  const shot = await answer.json();
  if (shot.over) stop();
  render(shot);
}

function stop() {
  if (stream) stream.close();
  clearInterval(poll);
  stream = poll = null;
}

let refreshing = null;
function refreshFailures() {
  refreshing ??= setTimeout(async () => {
    refreshing = null;
    const answer = await fetch(panel.dataset.failures, { headers: { "X-Requested-With": "fetch" } }).catch(() => null);
    if (answer && answer.ok) failureList.innerHTML = await answer.text(); // escaped by the server's template
  }, 300);
}

document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (!form.matches("[data-start], [data-retry]")) return;
  event.preventDefault();
  const button = event.submitter ?? form.querySelector("button");
  button.disabled = true;
  const answer = await fetch(form.action, {
    method: "POST",
    body: new FormData(form),
    headers: { Accept: "application/json" },
  }).catch(() => null);
  const body = answer ? await answer.json().catch(() => null) : null;
  if (!answer || !answer.ok || !body) {
    button.disabled = false;
    summary.textContent = body?.message ?? "The server did not answer. Try again.";
    panel.hidden = false;
    return;
  }
  render(body.progress);
  follow();
});

window.addEventListener("pagehide", stop);
// A page that comes back out of the browser's cache goes on where the run is now.
window.addEventListener("pageshow", (event) => event.persisted && !panel.hidden && follow());
if (panel.dataset.following === "yes") follow();
