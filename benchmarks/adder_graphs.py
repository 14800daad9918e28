"""Adder graphs of a model's weights: da4ml, as the translator calls it and with a depth to spare, beside alkaid.

    python benchmarks/adder_graphs.py model.onnx                    # every layer that has weights
    python benchmarks/adder_graphs.py model.onnx --only conv2 dense1
    python benchmarks/adder_graphs.py model.onnx --output FOLDER            # and adder_graphs.json there

alkaid (LGPL, as da4ml is) is da4ml's successor by the same author: pip install alkaid. Without it da4ml is shown alone.
Bits are those of the results of all adders, about a LUT each; both packages' own costs are in units of their own. Depth
is adders on the longest path. A ternary adder adds three numbers, which AMD's slices can do in about a LUT a bit; Yosys
does not map it so. Every graph is evaluated on random vectors and compared with the integer product.
Seconds are the median of three solutions, or of one that takes longer than ten seconds.
"""

import argparse
import importlib.util
import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from da4ml.trace import FixedVariable, FixedVariableArray, comb_trace
from da4ml.types import QInterval, minimal_kif
from results import add_output, key, write_results
from rich.console import Console
from rich.table import Table

from sparsepix_hls.frontend.reader import read_model
from sparsepix_hls.rtl.lower.arithmetic import HARDWARE
from sparsepix_ops.fixed_point import FixedPoint

ADDERS = (0, 1, 11)  # of two numbers, a difference, of three numbers
QUICK = {"search_all_decompose_dc": False}  # as the translator has it
VECTORS, ROUNDS, SLOW = 1000, 3, 10.0


@dataclass(frozen=True)
class Way:
    """A name for the table, what finds a graph, and options of the solver."""

    name: str
    solve: Callable[[np.ndarray, FixedPoint, dict[str, Any]], Any]
    options: dict[str, Any]


def by_da4ml(weights: np.ndarray, kind: FixedPoint, options: dict[str, Any]) -> Any:
    """The graph that da4ml finds."""
    inputs = [FixedVariable(kind.raw_min, kind.raw_max, 1, hwconf=HARDWARE) for _ in weights]
    array = FixedVariableArray(np.array(inputs, dtype=object), options)
    return comb_trace(array, array @ weights.astype(np.float64), keep_dead_inputs=True)


def by_alkaid(weights: np.ndarray, kind: FixedPoint, options: dict[str, Any]) -> Any:
    """The graph that alkaid finds; ``ternary`` in the options merges pairs of adders."""
    from alkaid.trace import FVariable, FVArray, trace
    from alkaid.trace.passes import dead_code_elimin, fuse_ternary_adders

    rest = {name: value for name, value in options.items() if name != "ternary"}
    # A carry size of -1, as da4ml takes it, would make wide adders the quicker ones; 65534 is without a limit too.
    inputs = [FVariable(kind.raw_min, kind.raw_max, 1, hwconf=(1, 65534, -1)) for _ in weights]
    array = FVArray(np.array(inputs, dtype=object), rest)
    logic = trace(array, array @ weights.astype(np.float64), keep_dead_inputs=True)
    return dead_code_elimin(fuse_ternary_adders(logic), keep_dead_inputs=True) if "ternary" in options else logic


def ways() -> Iterable[Way]:
    """What is compared."""
    yield Way("da4ml", by_da4ml, QUICK)
    yield Way("da4ml, hard_dc=6", by_da4ml, QUICK | {"hard_dc": 6})
    if importlib.util.find_spec("alkaid") is not None:
        yield Way("alkaid", by_alkaid, QUICK)
        yield Way("alkaid, ternary", by_alkaid, QUICK | {"ternary": True})


def measure(way: Way, weights: np.ndarray, kind: FixedPoint) -> dict[str, float]:
    """Solve, check and measure."""
    seconds: list[float] = []
    while len(seconds) < (ROUNDS if not seconds or seconds[0] < SLOW else 1):
        start = time.perf_counter()
        logic = way.solve(weights, kind, way.options)
        seconds.append(time.perf_counter() - start)
    vectors = np.random.default_rng(0).integers(kind.raw_min, kind.raw_max + 1, (VECTORS, len(weights)))
    np.testing.assert_array_equal(logic.predict(vectors.astype(np.float64)), vectors @ weights)
    depths: list[int] = []
    for op in logic.ops:
        reads = (op.addr if hasattr(op, "addr") else (op.id0, op.id1)) if op.opcode in ADDERS else ()
        depths.append(max((depths[k] for k in reads), default=0) + (op.opcode in ADDERS))
    sums = [op for op in logic.ops if op.opcode in ADDERS]
    bits = sum(sum(minimal_kif(QInterval(*op.qint))) for op in sums)
    return {
        "adders": len(sums),
        "bits": bits,
        "depth": max(depths),
        "own_cost": logic.cost,
        "seconds": statistics.median(seconds),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="ONNX file, as sparsepix-export writes it")
    parser.add_argument("--only", nargs="+", metavar="LAYER", help="these layers (default: all with weights)")
    add_output(parser, "adder_graphs.json")
    arguments = parser.parse_args()
    console, figures = Console(), {}
    if importlib.util.find_spec("alkaid") is None:
        console.print("alkaid is not installed, so da4ml is shown alone: pip install alkaid")
    layers = [layer for layer in read_model(arguments.model).graph.layers if hasattr(layer, "weight")]
    for layer in [layer for layer in layers if not arguments.only or layer.name in arguments.only]:
        weights = layer.weight.raw.reshape(-1, layer.weight.raw.shape[-1])
        source = layer.input if hasattr(layer, "input") else layer.features
        table = Table("solver", title=f"{layer.name}: {weights.shape[0]} x {weights.shape[1]}, inputs {source.type}")
        for heading in ("adders", "bits", "depth", "own cost", "seconds"):
            table.add_column(heading, justify="right")
        for way in ways():
            found = measure(way, weights, source.type)
            figures[key(f"{layer.name} {way.name}")] = found
            *counts, seconds = found.values()
            table.add_row(way.name, *(f"{value:,.0f}" for value in counts), f"{seconds:.2f}")
        console.print(table)
    if arguments.output:
        write_results(arguments.output, "adder_graphs", figures)


if __name__ == "__main__":
    main()
