"""Many designs of one model, estimated: latency against area."""

import csv
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from rich.console import Console

from sparsepix_hls.cpp.estimate import estimate_design
from sparsepix_hls.design.layout import Design, Loops
from sparsepix_hls.design.options import AUTO, Options
from sparsepix_hls.flow.backends import DEFAULT_BACKEND, BackendName, backend_design, find_backend
from sparsepix_hls.flow.fits import as_stream, at_most, share_of
from sparsepix_hls.html.designs_page import designs_page
from sparsepix_hls.ir.estimate import Estimate
from sparsepix_hls.ir.graph import Graph, Layer
from sparsepix_hls.layers.input_reduce import InputReduce, input_reduce
from sparsepix_hls.layers.sparse_avg_pool2d import SparseAvgPool2d
from sparsepix_hls.layers.sparse_conv2d import SparseConv2d
from sparsepix_hls.layers.sparse_flatten import SparseFlatten
from sparsepix_hls.layers.sparse_max_pool2d import SparseMaxPool2d
from sparsepix_hls.project.parts import Part, find_part
from sparsepix_hls.reference.published import PublishedLayer, predict
from sparsepix_hls.reference.published_models import find_published
from sparsepix_ops.errors import SparsePixError
from sparsepix_ops.system.options import as_words
from sparsepix_ops.system.progress import step

_MOST_FILLED = 2.0  # of a part: what needs more is not traced, for that takes minutes and the design fits nowhere
_REUSE = (1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 32)


@dataclass(frozen=True)
class Point:
    """One design.

    Args:
        options: that it was made from.
        command: the same as arguments of ``sparsepix-hls``.
        total: its estimate.
        best: no other design is as good in latency, interval and LUTs, and better in one of them.
        scheduled: clocks of an event and between two, by the schedule of its C++; None if it was not scheduled.
    """

    options: Options
    command: str
    total: Estimate
    best: bool = False
    scheduled: tuple[int, int] | None = None

    @property
    def kind(self) -> str:
        """How it comes by its pixels, for a legend."""
        return "pixels one by one" if self.options.conv == "stream" else self.options.reduce


@dataclass(frozen=True)
class PublishedPoint:
    """The published design of the same model; ``interval_cycles`` and ``ff`` are None where they are not known.

    ``origin`` says where its figures are from: synthesis, or our composition of the published kernels.
    """

    origin: str
    latency_cycles: int
    interval_cycles: int | None
    lut: int
    ff: int | None
    dsp: int


def explore(
    graph: Graph,
    options: Options,
    clock_ns: float,
    console: Console | None = None,
    backend: BackendName = DEFAULT_BACKEND,
    part: Part | None = None,
) -> tuple[Point, ...]:
    """Estimate every way to reduce the input, with equal reuse of all layers and with matched stages.

    Args:
        graph: the model.
        options: what stays the same in all designs: ports, dataflows, options of single layers.
        clock_ns: clock period.
        console: where progress is shown; nowhere if None.
        backend: that has to be able to write them.
        part: the FPGA; None: one of UltraScale+.

    Returns:
        The designs by latency; those that cannot be built, or need more than twice the part, are left out.

    Raises:
        SparsePixError: none of them can be built; why the first one cannot.
    """
    way, part = find_backend(backend), part or find_part("xcvu9p")
    lanes = way.scan_pixels if options.scan_pixels is None else (options.scan_pixels,)
    built = way.reductions if input_reduce(graph).selection == "raster" else way.of_largest
    wanted = [
        replace(variant, scan_pixels=number)
        for variant in _variants(graph, options, built, way.loops)
        for number in (lanes if variant.reduce == "scan" else (None,))
    ]
    points: list[Point] = []
    seen: list[Design] = []
    first_error: SparsePixError | None = None
    with step(console, "estimating", total=len(wanted), unit="designs") as now:
        for number, variant in enumerate(wanted):
            now.tell(command(variant, backend), number, len(wanted))
            try:
                design, _ = backend_design(graph, variant, clock_ns, way)
            except SparsePixError as error:
                first_error = first_error or error
                continue
            layout = replace(design, graph=graph)  # its own graph may be rewritten, anew each time
            if layout in seen:  # another way to ask for it
                continue
            seen.append(layout)
            if share_of(at_most(estimate_design(design, clock_ns).total, design, way), part) > _MOST_FILLED:
                first_error = first_error or SparsePixError(
                    f"model {graph.name}: no design was found that fits {part.name}: use fewer max_pixels or a larger "
                    "part"
                )
                continue
            total = way.lower(design, clock_ns, part).estimate().total
            points.append(Point(variant, command(variant, backend), total))
        now.done = f"{len(points)} designs estimated"
    if not points:
        assert first_error is not None
        raise first_error
    found = [replace(point, best=not any(_beats(other.total, point.total) for other in points)) for point in points]
    return tuple(sorted(_different(found), key=lambda point: (point.total.latency_cycles, point.total.lut)))


def _variants(graph: Graph, options: Options, built: tuple[str, ...], loops: Loops) -> list[Options]:
    slots = input_reduce(graph).max_pixels
    _, height, width = graph.input.shape
    kinds = built if options.reduce == AUTO else (options.reduce,)
    lanes = {max(width // 4, 1), width, min(4 * width, height * width)}
    if options.pixels_per_cycle is not None:
        lanes = {options.pixels_per_cycle}
    found = []
    for kind in kinds:
        streams = kind == "stream" or options.io == "stream"
        for pixels in sorted(lanes) if streams else [None]:
            base = replace(options, reduce=kind, pixels_per_cycle=pixels, reuse_factor=None, target_interval=None)
            beyond = {2 * slots, 4 * slots} if loops.folds else set()
            factors = sorted({factor for factor in _REUSE if factor < slots} | {slots} | beyond)
            found += [replace(base, reuse_factor=factor) for factor in factors]
            found += [replace(base, target_interval=factor + loops.restart) for factor in factors]
    if options.conv == AUTO and options.io != "parallel" and options.reduce == AUTO:
        one_by_one = as_stream(graph, replace(options, reuse_factor=None, target_interval=None))
        found += [replace(one_by_one, pixels_per_cycle=pixels) for pixels in sorted(lanes)]
    return found


def _beats(one: Estimate, other: Estimate) -> bool:
    a, b = ((e.latency_cycles, e.interval_cycles, e.lut) for e in (one, other))
    return a != b and all(x <= y for x, y in zip(a, b, strict=True))


def _different(points: Sequence[Point]) -> list[Point]:
    """One of each estimate: several options may lead to the same design."""
    return list({(p.options.reduce, p.options.pixels_per_cycle, p.total): p for p in reversed(points)}.values())


def command(options: Options, backend: BackendName = DEFAULT_BACKEND) -> str:
    """Options as arguments of the command line; those of single layers are not among them."""
    words = [] if backend == DEFAULT_BACKEND else [f"--backend {backend}"]
    words += as_words(options)
    return " ".join(words)


def write_points(path: Path, points: Sequence[Point]) -> None:
    """All designs as a CSV file."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        figures = list(asdict(points[0].total))
        writer.writerow(["options", *figures, "best", "scheduled_latency_cycles", "scheduled_interval_cycles"])
        for point in points:
            scheduled = point.scheduled or ("", "")
            writer.writerow([point.command, *asdict(point.total).values(), int(point.best), *scheduled])


def write_designs_page(
    path: Path,
    points: Sequence[Point],
    published: PublishedPoint | None,
    name: str,
    command: str,
    part: Part,
    clock_ns: float,
) -> None:
    """All designs as a page for a browser.

    Args:
        path: of the file.
        points: the designs.
        published: that of the same model.
        name: of the model.
        command: the words of a command line in front of those of each design.
        part: the FPGA.
        clock_ns: clock period.
    """
    rows = [
        {"command": p.command, "kind": p.kind, "best": p.best, "scheduled": p.scheduled, **asdict(p.total)}
        for p in points
    ]
    beside = None if published is None else asdict(published)
    text = designs_page(name, rows, beside, command, part.full_name, part.luts, clock_ns)
    path.write_text(text, encoding="utf-8")


def published_point(graph: Graph) -> PublishedPoint | None:
    """The published design of this model: its synthesis results, or else what its kernels would take.

    Without synthesis results only what ``published.py`` knows is counted (input reduction, convolutions, average pools,
    flatten), so that the figures are too small; None for a model that the published kernels cannot build.
    """
    model = find_published(graph)
    if model is not None:
        origin = f"{model.dataset}, {model.bits} bit, synthesized"
        figures = (model.latency_cycles, model.interval_cycles, model.lut, model.ff, model.dsp)
        return PublishedPoint(origin, *figures)
    layers = [_published_layer(layer) for layer in graph.layers]
    known = [layer for layer in layers if layer is not None]
    reduce = input_reduce(graph)
    if any(isinstance(layer, SparseMaxPool2d) for layer in graph.layers) or reduce.selection != "raster":
        return None
    costs = [predict(layer) for layer in known]
    lut, dsp = (round(sum(getattr(cost, key) for cost, _ in costs)) for key in ("lut", "dsp"))
    latency = sum(cycles for _, cycles in costs)
    return PublishedPoint("its kernels composed, without dense layers and FIFOs", latency, None, lut, None, dsp)


def _published_layer(layer: Layer) -> PublishedLayer | None:
    match layer:
        case InputReduce():
            _, height, width = layer.image.shape
            bits = layer.image.type.width
            return PublishedLayer("reduce", "release", bits, layer.max_pixels, height, width)
        case SparseConv2d():
            slots, channels = layer.features.shape
            side = 2 ** (layer.coords.type.width - 1) - 1
            bits, size = layer.weight.type.width, max(layer.kernel_size)
            return PublishedLayer("conv", "release", bits, slots, side, side, channels, layer.output.shape[1], size)
        case SparseAvgPool2d():
            slots, channels = layer.features.shape
            height, width = layer.spatial_shape
            bits, size = layer.features.type.width, max(layer.kernel_size)
            return PublishedLayer("pool", "release", bits, slots, height, width, channels, channels, size)
        case SparseFlatten():
            slots, channels = layer.features.shape
            height, width = layer.spatial_shape
            return PublishedLayer("flatten", "release", layer.features.type.width, slots, height, width, channels)
    return None
