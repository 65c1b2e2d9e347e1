// Writing in a conversation: the form works without this; with it nothing is typed twice and the page stays.

import { scrollToEnd } from "./conversations.js";
import { fill, fromTemplate } from "./fill.js";

const EMOJI = ["\u{1F44D}", "\u2764\uFE0F", "\u{1F602}", "\u{1F62E}", "\u{1F622}", "\u{1F64F}"];
const $ = (id) => document.getElementById(id);
const bubbles = $("bubbles");
const desk = $("desk");
const form = $("compose");
const words = $("compose-text");
const pending = new Map();

// A name of our own for each thing sent: the same thing sent again after a lost answer is one message.
function newKey() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

// What was changed after a lost answer is another thing: the first may have arrived.
function nameAnew(form) {
  const fields = new FormData(form);
  fields.delete("client_key");
  const told = new URLSearchParams(fields).toString();
  if (form.dataset.told && form.dataset.told !== told) form.elements.client_key.value = newKey();
  form.dataset.told = told;
}

async function post(action, fields) {
  const answer = await fetch(action, {
    method: "POST",
    headers: { Accept: "application/json" },
    body: new URLSearchParams(fields),
  });
  if (answer.ok) return "";
  const told = await answer.json().catch(() => ({}));
  if (!told.error) throw new Error("no answer of ours");
  return told.error;
}

function complain(sentence) {
  $("compose-error").textContent = sentence;
  $("compose-error").hidden = !sentence;
}

async function attempt(action, fields) {
  try {
    const error = await post(action, fields);
    complain(error);
    return !error;
  } catch {
    complain($("compose-error").dataset.lost);
    return false;
  }
}

function grow() {
  words.style.blockSize = "auto";
  words.style.blockSize = `${Math.min(words.scrollHeight, 180)}px`;
}

function quote(bubble) {
  form.elements.quotes.value = bubble?.dataset.id ?? "";
  $("quoting").hidden = !bubble;
  if (bubble) $("quoted").textContent = (bubble.querySelector(".bubble-body") ?? bubble).textContent.trim().slice(0, 80);
  words.focus();
}

// Shown at once, in the look of a message that waits; the stream brings the real one.
function showPending(text) {
  const bubble = fromTemplate("bubble-template", {
    id: `pending-${newKey()}`, side: "out", author: "person", position: Number.MAX_SAFE_INTEGER, by: "",
    kind: "", kind_word: "", text, status: "queued", status_word: "", reason: "", clock: "", at: "",
    again: "", doubted: "", can_quote: "", anchor: "", sources: [], nodes_id: "pending",
    nodes: [["p", { class: "words", dir: "auto" }, [text]]],
  });
  bubble.classList.add("pending");
  bubbles.append(bubble);
  pending.set(bubble, text);
  scrollToEnd();
  return bubble;
}

async function send(event) {
  event?.preventDefault();
  const text = words.value;
  const file = form.elements.media_id.value;
  if (!(text.trim() || file) || form.dataset.busy) return;
  form.dataset.busy = "yes";
  nameAnew(form);
  const shown = showPending(text || $("attached-name").textContent);
  const sent = await attempt(form.action, new FormData(form));
  delete form.dataset.busy;
  if (!sent) {
    shown.remove();
    pending.delete(shown);
    return;
  }
  if (file) {
    shown.remove();
    pending.delete(shown);
    showAttached("", "");
  }
  form.elements.client_key.value = newKey();
  if (words.value === text) words.value = "";
  quote(null);
  grow();
}

function showAttached(id, name) {
  form.elements.media_id.value = id;
  $("attached").hidden = !id;
  $("attached-name").textContent = name;
}

// Keeps a file at the server; returns what it says of it, and nothing where it refused.
async function upload(file, owner) {
  const body = new FormData();
  body.append("file", file);
  owner.dataset.busy = "yes";
  try {
    const headers = { "X-CSRF-Token": owner.elements.csrf.value };
    const answer = await fetch("/media", { method: "POST", headers, body });
    const told = await answer.json();
    complain(answer.ok ? "" : told.message);
    if (answer.ok) return { id: told.id, name: `${told.name ?? file.name} · ${told.size}` };
  } catch {
    complain($("compose-error").dataset.lost);
  } finally {
    delete owner.dataset.busy;
  }
  return null;
}

async function attach(input) {
  const [file] = input.files;
  if (!file) return;
  const told = await upload(file, form);
  if (told) showAttached(told.id, told.name);
  input.value = "";
  words.focus();
}

// The file of a template's header: chosen anew for each sending.
async function choose(input) {
  const deed = input.form;
  const [file] = input.files;
  showChosen(deed, file ? await upload(file, deed) : null);
}

function showChosen(deed, told) {
  deed.elements.media_id.value = told?.id ?? "";
  const shown = deed.querySelector("[data-chosen]");
  shown.textContent = told?.name ?? "";
  shown.hidden = !told;
  if (!told) deed.querySelector("[data-header]").value = "";
}

async function doDeed(deed, button) {
  if (deed.dataset.busy) return;
  deed.dataset.busy = "yes";
  if (deed.elements.client_key) nameAnew(deed);
  const fields = new FormData(deed);
  if (button?.name) fields.set(button.name, button.value);
  const done = await attempt(deed.action, fields);
  delete deed.dataset.busy;
  if (!done) return;
  if (deed.elements.client_key) deed.elements.client_key.value = newKey();
  if (deed.elements.media_id) showChosen(deed, null);
  deed.closest("details")?.removeAttribute("open");
}

function react(bubble, button) {
  const open = bubble.querySelector(".emoji");
  button.setAttribute("aria-expanded", String(!open));
  if (open) return open.remove();
  const row = document.createElement("span");
  row.className = "emoji";
  for (const emoji of EMOJI) {
    const one = document.createElement("button");
    one.type = "button";
    one.textContent = emoji;
    one.addEventListener("click", async () => {
      const fields = { csrf: form.elements.csrf.value, client_key: newKey(), emoji, reacts_to: bubble.dataset.id };
      if (await attempt(form.action, fields)) row.remove();
    });
    row.append(one);
  }
  bubble.append(row);
  row.firstElementChild.focus();
}

function addDeeds() {
  const made = $("bubble-deeds").content.firstElementChild;
  for (const bubble of bubbles.children) {
    if (bubble.dataset.quotable && !bubble.querySelector(".deeds")) bubble.append(made.cloneNode(true));
  }
}

function editSuggestion(card) {
  const edited = card.elements.text;
  edited.hidden = !edited.hidden;
  card.querySelector(".words").hidden = !edited.hidden;
  edited.value = edited.hidden ? "" : $("suggestion-words").textContent;
  if (!edited.hidden) edited.focus();
}

function preview(input) {
  const part = input.closest(".template-part");
  const values = new Map([...part.querySelectorAll("[data-variable]")].map((one) => [one.dataset.variable, one.value]));
  const shown = part.querySelector("[data-body]");
  shown.textContent = shown.dataset.body.replace(/\{\{\s*([^{}]+?)\s*\}\}/g, (whole, name) => values.get(name) || whole);
}

function sawAll() {
  if (!document.hidden) post(desk.dataset.seen, { csrf: form.elements.csrf.value }).catch(() => {});
}

export function showDesk(view) {
  if (!desk) return;
  const card = desk.querySelector(".suggestion");
  if (view.suggestion_id !== card.elements.suggestion.value && !card.elements.text.hidden) editSuggestion(card);
  fill(desk, view);
}

export function showSent({ messages }) {
  if (!desk) return;
  for (const view of messages) {
    for (const [bubble, text] of pending) {
      if (view.author !== "person" || view.text.trim() !== text.trim()) continue;
      bubble.remove();
      pending.delete(bubble);
      break;
    }
  }
  addDeeds();
  if (messages.some((view) => view.side === "in")) sawAll();
}

export function openComposer() {
  if (!desk) return;
  form.addEventListener("submit", send);
  words.addEventListener("input", grow);
  words.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) send(event);
    if (event.key === "Escape") quote(null);
  });
  $("compose-file").addEventListener("change", (event) => attach(event.target));
  $("unattach").addEventListener("click", () => showAttached("", ""));
  $("unquote").addEventListener("click", () => quote(null));
  $("opened").addEventListener("submit", (event) => {
    if (!event.target.matches("[data-deed]")) return;
    event.preventDefault();
    doDeed(event.target, event.submitter);
  });
  $("opened").addEventListener("click", (event) => {
    const button = event.target.closest("[data-do],[data-edit]");
    if (!button) return;
    if (button.matches("[data-edit]")) return editSuggestion(button.form);
    const bubble = button.closest(".bubble");
    if (button.dataset.do === "quote") quote(bubble);
    else react(bubble, button);
  });
  $("opened").addEventListener("change", (event) => { if (event.target.matches("[data-header]")) choose(event.target); });
  $("opened").addEventListener("input", (event) => { if (event.target.dataset.variable) preview(event.target); });
  document.addEventListener("visibilitychange", sawAll);
  addDeeds();
  sawAll();
}
