// WhatsApp's own formatting, as nodes: *bold*, _italic_, ~struck~, ```code```. Text is only ever text.

const MARKS = [
  ["```", "code"],
  ["*", "strong"],
  ["_", "em"],
  ["~", "s"],
];

function firstMark(text) {
  let found = null;
  for (const [mark, tag] of MARKS) {
    const sign = mark.replace(/[*]/g, "\\$&");
    const match = new RegExp(`(^|[^\\p{L}\\p{N}])${sign}(\\S|\\S[^\\n]*?\\S)${sign}(?![\\p{L}\\p{N}])`, "u").exec(text);
    if (match && (!found || match.index < found.match.index)) found = { match, tag, mark };
  }
  return found;
}

export function formatted(text, isInside = false) {
  const found = firstMark(text);
  if (!found) return text ? [document.createTextNode(text)] : [];
  const { match, tag, mark } = found;
  const start = match.index + match[1].length;
  const end = start + match[2].length + 2 * mark.length;
  const node = document.createElement(tag);
  node.append(...(tag === "code" || isInside ? [document.createTextNode(match[2])] : formatted(match[2], true)));
  return [document.createTextNode(text.slice(0, start)), node, ...formatted(text.slice(end))];
}
