"""``report.html``: what is known of a project, for a person with a browser."""

from pathlib import Path
from typing import Any

from sparsepix_hls.html.events import testbench_events
from sparsepix_hls.html.figures import stage_bars, timeline
from sparsepix_hls.html.network import network
from sparsepix_hls.html.shell import page
from sparsepix_hls.html.sources import KEYS, Source, best, capacity, find_vitis, sources, stage_names
from sparsepix_hls.html.stages import stage_table
from sparsepix_hls.html.text import FIGURES, count, escaped, share, time
from sparsepix_hls.html.verdict import badge, checks
from sparsepix_hls.project.parts import RESOURCES
from sparsepix_ops.system.files import atomic_write
from sparsepix_ops.system.marker import as_written
from sparsepix_ops.version import __version__

PAGE = "report.html"


def report_page(directory: Path, report: dict[str, Any]) -> str:
    """The report of a project as one HTML file.

    Args:
        directory: of the project, whose testbench and whose reports of Vitis HLS are read.
        report: of the project, perhaps one of an earlier version.
    """
    vitis, trouble = find_vitis(directory, report)
    found = sources(report, vitis)
    stages = stage_names(report)
    events = testbench_events(directory, report)
    hand_over = report["estimate"].get("hand_over_cycles", 0)
    times = [timeline(report, source, hand_over if source.kind == "estimated" else 0) for source in found]
    bars = stage_bars(stages, found)
    parts = {
        "network": ("Network", network(report)),
        "events": ("Pixels of an event", _events(report, events)),
        "timeline": ("An event on its way", _timeline(report, found)),
        "stages": ("Stages", stage_table(report, stages, found) + _bars(bars)),
        "checks": ("Checks", checks(report)),
    }
    links = "".join(f'<a href="#{name}">{title}</a>' for name, (title, _) in parts.items())
    body = f"{_head(report, found, trouble)}<nav>{links}</nav><main>"
    body += "".join(
        f'<section id="{name}"><h2>{title}</h2>{content}</section>' for name, (title, content) in parts.items()
    )
    data = {"events": events, "timelines": [its for its in times if its is not None], "bars": bars}
    return page(f"{report['top_function']} · SparsePix", f"{body}</main>", data, "report.js")


def write_page(directory: Path, report: dict[str, Any]) -> bool:
    """Write the page of a project, or the next one in its place.

    Returns:
        Whether it was written: a file of that name that somebody else wrote or changed is left as it is.

    Raises:
        SparsePixError: it cannot be written.
    """
    text = next_page(directory, report)
    if text is not None:
        put_page(directory, text)
    return text is not None


def next_page(directory: Path, report: dict[str, Any]) -> str | None:
    """The page of a project, or None where somebody else wrote or changed the one that is there."""
    path = directory / PAGE
    return None if path.exists() and not as_written(path) else report_page(directory, report)


def put_page(directory: Path, text: str) -> None:
    """Put a page into a project.

    Raises:
        SparsePixError: it cannot be written.
    """
    with atomic_write(directory / PAGE, sync=False, ours=True) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _head(report: dict[str, Any], found: tuple[Source, ...], trouble: str) -> str:
    part, model = report["part"], report.get("model", {})
    language = {"rtl": "SystemVerilog"}.get(report.get("backend", "hls"), "C++ for Vitis HLS")
    design = report.get("design", {})
    ways = [f"reduce by {design['reduce']}" if "reduce" in design else "", f"{design.get('io', '')} port"]
    family = f" ({part['family']})" if part.get("family") else ""
    clock = f"{report['clock_ns']:g} ns ({1e3 / report['clock_ns']:.4g} MHz)"
    facts = [
        (
            "model",
            f'{escaped(model.get("file", "?"))} <code title="SHA-256">{escaped(model.get("sha256", "")[:12])}</code>',
        ),
        ("as", escaped(", ".join([language, *(way for way in ways if way.strip() != "port")]))),
        ("part", escaped(f"{part['full_name']}{family}")),
        ("clock", escaped(clock)),
        ("by", escaped(f"SparsePix {report.get('sparsepix_version', __version__)}")),
    ]
    estimate = report["estimate"]
    warnings = [(text, "warning") for text in (*estimate.get("warnings", ()), *([trouble] if trouble else ()))]
    notes = [(text, "notice") for text in report.get("notices", ())]
    notices = "".join(f'<li class="{kind}">{escaped(text)}</li>' for text, kind in warnings + notes)
    return (
        f'<header><div class="title"><h1>{escaped(report["top_function"])}</h1>{badge(report)}</div>'
        f'<dl class="facts">{"".join(f"<div><dt>{name}</dt><dd>{text}</dd></div>" for name, text in facts)}</dl>'
        f'<div class="cards">{"".join(_card(report, found, key) for key in KEYS)}</div>'
        f"{f'<ul class=notices>{notices}</ul>' if notices else ''}</header>"
    )


def _card(report: dict[str, Any], found: tuple[Source, ...], key: str) -> str:
    source, value = best(found, key)
    name = dict(FIGURES)[key]
    more, bar = "", ""
    if key in RESOURCES:
        there = capacity(report).get(key)
        if there:
            used = value / there
            more = f"{share(used)} of {there:,}"
            full = " full" if used > 1 else ""
            bar = f'<div class="bar{full}"><span style="width:{100 * min(used, 1):.1f}%"></span></div>'
        elif there == 0:
            more = "the part has none"
    else:
        more = time(value * report["clock_ns"])
        per_second = 1e9 / (value * report["clock_ns"]) if value else 0
        more += f", {per_second / 1e6:.3g} M events/s" if key == "interval_cycles" and value else ""
    unit = " <small>cycles</small>" if key not in RESOURCES else ""
    return (
        f'<div class="card" data-key="{key}"><div class="name">{name}<span class="kind {source.group}" '
        f'title="{escaped(source.method)}">{escaped(source.kind)}</span></div>'
        f'<div class="value">{count(value)}{unit}</div>{bar}<div class="more">{escaped(more)}</div></div>'
    )


def _events(report: dict[str, Any], events: dict[str, Any] | None) -> str:
    if events is None:
        return "<p>The testbench of this project cannot be read, so its events are not shown.</p>"
    shown, total = len(events["events"]), events["total"]
    dropping = sum(event["dropped"] > 0 for event in events["events"])
    origin = report.get("testbench", {}).get("origin", "")
    reduce = next(layer for layer in report["layers"] if layer["op"] == "InputReduce")
    which = "first" if reduce["selection"] == "raster" else "largest"
    how = (
        f"Active pixels, those above the threshold, become a list of at most {reduce['max_pixels']:,}: the {which} of "
        f"them are kept. {shown:,} of {total:,} events of the testbench are shown ({origin}); {dropping:,} of these "
        "drop pixels."
    )
    options = "".join(
        f'<option value="{k}">event {event["number"]}: {len(event["kept"]):,} kept'
        f"{', {:,} dropped'.format(event['dropped']) if event['dropped'] else ''}</option>"
        for k, event in enumerate(events["events"])
    )
    return (
        f'<p>{escaped(how)}</p><div class="controls"><button type="button" id="previous" title="previous event (←)">'
        f'←</button><select id="event" aria-label="event">{options}</select><button type="button" id="next" '
        'title="next event (→)">→</button><button type="button" id="next-dropping">next that drops pixels</button>'
        '</div><div class="event"><figure><canvas id="image" tabindex="0" aria-label="pixels of the event"></canvas>'
        '<figcaption class="legend"><span class="kept"></span>kept, stronger for larger values<span class="dropped">'
        '</span>dropped<span class="empty"></span>inactive</figcaption></figure>'
        '<div id="results" class="results" aria-live="polite"></div></div><div id="tip" class="tip" hidden></div>'
    )


def _timeline(report: dict[str, Any], found: tuple[Source, ...]) -> str:
    kinds = " or ".join(s.kind for s in found if s.stages and s.total.get("latency_cycles") is not None)
    text = (
        "When each stage works on an event, and on the next ones, which come as fast as the slowest stage takes them. "
        "Full colour: until the stage takes the next event; light: the event is still on its way through the stage's "
        f"pipeline. Times of the stages are {kinds}."
    )
    if (report.get("measured") or {}).get("timeline"):
        text += (
            " As measured: the first events of the testbench, each offered as soon as the port took the one before; a "
            "bar ends when the simulation saw the stage hand the event on."
        )
    if any(layer.get("implementation") == "stream" for layer in report["layers"]):
        text += (
            " Pixels go one by one through all layers of the stage ‘pixels’, which therefore work at the same time; "
            "its cycles, as estimated, are those of a full list."
        )
    return (
        f'<p>{escaped(text)}</p><div class="tabs" id="timeline-tabs"></div><div id="timeline-plot" class="plot"></div>'
    )


def _bars(bars: dict[str, Any]) -> str:
    tabs = "".join(
        f'<button type="button" data-key="{key}">{escaped(its["name"])}</button>' for key, its in bars.items()
    )
    return f'<div class="tabs" id="bar-tabs">{tabs}</div><div id="bar-plot" class="plot"></div>'
