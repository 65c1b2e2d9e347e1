// Bubbles: how one message looks. Text enters the page only as text nodes.

import { formatted } from "./formatting.js";

const SVG = "http://www.w3.org/2000/svg";
const TICKS = {
  sending: "i-clock", retrying: "i-clock", failed: "i-warn", delivered: "i-checks", read: "i-checks",
};
const MARKS = ["view_once", "ephemeral", "history"];

export function element(name, className, text) {
  const node = document.createElement(name);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  return node;
}

export function icon(id) {
  const svg = document.createElementNS(SVG, "svg");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `#${id}`);
  svg.append(use);
  return svg;
}

function words(text, className = "words") {
  const line = element("p", className);
  line.dir = "auto";
  line.append(...formatted(text));
  return line;
}

function picture(message, className, alt) {
  const image = element("img", className);
  image.src = message.url;
  image.alt = message.text || alt;
  return image;
}

function player(tag, message, label) {
  const media = element(tag);
  media.controls = true;
  media.preload = "auto";
  media.src = message.url;
  media.setAttribute("aria-label", label);
  return media;
}

function card(iconId, title, more) {
  const box = element("div", "card");
  const lines = element("span", "card-lines");
  const first = element("bdi", "card-title", title);
  lines.append(first);
  if (more) lines.append(element("bdi", "card-more", more));
  box.append(icon(iconId), lines);
  return box;
}

function documentCard(message, named) {
  const { file_name: name, mimetype } = message.details;
  const box = card("i-document", name || named.document, mimetype);
  if (!message.url) return box;
  const link = element("a", "card-link");
  link.href = message.url;
  link.target = "_blank";
  link.rel = "noopener noreferrer";
  link.append(box);
  return link;
}

function place(message, named) {
  const map = element("div", "map");
  map.append(icon("i-pin"));
  const { latitude, longitude, name, address } = message.details;
  const where = element("bdi", "card-more", `${latitude}, ${longitude}`);
  return [map, element("p", "words", name || address || named.place), where];
}

// A template's header, by what its file is; its addresses and codes stand under its words.
function template(message, named) {
  const kind = (message.details.mimetype ?? "").split("/")[0];
  const shown = { image: "image", video: "video" }[kind] ?? "document";
  return message.url ? body({ ...message, kind: shown }, named) : [];
}

function body(message, named) {
  switch (message.kind) {
    case "image":
      return message.url ? [picture(message, "", named.photo)] : [];
    case "sticker":
      return message.url ? [picture(message, "sticker", named.sticker)] : [element("p", "words", named.sticker)];
    case "voice":
    case "audio":
      return [message.url ? player("audio", message, named.voice) : element("p", "words", named.voice)];
    case "video":
      return [message.url ? player("video", message, named.video) : element("p", "words", named.video)];
    case "document":
      return [documentCard(message, named)];
    case "template":
      return template(message, named);
    case "location":
      return place(message, named);
    case "contact":
      return [card("i-person", message.details.name, message.details.phone && `+${message.details.phone}`)];
    case "order":
      return [card("i-shop", named.order)];
    case "welcome":
    case "number_change":
    case "unknown":
      return [element("p", "aside", named[`kind_${message.kind}`])];
    default:
      return [];
  }
}

function quote(message, found, named) {
  const box = element("button", "quoted");
  box.type = "button";
  box.dataset.jump = message.quotes;
  const text = found ? found.text || named[`kind_${found.kind}`] || named.messages : named.quoted_gone;
  box.append(element("bdi", "", text.slice(0, 140)));
  return box;
}

function choices(message) {
  if (!message.choices.length || message.direction !== "received") return [];
  const row = element("div", "choices");
  for (const choice of message.choices) {
    const button = element("button", "choice", choice.title);
    button.type = "button";
    button.dataset.choice = JSON.stringify(choice);
    row.append(button);
  }
  return [row];
}

function reactions(message) {
  const given = Object.values(message.reactions);
  return given.length ? [element("span", "reactions", given.join(" "))] : [];
}

export function setState(bubble, state, named) {
  const tick = bubble.querySelector(".tick");
  if (!tick || !TICKS[state]) return;
  tick.dataset.state = state;
  tick.setAttribute("aria-label", named[`state_${state}`]);
  tick.firstChild.setAttribute("href", `#${TICKS[state]}`);
}

function foot(message, named, locale) {
  const line = element("div", "foot");
  const notes = MARKS.filter((mark) => message.details[mark]);
  if (message.details.place) notes.push(`place_${message.details.place}`);
  if (message.note) notes.push(`note_${message.note}`);
  for (const note of notes) line.append(element("span", "note", named[note]));
  if (message.edited) line.append(element("span", "", named.edited));
  const at = new Date(message.at);
  const time = element("time", "", at.toLocaleTimeString(locale, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" }));
  time.dateTime = message.at;
  line.append(time);
  if (message.direction === "sent") {
    const tick = icon("i-clock");
    tick.setAttribute("class", "tick");
    tick.setAttribute("role", "img");
    line.append(tick);
  }
  const more = element("button", "more", "⋯");
  more.type = "button";
  more.setAttribute("aria-label", named.more);
  more.setAttribute("aria-expanded", "false");
  if (!message.deleted) line.append(more);
  return line;
}

// `find` returns a message of this chat by its id.
export function buildBubble(message, named, locale, find) {
  const bubble = element("li", `bubble ${message.direction} kind-${message.kind}`);
  bubble.dataset.id = message.id;
  if (message.deleted) {
    bubble.append(element("p", "aside", named.deleted));
  } else {
    if (message.quotes) bubble.append(quote(message, find(message.quotes), named));
    bubble.append(...body(message, named));
    if (message.text) bubble.append(words(message.text));
    bubble.append(...choices(message));
  }
  bubble.append(foot(message, named, locale), ...reactions(message));
  setState(bubble, message.state, named);
  return bubble;
}
