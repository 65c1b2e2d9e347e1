// The seven steps of the newest message.

const EXPECTED_FOR_MS = 3000;
const strip = document.getElementById("strip");
const caption = document.getElementById("caption");
const note = document.getElementById("strip-note");
let told = null;
let giveUp = 0;

function lineOf(step) {
  return strip.querySelector(`[data-step="${CSS.escape(step.name)}"]`);
}

function show({ event, steps, latest, note: said, mood }) {
  strip.dataset.event = event;
  for (const step of steps) {
    const line = lineOf(step);
    line.dataset.state = step.state;
    line.querySelector(".after").textContent = step.after;
  }
  caption.firstElementChild.textContent = lineOf(latest).querySelector(".step-name").textContent;
  caption.lastElementChild.textContent = latest.after;
  caption.dataset.idle = event ? "no" : "yes";
  const text = event ? said : note.dataset.idle;
  if (note.textContent !== text) note.textContent = text;
  note.dataset.mood = mood;
  note.hidden = !text;
}

export function showSteps(news) {
  clearTimeout(giveUp);
  told = news;
  show(news);
}

// The phone says what it has just sent, a moment before our own rows can. What was told last is
// shown again when no row follows, as when the same message was sent twice.
export function expectMessage(event) {
  if (strip.dataset.event === event) return;
  const steps = [...strip.querySelectorAll("[data-step]")].map((line, place) => ({
    name: line.dataset.step, state: place === 0 ? "now" : "todo", after: "",
  }));
  show({ event, steps, latest: steps[0], note: "", mood: "" });
  clearTimeout(giveUp);
  giveUp = setTimeout(() => { if (told) show(told); }, EXPECTED_FOR_MS);
}
