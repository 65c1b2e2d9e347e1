// The demo: the phone's news, and conversations that open without leaving the page.

import { scrollToEnd, showConversation, showMessages, showOpened } from "./conversations.js";
import { Live } from "./live.js";
import { expectMessage, showSteps } from "./steps.js";

const phone = document.getElementById("phone");
const phoneOrigin = new URL(phone.src).origin;
const rows = document.getElementById("rows");

scrollToEnd();
const live = new Live(document.getElementById("live").dataset.url, {
  conversation: showConversation,
  opened: showOpened,
  messages: showMessages,
  steps: showSteps,
});

function follow(conversation) {
  const query = new URLSearchParams({ page: "demo" });
  if (conversation) query.set("conversation", conversation);
  live.go(`/live?${query}`);
}

addEventListener("message", ({ origin, source, data }) => {
  if (origin !== phoneOrigin || source !== phone.contentWindow) return;
  if (data?.type !== "phone:sent" || typeof data.id !== "string") return;
  expectMessage(data.id);
  // Whoever writes from the phone wants to see that conversation, whatever was opened before.
  if (new URLSearchParams(location.search).has("conversation")) {
    history.replaceState(null, "", "/demo");
    follow(null);
  }
});

rows.addEventListener("click", (event) => {
  const link = event.target.closest("a");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
  event.preventDefault();
  history.replaceState(null, "", link.href);
  follow(link.closest("[data-id]").dataset.id);
});
