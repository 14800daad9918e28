"""Whether a design computes the right bits, as far as it was simulated."""

from typing import Any

from sparsepix_hls.html.text import count, escaped, time

_RUNS = {
    "testbench": "the testbench, against the exact results",
    "back to back": "events that follow each other at once",
    "stalls": "both ports pause at random",
    "resets": "resets in the middle of events",
    "stalls and resets": "pauses and resets at once",
}


def runs(report: dict[str, Any]) -> dict[str, tuple[int, int]] | None:
    """Events and mismatching outputs of each simulation by its name; None if there was none."""
    if report.get("csim"):
        return {"C simulation": (report["csim"]["events"], report["csim"]["mismatches"])}
    measured = report.get("measured")
    if not measured:
        return None
    return {
        name: (measured["events" if name == "testbench" else "measured_events"], wrong)
        for name, wrong in measured["mismatches"].items()
    }


def badge(report: dict[str, Any]) -> str:
    """The verdict in a few words, for the head."""
    found = runs(report)
    if found is None:
        return '<a href="#checks" class="badge unknown">not simulated</a>'
    style, text = _in_words(found)
    return f'<a href="#checks" class="badge {style}">{text}</a>'


def _in_words(found: dict[str, tuple[int, int]]) -> tuple[str, str]:
    """A class of the style sheet, and the mismatches of all runs."""
    wrong, events = sum(mismatches for _, mismatches in found.values()), next(iter(found.values()))[0]
    return "bad" if wrong else "good", f"{wrong:,} mismatch{'' if wrong == 1 else 'es'} in {events:,} events"


def checks(report: dict[str, Any]) -> str:
    """What simulation and placement found, as HTML."""
    return _simulated(report) + _measured(report) + _placed(report) + _depth(report)


def _simulated(report: dict[str, Any]) -> str:
    found = runs(report)
    if found is None:
        how = (
            "make sim in the project's folder, or translate with --simulate"
            if report.get("backend") == "rtl"
            else "make csim in the project's folder, or translate with --csim"
        )
        return f"<p>Not simulated yet: {how}.</p>"
    lines = "".join(
        f'<tr><th>{escaped(_RUNS.get(name, name))}</th><td>{events:,}</td><td class="{"bad" if wrong else "good"}">'
        f"{wrong:,}</td></tr>"
        for name, (events, wrong) in found.items()
    )
    first = [line for key in ("csim", "measured") for line in (report.get(key) or {}).get("first", ())]
    listed = f"<h4>the first of them</h4><pre>{escaped(chr(10).join(first))}</pre>" if first else ""
    style, text = _in_words(found)
    return (
        f'<h3>Outputs, bit for bit</h3><p><b class="{style}">{text}</b></p>'
        f'<table class="small"><tr><th></th><th>events</th><th>mismatching outputs</th></tr>{lines}</table>{listed}'
    )


def _measured(report: dict[str, Any]) -> str:
    found, clock_ns = report.get("measured"), report["clock_ns"]
    if not found:
        return ""
    rows = [
        ("latency: first beat to result, the most", "latency_cycles"),
        ("the least", "latency_cycles_least"),
        ("last beat to result, the most", "tail_cycles"),
        ("interval: a result every, at most", "interval_cycles"),
        ("the mean", "interval_cycles_mean"),
    ]
    lines = "".join(
        f"<tr><th>{name}</th><td>{count(found[key])}</td><td>{time(found[key] * clock_ns)}</td></tr>"
        for name, key in rows
        if found.get(key) is not None
    )
    return (
        f'<h3>Measured by simulation</h3><table class="small"><tr><th></th><th>cycles</th><th></th></tr>{lines}</table>'
    )


def _placed(report: dict[str, Any]) -> str:
    found = report.get("placed")
    if not found:
        return ""
    met, path = found["fmax_mhz"] >= found["asked_mhz"], found["path"]
    where = f"stage {path['stage']} ({path['layers']})" if path.get("stage") else "the shell"
    bits = f"<p>Bitstream: <code>{escaped(found['bitstream'])}</code></p>" if found.get("bitstream") else ""
    return (
        f'<h3>Placed and routed</h3><p><b class="{"good" if met else "bad"}">{found["fmax_mhz"]:.1f} MHz</b> of '
        f"{found['asked_mhz']:.1f} MHz asked for. Longest path: {path['ns']:.2f} ns, {path['routing_ns']:.2f} of them "
        f"wires, in {escaped(where)}, to <code>{escaped(path['end'])}</code>.</p>{bits}"
    )


def _depth(report: dict[str, Any]) -> str:
    deepest = (report.get("synthesis") or {}).get("deepest")
    if not deepest:
        return ""
    return (
        f"<h3>Deepest logic</h3><p>{deepest['levels']:.1f} levels of LUTs in <code>{escaped(deepest['module'])}</code>"
        f", to <code>{escaped(deepest['end'])}</code>.</p>"
    )
