"""``designs.html``: the explored designs of a model, to be looked at one by one."""

from collections.abc import Sequence
from typing import Any

from sparsepix_hls.html.shell import page
from sparsepix_hls.html.text import FIGURES, count, escaped, share
from sparsepix_ops.version import __version__

KINDS = {  # of reductions and dataflows: colour and mark
    "scan": ("#2f6fbf", "circle"),
    "stream": ("#1f8f4e", "square"),
    "tree": ("#8257c9", "triangle-up"),
    "pixels one by one": ("#d6931f", "diamond"),
}
Row = dict[str, Any]


def designs_page(
    name: str,
    rows: Sequence[Row],
    published: Row | None,
    command: str,
    part: str,
    luts: int,
    clock_ns: float,
) -> str:
    """The designs as one HTML file.

    Args:
        name: of the model.
        rows: the designs: ``command`` (arguments beside the model), ``kind``, ``best``, ``scheduled`` and the figures.
        published: figures and ``origin`` of the published design of the model, if there is one.
        command: the words in front of the arguments of each design.
        part: name of the FPGA.
        luts: that it has; 0: not known.
        clock_ns: clock period.
    """
    best = sum(row["best"] for row in rows)
    scheduled = any(row["scheduled"] for row in rows)
    facts = [
        ("part", part),
        ("clock", f"{clock_ns:g} ns ({1e3 / clock_ns:.4g} MHz)"),
        ("designs", f"{len(rows):,}, of which no other one beats {best:,} in latency, interval and LUTs at once"),
        ("by", f"SparsePix {__version__}"),
    ]
    kind = "estimates, not confirmed by synthesis" + (
        "; the latency of some was scheduled from their C++" if scheduled else ""
    )
    body = (
        f'<header><div class="title"><h1>{escaped(name)}: designs</h1></div><dl class="facts">'
        f"{''.join(f'<div><dt>{term}</dt><dd>{escaped(text)}</dd></div>' for term, text in facts)}</dl></header><main>"
        f"<section><h2>Latency against area</h2><p>Each point is a design of the same model that computes the same "
        f"bits: {kind}. Filled: not beaten by another. Click on a point for its command.</p>"
        '<div class="tabs" id="tabs"></div><div id="plot" class="plot"></div>'
        '<div id="chosen" class="chosen" aria-live="polite"></div></section>'
        f'<section><h2>All designs</h2><div class="scroll">{_table(rows, published, luts, scheduled)}</div></section>'
        "</main>"
    )
    data = {
        "command": command,
        "rows": rows,
        "figures": FIGURES,
        "clock_ns": clock_ns,
        "plots": [
            {"kind": f"{word} against LUT", **_figure(rows, published, key, word, clock_ns)}
            for key, word in FIGURES[:2]
        ],
    }
    return page(f"{name}: designs · SparsePix", body, data, "designs.js")


def _table(rows: Sequence[Row], published: Row | None, luts: int, scheduled: bool) -> str:
    names = ["options", *(word for _, word in FIGURES), "of the LUTs", *(["scheduled", "every"] if scheduled else [])]
    head = "".join(f'<th scope="col">{escaped(name)}</th>' for name in names)
    lines = []
    for k, row in enumerate(rows):
        cells = [count(row[key]) for key, _ in FIGURES] + [share(row["lut"] / luts) if luts else ""]
        cells += [count(one) for one in row["scheduled"] or (None, None)] if scheduled else []
        values = "".join(f"<td>{cell}</td>" for cell in cells)
        style = ' class="front"' if row["best"] else ""
        lines.append(f'<tr data-row="{k}"{style} tabindex="0"><td>{escaped(row["command"])}</td>{values}</tr>')
    foot = ""
    if published is not None:
        cells = [count(published.get(key)) for key, _ in FIGURES] + [share(published["lut"] / luts) if luts else ""]
        values = "".join(f"<td>{cell}</td>" for cell in [*cells, *(["", ""] if scheduled else [])])
        foot = f"<tfoot><tr><td>published design ({escaped(published['origin'])})</td>{values}</tr></tfoot>"
    return f'<table class="designs"><thead><tr>{head}</tr></thead><tbody>{"".join(lines)}</tbody>{foot}</table>'


def _figure(rows: Sequence[Row], published: Row | None, key: str, word: str, clock_ns: float) -> dict[str, Any]:
    """A figure of Plotly: a trace for each kind, and in front of it those designs that are not beaten."""
    traces: list[dict[str, Any]] = []
    front = _front(rows, key)
    line = {"color": "#888888", "width": 1, "dash": "dot"}
    places = {"x": [rows[k]["lut"] for k in front], "y": [rows[k][key] for k in front]}
    line_of_best = {"type": "scatter", "mode": "lines", "line": line, "hoverinfo": "skip"}
    traces.append({**line_of_best, **places, "name": f"least {word} for its LUTs"})
    for kind in dict.fromkeys(row["kind"] for row in rows):
        colour, symbol = KINDS.get(kind, ("#888888", "x"))
        for is_best in (False, True):
            some = [k for k, row in enumerate(rows) if row["kind"] == kind and row["best"] == is_best]
            if some:
                marker = {
                    "color": colour,
                    "symbol": symbol if is_best else f"{symbol}-open",
                    "size": 11 if is_best else 8,
                }
                label = f"{kind}, not beaten" if is_best else kind
                its = _points(rows, some, [rows[k][key] for k in some], "")
                traces.append({**its, "name": label, "marker": {**marker, "opacity": 1 if is_best else 0.55}})
    some = [k for k, row in enumerate(rows) if row["scheduled"]]
    if some:
        values = [rows[k]["scheduled"][key == "interval_cycles"] for k in some]
        marker = {"color": "#c8552b", "symbol": "x-thin", "size": 10, "line": {"width": 2, "color": "#c8552b"}}
        traces.append({**_points(rows, some, values, "scheduled "), "name": "as scheduled", "marker": marker})
    if published is not None and published.get(key) is not None:
        origin = escaped(published["origin"])
        star = {"color": "#c0271d", "symbol": "star", "size": 17}
        hover = f"<b>published</b>: {origin}<br>{word} {published[key]:,}, {published['lut']:,} LUT<extra></extra>"
        place = {"x": [published["lut"]], "y": [published[key]], "name": "published", "marker": star}
        traces.append({"type": "scatter", "mode": "markers", **place, "hovertemplate": hover})
    axis = {"type": "log", "dtick": "D2", "tickformat": ",d"}
    layout = {
        "height": 520,
        "xaxis": {**axis, "title": {"text": "LUT"}},
        "yaxis": {**axis, "title": {"text": f"{word} in cycles of {clock_ns:g} ns"}, "automargin": True},
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        "hovermode": "closest",
        "margin": {"l": 10, "r": 20, "t": 60, "b": 50},
    }
    return {"data": traces, "layout": layout}


def _points(rows: Sequence[Row], some: list[int], values: list[float], word: str) -> dict[str, Any]:
    hover = [
        f"<b>{escaped(rows[k]['command'] or 'as it comes, without options')}</b><br>{word}"
        + ("" if not word else f"{value:,} cycles; estimated ")
        + f"latency {rows[k]['latency_cycles']:,}, every {rows[k]['interval_cycles']:,} cycles"
        f"<br>{rows[k]['lut']:,} LUT, {rows[k]['ff']:,} FF, {rows[k]['dsp']:,} DSP, {rows[k]['bram']:,} BRAM"
        for k, value in zip(some, values, strict=True)
    ]
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [rows[k]["lut"] for k in some],
        "y": values,
        "customdata": some,
        "hovertext": hover,
        "hovertemplate": "%{hovertext}<extra></extra>",
    }


def _front(rows: Sequence[Row], key: str) -> list[int]:
    """The designs with the least of a figure for their LUTs, from small to large."""
    front: list[int] = []
    for k in sorted(range(len(rows)), key=lambda k: (rows[k]["lut"], rows[k][key])):
        if not front or rows[k][key] < rows[front[-1]][key]:
            front.append(k)
    return front
