// The list and the open conversation, kept as the stream says.

import { fill, fromTemplate } from "./fill.js";

const NEAR_END_PX = 80;
const $ = (id) => document.getElementById(id);
const rows = $("rows");
const bubbles = $("bubbles");
const scroll = $("scroll");

function find(list, id) {
  return list.querySelector(`:scope > [data-id="${CSS.escape(id)}"]`);
}

function markCurrent(id) {
  for (const link of rows.querySelectorAll("a[aria-current]")) link.removeAttribute("aria-current");
  find(rows, id)?.firstElementChild.setAttribute("aria-current", "true");
}

export function showConversation(view) {
  let row = find(rows, view.id);
  const moved = row?.dataset.at !== view.at;
  if (row) fill(row, view);
  else row = fromTemplate("row-template", view);
  row.dataset.at = view.at;
  if (moved) {
    const later = [...rows.children].find((other) => other !== row && other.dataset.at < view.at);
    rows.insertBefore(row, later ?? null);
  }
  $("no-rows").hidden = true;
  if ($("conversation").dataset.id === view.id) markCurrent(view.id);
}

export function showOpened(view) {
  const conversation = $("conversation");
  if (conversation.dataset.id !== view.id) {
    conversation.dataset.id = view.id;
    bubbles.replaceChildren();
    $("no-bubbles").hidden = false;
  }
  fill($("opened-head"), view);
  markCurrent(view.id);
  $("nothing-open").hidden = true;
  $("opened").hidden = false;
  $("live").dataset.open = "yes";
}

export function scrollToEnd() {
  scroll.scrollTop = scroll.scrollHeight;
}

export function showMessages({ conversation, messages }) {
  if ($("conversation").dataset.id !== conversation) return;
  const wasAtEnd = scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < NEAR_END_PX;
  for (const view of messages) {
    const bubble = find(bubbles, view.id);
    if (bubble) {
      fill(bubble, view);
      continue;
    }
    const made = fromTemplate("bubble-template", view);
    made.classList.add("fresh");
    const later = [...bubbles.children].find((other) => Number(other.dataset.position) > view.position);
    bubbles.insertBefore(made, later ?? null);
  }
  $("no-bubbles").hidden = bubbles.children.length > 0;
  if (wasAtEnd) scrollToEnd();
}

export function showListed(ids) {
  const wanted = new Set(ids);
  for (const row of [...rows.children]) if (!wanted.has(row.dataset.id)) row.remove();
  $("no-rows").hidden = rows.children.length > 0;
}
