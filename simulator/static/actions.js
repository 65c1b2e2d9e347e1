// What can be done to one bubble: answer it, react to it, change it, take it back.

import { element } from "./bubbles.js";

const EMOJI = ["👍", "❤️", "😂", "🙏"];

function action(label, act, name) {
  const button = element("button", "act", label);
  button.type = "button";
  if (name) button.setAttribute("aria-label", name);
  button.addEventListener("click", act);
  return button;
}

export function closeActions(root) {
  root.querySelector(".actions")?.remove();
  root.querySelector(".more[aria-expanded=true]")?.setAttribute("aria-expanded", "false");
}

// `mine` says whose reaction and whose message it is: "sent" for the customer, "received" for the owner.
export function openActions(bubble, message, { words, mine, act }) {
  const isOpen = bubble.querySelector(".actions");
  closeActions(bubble.closest("ol"));
  if (isOpen) return;
  const row = element("div", "actions");
  row.setAttribute("role", "group");
  row.setAttribute("aria-label", words.more);
  row.append(action(words.reply, () => act("reply", message)));
  for (const emoji of EMOJI) row.append(action(emoji, () => act("react", message, emoji), `${words.react} ${emoji}`));
  if (message.reactions[mine]) row.append(action(words.unreact, () => act("react", message, "")));
  if (message.direction === mine) {
    if (message.kind === "text") row.append(action(words.edit, () => act("edit", message)));
    row.append(action(words.delete, () => act("delete", message)));
  }
  bubble.append(row);
  bubble.querySelector(".more").setAttribute("aria-expanded", "true");
  row.scrollIntoView({ block: "nearest" });
  row.firstChild.focus({ preventScroll: true });
}
