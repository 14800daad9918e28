"use strict";
// What all pages share: their data, the theme of the plots, and rows of buttons of which one is on.
const data = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);
const dark = matchMedia("(prefers-color-scheme: dark)");
const drawn = new Map(); // plots by the id of their element, to be drawn again when the theme changes

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function themed(layout) {
  const axis = { exponentformat: "none", separatethousands: true, gridcolor: colour("--line"), linecolor: colour("--line"), zerolinecolor: colour("--line") };
  return {
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    autosize: true,
    hoverlabel: { align: "left", bgcolor: colour("--panel"), bordercolor: colour("--line"), font: { color: colour("--ink") } },
    ...layout,
    font: { family: "system-ui, Segoe UI, Helvetica Neue, Arial, sans-serif", size: 12.5, color: colour("--ink") },
    xaxis: { ...axis, ...layout.xaxis },
    yaxis: { ...axis, ...layout.yaxis },
  };
}

function plot(id, figure) {
  drawn.set(id, figure);
  const config = {
    responsive: true,
    displaylogo: false,
    modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"],
  };
  return Plotly.react(id, structuredClone(figure.data), themed(structuredClone(figure.layout)), config);
}

function tabs(holder, names, show, start = 0) {
  const buttons = names.map((name, k) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = name;
    button.addEventListener("click", () => choose(k));
    return button;
  });
  function choose(k) {
    buttons.forEach((button, other) => button.classList.toggle("on", other === k));
    show(k);
  }
  holder.replaceChildren(...buttons);
  if (names.length) choose(start);
}

function redraw() {
  drawn.forEach((figure, id) => plot(id, figure));
}

dark.addEventListener("change", redraw);
addEventListener("beforeprint", () => drawn.forEach((_, id) => Plotly.Plots.resize(id)));
addEventListener("afterprint", () => drawn.forEach((_, id) => Plotly.Plots.resize(id)));
