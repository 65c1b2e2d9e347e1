// The simulated phone: writes as a customer, shows what comes back, and tells the page around it.

import { buildBubble, setState } from "./bubbles.js";

const root = document.documentElement;
const { words, lines } = JSON.parse(root.dataset.config);
const parents = root.dataset.parents.split(" ").filter(Boolean);
const $ = (id) => document.getElementById(id);
const [identity, chat, bubbles, empty, sheet, text, presence, notice, attach, file] =
  ["identity", "chat", "bubbles", "empty", "sheet", "text", "presence", "notice", "attach", "file"].map($);
const LARGEST_FILE_BYTES = 5 * 1024 * 1024;
const TYPING_SHOWN_MS = 25_000;
let typingTimer = 0;
let lastIdentity = 0;

function customer() {
  const { name, phone, lid } = identity.selectedOptions[0].dataset;
  return { name, phone, lid, jid: lid ? `${lid}@lid` : `${phone}@s.whatsapp.net` };
}

// Only the frame's own parent may hear, and only if the simulator was told of it.
function tellParent(event) {
  if (window.parent === window) return;
  const ancestor = window.location.ancestorOrigins?.[0];
  const targets = parents.includes(ancestor) ? [ancestor] : parents;
  for (const origin of targets) window.parent.postMessage(event, origin);
}

function complain(sentence) {
  notice.textContent = sentence;
  notice.hidden = !sentence;
}

function scrollToEnd() {
  chat.scrollTop = chat.scrollHeight;
}

function showPresence(state) {
  presence.textContent = words[state];
  presence.classList.toggle("typing", state === "typing");
}

function showTyping(isTyping) {
  clearTimeout(typingTimer);
  showPresence(isTyping ? "typing" : "online");
  if (isTyping) typingTimer = setTimeout(() => showPresence("online"), TYPING_SHOWN_MS);
}

function bubbleOf(id) {
  return bubbles.querySelector(`[data-id="${CSS.escape(id)}"]`);
}

function addBubble(message, isFresh) {
  if (bubbleOf(message.id)) return;
  const bubble = buildBubble(message, words, root.lang);
  bubble.classList.toggle("fresh", isFresh);
  bubble.querySelector("img")?.addEventListener("load", scrollToEnd);
  bubbles.append(bubble);
  empty.hidden = true;
  scrollToEnd();
}

async function showChat() {
  const { jid } = customer();
  const answer = await fetch(`/sim/phone/messages?chat=${encodeURIComponent(jid)}`);
  const messages = await answer.json();
  if (jid !== customer().jid) return;
  bubbles.replaceChildren();
  empty.hidden = messages.length > 0;
  for (const message of messages) addBubble(message, false);
}

async function send(order) {
  const { name, phone, lid } = customer();
  complain("");
  closeSheet();
  try {
    const answer = await fetch("/sim/phone/send", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ from: phone || null, lid: lid || null, name, ...order }),
    });
    if (!answer.ok) complain((await answer.json()).error);
  } catch {
    complain(words.failed_to_send);
  }
}

function takeText() {
  const written = text.value.trim();
  text.value = "";
  fitText();
  return written;
}

function sendInWay(way) {
  const written = takeText();
  const typed = written.split("\n").map((line) => line.trim()).filter(Boolean);
  switch (way) {
    case "twice":
      return send({ kind: "text", text: written || lines[2], copies: 2 });
    case "reordered":
      return send({ kind: "text", texts: typed.length > 1 ? typed.slice(0, 20) : [typed[0] ?? lines[1], lines[2]], reversed: true });
    default:
      return send({ kind: "text", texts: typed.length > 1 ? typed.slice(0, 20) : [lines[0], lines[1], typed[0] ?? lines[2]] });
  }
}

async function sendFile(chosen) {
  if (chosen.size > LARGEST_FILE_BYTES) return complain(words.too_large);
  const dataUrl = await new Promise((resolve) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.readAsDataURL(chosen);
  });
  return send({ kind: "image", text: takeText(), media: { data: dataUrl.split(",")[1], mimetype: chosen.type } });
}

function fitText() {
  text.style.blockSize = "auto";
  text.style.blockSize = `${text.scrollHeight + 2}px`;
}

function closeSheet() {
  sheet.hidden = true;
  attach.setAttribute("aria-expanded", "false");
}

function addNewCustomer() {
  const digits = String(Math.floor(Math.random() * 1e7)).padStart(7, "0");
  const option = document.createElement("option");
  option.dataset.name = words.new_customer;
  option.dataset.phone = `97250${digits}`;
  option.dataset.lid = "";
  option.textContent = `${words.new_customer} · 050-${digits.slice(0, 3)}-${digits.slice(3)}`;
  identity.insertBefore(option, identity.lastElementChild);
  option.selected = true;
}

function changeIdentity() {
  if (identity.value === "new") {
    identity.selectedIndex = lastIdentity;
    addNewCustomer();
  }
  lastIdentity = identity.selectedIndex;
  complain("");
  showTyping(false);
  showChat();
}

function listen() {
  const events = new EventSource("/sim/phone/events");
  const on = (name, handle) => events.addEventListener(name, (event) => {
    const data = JSON.parse(event.data);
    if (name === "reset" || data.chat === customer().jid) handle(data);
  });
  events.onopen = () => { showPresence("online"); showChat(); };
  events.onerror = () => showPresence("connecting");
  on("message", (message) => {
    addBubble(message, true);
    const sent = message.direction === "sent";
    if (!sent) showTyping(false);
    tellParent(sent ? { type: "phone:sent", id: message.id, at: message.at } : { type: "phone:received", id: message.id });
  });
  on("state", ({ id, state }) => {
    const bubble = bubbleOf(id);
    if (bubble) setState(bubble, state, words);
  });
  on("typing", ({ typing }) => showTyping(typing));
  on("reset", showChat);
}

$("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  const written = takeText();
  if (written) send({ kind: "text", text: written });
  text.focus();
});
text.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  $("composer").requestSubmit();
});
text.addEventListener("input", fitText);
attach.addEventListener("click", () => {
  sheet.hidden = !sheet.hidden;
  attach.setAttribute("aria-expanded", String(!sheet.hidden));
});
for (const button of document.querySelectorAll("[data-kind]")) {
  button.addEventListener("click", () => {
    const { kind } = button.dataset;
    send(kind === "image" ? { kind, text: takeText() } : { kind });
  });
}
for (const button of document.querySelectorAll("[data-way]")) {
  button.addEventListener("click", () => sendInWay(button.dataset.way));
}
for (const button of document.querySelectorAll("[data-suggestion]")) {
  button.addEventListener("click", () => send({ kind: "text", text: button.textContent }));
}
$("choose").addEventListener("click", () => file.click());
file.addEventListener("change", () => {
  if (file.files[0]) sendFile(file.files[0]);
  file.value = "";
});
identity.addEventListener("change", changeIdentity);
// The newest bubble stays in sight when the field grows or the sheet opens.
let wasAtEnd = true;
chat.addEventListener("scroll", () => { wasAtEnd = chat.scrollHeight - chat.scrollTop - chat.clientHeight < 40; });
new ResizeObserver(() => { if (wasAtEnd) scrollToEnd(); }).observe(chat);
listen();
