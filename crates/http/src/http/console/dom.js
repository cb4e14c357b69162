/** Makes elements. Whatever was written by others becomes text, never markup. */

const SVG = "http://www.w3.org/2000/svg";

/** The element with this id, which the page has. */
export function byId(id) {
  return document.getElementById(id);
}

/**
 * An element. Properties that are functions listen, others become attributes; `false`, `null` and
 * `undefined` are left out, among the children too.
 */
export function make(name, properties = {}, ...children) {
  return furnish(document.createElement(name), properties, children);
}

/** The same for pictures. */
export function draw(name, properties = {}, ...children) {
  return furnish(document.createElementNS(SVG, name), properties, children);
}

function furnish(element, properties, children) {
  for (const [name, value] of Object.entries(properties)) {
    if (typeof value === "function") {
      element.addEventListener(name, value);
    } else if (value !== false && value !== null && value !== undefined) {
      element.setAttribute(name, value === true ? "" : String(value));
    }
  }
  element.append(...present(children));
  return element;
}

function present(children) {
  return children
    .flat()
    .filter((child) => child !== false && child !== null && child !== undefined)
    .map((child) => (child instanceof Node ? child : String(child)));
}

/** Puts these in place of all that an element holds. */
export function fill(element, ...children) {
  element.replaceChildren(...present(children));
}

/** A list of names with what they stand for. */
export function facts(pairs) {
  const rows = pairs.map(([name, value]) =>
    make("div", {}, make("dt", {}, name), make("dd", {}, value)),
  );
  return make("dl", {}, rows);
}

/** A table with a caption. Cells are texts or elements; a row is a list of them. */
export function table(caption, heads, rows) {
  const head = make(
    "tr",
    {},
    heads.map((text) => make("th", { scope: "col" }, text)),
  );
  const body = rows.map((cells) =>
    make(
      "tr",
      {},
      cells.map((cell) => make("td", {}, cell)),
    ),
  );
  return make(
    "div",
    { class: "wide", tabindex: "0", role: "region", "aria-label": caption },
    make(
      "table",
      {},
      make("caption", {}, caption),
      make("thead", {}, head),
      make("tbody", {}, body),
    ),
  );
}

/** Says something in a place that is announced, and says nothing twice. */
export function say(element, text) {
  if (element.textContent !== text) {
    element.textContent = text;
  }
}

/** Hands a file to the person at the browser. */
export function download(name, parts, type) {
  const url = URL.createObjectURL(new Blob([parts].flat(), { type }));
  const link = make("a", { href: url, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
