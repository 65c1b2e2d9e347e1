// Bubbles: how one message looks. Text enters the page only as textContent.

const SVG = "http://www.w3.org/2000/svg";
const TICKS = {
  sending: "i-clock", retrying: "i-clock", failed: "i-warn", delivered: "i-checks", read: "i-checks",
};

function element(name, className, text) {
  const node = document.createElement(name);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  return node;
}

function icon(id) {
  const svg = document.createElementNS(SVG, "svg");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `#${id}`);
  svg.append(use);
  return svg;
}

function body(message, words) {
  switch (message.kind) {
    case "image": {
      if (!message.url) return [];
      const image = element("img");
      image.src = message.url;
      image.alt = message.text || words.photo;
      return [image];
    }
    case "voice": {
      if (!message.url) return [element("p", "words", words.voice)];
      const audio = element("audio");
      audio.controls = true;
      audio.preload = "auto";
      audio.src = message.url;
      audio.setAttribute("aria-label", words.voice);
      return [audio];
    }
    case "location": {
      const map = element("div", "map");
      map.append(icon("i-pin"));
      return [map, element("p", "words", words.place)];
    }
    case "document":
    case "video":
      return message.text ? [] : [element("p", "words", words.document)];
    default:
      return [];
  }
}

export function setState(bubble, state, words) {
  const tick = bubble.querySelector(".tick");
  if (!tick || !TICKS[state]) return;
  tick.dataset.state = state;
  tick.setAttribute("aria-label", words[`state_${state}`]);
  tick.firstChild.setAttribute("href", `#${TICKS[state]}`);
}

function foot(message, words, locale) {
  const line = element("div", "foot");
  if (message.note) line.append(element("span", "note", words[`note_${message.note}`]));
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
  return line;
}

export function buildBubble(message, words, locale) {
  const bubble = element("li", `bubble ${message.direction}`);
  bubble.dataset.id = message.id;
  bubble.append(...body(message, words));
  if (message.text) {
    const text = element("p", "words", message.text);
    text.dir = "auto";
    bubble.append(text);
  }
  bubble.append(foot(message, words, locale));
  setState(bubble, message.state, words);
  return bubble;
}
