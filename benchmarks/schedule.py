"""Our schedule of the published C++ against what Vitis HLS reported of it.

    python benchmarks/schedule.py --repository sparse-pixels.git               # every 12th configuration
    python benchmarks/schedule.py --repository sparse-pixels.git --every 1     # all of them: hours
    python benchmarks/schedule.py --repository sparse-pixels.git --every 24 --first 12    # others than every 24th
    python benchmarks/schedule.py --repository sparse-pixels.git --only 8b/conv/ker3/conv-c2-f3/conv-p30-c2-f3
    python benchmarks/schedule.py --repository sparse-pixels.git --output FOLDER --name schedule    # and a JSON file

The repository is a clone of https://github.com/hftsoi/sparse-pixels. Beside the schedule stands the latency of the
estimate (``sparsepix_hls.reference.published``), which was fitted on all of these layers. Of the schedule, the LUTs of
one operator of each width and the delays of choices and writes at an index follow these reports; the other delays are
from other designs (``sparsepix_hls.schedule.delays``).
"""

import argparse
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from estimator import read_rows, reference_file
from published_projects import KINDS, Layer, Projects
from results import add_output, write_results
from rich.console import Console
from rich.progress import track
from rich.table import Table

from sparsepix_hls.reference.published import predict
from sparsepix_hls.schedule.modulo import schedule_region
from sparsepix_hls.schedule.optimize import optimized
from sparsepix_hls.schedule.regions import regions
from sparsepix_hls.schedule.source import compile_source
from sparsepix_ops.errors import SparsePixError

BUDGET_NS = 5.0 * (1 - 0.27)
MAX_PIXELS = 1000  # of an image that is searched: beyond it LLVM's passes take minutes


@dataclass(frozen=True)
class Result:
    """Ours of a layer.

    Args:
        layer: the published one.
        latency_cycles, loop, lut, ff: ours of the same, None if the C++ has something that we do not know.
        problem: what, if so.
    """

    layer: Layer
    latency_cycles: int = 0
    loop: tuple[int, int] | None = None
    lut: int = 0
    ff: int = 0
    problem: str = ""


def schedule(layer: Layer) -> Result:
    """Schedule a published layer."""
    try:
        with TemporaryDirectory() as folder:
            ir = compile_source(layer.source, "stage", Path(folder))
            found = regions(optimized(ir.read_text(encoding="utf-8"), "stage"), memories=True)
    except SparsePixError as error:
        return Result(layer, problem=str(error).splitlines()[0])
    schedules = [schedule_region(region.operations, BUDGET_NS, forwarded=True) for region in found]
    if None in schedules:
        return Result(layer, problem="no interval")
    lut = sum(operation.lut for region in found for operation in region.operations)
    # A function takes its states less one; a loop begins and ends in states of its own.
    latency = sum(s.depth_cycles - 1 + (r.trips - 1) * s.interval_cycles for r, s in zip(found, schedules, strict=True))
    loop = next(
        ((s.depth_cycles, s.interval_cycles) for r, s in zip(found, schedules, strict=True) if r.trips > 1), None
    )
    return Result(layer, latency + 2 * (loop is not None), loop, lut, sum(s.ff for s in schedules))


def sample(projects: Projects, every: int, first: int = 0) -> tuple[list[Layer], int]:
    """Some layers of each kind, every so many configurations; and how many there are."""
    seen: dict[tuple[object, ...], Layer] = {}
    folders = sorted(projects.folders)
    for folder in folders:
        wanted = next(
            (
                kind
                for kind, word in zip(KINDS, ("reduction", "conv/", "avgpool", "flatten"), strict=True)
                if word in folder
            ),
            None,
        )
        if "hls_full" in folder:
            continue
        for layer in projects.layers(folder):
            if wanted is not None and layer.kind != wanted:
                continue  # the layers before the one that the project is about
            if _too_large(layer):
                continue
            seen.setdefault((layer.kind, layer.source), layer)
    by_kind = {kind: [layer for (k, _), layer in seen.items() if k == kind] for kind in KINDS}
    return [layer for layers in by_kind.values() for layer in layers[first :: max(every, 1)]], len(seen)


def named(projects: Projects, ends: Sequence[str]) -> list[Layer]:
    """All layers of the projects whose folders end so, but for images that are too large to schedule."""
    folders = [folder for folder in sorted(projects.folders) if folder.endswith(tuple(ends))]
    return [layer for folder in folders for layer in projects.layers(folder) if not _too_large(layer)]


def _too_large(layer: Layer) -> bool:
    return layer.kind == "sparse_input_reduce" and layer.values[0] * layer.values[1] > MAX_PIXELS


def estimated_cycles(folder: Path | None) -> dict[tuple[str, int], int]:
    """Latency by the estimate, of the layers by design and LUTs of C synthesis."""
    rows = read_rows(reference_file(folder))
    return {row.report: predict(row.layer)[1] for some in rows.values() for row in some}


def _key(layer: Layer) -> tuple[str, int]:
    return layer.project.removeprefix("hls_proj/"), layer.report.lut


def _side_by_side(r: Result) -> dict[str, float]:
    """Ours and the published figures of a layer."""
    said = r.layer.report
    pairs = {"latency_cycles": (r.latency_cycles, said.latency_cycles), "lut": (r.lut, said.lut), "ff": (r.ff, said.ff)}
    if r.loop and said.loop:
        pairs |= {"depth_cycles": (r.loop[0], said.loop[0]), "interval_cycles": (r.loop[1], said.loop[1])}
    return {
        f"{whose}{key}": value
        for key, pair in pairs.items()
        for whose, value in zip(("", "published_"), pair, strict=True)
    }


def _figures(own: list[Result]) -> dict[str, float]:
    """How far ours are from what was reported; empty if the C++ of none is known."""
    known = [r for r in own if not r.problem]
    if not known:
        return {}
    loops = [r for r in known if r.layer.report.loop]
    off = [abs(r.latency_cycles - r.layer.report.latency_cycles) for r in known]
    return {
        "layers": len(own),
        "loops": len(loops),
        "intervals_exact": sum(r.loop is not None and r.loop[1] == r.layer.report.loop[1] for r in loops),
        "latency_within_1": sum(o <= 1 for o in off) / len(off),
        "latency_within_2": sum(o <= 2 for o in off) / len(off),
        "lut_median_error": median(abs(r.lut / r.layer.report.lut - 1) for r in known),
        "ff_median_error": median(abs(r.ff / r.layer.report.ff - 1) for r in known if r.layer.report.ff),
        "not_known": len(own) - len(known),
    }


def _share_within_1(results: list[Result], estimates: dict[tuple[str, int], int]) -> str:
    known = [r.layer for r in results if _key(r.layer) in estimates]
    off = [abs(estimates[_key(layer)] - layer.report.latency_cycles) for layer in known]
    return f"{sum(o <= 1 for o in off) / len(off):.0%} of {len(off)}" if off else ""


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description="the schedule against published reports")
    parser.add_argument("--repository", type=Path, required=True, help="a clone of hftsoi/sparse-pixels")
    parser.add_argument("--reference", type=Path, help="folder of published_layers.csv")
    parser.add_argument("--every", type=int, default=12, help="take every so many configurations")
    parser.add_argument("--first", type=int, default=0, help="the first one that is taken, of each kind")
    parser.add_argument(
        "--only", nargs="+", metavar="END", help="all layers of projects that end so, and their figures"
    )
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--verbose", action="store_true", help="a line a layer")
    add_output(parser, "NAME.json")
    parser.add_argument("--name", default="schedule", help="NAME (default: %(default)s)")
    arguments = parser.parse_args()
    console = Console(width=None if sys.stdout.isatty() else 160)
    estimates = estimated_cycles(arguments.reference)
    projects = Projects(arguments.repository)
    if arguments.only:
        layers = named(projects, arguments.only)
        number = len(layers)
        if not layers:
            parser.error(
                f"--only: expected ends of folders in {arguments.repository}, found {' '.join(arguments.only)}"
            )
    else:
        layers, number = sample(projects, arguments.every, arguments.first)
    console.print(f"{len(layers)} of {number} configurations")
    with ProcessPoolExecutor(arguments.jobs) as pool:
        results = list(track(pool.map(schedule, layers), "scheduling", len(layers), console=console))
    if arguments.verbose:
        for r in results:
            said = r.layer.report
            print(
                r.layer.name,
                f"latency {r.latency_cycles} of {said.latency_cycles}, loop {r.loop} of {said.loop},",
                f"LUT {r.lut} of {said.lut}, FF {r.ff} of {said.ff},",
                f"estimate {estimates.get(_key(r.layer))}",
                r.problem,
            )
    table = Table(title="ours of what Vitis HLS 2023.1 reported (xcu250, 5 ns, 27 %)")
    for column in (
        "layers",
        "number",
        "interval exact",
        "latency within 1",
        "latency within 2",
        "LUT, median error",
        "FF, median error",
        "estimate: latency within 1",
        "not known",
    ):
        table.add_column(column, justify="left" if column == "layers" else "right")
    figures: dict[str, float | dict[str, float]] = {"configurations": number, "scheduled": len(layers)}
    for kind in (*KINDS, ""):
        own, name = [r for r in results if kind in r.layer.kind], kind.removeprefix("sparse_") or "all"
        found = _figures(own)
        if not found:
            continue
        figures[name] = found
        table.add_row(
            name,
            str(found["layers"]),
            f"{found['intervals_exact']} of {found['loops']}",
            *(f"{found[key]:.0%}" for key in ("latency_within_1", "latency_within_2", "lut_median_error")),
            f"{found['ff_median_error']:.0%}",
            _share_within_1(own, estimates),
            str(found["not_known"]),
        )
    console.print(table)
    if arguments.output:
        if arguments.only:
            figures |= {r.layer.name: _side_by_side(r) for r in results if not r.problem}
        write_results(arguments.output, arguments.name, figures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
