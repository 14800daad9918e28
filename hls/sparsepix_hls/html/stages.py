"""The table of the stages: what each source of figures says of them, side by side."""

from typing import Any

from sparsepix_hls.html.sources import KEYS, Figures, Source, capacity, rows_of
from sparsepix_hls.html.text import FIGURES, NOTHING, count, escaped, share
from sparsepix_hls.project.parts import RESOURCES


def stage_table(report: dict[str, Any], stages: list[str], found: tuple[Source, ...]) -> str:
    """The table as HTML, and below it how the figures were found."""
    head = "".join(f"<th>{name}</th>" for _, name in FIGURES)
    bodies = [_stage(report, stage, found) for stage in stages]
    methods = "".join(
        f'<li><span class="kind {source.group}">{escaped(source.kind)}</span> {escaped(source.method)}</li>'
        for source in found
        if source.method
    )
    return (
        "<p>Cycles and resources of each stage; the share of the part for the whole design. Percentages in colour are "
        "differences from the estimate.</p>"
        f'<div class="scroll"><table class="stages"><thead><tr><th>stage, layer</th><th></th>{head}</tr></thead>'
        f'{_total(report, found)}{"".join(bodies)}</table></div><ul class="methods">{methods}</ul>'
    )


def _stage(report: dict[str, Any], stage: str, found: tuple[Source, ...]) -> str:
    own = [(source, source.stages[stage]) for source in found if stage in source.stages]
    layers = rows_of(report, stage)
    names = [row["name"] for row in layers]
    one = f'<div class="note">{escaped(names[0])}</div>' if len(names) == 1 and names[0] != stage else ""
    title = f'<th rowspan="{len(own)}">{escaped(stage)}{one}</th>'
    text = _rows(title, own)
    for row in layers if len(layers) > 1 else ():
        cells = "".join(f"<td>{count(row.get(key))}</td>" for key in KEYS)
        text += f'<tr class="layer"><td>{escaped(row["name"])}</td><td>{escaped(row["op"])}</td>{cells}</tr>'
    return f'<tbody data-stage="{escaped(stage)}">{text}</tbody>'


def _total(report: dict[str, Any], found: tuple[Source, ...]) -> str:
    own = [(source, source.total) for source in found]
    title = f'<th rowspan="{len(own)}">whole design</th>'
    return f'<tbody class="total">{_rows(title, own, capacity(report))}</tbody>'


def _rows(title: str, own: list[tuple[Source, Figures]], there: dict[str, int] | None = None) -> str:
    """A row for each source; shares of what there is in the part are added, if that is known."""
    text, guess = "", own[0][1] if own else {}
    for number, (source, figures) in enumerate(own):
        cells = []
        for key in KEYS:
            value, before = figures.get(key), guess.get(key)
            more = ""
            if number and value is not None and before:
                change = value / before - 1
                more = f'<span class="change {_size(change)}">{_percent(change)}</span>'
            if value is not None and key in RESOURCES and (there or {}).get(key):
                more += f'<span class="share">{share(value / there[key])}</span>' if there else ""
            cells.append(f"<td>{count(value) if value is not None else NOTHING}{more}</td>")
        kind = f'<td><span class="kind {source.group}">{escaped(source.kind)}</span></td>'
        text += f'<tr data-kind="{escaped(source.kind)}">{title if not number else ""}{kind}{"".join(cells)}</tr>'
    return text


def _percent(change: float) -> str:
    return "±0 %" if abs(change) < 0.0005 else f"{100 * change:+.{0 if abs(change) >= 0.1 else 1}f} %".replace("-", "−")


def _size(change: float) -> str:
    """A class of the style sheet: the same, near, or far from the estimate."""
    return "same" if abs(change) < 0.005 else "near" if abs(change) <= 0.25 else "far"
