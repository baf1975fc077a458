// Results as one types: each change asks for the list alone and puts it in place.

const form = document.querySelector("[data-search]");
const field = form.querySelector("input");
const hits = document.querySelector("[data-hits]");

let timer = null;
let asking = null;

async function ask() {
  asking?.abort();
  const mine = (asking = new AbortController());
  const url = new URL(form.action);
  const text = field.value.trim();
  if (text) url.searchParams.set("q", text);
  hits.setAttribute("aria-busy", "true");
  try {
    const answer = await fetch(url, { headers: { "X-Requested-With": "fetch" }, signal: mine.signal });
    if (answer.redirected || answer.status === 401) return location.reload(); // logged out meanwhile
    if (!answer.ok) throw new Error(answer.status);
    hits.innerHTML = await answer.text(); // escaped by the server's template
    history.replaceState(null, "", url);
  } catch (error) {
    if (error.name === "AbortError") return;
    hits.textContent = "The search did not answer. Type on to try again.";
  }
  if (mine === asking) hits.setAttribute("aria-busy", "false");
}

field.addEventListener("input", () => {
  clearTimeout(timer);
  timer = setTimeout(ask, 120);
});
form.addEventListener("submit", (event) => {
  event.preventDefault();
  clearTimeout(timer);
  ask();
});
