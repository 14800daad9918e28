"""The stages that list the active pixels, as C++."""

from collections.abc import Mapping

from sparsepix_hls.cpp.text import array_type, declarations, forward, partition, port_name, send
from sparsepix_hls.design.layout import Design
from sparsepix_hls.design.schedule import Stage
from sparsepix_hls.ir.dims import dims
from sparsepix_hls.ir.kernel import Kernel
from sparsepix_hls.ir.tensors import Array, KernelMap
from sparsepix_hls.kernels.text import call, comment, heading, statement
from sparsepix_hls.layers.input_reduce import InputReduce
from sparsepix_hls.layers.kernel_map import MakeKernelMap
from sparsepix_hls.layers.sparse_conv2d import SparseConv2d


def scan_body(stage: Stage, design: Design, layers: Mapping[str, Kernel], sends: bool) -> list[str]:
    """A scan: each clock the next active pixel or two, pairs with the earlier ones, and the overlapped convolution."""
    reduce = design.input_reduce
    config, magnitude = f"{reduce.name}_config", reduce.selection == "magnitude"
    _, height, width = reduce.image.shape
    pair = design.scan_pixels == 2
    listed = _listed(reduce)
    convs = [step for step in stage.steps if isinstance(step, SparseConv2d)]
    maps = [step.map for step in stage.steps if isinstance(step, MakeKernelMap)]

    state = [
        comment(heading(layers[reduce.name]), "  "),
        f"  sparsepix::Flags<{width}> active[{height}]; // pixels to list",
        partition("active"),
        f"  sparsepix::{'PairScanState' if pair else 'ScanState'}<{config}> scan;",
        *declarations((reduce.features, reduce.coords), listed),
        *declarations(maps, {m.name: f"{m.name}_listed" for m in maps}),
        *declarations(
            [conv.output for conv in convs], {conv.output.name: f"{conv.output.name}_sums" for conv in convs}
        ),
    ]
    indent = "  " if magnitude else "      "
    found = [reduce.image.name, _threshold(layers[reduce.name]), "active"]
    find = [call(f"sparsepix::find_active<{config}>", found, indent)]
    if magnitude:
        find.append(call(f"sparsepix::keep_largest<{config}>", [reduce.image.name, "active"], indent))
    find.append(call(f"sparsepix::start_scan<{config}>", ["active", "scan"], indent))

    channels, several = reduce.image.shape[0], "[2]" if pair else ""
    counter = "turn" if pair else "slot"
    pixel, place = ("pixels", "places") if pair else ("pixel", "place")
    step = [
        f"    {reduce.features.name}_t {pixel}{several}[{channels}];",
        partition(pixel),
        f"    {reduce.coords.name}_t {place}{several}[2];",
        partition(place),
        _in_loop(f"next_{pixel}<{config}>", [reduce.image.name, "active", "scan", pixel, place]),
    ]
    step += _take_pixels(reduce, convs, maps, layers, listed, pair)

    listed |= {m.name: f"{m.name}_listed" for m in maps}
    ending = _finish(stage, layers, convs, listed, sends)
    ending += _leave(stage, design, listed, sends)
    if magnitude:
        # Two loops in one process: nothing can be rewound.
        begin, mode = find, "#pragma HLS PIPELINE II = 1"
        start: list[str] = []
    else:
        begin, mode = [], "#pragma HLS PIPELINE II = 1 rewind"
        start = [f"    if ({counter} == 0) {{", *find, "    }"]
    loop = f"  for (int {counter} = 0; {counter} < {stage.rounds}; {counter}++) {{"
    return [
        *state, *begin, "LIST_PIXEL:", loop, mode, *start, *step,
        f"    if ({counter} == {stage.rounds - 1}) {{", *ending, "    }", "  }",
    ]  # fmt: skip


def _take_pixels(
    reduce: InputReduce,
    convs: list[SparseConv2d],
    maps: list[KernelMap],
    layers: Mapping[str, Kernel],
    listed: Mapping[str, str],
    pair: bool,
) -> list[str]:
    """What is done with the pixels of a clock: their pairs with the earlier ones, the convolution, their slots.

    Of two the first one is listed before the second one looks for its pairs.
    """
    config, lines = f"{reduce.name}_config", []
    rows = {size: f"{reduce.coords.name}_row_{size[0]}x{size[1]}" for size in _sizes(convs, maps)}
    several, slots = ("[2]", ("slot", "slot + 1")) if pair else ("", ("slot",))
    half = pair and reduce.max_pixels % 2
    if pair:
        lines.append("    const int slot = 2 * turn;")
    if half:
        lines.append(_in_loop(f"drop_second<{config}>", [f"turn == {reduce.max_pixels // 2}", "pixels", "places"]))
    for size, row in rows.items():
        element = array_type(KernelMap(reduce.coords, size))
        lines += [f"    {element} {row}{several}[{reduce.max_pixels}];", partition(row)]
    listing: list[str] = []
    for number, slot in enumerate(slots):
        one, pixel, place = (f"[{number}]", "pixels", "places") if pair else ("", "pixel", "place")
        for size, row in rows.items():
            arguments = [slot, f"{place}{one}", listed[reduce.coords.name], f"{row}{one}"]
            lines.append(_in_loop(f"pair_row<{_user(size, convs, maps, layers)}_config>", arguments))
        listing = []
        for wanted in maps:
            arguments = [slot, f"{rows[wanted.kernel_size]}{one}", f"{wanted.name}_listed"]
            user = _user(wanted.kernel_size, convs, maps, layers)
            listing.append(_in_loop(f"list_pairs<{user}_config>", arguments))
        arguments = [slot, f"{pixel}{one}", f"{place}{one}", listed[reduce.features.name], listed[reduce.coords.name]]
        listing.append(_in_loop(f"list_pixel<{config}>", arguments))
        if slot != slots[-1]:
            lines += listing
    for conv in convs:
        layer = layers[conv.name]
        weight, pixel = layer.constants[0][0].name, "pixels" if pair else "pixel"
        arguments = ["slot", pixel, listed[reduce.features.name], rows[conv.kernel_size], weight]
        lines.append(comment(heading(layer), "    "))
        kernel = f"{layer.kernel}{'s' if pair else ''}<{conv.name}_config>"
        lines.append(_in_loop(kernel, [*arguments, f"{conv.output.name}_sums"]))
    if half:
        # The last turn has no slot for its second pixel.
        return [*lines, f"    if (turn < {reduce.max_pixels // 2}) {{", *listing, "    }"]
    return [*lines, *listing]


def stream_body(stage: Stage, design: Design, layers: Mapping[str, Kernel], sends: bool) -> list[str]:
    """Beats of pixels: appended to the list, or collected to an image."""
    reduce = design.input_reduce
    config = f"{reduce.name}_config"
    image, pixels = reduce.image, design.pixels_per_cycle
    listed = _listed(reduce)
    collects = stage.kind == "receive"
    state = []
    if not collects:
        state = [
            comment(heading(layers[reduce.name]), "  "),
            *declarations((reduce.features, reduce.coords), listed),
            f"  sparsepix::Progress<{config}> progress; // how far the image and the list have come",
        ]
    step = [f"    {image.name}_t pixels[{pixels}]{dims(image.shape[:1])};", partition("pixels")]
    if design.io == "stream":
        step.append(_in_loop(f"receive_beat<{config}>", [port_name(image), "pixels"]))
    else:
        step.append(_in_loop(f"read_beat<{config}>", ["beat", image.name, "pixels"]))
    ending = []
    if collects:
        step.append(_in_loop(f"store_beat<{config}>", ["beat", "pixels", image.name]))
    else:
        threshold = _threshold(layers[reduce.name])
        arguments = ["beat", "pixels", threshold, listed[reduce.features.name], listed[reduce.coords.name], "progress"]
        step.append(_in_loop(f"append_beat<{config}>", arguments))
        ending = [f"    if (beat == {design.beats - 1}) {{", *_leave(stage, design, listed, sends), "    }"]
    loop = [f"  for (int beat = 0; beat < {design.beats}; beat++) {{", "#pragma HLS PIPELINE II = 1 rewind"]
    return [*state, "TAKE_BEAT:", *loop, *step, *ending, "  }"]


def _in_loop(function: str, arguments: list[str]) -> str:
    return call(f"sparsepix::{function}", arguments, "    ")


def _listed(reduce: InputReduce) -> dict[str, str]:
    """The list under construction: the outputs are channels to another process, written once."""
    return {t.name: f"{t.name}_listed" for t in (reduce.features, reduce.coords)}


def _threshold(layer: Kernel) -> str:
    return layer.constants[0][0].name


def _sizes(convs: list[SparseConv2d], maps: list[KernelMap]) -> list[tuple[int, int]]:
    return list(dict.fromkeys(step.kernel_size for step in (*convs, *maps)))


def _user(size: tuple[int, int], convs: list[SparseConv2d], maps: list[KernelMap], layers: Mapping[str, Kernel]) -> str:
    """A convolution whose parameters describe the pairs of one kernel size."""
    for conv in convs:
        if conv.kernel_size == size:
            return conv.name
    wanted = next(m for m in maps if m.kernel_size == size)
    return next(layer.name for layer in layers.values() if layer.kernel_map == wanted)


def _finish(
    stage: Stage, layers: Mapping[str, Kernel], convs: list[SparseConv2d], listed: Mapping[str, str], sends: bool
) -> list[str]:
    """The bias of the overlapped convolution and the activations after it, when the last pixel has come."""
    lines = []
    ports = () if sends else stage.outputs
    for conv in convs:
        layer = layers[conv.name]
        bias = layer.constants[1][0].name
        lines += declarations([conv.output] if conv.output not in ports else [], None, "      ")
        arguments = [f"{conv.output.name}_sums", listed[conv.coords.name], bias, conv.output.name]
        lines.append(call(f"sparsepix::sparse_conv2d_bias<{conv.name}_config>", arguments, "      "))
    for step in stage.steps:
        if step.joins:
            layer = layers[step.name]
            lines += [comment(heading(layer), "      ")]
            lines += declarations([made for made in step.outputs if made not in ports], None, "      ")
            lines.append(statement(layer, indent="      "))
    return lines


def _leave(stage: Stage, design: Design, listed: Mapping[str, str], sends: bool) -> list[str]:
    """The list goes to its readers."""
    lines = []
    if sends:
        for result in design.graph.outputs:
            if result.name in listed:
                lines += [
                    *declarations([result], None, "      "),
                    forward(result, listed[result.name], result.name, "      "),
                ]
        return [*lines, *send(design.graph.outputs, "      ")]
    kept: list[Array] = [array for array in stage.outputs if array.name in listed]
    return [forward(array, listed[array.name], array.name, "      ") for array in kept]
