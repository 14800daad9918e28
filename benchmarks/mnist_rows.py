"""Rows of the benchmark of MNIST: what they have in common, their figures, the table and the pictures."""

import statistics
from collections.abc import Sequence

from matplotlib.figure import Figure
from results import key
from rich.table import Table

from sparsepix.models.preset_names import BITS_PER
from sparsepix.plots.style import PALETTE, plain
from sparsepix_hls.reference.published_models import PUBLISHED_MODELS

FLOAT = "float"
EBOPS_STUDY = (1e-7, 3e-7, 1e-6, 3e-6)
# Accuracy of the published weights by bits and max_pixels, our layers, 10,000 test images.
PUBLISHED = {
    8: {8: 0.744, 12: 0.867, 16: 0.906, 20: 0.912},
    16: {8: 0.831, 12: 0.918, 16: 0.946, 20: 0.950},
}


def of(rows: Sequence[dict], quantity: str, **which: object) -> list[float]:
    """One figure of all rows that have these values."""
    return [float(row[quantity]) for row in rows if row[quantity] is not None and which.items() <= row.items()]


def kinds(rows: Sequence[dict]) -> list[dict]:
    """What rows that differ by their seed alone have in common."""
    same = ("model", "max_pixels", "bits", "penalty")
    return [dict(zip(same, kind, strict=True)) for kind in dict.fromkeys(tuple(row[k] for k in same) for row in rows)]


def figures_of(rows: Sequence[dict], found: dict[tuple[int, int], tuple[int, int, int]]) -> dict[str, dict[str, float]]:
    """Figures of each kind of model, without the study of learned widths."""
    figures = {}
    for which in kinds(rows):
        model, max_pixels, bits, penalty = which.values()
        if model.startswith("bits per"):
            continue
        accuracies = of(rows, "accuracy", **which)
        numbers = {"accuracy_mean": statistics.mean(accuracies), "accuracy_least": min(accuracies)}
        numbers |= {"accuracy_largest": max(accuracies), "seeds": len(accuracies)}
        for quantity in ("pixels", "ebops", "learned_max_pixels"):
            values = of(rows, quantity, **which)
            numbers |= {quantity: statistics.mean(values)} if values else {}
        if model == "raster" and max_pixels in PUBLISHED.get(bits, {}):
            numbers["published_weights_accuracy"] = PUBLISHED[bits][max_pixels]
            theirs = [m for m in PUBLISHED_MODELS if (m.dataset, m.bits, m.max_pixels) == ("mnist", bits, max_pixels)]
            numbers |= {"published_latency": theirs[0].latency_cycles, "published_lut": theirs[0].lut}
            numbers |= zip(("rtl_latency", "rtl_interval", "rtl_lut"), found.get((bits, max_pixels), ()), strict=False)
        words = f"{model} {max_pixels} {bits if bits == FLOAT else f'{bits} bit'}"
        figures[key(words) + (f"_penalty_{penalty:g}" if penalty else "")] = numbers
    return figures


def figures_of_bits(rows: Sequence[dict]) -> dict[str, dict[str, float]]:
    """Accuracy and bit operations of learned widths, by the weight of their penalty, and of widths by hand."""
    figures = {}
    for model in dict.fromkeys(row["model"] for row in rows):
        here = [row for row in rows if row["model"] == model]
        names = [f"{weight:g}" for weight in EBOPS_STUDY] if model != "raster" else [f"{row['bits']}" for row in here]
        for name, row in zip(names, here, strict=True):
            label = f"{key(model)}_penalty_{name}" if model != "raster" else f"all_{name}_bits"
            figures[label] = {"accuracy": row["accuracy"], "ebops": row["ebops"]}
    return figures


def spread(values: Sequence[float]) -> str:
    """Mean, least and largest, in percent."""
    if not values:
        return ""
    return f"{statistics.mean(values):.2%} ({min(values):.2%} ... {max(values):.2%})"


def summary(rows: Sequence[dict], found: dict[tuple[int, int], tuple[int, int, int]]) -> Table:
    """A row for each kind of model."""
    table = Table(title="MNIST, 10,000 test images: mean (least ... largest) of the seeds")
    headings = ("model", "N", "bits", "accuracy", "published weights", "pixels kept", "bit operations")
    for heading in (*headings, "RTL, estimated: cycles", "interval", "LUT", "published cycles, LUT"):
        table.add_column(heading, justify="left" if heading == "model" else "right")
    for which in kinds(rows):
        model, max_pixels, bits, penalty = which.values()
        kept, operations = of(rows, "pixels", **which), of(rows, "ebops", **which)
        known = PUBLISHED.get(bits, {}).get(max_pixels) if model == "raster" else None
        cost = found.get((bits, max_pixels)) if model == "raster" else None
        theirs = [m for m in PUBLISHED_MODELS if (m.dataset, m.bits, m.max_pixels) == ("mnist", bits, max_pixels)]
        table.add_row(
            model,
            "-" if model == "standard" else f"{max_pixels}",
            f"{bits}" if penalty is None else f"{bits}, {penalty:g}",
            spread(of(rows, "accuracy", **which)),
            f"{known:.1%}" if known else "",
            f"{statistics.mean(kept):.1f}" if kept else "",
            f"{statistics.mean(operations):,.0f}" if operations else "",
            *(f"{value:,}" for value in cost or ()),
            *([""] * (0 if cost else 3)),
            f"{theirs[0].latency_cycles}, {theirs[0].lut:,}" if cost else "",
        )
    return table


def picture(rows: Sequence[dict], found: dict[tuple[int, int], tuple[int, int, int]]) -> Figure:
    """Accuracy against LUTs at the published latency or less, published points beside ours."""
    figure = Figure(figsize=(6.4, 4.2), layout="constrained")
    axes = figure.subplots()
    for bits, colour in zip((8, 16), PALETTE, strict=False):
        ours = sorted((lut, n) for (b, n), (_, _, lut) in found.items() if b == bits)
        if not ours:
            continue
        values = [of(rows, "accuracy", model="raster", max_pixels=n, bits=bits) for _, n in ours]
        means = [statistics.mean(v) for v in values]
        around = [[m - min(v) for m, v in zip(means, values, strict=True)]]
        around.append([max(v) - m for m, v in zip(means, values, strict=True)])
        axes.errorbar([lut for lut, _ in ours], means, yerr=around, color=colour, marker="o", label=f"ours, {bits} bit")
        theirs = [m for m in PUBLISHED_MODELS if m.dataset == "mnist" and m.bits == bits]
        points = [(m.lut, PUBLISHED[bits][m.max_pixels], m.max_pixels) for m in theirs]
        points.sort()
        style = {"color": colour, "marker": "s", "markerfacecolor": "none", "linestyle": "--"}
        axes.plot([p[0] for p in points], [p[1] for p in points], label=f"published, {bits} bit", **style)
        for x, y, n in [*points, *((lut, m, n) for (lut, n), m in zip(ours, means, strict=True))]:
            axes.annotate(f"{n}", (x, y), (5, -10), textcoords="offset points", fontsize=7)
    axes.set(xscale="log", xlabel="LUTs (ours: estimate; published: Vivado)", ylabel="accuracy, 10,000 test images")
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axes.legend(frameon=False, fontsize=8)
    plain(axes)
    return figure


def picture_of_bits(rows: Sequence[dict]) -> Figure:
    """Accuracy against bit operations: one width for all, and learned ones for each tensor, channel and weight."""
    figure = Figure(figsize=(6.4, 4.2), layout="constrained")
    axes = figure.subplots()
    kinds = [("raster", "one width, by hand"), *((f"bits per {per}", f"learned, each {per}") for per in BITS_PER)]
    for (model, label), colour in zip(kinds, PALETTE, strict=False):
        points = [(row["ebops"], row["accuracy"]) for row in rows if row["model"] == model and row.get("ebops")
                  and row["max_pixels"] == 20]  # fmt: skip
        if points:
            axes.plot(*zip(*sorted(points), strict=True), color=colour, marker="o", markersize=4, label=label)
    axes.set(xscale="log", xlabel="bit operations an image (EBOPS)", ylabel="accuracy, 10,000 test images")
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.1%}")
    axes.legend(frameon=False, fontsize=8)
    plain(axes)
    return figure
