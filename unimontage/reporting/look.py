"""How pages look and what they answer to: one style and one script for all of them, and nothing from elsewhere."""

# Text has a contrast of 4.5 and more in both schemes; blue and orange are Okabe and Ito's, as in the figures.
STYLE = """
:root { --ink: #1a1a1a; --quiet: #595959; --rule: #d9d9d9; --paper: #fff; --shade: #f3f6f8; --blue: #0068a3;
  --orange: #b34a00; --on-orange: #fff; --strip: 0rem; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #eee; --quiet: #b8b8b8; --rule: #444; --paper: #161616; --shade: #22282c; --blue: #56b4e9;
    --orange: #e69f00; --on-orange: #000; }
}
* { box-sizing: border-box; }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); margin: 0; }
main, header { max-width: 100rem; padding: 0 1rem; margin: 1rem auto; overflow-wrap: break-word; }
h1 { font-size: 1.5rem; line-height: 1.25; margin: 1rem 0 .3rem; } h2 { font-size: 1.25rem; margin: 2.5rem 0 .5rem; }
h3 { font-size: 1.08rem; margin: 2rem 0 .3rem; } h4 { font-size: 1rem; margin: 1.3rem 0 .3rem; }
h1, h2, h3, h4, figure, li, tr { scroll-margin-top: calc(var(--strip) + .5rem); }
p { margin: .4rem 0; max-width: 60rem; } .quiet, .key, ol { color: var(--quiet); font-size: .875rem; }
ol { max-width: 60rem; padding-left: 2rem; }
.warning { position: sticky; top: 0; z-index: 3; margin: 0; padding: .25rem 1rem; max-width: none; text-align: center;
  font-weight: 600; font-size: .875rem; color: var(--on-orange); background: var(--orange); }
.stamp { font-size: .75rem; font-weight: 700; letter-spacing: .04em; color: var(--on-orange); background: var(--orange);
  border-radius: 3px; padding: .1rem .35rem; vertical-align: .1em; white-space: nowrap; }
.scroll { overflow-x: auto; margin-top: .6rem; }
table { border-collapse: separate; border-spacing: 0; font-size: .875rem; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .5rem; text-align: left; border-bottom: 1px solid var(--rule); vertical-align: top; }
thead th { vertical-align: bottom; } .number { text-align: right; white-space: nowrap; }
tbody th { position: sticky; left: 0; background: var(--paper); font-weight: 600; min-width: 7rem;
  background-clip: padding-box; }
tbody tr:hover > * { background: var(--shade); } tfoot td, tfoot th { border-top: 2px solid var(--rule); }
th button { font: inherit; font-weight: 600; color: inherit; background: none; border: 0; padding: .15rem 0;
  cursor: pointer; text-align: inherit; }
th button:hover { text-decoration: underline; }
th[aria-sort=ascending] button::after { content: " ▲"; } th[aria-sort=descending] button::after { content: " ▼"; }
:focus-visible { outline: 3px solid var(--blue); outline-offset: 1px; }
.filter { display: flex; flex-wrap: wrap; gap: .3rem .8rem; align-items: center; font-size: .875rem;
  margin-top: .8rem; }
.filter input { font: inherit; color: inherit; background: var(--paper); border: 1px solid var(--quiet);
  border-radius: 4px; padding: .2rem .5rem; width: 16rem; max-width: 100%; }
[hidden] { display: none !important; }
a { color: var(--blue); } svg { width: 6rem; height: 1rem; display: block; } .chance { stroke: var(--quiet); }
.mean { fill: var(--blue); } .interval { stroke: var(--blue); stroke-width: 1.5; } .chance { stroke-dasharray: 2 1.5; }
.published { fill: none; stroke: var(--orange); }
pre { overflow-x: auto; font-size: .8rem; background: var(--shade); padding: .8rem; } code { overflow-wrap: anywhere; }
.literal { font-family: monospace; }
dl { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: .2rem 1rem; margin: .5rem 0; }
dt { color: var(--quiet); } dd { margin: 0; } dd ul { margin: 0; padding-left: 1.1rem; } summary { cursor: pointer; }
figure { margin: 1rem 0 2.2rem; }
figure img { max-width: min(100%, 54rem); height: auto; background: #fff; display: block; }
figcaption { margin-top: .5rem; } figcaption p { font-size: .9rem; }
nav ul { list-style: none; margin: 0; padding: 0 0 0 .8rem; } nav > ul { padding: 0; }
nav a { display: block; padding: .15rem 0; text-decoration: none; font-size: .9rem; }
nav a:hover { text-decoration: underline; }
.skip { position: absolute; left: -99rem; } .skip:focus { left: 1rem; top: .2rem; z-index: 4; background: var(--paper);
  padding: .4rem .8rem; }
@media (min-width: 70rem) {
  .report { display: grid; grid-template-columns: 16rem minmax(0, 1fr); max-width: 110rem; margin: 0 auto; }
  .report nav { position: sticky; top: var(--strip); align-self: start; max-height: calc(100vh - var(--strip));
    overflow-y: auto; padding: 1rem; } .report main { margin: 0; } nav > details > summary { display: none; }
}
@media (max-width: 69.99rem) { .report nav { padding: .6rem 1rem 0; } }
@media (max-width: 40rem) { dl { grid-template-columns: 1fr; } dd { margin-bottom: .4rem; } h1 { font-size: 1.25rem; }
  th, td { padding: .25rem .35rem; } table { font-size: .8rem; } tbody th { min-width: 5rem; } }
@media print {
  nav, .filter, .skip { display: none !important; } .warning { position: static; border: 2px solid; color: #000; }
  .report { display: block; } body { font-size: 10pt; } .scroll { overflow: visible; } table { font-size: 7pt; }
  th, td { padding: .1rem .25rem; } tbody th { position: static; } figure, tr { break-inside: avoid; }
  h2, h3, h4 { break-after: avoid; } .stamp { border: 1px solid; color: #000; } svg { width: 4rem; }
  td:has(svg), .number { white-space: normal; }
}
"""

SCRIPT = """
const words = text => text.toLowerCase().split(/\\s+/).filter(Boolean);

// Headings sort their column; empty cells stay last.
document.querySelectorAll("th button").forEach(button => button.addEventListener("click", () => {
  const th = button.parentElement, table = th.closest("table"), body = table.tBodies[0], column = th.cellIndex;
  const up = th.getAttribute("aria-sort") !== "ascending";
  table.querySelectorAll("thead th").forEach(other => other.removeAttribute("aria-sort"));
  th.setAttribute("aria-sort", up ? "ascending" : "descending");
  const key = row => row.cells[column].dataset.key;
  const number = row => row.cells[column].classList.contains("number");
  const rows = [...body.rows].sort((a, b) => {
    if (key(a) === "" || key(b) === "") return (key(a) === "") - (key(b) === "");
    const order = number(a) ? key(a) - key(b) : key(a).localeCompare(key(b));
    return up ? order : -order;
  });
  body.append(...rows);
}));

// A box that shows only the items with all the words that are typed into it.
function addFilter(place, items, what) {
  const box = document.createElement("p"), label = document.createElement("label");
  const input = document.createElement("input"), count = document.createElement("span");
  box.className = "filter";
  input.type = "search";
  count.setAttribute("role", "status");
  label.append(`Only ${what} with `, input);
  box.append(label, count);
  place.before(box);
  const texts = items.map(item => (item.dataset.words || item.textContent).toLowerCase());
  input.addEventListener("input", () => {
    const wanted = words(input.value);
    items.forEach((item, k) => { item.hidden = !wanted.every(word => texts[k].includes(word)); });
    const shown = items.filter(item => !item.hidden).length;
    count.textContent = wanted.length ? `${shown} of ${items.length}` : "";
    new Set(items.map(item => item.closest(".target"))).forEach(group => {
      if (group) group.hidden = !group.querySelector("figure:not([hidden])");
    });
  });
}
document.querySelectorAll("tbody").forEach(body => {
  if (body.rows.length > 5) addFilter(body.closest(".scroll") || body.parentElement, [...body.rows], "rows");
});
document.querySelectorAll(".figures").forEach(part => {
  const figures = [...part.querySelectorAll("figure")];
  if (figures.length > 3) addFilter(part.firstElementChild, figures, "figures");
});

// A table that is wider than the screen can be scrolled by keys as well.
const reach = () => document.querySelectorAll(".scroll").forEach(box => {
  if (box.scrollWidth > box.clientWidth) box.tabIndex = 0; else box.removeAttribute("tabindex");
});
addEventListener("resize", reach);
reach();

// What is below the strip at the top is not hidden by it; the contents are open where there is room.
const strip = document.querySelector(".warning");
const measure = () => document.documentElement.style.setProperty("--strip", strip ? strip.offsetHeight + "px" : "0px");
addEventListener("resize", measure);
measure();
const contents = document.querySelector("nav > details"), wide = matchMedia("(min-width: 70rem)");
if (contents) {
  const unfold = () => { contents.open = wide.matches; };
  wide.addEventListener("change", unfold);
  unfold();
  contents.addEventListener("click", event => {
    if (event.target.matches("a") && !wide.matches) contents.open = false;
  });
}
addEventListener("beforeprint", () => document.querySelectorAll("main details").forEach(part => { part.open = true; }));
"""
