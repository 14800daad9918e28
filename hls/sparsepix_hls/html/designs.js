"use strict";
const lines = [...document.querySelectorAll("tr[data-row]")];

function commandOf(row) {
  return `${data.command} ${row.command}`.trim();
}

function cell(name, text, className) {
  const found = document.createElement(name);
  found.textContent = text;
  if (className) found.className = className;
  return found;
}

async function copy(shown, button) {
  let copied = true;
  try {
    await navigator.clipboard.writeText(shown.textContent);
  } catch {
    // Where the clipboard is not allowed, as in a page of a file: by a selection, which stays if that fails too.
    getSelection().selectAllChildren(shown);
    copied = document.execCommand("copy");
    if (copied) getSelection().removeAllRanges();
  }
  button.textContent = copied ? "copied" : "press Ctrl+C";
  setTimeout(() => (button.textContent = "copy"), 1500);
}

function choose(k, scroll) {
  const row = data.rows[k];
  const holder = byId("chosen");
  const command = cell("div", "", "command");
  const text = cell("pre", commandOf(row));
  text.id = "command";
  const button = cell("button", "copy");
  button.type = "button";
  button.id = "copy";
  button.addEventListener("click", () => copy(text, button));
  command.append(text, button);
  const figures = data.figures.map(([key, word]) => `${word} ${row[key].toLocaleString("en")}`);
  if (row.scheduled) figures.push(`scheduled ${row.scheduled[0].toLocaleString("en")}, every ${row.scheduled[1].toLocaleString("en")}`);
  figures.push(`${(row.latency_cycles * data.clock_ns).toLocaleString("en")} ns`);
  holder.replaceChildren(cell("b", row.best ? "not beaten by another design" : "beaten by another design"), command, cell("div", figures.join(" · "), "note"));
  lines.forEach((line) => line.classList.toggle("on", Number(line.dataset.row) === k));
  if (scroll) {
    const line = lines.find((one) => Number(one.dataset.row) === k);
    const box = line.closest(".scroll");
    box.scrollTop = line.offsetTop - box.clientHeight / 2;
  } else holder.scrollIntoView({ block: "nearest" });
}

tabs(byId("tabs"), data.plots.map((one) => one.kind), async (k) => {
  await plot("plot", data.plots[k]);
  const holder = byId("plot");
  holder.removeAllListeners("plotly_click");
  holder.on("plotly_click", (event) => {
    const number = event.points.map((point) => point.customdata).find((one) => one !== undefined);
    if (number !== undefined) choose(number, true);
  });
});

lines.forEach((line) => {
  const show = () => choose(Number(line.dataset.row), false);
  line.addEventListener("click", show);
  line.addEventListener("keydown", (key) => key.key === "Enter" && show());
});

// A click on a heading sorts by its column; a second one the other way round.
const heads = [...document.querySelectorAll(".designs thead th")];
let sorted = -1;
let sign = 1;
heads.forEach((head, column) => {
  head.addEventListener("click", () => {
    sign = sorted === column ? -sign : 1;
    sorted = column;
    const key = (line) => {
      const text = line.children[column].textContent;
      const number = Number.parseFloat(text.replaceAll(",", ""));
      return column && Number.isFinite(number) ? number : column ? Infinity : text;
    };
    const body = lines[0].parentElement;
    const order = [...lines].sort((a, b) => (key(a) < key(b) ? -sign : key(a) > key(b) ? sign : 0));
    body.append(...order);
  });
});
const first = data.rows.findIndex((row) => row.best);
choose(Math.max(first, 0), true);
