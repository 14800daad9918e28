"""Figures for Plotly, as plain data: the areas of the stages, and their times. ``page.js`` gives them their theme."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from sparsepix_hls.html.sources import KEYS, Source, rows_of
from sparsepix_hls.html.text import escaped

# One colour for each kind of figures, the same as in the style sheet.
COLOURS = {
    "estimated": "#8294ad",
    "scheduled": "#d6931f",
    "vitis": "#c8552b",
    "synthesized": "#8257c9",
    "measured": "#1f8f4e",
    "placed": "#12808f",
}
_End = tuple[str, float, str]  # name, clock and colour of a line
_EVENT_COLOURS = ("#2f6fbf", "#d6931f", "#1f8f4e", "#8257c9", "#c8552b", "#12808f")
NAMES = {
    "latency_cycles": "latency in cycles",
    "interval_cycles": "interval in cycles",
    "lut": "LUT",
    "ff": "FF",
    "dsp": "DSP",
    "bram": "BRAM of 18 kbit",
}


def stage_bars(stages: list[str], found: tuple[Source, ...]) -> dict[str, Any]:
    """Bars of the stages by figure, one for each source that knows it by stages: for ``Plotly.react``."""
    by_key = {}
    for key in KEYS:
        traces = []
        known = [stage for stage in stages if any(s.stages.get(stage, {}).get(key) is not None for s in found)]
        for source in found:
            values = [source.stages.get(stage, {}).get(key) for stage in known]
            if any(values):
                traces.append(
                    {
                        "type": "bar",
                        "orientation": "h",
                        "name": source.kind,
                        "y": [escaped(stage) for stage in known],
                        "x": values,
                        "marker": {"color": COLOURS[source.group]},
                        "text": ["" if value is None else f"{value:,}" for value in values],
                        "textposition": "outside",
                        "cliponaxis": False,
                        "hovertemplate": "%{y}, " + source.kind + ": %{x:,}<extra></extra>",
                    }
                )
        if traces:
            most = max(len(trace["y"]) for trace in traces)
            layout = {
                "barmode": "group",
                "height": 90 + most * (14 + 17 * len(traces)),
                "xaxis": {"title": {"text": NAMES[key]}, "rangemode": "tozero"},
                "yaxis": {"autorange": "reversed", "automargin": True, "type": "category"},
                "legend": {"orientation": "h", "y": 1, "yanchor": "bottom", "x": 0, "traceorder": "normal"},
                "showlegend": True,
                "margin": {"l": 10, "r": 60, "t": 30, "b": 45},
            }
            by_key[key] = {"name": NAMES[key], "data": traces, "layout": layout}
    return by_key


def timeline(report: dict[str, Any], source: Source, hand_over: float) -> dict[str, Any] | None:
    """Events on their way through the stages, one after the other; None if the source has no times of stages.

    Args:
        report: of the project.
        source: estimated, scheduled or measured.
        hand_over: cycles from one stage to the next.
    """
    if source.kind == "measured":
        return _measured(report)
    stages = [stage["name"] for stage in report["estimate"]["stages"]]
    cycles = [_cycles(source.stages.get(stage, {})) for stage in stages]
    latency, interval = source.total.get("latency_cycles"), source.total.get("interval_cycles")
    if not all(cycles) or not latency or not interval:
        return None
    events = max(2, min(6 if len(stages) < 7 else 4, -(-int(latency) // int(interval)) + 1))
    starts, begin = [], 0.0
    for its in cycles:
        starts.append(begin)
        begin += (its[0] if its else 0) + hand_over
    traces = []
    for event in range(events):
        first = event * interval
        for is_busy in (True, False):
            # Until it takes the next event, and then what is still on its way through the pipeline.
            parts = [(min(i, n), 0) if is_busy else (max(n - i, 0), min(i, n)) for n, i in filter(None, cycles)]
            hover = [
                f"<b>{escaped(stage)}</b>, event {event + 1}<br>cycles {first + start:,.0f} to {first + start + n:,.0f}"
                f"<br>takes the next after {i:,.0f}<br>{_layers(report, stage)}"
                for stage, start, (n, i) in zip(stages, starts, filter(None, cycles), strict=True)
            ]
            bars = [(first + start + after, length) for start, (length, after) in zip(starts, parts, strict=True)]
            traces.append(_bars(event, events, bars, hover, is_busy))
    return _chart(report, source.kind, stages, traces, _ends(report, latency))


def _measured(report: dict[str, Any]) -> dict[str, Any] | None:
    """What the simulation saw of the first events that waited at the input."""
    timeline = report["measured"].get("timeline") or ()
    if not timeline:
        return None
    stages = [its["name"] for its in report["measured"]["stages"]]
    traces = []
    for event, clocks in enumerate(timeline):
        bars = [(begin, end - begin) for begin, end in pairwise(clocks)]
        hover = [
            f"<b>{escaped(stage)}</b>, event {event + 1}<br>cycles {begin:,} to {begin + length:,}<br>"
            f"{_layers(report, stage)}"
            for stage, (begin, length) in zip(stages, bars, strict=True)
        ]
        traces.append(_bars(event, len(timeline), bars, hover))
    result = ("first result", timeline[0][-1], COLOURS["measured"])
    return _chart(report, "measured", stages, traces, [result])


def _bars(
    event: int, events: int, bars: Sequence[tuple[float, float]], hover: list[str], first: bool = True
) -> dict[str, Any]:
    """The bars of an event, one for each stage: where they begin, and how long they are.

    Args:
        event: its number.
        events: how many share a stage's place.
        bars: begin and length.
        hover: what is said of each.
        first: the first bars of this event, in full colour; the others follow them, lighter.
    """
    height = 0.8 / events
    return {
        "type": "bar",
        "orientation": "h",
        "name": f"event {event + 1}",
        "legendgroup": f"event {event + 1}",
        "showlegend": first,
        "y": [k + (event - (events - 1) / 2) * height for k in range(len(bars))],
        "x": [length for _, length in bars],
        "base": [begin for begin, _ in bars],
        "width": height * 0.92,
        "marker": {"color": _EVENT_COLOURS[event % len(_EVENT_COLOURS)], "opacity": 1 if first else 0.4},
        "hovertext": hover,
        "hovertemplate": "%{hovertext}<extra></extra>",
    }


def _chart(
    report: dict[str, Any], kind: str, stages: list[str], traces: list[dict[str, Any]], ends: list[_End]
) -> dict[str, Any]:
    """The bars with their axes, and a line where each of ``ends`` is."""
    events = len({trace["name"] for trace in traces})
    shapes, notes = _lines(ends)
    layout = {
        "barmode": "overlay",
        "height": 110 + len(stages) * (12 + 6 * events),
        "xaxis": {"title": {"text": f"cycles of {report['clock_ns']:g} ns"}, "rangemode": "tozero"},
        "yaxis": {
            "range": [len(stages) - 0.4, -0.6],
            "automargin": True,
            "tickvals": list(range(len(stages))),
            "ticktext": [escaped(stage) for stage in stages],
            "zeroline": False,
        },
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        "margin": {"l": 10, "r": 30, "t": 50, "b": 45},
        "shapes": shapes,
        "annotations": notes,
    }
    return {"kind": kind, "data": traces, "layout": layout}


def _cycles(figures: Mapping[str, float | None]) -> tuple[float, float] | None:
    latency, interval = figures.get("latency_cycles"), figures.get("interval_cycles")
    return None if latency is None or interval is None else (latency, interval)


def _layers(report: dict[str, Any], stage: str) -> str:
    """The layers of a stage with their cycles, a line for each, for a text of Plotly."""
    rows = rows_of(report, stage)
    lines = [f"{escaped(row['name'])}: {row['latency_cycles']:,}" for row in rows[:12] if len(rows) > 1]
    if len(rows) == 1:
        names = rows[0]["name"].split(", ")
        lines = [escaped(", ".join(names[k : k + 6])) for k in range(0, len(names), 6)][:8]
    return "<br>".join(lines)


def _ends(report: dict[str, Any], latency: float) -> list[_End]:
    """Where the first event is done: by the source, and as simulation measured it, if that is elsewhere."""
    measured = (report.get("measured") or {}).get("latency_cycles")
    ends = [("first result", latency, "#888888")]
    if measured is not None and measured != latency:
        ends.append(("measured", measured, COLOURS["measured"]))
    elif measured is not None:
        ends = [("first result, as measured", measured, COLOURS["measured"])]
    return ends


def _lines(ends: list[_End]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Lines and their texts."""
    line = {"type": "line", "yref": "paper", "y0": 0, "y1": 1}
    shapes = [{**line, "x0": x, "x1": x, "line": {"color": c, "dash": "dot", "width": 1.5}} for _, x, c in ends]
    text = {"yref": "paper", "y": 0, "yanchor": "bottom", "xanchor": "left", "showarrow": False, "xshift": 3}
    notes = [{**text, "x": x, "text": f"{name}: {x:,}", "font": {"color": c, "size": 11}} for name, x, c in ends]
    return shapes, notes
