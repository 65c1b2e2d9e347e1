// A page of lists: every list follows the stream, and what is ticked stays ticked.

import { fill, fromTemplate } from "./fill.js";
import { Live } from "./live.js";

const STALE_AFTER_MS = 10_000;
const offline = document.getElementById("offline");
let lastOnline = performance.now();

function show(name, { rows, amount }) {
  const list = document.getElementById(name);
  const kept = new Map([...list.children].map((row) => [row.dataset.id, row]));
  const wanted = new Set(rows.map((view) => view.id));
  for (const [id, row] of kept) if (!wanted.has(id)) row.remove();
  rows.forEach((view, place) => {
    const row = kept.get(view.id) ?? fromTemplate(`${name}-template`, view);
    if (kept.has(view.id)) fill(row, view);
    if (list.children[place] !== row) list.insertBefore(row, list.children[place] ?? null);
  });
  list.parentElement.dataset.amount = amount;
}

// The server says when news of a job stopped; when news of the server stop, the page says it itself.
function age() {
  if (offline.hidden) lastOnline = performance.now();
  else if (performance.now() - lastOnline > STALE_AFTER_MS) {
    for (const bar of document.querySelectorAll(".job-progress")) bar.dataset.stale = "yes";
  }
}

new Live(document.getElementById("live").dataset.url, {
  lists: (board) => { for (const [name, part] of Object.entries(board)) show(name, part); },
});
setInterval(age, 1000);
