"""The hardware model against published synthesis results, on layers that its fit has not seen.

    python benchmarks/estimator.py                                  # the table
    python benchmarks/estimator.py --output FOLDER                  # and estimator.json and estimator.png there
    python benchmarks/estimator.py --calibration                    # the factors for sparsepix_hls/published.py

Reads ``published_layers.csv`` from --reference, $SPARSEPIX_REFERENCE or ``../shared/reference`` beside the
repository. Rows with the same parameters are one configuration, and a configuration is never on both sides of a
split. In each fold the factors of ``sparsepix_hls.reference.published`` are fitted on the other folds (least relative
deviation, no negative factor); beside it a second-degree polynomial of the logarithms of the same parameters is fitted
on the same folds, once with the columns of the table alone, once with the version of the code as well.
"""

import argparse
import csv
import math
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from results import add_output, write_results
from rich import box
from rich.console import Console
from rich.table import Table
from scipy.optimize import nnls

from sparsepix_hls.reference.published import Calibration, Kind, PublishedLayer, blocks, predict, structural_cycles

LAYERS: dict[str, Kind] = {
    "sparse_conv": "conv",
    "sparse_input_reduce": "reduce",
    "sparse_pooling_avg": "pool",
    "sparse_flatten": "flatten",
}
TITLES: dict[Kind, str] = {"conv": "conv", "reduce": "input reduction", "pool": "average pool", "flatten": "flatten"}
COLUMNS = ("bits", "height", "width", "in_channels", "out_channels", "max_pixels", "kernel")
VERSIONS = ("early", "study", "release")
TARGET_LUT, TARGET_LATENCY = 0.10, 0.95
NOISE = 0.03  # relative deviations below this weigh the same in the fit


@dataclass(frozen=True)
class Row:
    """One published layer.

    Args:
        layer: its parameters for the model.
        config: the columns of the table that describe it; rows of equal ``config`` are one configuration.
        lut, ff, dsp: after Vivado synthesis.
        latency: cycles, from C synthesis.
        report: design and LUTs of C synthesis, by which its report is found.
    """

    layer: PublishedLayer
    config: tuple[int, ...]
    lut: float
    ff: float
    dsp: float
    latency: int
    report: tuple[str, int]


Predictor = Callable[[list[Row]], Callable[[list[Row]], dict[str, np.ndarray]]]


def reference_file(folder: Path | None) -> Path:
    """The table of published layers; exits with a message if it is not there."""
    default = Path(__file__).resolve().parents[2] / "shared" / "reference"
    folder = folder or Path(os.environ.get("SPARSEPIX_REFERENCE", default))
    path = folder / "published_layers.csv"
    if not path.is_file():
        sys.exit(
            f"{path}: not found. Expected the table of published layers; name its folder with --reference or "
            "SPARSEPIX_REFERENCE."
        )
    return path


def read_rows(path: Path) -> dict[Kind, list[Row]]:
    """Rows of the table by kernel. Image and pool of a layer come from the other layers of its design."""
    with path.open(newline="") as file:
        records = list(csv.DictReader(file))
    images = {r["design"]: (r["height"], r["width"]) for r in records if r["layer"] == "sparse_input_reduce"}
    pools = {r["design"]: int(r["kernel"]) for r in records if r["layer"] == "sparse_pooling_avg"}
    rows: dict[Kind, list[Row]] = {kind: [] for kind in LAYERS.values()}
    for record in records:
        if record["layer"] not in LAYERS:
            continue
        kind, design = LAYERS[record["layer"]], record["design"]
        early, study = design.startswith("scaling/10b/"), design.startswith("scaling/")
        version = "early" if early else "study" if study else "release"
        height, width = (record["height"], record["width"]) if record["height"] else images[design]
        pool = pools.get(design, 1)
        layer = PublishedLayer(
            kind=kind,
            version=version,
            bits=int(record["bits"]),
            slots=int(record["max_pixels"]),
            height=int(height),
            width=int(width),
            in_channels=int(record["in_channels"]),
            out_channels=int(record["out_channels"] or 1),
            kernel=int(record["kernel"] or 1),
            divisor_bits=2 * math.log2(pool) if kind == "flatten" and pool & (pool - 1) else 0.0,
        )
        rows[kind].append(
            Row(
                layer=layer,
                config=tuple(int(record[c] or 0) for c in COLUMNS),
                lut=float(record["vivado_lut"]),
                ff=float(record["vivado_ff"]),
                dsp=float(record["vivado_dsp"]),
                latency=int(record["latency_cycles"]),
                report=(design, int(record["csynth_lut"])),
            )
        )
    return rows


def split_by_slots(rows: list[Row]) -> np.ndarray:
    """Fold of each row [rows]: all layers of one number of slots, a value the fit has then never seen."""
    slots = sorted({row.layer.slots for row in rows})
    return np.array([slots.index(row.layer.slots) for row in rows])


def split(rows: list[Row], folds: int, seed: int) -> np.ndarray:
    """Fold of each row [rows]; all rows of a configuration are in one fold."""
    configs = sorted({row.config for row in rows})
    order = np.random.default_rng(seed).permutation(len(configs))
    fold = {configs[j]: i % folds for i, j in enumerate(order)}
    return np.array([fold[row.config] for row in rows])


def fit_factors(counts: np.ndarray, truth: np.ndarray, steps: int = 15) -> np.ndarray:
    """Factors [blocks], none negative, of the least sum of relative deviations.

    Args:
        counts: [rows, blocks] primitives counted.
        truth: [rows] published values, above 0.
        steps: of reweighted least squares.
    """
    scale = np.maximum(counts.max(axis=0), 1e-9)
    weight = 1 / truth
    for _ in range(steps):
        factors = nnls(counts / scale * weight[:, None], truth * weight, maxiter=100 * counts.shape[1])[0] / scale
        deviation = np.abs(counts @ factors / truth - 1)
        weight = 1 / truth / np.sqrt(np.maximum(deviation, NOISE))
    return factors


def calibrate(rows: list[Row]) -> Calibration:
    """Factors and starts fitted on these rows."""
    parts = [blocks(row.layer) for row in rows]
    fitted = {}
    for resource in ("lut", "ff"):
        names = sorted({name for part in parts for name, cost in part.items() if getattr(cost, resource)})
        counts = np.array(
            [[getattr(part[name], resource) if name in part else 0.0 for name in names] for part in parts]
        )
        truth = np.array([getattr(row, resource) for row in rows])
        fitted[resource] = dict(zip(names, map(float, fit_factors(counts, truth)), strict=True))
    start = {}
    for version in VERSIONS:
        rest = [row.latency - structural_cycles(row.layer) for row in rows if row.layer.version == version]
        if rest:
            # The middle of what occurs, less its rare ends: within a cycle counts, not the mean.
            start[version] = float(np.mean(np.quantile(rest, [0.02, 0.98])))
    return Calibration(start=start, **fitted)


def model(rows: list[Row]) -> Callable[[list[Row]], dict[str, np.ndarray]]:
    """The hardware model, calibrated on ``rows``."""
    calibration = calibrate(rows)

    def predictions(held_out: list[Row]) -> dict[str, np.ndarray]:
        pairs = [predict(row.layer, calibration) for row in held_out]
        result = {name: np.array([getattr(cost, name) for cost, _ in pairs]) for name in ("lut", "ff", "dsp")}
        return result | {"latency": np.array([latency for _, latency in pairs])}

    return predictions


def polynomial(with_version: bool) -> Predictor:
    """A second-degree polynomial of the logarithms of the columns, the plain way to do it."""

    def features(rows: list[Row]) -> np.ndarray:
        x = np.log([[max(value, 1) for value in row.config] for row in rows])
        x = x[:, [i for i, value in enumerate(rows[0].config) if value]]
        if with_version:
            x = np.column_stack([x, *[[row.layer.version == v for row in rows] for v in ("early", "release")]])
        squares = [x[:, i] * x[:, j] for i in range(x.shape[1]) for j in range(i, x.shape[1])]
        return np.column_stack([np.ones(len(x)), x, *squares])

    def fit(rows: list[Row]) -> Callable[[list[Row]], dict[str, np.ndarray]]:
        x = features(rows)
        solved = {
            name: np.linalg.lstsq(x, np.log([getattr(row, name) for row in rows]), rcond=None)[0]
            for name in ("lut", "ff", "latency")
        }
        return lambda held_out: {name: np.exp(features(held_out) @ c) for name, c in solved.items()}

    return fit


def cross_validate(rows: list[Row], predictor: Predictor, fold: np.ndarray) -> dict[str, np.ndarray]:
    """Predictions [rows] of each quantity, each from a fit that has not seen the row's configuration."""
    result: dict[str, np.ndarray] = {}
    for k in range(fold.max() + 1):
        held_out = np.flatnonzero(fold == k)
        predicted = predictor([row for row, f in zip(rows, fold, strict=True) if f != k])([rows[i] for i in held_out])
        for name, values in predicted.items():
            result.setdefault(name, np.empty(len(rows)))[held_out] = values
    return result


def errors(rows: list[Row], predicted: dict[str, np.ndarray], name: str) -> np.ndarray:
    """Relative deviations [rows] of a quantity; where none is published, 0 or 1 for 'none' or 'some' predicted."""
    truth = np.array([getattr(row, name) for row in rows], float)
    return np.where(truth > 0, np.abs(predicted[name] - truth) / np.maximum(truth, 1), predicted[name] > 0)


def by_configuration(rows: list[Row], values: np.ndarray) -> np.ndarray:
    """Median of the values of each configuration: a configuration counts once, however often it was synthesized."""
    configs = sorted({row.config for row in rows})
    return np.array([np.median([v for row, v in zip(rows, values, strict=True) if row.config == c]) for c in configs])


def summary(rows: list[Row], predicted: list[dict[str, np.ndarray]]) -> dict[str, float]:
    """Figures over all repetitions of the cross validation."""
    lut = np.concatenate([errors(rows, p, "lut") for p in predicted])
    off = np.concatenate([np.abs(np.round(p["latency"]) - [row.latency for row in rows]) for p in predicted])
    figures = {
        "lut_median": float(np.median(lut)),
        "lut_p90": float(np.quantile(lut, 0.9)),
        "lut_median_by_config": float(
            np.median(np.concatenate([by_configuration(rows, errors(rows, p, "lut")) for p in predicted]))
        ),
        "latency_within_1": float(np.mean(off <= 1)),
        "ff_median": float(np.median(np.concatenate([errors(rows, p, "ff") for p in predicted]))),
    }
    if "dsp" in predicted[0]:
        dsp = np.concatenate([errors(rows, p, "dsp") for p in predicted])
        figures |= {"dsp_exact": float(np.mean(dsp == 0)), "dsp_within_10": float(np.mean(dsp <= 0.1))}
    return figures


def show(console: Console, results: dict[Kind, dict[str, dict[str, float]]], counts: dict[Kind, str]) -> None:
    """The table: the model and the polynomials for each kernel."""
    table = Table(title="Relative errors against Vivado on held-out configurations", box=box.SIMPLE)
    columns = {
        "LUT\nmedian": "lut_median",
        "LUT\n90 %": "lut_p90",
        "latency\n+-1 cycle": "latency_within_1",
        "FF\nmedian": "ff_median",
        "DSP\nexact": "dsp_exact",
    }
    table.add_column("kernel")
    table.add_column("method")
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    for kind, methods in results.items():
        for method, figures in methods.items():
            cells = [f"{figures[name]:.1%}" if name in figures else "" for name in columns.values()]
            table.add_row(TITLES[kind] if method == "model" else "", method, *cells)
        table.add_section()
    console.print(table)
    for kind, methods in results.items():
        console.print(f"{TITLES[kind]}: {counts[kind]}")
        figures = methods["model"]
        met = figures["lut_median"] <= TARGET_LUT and figures["latency_within_1"] >= TARGET_LATENCY
        console.print(f"{TITLES[kind]}: {'goal met' if met else 'GOAL MISSED'} (LUT median <= 10%, latency +-1 >= 95%)")


def draw(rows: dict[Kind, list[Row]], predicted: dict[Kind, dict[str, np.ndarray]]) -> Figure:
    """Predicted against published LUTs of held-out layers, one panel a kernel."""
    figure = Figure(figsize=(4 * len(rows), 4), layout="constrained")
    axes = figure.subplots(1, len(rows))
    for axis, (kind, group) in zip(axes, rows.items(), strict=True):
        truth = np.array([row.lut for row in group])
        line = 10.0 ** np.array([math.floor(math.log10(truth.min())), math.ceil(math.log10(truth.max()))])
        axis.fill_between(line, line * 0.9, line * 1.1, color="0.9", label="within 10%")
        axis.plot(line, line, color="0.5", linewidth=0.8)
        for version in VERSIONS:
            at = [i for i, row in enumerate(group) if row.layer.version == version]
            axis.plot(truth[at], predicted[kind]["lut"][at], ".", markersize=4, alpha=0.6, label=version)
        axis.set(xscale="log", yscale="log", title=TITLES[kind], xlabel="published LUTs (Vivado)", xlim=line, ylim=line)
    axes[0].set_ylabel("predicted LUTs (held out)")
    axes[0].legend(frameon=False)
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--reference", type=Path, help="folder of published_layers.csv")
    parser.add_argument("--folds", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=3, help="how many different splits into folds")
    parser.add_argument("--by-slots", action="store_true", help="hold out all layers of one max_pixels at a time")
    add_output(parser, "estimator.json and estimator.png, predicted against published LUTs,")
    parser.add_argument("--calibration", action="store_true", help="print the factors fitted on all layers, and stop")
    options = parser.parse_args()
    rows, console = read_rows(reference_file(options.reference)), Console()
    if options.calibration:
        for kind, group in rows.items():
            fitted = calibrate(group)
            for name in ("lut", "ff", "start"):
                print(kind, name, {block: float(f"{factor:.3g}") for block, factor in getattr(fitted, name).items()})
        return
    methods = {"model": model, "polynomial": polynomial(False), "poly. + version": polynomial(True)}
    results: dict[Kind, dict[str, dict[str, float]]] = {}
    first: dict[Kind, dict[str, np.ndarray]] = {}
    for kind, group in rows.items():
        splits = [split(group, options.folds, seed) for seed in range(options.seeds)]
        if options.by_slots:
            splits = [split_by_slots(group)]
        results[kind] = {}
        for name, method in methods.items():
            predicted = [cross_validate(group, method, fold) for fold in splits]
            results[kind][name] = summary(group, predicted)
            if name == "model":
                first[kind] = predicted[0]
    counts = {kind: f"{len(g)} layers, {len({r.config for r in g})} configs" for kind, g in rows.items()}
    show(console, results, counts)
    if options.output:
        figures = {kind: {"layers": len(group), **results[kind]["model"]} for kind, group in rows.items()}
        write_results(options.output, "estimator", figures, pictures={"estimator": draw(rows, first)})


if __name__ == "__main__":
    main()
