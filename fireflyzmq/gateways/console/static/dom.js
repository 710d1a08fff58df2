// Elements. What comes from services goes in as text: nothing here, or anywhere else, parses HTML.

const SVG = "http://www.w3.org/2000/svg";

/** An element: `h("p.note", {title: "x", onclick: f}, "text", child, ...)`. null children are left out. */
export function h(what, properties, ...children) {
  const [tag, ...classes] = what.split(".");
  const element = document.createElement(tag);
  if (classes.length) element.className = classes.join(" ");
  for (const [name, value] of Object.entries(properties ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

/** Set an element's text, if it is another one: what does not change is not laid out again. */
export function say(element, text) {
  const told = String(text ?? "");
  if (element.firstChild?.nodeType !== Node.TEXT_NODE || element.firstChild.data !== told || element.childNodes.length > 1) {
    element.textContent = told;
  }
}

/** Give an element children, in the place of those it has. */
export function fill(element, ...children) {
  element.replaceChildren(...children.flat().filter((child) => child !== null && child !== undefined));
}

/** A small line of the last values: `push(value)`, null for a gap. */
export class Sparkline {
  constructor(length = 60) {
    this.values = Array(length).fill(null);
    this.element = document.createElementNS(SVG, "svg");
    this.element.setAttribute("class", "spark");
    this.element.setAttribute("viewBox", "0 0 120 28");
    this.element.setAttribute("preserveAspectRatio", "none");
    this.element.setAttribute("aria-hidden", "true");
    this.area = document.createElementNS(SVG, "path");
    this.area.setAttribute("class", "area");
    this.line = document.createElementNS(SVG, "path");
    this.line.setAttribute("class", "line");
    this.element.append(this.area, this.line);
  }

  push(value) {
    this.values.push(value);
    this.values.shift();
    const most = Math.max(...this.values.map((each) => each ?? 0), 1e-9);
    const step = 120 / (this.values.length - 1);
    let line = "";
    let area = "";
    let begun = null;
    const end = (x) => {
      if (begun !== null) area += `L${x},28 L${begun},28 Z `;
      begun = null;
    };
    this.values.forEach((each, at) => {
      const x = (at * step).toFixed(1);
      if (each === null) return end(((at - 1) * step).toFixed(1));
      const y = (26 - (23 * each) / most).toFixed(1);
      line += `${begun === null ? "M" : "L"}${x},${y} `;
      area += `${begun === null ? "M" : "L"}${x},${y} `;
      begun ??= x;
    });
    end("120");
    this.line.setAttribute("d", line);
    this.area.setAttribute("d", area);
  }
}
