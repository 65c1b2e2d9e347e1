// Makes elements of a tree of nodes: a string, or [tag, attributes, children]. Strings stay text, and of tags and
// attributes only these are known.

const TAGS = new Set([
  "a", "audio", "bdi", "button", "code", "details", "em", "form", "img", "li", "p", "s", "small", "span", "strong",
  "summary", "ul", "video",
]);
const ATTRIBUTES = new Set([
  "action", "alt", "aria-label", "class", "controls", "dir", "download", "height", "href", "loading", "method",
  "preload", "rel", "src", "target", "title", "width",
]);
const SVG = "http://www.w3.org/2000/svg";

function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  svg.append(document.createElementNS(SVG, "use"));
  svg.firstChild.setAttribute("href", `#${name}`);
  return svg;
}

function formToken() {
  const field = document.createElement("input");
  field.type = "hidden";
  field.name = "csrf";
  field.value = document.querySelector("input[name=csrf]")?.value ?? "";
  return field;
}

export function elementOf(node) {
  if (typeof node === "string") return document.createTextNode(node);
  const [tag, attributes, children] = node;
  if (tag === "icon") return icon(attributes.name);
  if (tag === "csrf") return formToken();
  if (!TAGS.has(tag)) return document.createTextNode("");
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (ATTRIBUTES.has(name)) element.setAttribute(name, value);
  }
  element.append(...children.map(elementOf));
  return element;
}
