// The simulated phone: writes as a customer, or as the owner, shows what comes back, tells the page around it.

import { closeActions, openActions } from "./actions.js";
import { buildBubble, setState } from "./bubbles.js";

const root = document.documentElement;
const { words, lines } = JSON.parse(root.dataset.config);
const parents = root.dataset.parents.split(" ").filter(Boolean);
const $ = (id) => document.getElementById(id);
const [identity, chat, bubbles, empty, sheet, text, presence, notice, attach, file, about] =
  ["identity", "chat", "bubbles", "empty", "sheet", "text", "presence", "notice", "attach", "file", "about"].map($);
const LARGEST_FILE_BYTES = 16 * 1024 * 1024;
const LATE_S = 3 * 3600;
const TYPING_SHOWN_MS = 25_000;
const shown = new Map();
let typingTimer = 0;
let lastIdentity = 0;
// What the next text answers or replaces: {verb: "reply" | "edit", message}.
let aim = null;

const channel = () => document.querySelector("[name=channel]:checked").value;
const isOwner = () => document.querySelector("[name=side]:checked").value === "owner";
const mine = () => (isOwner() ? "received" : "sent");

function customer() {
  const { name, phone, lid, username } = identity.selectedOptions[0].dataset;
  const who = { channel: channel(), name, from: phone || null };
  if (channel() === "cloud") return { ...who, username: username || null };
  return { ...who, lid: lid || null };
}

function chatName() {
  const { phone, lid, userId } = identity.selectedOptions[0].dataset;
  if (channel() === "cloud") return phone || userId;
  return lid ? `${lid}@lid` : `${phone}@s.whatsapp.net`;
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
  const old = bubbleOf(message.id);
  shown.set(message.id, message);
  const bubble = buildBubble(message, words, root.lang, (id) => shown.get(id));
  bubble.classList.toggle("fresh", isFresh && !old);
  bubble.querySelector("img")?.addEventListener("load", scrollToEnd);
  if (old) return old.replaceWith(bubble);
  bubbles.append(bubble);
  empty.hidden = true;
  scrollToEnd();
}

async function showChat() {
  const name = chatName();
  const answer = await fetch(`/sim/phone/messages?chat=${encodeURIComponent(name)}`);
  const messages = await answer.json();
  if (name !== chatName()) return;
  bubbles.replaceChildren();
  shown.clear();
  empty.hidden = messages.length > 0;
  for (const message of messages) addBubble(message, false);
  look();
}

async function post(path, body) {
  complain("");
  try {
    const answer = await fetch(`/sim/phone/${path}`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
    });
    if (!answer.ok) complain((await answer.json()).error);
  } catch {
    complain(words.failed_to_send);
  }
}

// Whoever has the chat open has read it.
function look() {
  if (document.visibilityState !== "visible") return;
  const unread = [...shown.values()].some((one) => one.direction === "received" && one.state === "received");
  if (unread && !isOwner()) post("look", customer());
}

function send(order) {
  closeSheet();
  const quotes = aim?.verb === "reply" ? { quotes: aim.message.id } : {};
  setAim(null);
  return post(isOwner() ? "owner" : "send", { ...customer(), ...quotes, ...order });
}

function setAim(next) {
  aim = next;
  about.hidden = !next;
  if (!next) return;
  $("about-what").textContent = words[next.verb === "edit" ? "editing" : "answering"];
  $("about-text").textContent = next.message.text || words[`kind_${next.message.kind}`] || "";
  if (next.verb === "edit") text.value = next.message.text;
  fitText();
  text.focus();
}

function act(verb, message, emoji) {
  closeActions(bubbles);
  if (verb === "react") return send({ kind: "reaction", target: message.id, text: emoji });
  if (verb === "delete") return send({ kind: "delete", target: message.id });
  return setAim({ verb, message });
}

function takeText() {
  const written = text.value.trim();
  text.value = "";
  fitText();
  return written;
}

function sendText() {
  const target = aim?.verb === "edit" ? aim.message.id : null;
  const written = takeText();
  if (written) send(target ? { kind: "edit", target, text: written } : { kind: "text", text: written });
  text.focus();
}

function sendInWay(way) {
  const written = takeText();
  const typed = written.split("\n").map((line) => line.trim()).filter(Boolean);
  const several = (otherwise) => (typed.length > 1 ? typed.slice(0, 20) : otherwise);
  const line = written || lines[2];
  switch (way) {
    case "twice":
      return send({ kind: "text", text: line, copies: 2 });
    case "reordered":
      return send({ kind: "text", texts: several([typed[0] ?? lines[1], lines[2]]), reversed: true });
    case "three":
      return send({ kind: "text", texts: several([lines[0], lines[1], typed[0] ?? lines[2]]) });
    case "late":
      return send({ kind: "text", text: line, late_s: LATE_S });
    case "view_once":
      return send({ kind: "image", view_once: true });
    case "ephemeral":
      return send({ kind: "text", text: line, ephemeral: true });
    case "under_both":
      return send({ kind: "text", text: line, under_both: true });
    case "history":
      return send({ kind: "text", text: line, history: true });
    case "group":
    case "status":
    case "newsletter":
      return send({ kind: "text", text: line, place: way });
    case "stop":
      return send({ kind: "text", text: words.stop_word });
    case "preference_stop":
    case "preference_resume":
      return post("preference", { ...customer(), value: way.slice("preference_".length) });
    case "read":
      return post("owner", { ...customer(), kind: "read" });
    default:
      return send({ kind: way });
  }
}

function kindOf(mimetype) {
  const kind = mimetype.split("/")[0];
  return ["image", "video", "audio"].includes(kind) ? kind : "document";
}

async function sendFile(chosen) {
  if (chosen.size > LARGEST_FILE_BYTES) return complain(words.too_large);
  const dataUrl = await new Promise((resolve) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.readAsDataURL(chosen);
  });
  const mimetype = chosen.type || "application/octet-stream";
  const media = { data: dataUrl.split(",")[1] ?? "", mimetype, file_name: chosen.name.slice(0, 100) };
  return send({ kind: kindOf(mimetype), text: takeText(), media });
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
  setAim(null);
  showTyping(false);
  showChat();
}

// Hidden ids are the bridge's, usernames Meta's: who cannot be on a channel is not offered there.
function changeChannel() {
  const other = channel() === "cloud" ? "bridge" : "cloud";
  for (const option of identity.options) option.hidden = option.disabled = option.dataset.only === other;
  if (identity.selectedOptions[0]?.disabled) identity.selectedIndex = 0;
  for (const one of document.querySelectorAll("[data-only-channel]")) {
    one.hidden = one.dataset.onlyChannel !== channel();
  }
  changeIdentity();
}

function changeSide() {
  for (const one of document.querySelectorAll("[data-only-side]")) {
    one.hidden = (one.dataset.onlySide === "owner") !== isOwner();
  }
  root.classList.toggle("as-owner", isOwner());
  setAim(null);
  look();
}

function listen() {
  const events = new EventSource("/sim/phone/events");
  const on = (name, handle) => events.addEventListener(name, (event) => {
    const data = JSON.parse(event.data);
    if (name === "reset" || data.chat === chatName()) handle(data);
  });
  events.onopen = () => { showPresence("online"); showChat(); };
  events.onerror = () => showPresence("connecting");
  on("message", (message) => {
    addBubble(message, true);
    const sent = message.direction === "sent";
    if (!sent) {
      showTyping(false);
      look();
    }
    tellParent(sent ? { type: "phone:sent", id: message.id, at: message.at } : { type: "phone:received", id: message.id });
  });
  on("change", (message) => addBubble(message, false));
  on("state", ({ id, state }) => {
    const bubble = bubbleOf(id);
    if (shown.has(id)) shown.get(id).state = state;
    if (bubble) setState(bubble, state, words);
  });
  on("typing", ({ typing }) => showTyping(typing));
  on("reset", showChat);
}

function pressInChat(event) {
  const bubble = event.target.closest(".bubble");
  const message = bubble && shown.get(bubble.dataset.id);
  if (!message || event.target.closest(".actions")) return;
  const choice = event.target.closest("[data-choice]");
  const jump = event.target.closest("[data-jump]");
  if (choice) send({ kind: "choice", choice: JSON.parse(choice.dataset.choice), quotes: message.id });
  else if (jump) bubbleOf(jump.dataset.jump)?.scrollIntoView({ block: "center" });
  else if (event.target.closest(".more")) openActions(bubble, message, { words, mine: mine(), act });
}

$("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  sendText();
});
text.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  $("composer").requestSubmit();
});
text.addEventListener("input", fitText);
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  closeActions(bubbles);
  closeSheet();
  setAim(null);
});
attach.addEventListener("click", () => {
  sheet.hidden = !sheet.hidden;
  attach.setAttribute("aria-expanded", String(!sheet.hidden));
});
bubbles.addEventListener("click", pressInChat);
$("about-close").addEventListener("click", () => setAim(null));
const WITH_WORDS = new Set(["image", "video", "document"]);
for (const button of document.querySelectorAll("[data-kind]")) {
  button.addEventListener("click", () => {
    const { kind } = button.dataset;
    send(WITH_WORDS.has(kind) ? { kind, text: takeText() } : { kind });
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
for (const one of document.querySelectorAll("[name=channel]")) one.addEventListener("change", changeChannel);
for (const one of document.querySelectorAll("[name=side]")) one.addEventListener("change", changeSide);
document.addEventListener("visibilitychange", look);
// The newest bubble stays in sight when the field grows or the sheet opens.
let wasAtEnd = true;
chat.addEventListener("scroll", () => { wasAtEnd = chat.scrollHeight - chat.scrollTop - chat.clientHeight < 40; });
new ResizeObserver(() => { if (wasAtEnd) scrollToEnd(); }).observe(chat);
changeSide();
changeChannel();
listen();
