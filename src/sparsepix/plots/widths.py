"""Bit widths of a model, as a picture and as a table."""

from typing import TYPE_CHECKING

from torch import nn

from sparsepix.plots.style import new_figure
from sparsepix.quant.quantizers import Quantizer
from sparsepix_ops.errors import SparsePixError
from sparsepix_ops.fixed_point import FixedPoint

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from rich.table import Table

INTEGER, FRACTION, SIGN = "#0072b2", "#56b4e9", "#999999"
_KINDS = ("weight_quantizer", "bias_quantizer")


def bit_widths(model: nn.Module) -> "Figure":
    """Which bits each quantizer of a model keeps: sign, integer and fractional ones, the largest on the left.

    The left panel shows weights and biases, the right one activations. Learned formats are those of this moment.

    Args:
        model: any module with quantizers.

    Raises:
        SparsePixError: the model has none, or a learned scale has run away.
    """
    formats = _formats("bit_widths", model)
    parameters = {
        name: format for (layer, kind), format in formats.items() if (name := f"{layer} {kind}") and kind != "output"
    }
    outputs = {layer: format for (layer, kind), format in formats.items() if kind == "output"}
    panels = {"weights and biases": parameters, "activations": outputs}
    panels = {title: rows for title, rows in panels.items() if rows}
    tallest = max(len(rows) for rows in panels.values())
    least = min(format.integer - format.width for format in formats.values())
    most = max(format.integer for format in formats.values())
    figure = new_figure(5.6 * len(panels), 0.3 * tallest + 1.7)
    for axes, (title, rows) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True):
        _bars(axes, rows, least, most)
        axes.set_title(title, fontsize=11)
    handles = [figure.axes[0].barh(0, 0, color=colour) for colour in (SIGN, INTEGER, FRACTION)]
    figure.legend(handles, ("sign", "integer", "fraction"), loc="outside lower center", ncols=3, frameon=False)
    return figure


def bit_width_table(model: nn.Module) -> "Table":
    """A row for each layer: the formats of its weights, biases and outputs, as ``ap_fixed<width, integer>``.

    Args:
        model: any module with quantizers; learned formats are those of this moment.

    Raises:
        SparsePixError: see ``bit_widths``.
    """
    from rich.table import Table

    table = Table()
    table.add_column("layer")
    cells: dict[str, dict[str, str]] = {}
    for (layer, kind), format in _formats("bit_width_table", model).items():
        cells.setdefault(layer, {})[kind] = _short(format)
    kinds = ("weight", "bias", "output")
    for kind in kinds:
        table.add_column(kind, justify="right")
    for layer, row in cells.items():
        table.add_row(layer, *(row.get(kind, "") for kind in kinds))
    return table


def _formats(caller: str, model: nn.Module) -> dict[tuple[str, str], FixedPoint]:
    """The formats by (layer, 'weight', 'bias' or 'output'), in the order of the model."""
    found = {}
    for name, module in model.named_modules():
        if isinstance(module, Quantizer) and (format := module.fixed_point) is not None:
            layer, _, last = name.rpartition(".")
            kind = last.removesuffix("_quantizer") if last in _KINDS else "output"
            found[(layer or name or type(model).__name__, kind)] = format
    if not found:
        raise SparsePixError(
            f"{caller}: {type(model).__name__} has no quantizers, it computes in float; give bits=8, say"
        )
    return found


def _short(format: FixedPoint) -> str:
    return f"ap_{'' if format.signed else 'u'}fixed<{format.width}, {format.integer}>"


def _bars(axes: "Axes", rows: dict[str, FixedPoint], least: int, most: int) -> None:
    for place, format in enumerate(rows.values()):
        # A bit is as wide as 1, and its value is 2 to the power of its right edge on the reversed axis.
        low, high = format.integer - format.width, format.integer
        top = high - format.signed
        for begin, end, colour in ((low, min(top, 0), FRACTION), (max(low, 0), top, INTEGER), (top, high, SIGN)):
            for bit in range(begin, end):
                axes.barh(place, 0.9, left=bit + 0.05, height=0.66, color=colour)
        axes.text(low - 0.3, place, _short(format), va="center", fontsize=8)
    axes.set_yticks(range(len(rows)), list(rows))
    axes.set_ylim(len(rows) - 0.4, -0.6)
    # Room on the right for the longest name of a format.
    axes.set_xlim(most + 0.5, least - 0.6 - 0.42 * (most - least))
    ticks = [bit for bit in range(least, most + 1) if bit % 4 == 0]
    axes.set_xticks([bit + 0.5 for bit in ticks], [f"$2^{{{bit}}}$" for bit in ticks])
    axes.axvline(0, color="black", linewidth=1)
    axes.set_xlabel("value of a bit (line: binary point)")
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
