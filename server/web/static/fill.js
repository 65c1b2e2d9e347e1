// Puts a row's values into markup the server made: text as text, attributes the markup itself names.

import { elementOf } from "./nodes.js";

const AUTHOR_ICONS = { person: "i-hand" };
const STATUS_ICONS = { sent: "i-tick", delivered: "i-ticks", read: "i-ticks", failed: "i-alert" };

function each(root, attribute, act) {
  const found = [...root.querySelectorAll(`[${attribute}]`)];
  if (root.matches(`[${attribute}]`)) found.unshift(root);
  for (const element of found) act(element, element.getAttribute(attribute));
}

function item(text) {
  const line = document.createElement("li");
  line.dir = "auto";
  line.textContent = text;
  return line;
}

export function fill(root, data) {
  each(root, "data-nodes", (element, known) => {
    if (known === data.nodes_id) return;
    element.dataset.nodes = data.nodes_id;
    element.replaceChildren(...data.nodes.map(elementOf));
  });
  root.dataset.id = data.id;
  each(root, "data-text", (element, name) => {
    if (element.textContent !== data[name]) element.textContent = data[name];
  });
  each(root, "data-show", (element, name) => { element.hidden = !data[name]; });
  each(root, "data-show-list", (element, name) => { element.hidden = data[name].length === 0; });
  each(root, "data-list", (element, name) => { element.replaceChildren(...data[name].map(item)); });
  each(root, "data-put", (element, pairs) => {
    for (const pair of pairs.split(",")) {
      const [attribute, name] = pair.split(":");
      element.setAttribute(attribute, data[name]);
    }
  });
  each(root, "data-icon", (element, name) => {
    const icon = name === "author" ? AUTHOR_ICONS[data.author] ?? "i-spark" : STATUS_ICONS[data.status] ?? "i-clock";
    element.setAttribute("href", `#${icon}`);
  });
}

export function fromTemplate(id, data) {
  const made = document.getElementById(id).content.firstElementChild.cloneNode(true);
  fill(made, data);
  return made;
}
