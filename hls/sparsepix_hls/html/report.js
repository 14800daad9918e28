"use strict";

// The network: a click shows the details of a layer.
const nodes = [...document.querySelectorAll(".node")];
const details = [...document.querySelectorAll(".detail")];
function showNode(number) {
  nodes.forEach((node) => node.classList.toggle("on", node.dataset.node === number));
  details.forEach((detail) => (detail.hidden = detail.dataset.detail !== number));
  byId("details").scrollTop = 0;
}
nodes.forEach((node) => node.addEventListener("click", () => showNode(node.dataset.node)));
let zoom = 1;
function showZoom(size) {
  zoom = Math.min(Math.max(size, 0.1), 2);
  document.querySelector(".canvas").style.zoom = zoom;
}
document.querySelectorAll("[data-zoom]").forEach((button) => {
  button.addEventListener("click", () => {
    const graph = byId("graph");
    const [inner] = graph.children;
    const fit = Math.min(graph.clientWidth / inner.offsetWidth, graph.clientHeight / inner.offsetHeight, 1);
    showZoom({ smaller: zoom / 1.25, larger: zoom * 1.25, fit }[button.dataset.zoom]);
  });
});
if (nodes.length) {
  showNode(nodes[Math.min(1, nodes.length - 1)].dataset.node);
  const graph = byId("graph");
  graph.scrollLeft = nodes[0].offsetLeft + nodes[0].offsetWidth / 2 - graph.clientWidth / 2;
}

// The times and the areas of the stages.
tabs(byId("timeline-tabs"), data.timelines.map((one) => one.kind), (k) => plot("timeline-plot", data.timelines[k]), data.timelines.length - 1);
if (data.timelines.length < 2) byId("timeline-tabs").hidden = true;
const bars = Object.values(data.bars);
// What most sources know comes first: it shows their differences.
const most = Math.max(...bars.map((one) => one.data.length));
const first = bars.findIndex((one) => one.data.length === most);
tabs(byId("bar-tabs"), bars.map((one) => one.name), (k) => plot("bar-plot", bars[k]), Math.max(first, 0));

// The pixels of events.
const shown = data.events;
function format(number) {
  if (!Number.isFinite(number)) return "–";
  const text = Number(number.toPrecision(6)).toString();
  return text.replace("-", "−");
}

function unpack(event) {
  const [channels, height, width] = shown.shape;
  const states = new Map(); // by place: slot of a kept pixel, -1 of a dropped one, and its values if they are there
  event.kept.forEach((place, slot) => {
    states.set(place, { slot, values: event.values.slice(slot * channels, (slot + 1) * channels) });
  });
  let number = 0;
  for (let k = 0; k < event.dropped_runs.length; k += 2) {
    for (let place = event.dropped_runs[k]; place < event.dropped_runs[k] + event.dropped_runs[k + 1]; place++, number++) {
      const values = event.dropped_values.slice(number * channels, (number + 1) * channels);
      states.set(place, { slot: -1, values });
    }
  }
  return { states, height, width };
}

let now = null;
function draw() {
  const canvas = byId("image");
  const { states, height, width } = now;
  const all = canvas.parentElement.parentElement.clientWidth - 4;
  const room = width > 200 ? all : Math.min(all, 640); // a large image takes all the width
  const cell = Math.max(Math.min(Math.floor(room / width), Math.floor(560 / height), 40), 1);
  const ratio = devicePixelRatio || 1;
  canvas.width = width * cell * ratio;
  canvas.height = height * cell * ratio;
  canvas.style.width = `${width * cell}px`;
  now.cell = cell;
  const pen = canvas.getContext("2d");
  pen.scale(ratio, ratio);
  pen.fillStyle = colour("--panel");
  pen.fillRect(0, 0, width * cell, height * cell);
  const size = (one) => Math.max(...one.values.map(Math.abs), 0);
  const most = Math.max(...[...states.values()].filter((one) => one.slot >= 0).map(size), 1);
  const gap = cell >= 5 ? 1 : 0;
  const kept = colour("--kept");
  const dropped = colour("--dropped");
  if (cell >= 5) {
    pen.fillStyle = colour("--soft");
    for (let row = 0; row < height; row++)
      for (let column = 0; column < width; column++) pen.fillRect(column * cell, row * cell, cell - gap, cell - gap);
  }
  pen.font = `${Math.min(Math.floor(cell / 2), 13)}px system-ui, sans-serif`;
  pen.textAlign = "center";
  pen.textBaseline = "middle";
  states.forEach((one, place) => {
    const x = (place % width) * cell;
    const y = Math.floor(place / width) * cell;
    const share = cell < 3 ? 1 : 0.4 + 0.6 * (size(one) / most); // of a few dots only the place is seen
    pen.fillStyle = one.slot < 0 ? dropped : `rgba(${kept}, ${share})`;
    pen.fillRect(x, y, cell - gap, cell - gap);
    if (cell >= 19 && one.slot >= 0) {
      pen.fillStyle = share > 0.65 ? colour("--panel") : colour("--ink");
      pen.fillText(String(one.slot), x + (cell - gap) / 2, y + cell / 2);
    }
  });
}

function element(name, className, text) {
  const found = document.createElement(name);
  if (className) found.className = className;
  if (text !== undefined) found.textContent = text;
  return found;
}

function vector(values, exponent) {
  const grid = element("div", "result");
  const real = values.map((raw) => raw * 2 ** exponent);
  const low = Math.min(...real, 0);
  const high = Math.max(...real, 0);
  const best = values.length > 1 ? real.indexOf(Math.max(...real)) : -1;
  real.slice(0, 32).forEach((value, k) => {
    const bold = k === best ? " top" : "";
    grid.append(element("span", `n${bold}`, values.length > 1 ? `${k}` : ""), element("span", `v${bold}`, format(value)));
    const bar = element("span", "b");
    const fill = element("span");
    const span = high - low || 1;
    fill.style.left = `${(100 * (Math.min(value, 0) - low)) / span}%`;
    fill.style.width = `${(100 * Math.abs(value)) / span}%`;
    bar.append(fill);
    grid.append(bar);
  });
  return grid;
}

function decision(values, exponent) {
  const real = values.map((raw) => raw * 2 ** exponent);
  if (real.length === 1) {
    const sign = real[0] > 0 ? "above 0" : "not above 0";
    return shown.head === "Sigmoid" ? `${sign}; its Sigmoid is ${(1 / (1 + Math.exp(-real[0]))).toFixed(3)}` : sign;
  }
  const most = Math.max(...real);
  const best = real.indexOf(most);
  if (shown.head !== "Softmax") return `largest: number ${best}`;
  const total = real.reduce((sum, value) => sum + Math.exp(value - most), 0);
  return `largest: number ${best}, its Softmax is ${(1 / total).toFixed(3)}`;
}

function showResults(event) {
  const holder = byId("results");
  const active = event.kept.length + event.dropped;
  const words = `${active.toLocaleString("en")} active pixels: ${event.kept.length.toLocaleString("en")} kept of at most `;
  const summary = `${words}${shown.max_pixels.toLocaleString("en")}, ${event.dropped.toLocaleString("en")} dropped.`;
  holder.replaceChildren(element("h4", "", `Event ${event.number}`), element("p", "", summary));
  shown.outputs.forEach((output, k) => {
    const values = event.results[k];
    holder.append(element("h4", "", `${output.name} [${output.shape.join(", ")}]`));
    if (output.by_pixel) {
      holder.append(element("p", "note", "A row for each kept pixel: hover over a pixel to see its row."));
      return;
    }
    if (output.shape.length === 1) holder.append(element("p", "note", decision(values, output.exponent)));
    holder.append(vector(values, output.exponent));
    if (values.length > 32) holder.append(element("p", "note", `and ${values.length - 32} more values`));
  });
}

function showEvent(k) {
  const event = shown.events[k];
  byId("event").value = String(k);
  now = { ...unpack(event), event };
  draw();
  showResults(event);
  byId("previous").disabled = k === 0;
  byId("next").disabled = k === shown.events.length - 1;
}

function describe(place) {
  const { states, width, event } = now;
  const one = states.get(place);
  const lines = [`row ${Math.floor(place / width)}, column ${place % width}`];
  if (!one) return [...lines, "inactive"].join("\n");
  const values = one.values.map((raw) => format(raw * 2 ** shown.exponent));
  lines.push(one.slot < 0 ? "dropped" : `kept, number ${one.slot} of the list`);
  if (values.length) lines.push(`value ${values.slice(0, 8).join(", ")}`);
  shown.outputs.forEach((output, k) => {
    if (one.slot < 0 || !output.by_pixel) return;
    const size = output.shape[1];
    const row = event.results[k].slice(one.slot * size, (one.slot + 1) * size);
    if (row.length) lines.push(`${output.name}: ${row.map((raw) => format(raw * 2 ** output.exponent)).join(", ")}`);
  });
  return lines.join("\n");
}

if (shown) {
  const choice = byId("event");
  const step = (by) => showEvent(Math.min(Math.max(Number(choice.value) + by, 0), shown.events.length - 1));
  choice.addEventListener("change", () => showEvent(Number(choice.value)));
  byId("previous").addEventListener("click", () => step(-1));
  byId("next").addEventListener("click", () => step(1));
  const dropping = shown.events.map((event, k) => (event.dropped ? k : -1)).filter((k) => k >= 0);
  byId("next-dropping").disabled = dropping.length === 0;
  byId("next-dropping").addEventListener("click", () => {
    showEvent(dropping.find((k) => k > Number(choice.value)) ?? dropping[0]);
  });
  const canvas = byId("image");
  canvas.addEventListener("keydown", (key) => {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[key.key];
    if (by) step(by);
  });
  canvas.addEventListener("mousemove", (mouse) => {
    const box = canvas.getBoundingClientRect();
    const column = Math.floor(((mouse.clientX - box.left - 1) / (box.width - 2)) * now.width);
    const row = Math.floor(((mouse.clientY - box.top - 1) / (box.height - 2)) * now.height);
    const tip = byId("tip");
    tip.hidden = row < 0 || column < 0 || row >= now.height || column >= now.width;
    if (tip.hidden) return;
    tip.textContent = describe(row * now.width + column);
    tip.style.left = `${Math.min(mouse.clientX + 14, innerWidth - tip.offsetWidth - 8)}px`;
    tip.style.top = `${Math.min(mouse.clientY + 14, innerHeight - tip.offsetHeight - 8)}px`;
  });
  canvas.addEventListener("mouseleave", () => (byId("tip").hidden = true));
  addEventListener("resize", draw);
  dark.addEventListener("change", draw);
  showEvent(Math.max(shown.events.findIndex((event) => event.kept.length > 1), 0));
}
