"""The input reduction and what works while it lists the pixels."""

import numpy as np

from sparsepix_hls import ir
from sparsepix_hls.rtl import layers
from sparsepix_hls.rtl.arithmetic import any_of, as_variable, inverse, negative, select, total
from sparsepix_hls.rtl.fields import Arrays, title
from sparsepix_hls.rtl.function import Field, Function, trace, unsigned
from sparsepix_hls.rtl.pairs import code_of
from sparsepix_hls.rtl.text import bits_for, connected, instance, module_text, port, ports
from sparsepix_hls.stages import PairMap, Stage, pair_map

ADDER_LEVELS = 2.0  # of the sums that grow behind a function
RULES = {"first": 0, "any": 1, "sum": 2}


def _parameters(arrays: Arrays) -> dict[str, int]:
    """What both reductions are told of the image."""
    reduce = arrays.design.input_reduce
    channels, height, width = reduce.image.shape
    return {
        "HEIGHT": height,
        "WIDTH": width,
        "CHANNELS": channels,
        "BITS": reduce.image.type.width,
        "IS_SIGNED": int(reduce.image.type.signed),
        "THRESHOLD": reduce.threshold_raw,
        "RULE": RULES[reduce.activity],
        "MAX_PIXELS": reduce.max_pixels,
        "COORD_BITS": reduce.coords.type.width,
    }


def beat_field(arrays: Arrays, pixels: int) -> Field:
    """A beat of the image: pixels in row-major order, channels side by side."""
    reduce = arrays.design.input_reduce
    return Field("pixels", (pixels, reduce.image.shape[0]), reduce.image.type)


def input_pixels(arrays: Arrays) -> int:
    """Pixels of a beat of the model's input port: the whole image, or what a stream brings."""
    _, height, width = arrays.design.graph.input.shape
    return height * width if arrays.design.io == "parallel" else arrays.design.pixels_per_cycle


def scan_module(
    name: str, arrays: Arrays, stage: Stage, levels: float
) -> tuple[tuple[Field, ...], list[Function], str]:
    """A scan, and the pair maps and the convolution that grow with its list."""
    reduce = arrays.design.input_reduce
    assert reduce.features.type.width == reduce.image.type.width, "the list holds the image's numbers"
    pixels = input_pixels(arrays)
    _, height, width = reduce.image.shape
    size, slot_bits = reduce.max_pixels, bits_for(reduce.max_pixels)
    beat = beat_field(arrays, pixels)
    outputs = [arrays.field(array) for array in stage.outputs]
    maps = [step for step in stage.steps if isinstance(step, PairMap)]
    convs = [step for step in stage.steps if isinstance(step, ir.SparseConv2d)]
    function = _arrival(f"{name}_arrival", arrays, stage, maps, convs, levels)

    lines = ["  wire enable, pixel_valid, pixel_last;", f"  wire [{slot_bits - 1}:0] pixel_slot;"]
    pixel, place = function.inputs[2], function.inputs[3]
    lines += [f"  {port('wire', pixel)};", f"  {port('wire', place)};"]
    parameters = _parameters(arrays) | {
        "BEAT_PIXELS": pixels,
        "BEATS": -(-height * width // pixels),
        "SLOT_BITS": slot_bits,
    }
    signals = ("clk", "rst_n", "in_valid", "in_ready", "enable", "pixel_valid", "pixel_slot", "pixel_last")
    connections = {n: n for n in signals} | {"in_pixels": "in_pixels", "pixel": "pixel", "place": "place"}
    lines += instance("reduce_scan", "scan", parameters, connections)
    lines += ["", "  // the earlier pixels of the list; empty at the first pixel of an image"]
    lines += _earlier_list(function, size, slot_bits)
    lines += ["", "  // the pixel meets the earlier ones"]
    lines += [f"  {port('wire', field, 'now_')};" for field in function.outputs]
    lines += instance(function.name, "arrival", {}, connected(function, _ARRIVAL, "now_"))
    lines += _delayed(function.depth, slot_bits)
    lines += ["", "  // the results so far"]
    lines += _results(arrays, stage, maps, convs)
    lines += [
        "",
        "  assign enable = !out_valid || out_ready;",
        "  always_ff @(posedge clk)",
        "    if (!rst_n) out_valid <= 1'b0;",
        "    else if (enable) out_valid <= store && last;",
    ]
    functions = [function]
    for conv in convs:
        if conv.bias_on == "nonzero" and conv.bias is not None:
            finish, more = _late_bias(name, arrays, conv)
            functions.append(finish)
            lines += more
    text = module_text(name, f"Input reduction by scan: {title(stage.steps)}", ports([beat], outputs), lines)
    return (beat,), functions, text


_ARRIVAL = {"list_features": "list_features", "list_coords": "list_coords", "pixel": "pixel", "place": "place"}


def _arrival(
    name: str,
    arrays: Arrays,
    stage: Stage,
    maps: list[PairMap],
    convs: list[ir.SparseConv2d],
    levels: float,
) -> Function:
    """What a new pixel and the earlier ones of the list are to each other."""
    reduce = arrays.design.input_reduce
    earlier = max(reduce.max_pixels - 1, 1)
    inputs = [
        arrays.field(reduce.features, earlier, "list_features"),
        arrays.field(reduce.coords, earlier, "list_coords"),
        arrays.field(reduce.features, 1, "pixel"),
        arrays.field(reduce.coords, 1, "place"),
    ]
    outputs = [unsigned(map_.name, (earlier,), arrays.code(map_).bits) for map_ in maps]
    for conv in convs:
        outputs += [
            Field(f"{conv.name}_shares", (earlier, conv.output.shape[1]), conv.output.type),
            Field(f"{conv.name}_own", (conv.output.shape[1],), conv.output.type),
        ]
    kept = [tensor for tensor in (reduce.features, reduce.coords) if tensor in stage.outputs]
    outputs += [arrays.field(tensor, 1) for tensor in kept]

    def body(
        list_features: np.ndarray, list_coords: np.ndarray, pixel: np.ndarray, place: np.ndarray
    ) -> dict[str, np.ndarray]:
        found: dict[str, np.ndarray] = {reduce.features.name: pixel, reduce.coords.name: place}
        sizes = dict.fromkeys([*maps, *(pair_map(conv) for conv in convs)])
        codes = {}
        for map_ in sizes:
            code = arrays.code(map_)
            codes[map_] = np.array([code_of(code, list_coords[i], place[0]) for i in range(earlier)], dtype=object)
        for map_ in maps:
            found[map_.name] = codes[map_]
        for conv in convs:
            map_ = pair_map(conv)
            shares, own = _meeting(conv, arrays, codes[map_], list_features, pixel[0], place[0])
            found[f"{conv.name}_shares"], found[f"{conv.name}_own"] = shares, own
        return found

    return trace(name, f"a new pixel: {title(stage.steps)}", inputs, outputs, body, levels - ADDER_LEVELS)


def _meeting(
    conv: ir.SparseConv2d,
    arrays: Arrays,
    codes: np.ndarray,
    list_features: np.ndarray,
    pixel: np.ndarray,
    place: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """What a pixel adds to the earlier ones [N - 1, out_channels], and its own sum so far [out_channels]."""
    code, earlier = arrays.code(pair_map(conv)), len(list_features)
    exponent = conv.features.type.exponent + conv.weight.type.exponent
    outs = conv.output.shape[1]
    shares = np.empty((earlier, outs), dtype=object)
    terms: list[list] = [[] for _ in range(outs)]
    for i in range(earlier):
        to_earlier = layers.weighted(conv, code, codes[i], 0, pixel)
        to_pixel = layers.weighted(conv, code, codes[i], 1, list_features[i])
        for out in range(outs):
            shares[i, out] = layers.aligned(total(to_earlier[out]), exponent, conv.output.type.exponent)
            terms[out] += to_pixel[out]
    center = layers.weighted(conv, code, code.center, 0, pixel)
    active = inverse(negative(place[0]))
    own = np.empty((outs,), dtype=object)
    for out in range(outs):
        value = layers.aligned(total([*terms[out], *center[out]]), exponent, conv.output.type.exponent)
        bias = layers.bias_of(conv)[out] if conv.bias_on == "active" else 0
        own[out] = value + select(active, bias, 0)
    return shares, own


def _earlier_list(function: Function, size: int, slot_bits: int) -> list[str]:
    features, coords, pixel, place = function.inputs
    lines = [f"  {port('logic', features)};", f"  {port('logic', coords)};", "  always_ff @(posedge clk)"]
    item, spot = pixel.bits, place.bits
    return [
        *lines,
        "    if (!rst_n || (enable && pixel_valid && pixel_last)) begin",
        "      list_features <= '0;",
        "      list_coords <= '1;",
        "    end else if (enable && pixel_valid) begin",
        f"      for (int i = 0; i < {max(size - 1, 1)}; i++)",
        f"        if (pixel_slot == {slot_bits}'(i)) begin",
        f"          list_features[i*{item} +: {item}] <= pixel;",
        f"          list_coords[i*{spot} +: {spot}] <= place;",
        "        end",
        "    end",
    ]


def _delayed(depth: int, slot_bits: int) -> list[str]:
    """Slot and flags of the pixel whose results are ready."""
    lines = ["  wire store, last;", f"  wire [{slot_bits - 1}:0] slot;"]
    now = "{pixel_valid && pixel_last, pixel_valid, pixel_slot}"
    if depth == 1:
        return [*lines, f"  assign {{last, store, slot}} = {now};"]
    bits = slot_bits + 2
    total_bits = bits * (depth - 1)
    return [
        *lines,
        f"  logic [{total_bits - 1}:0] chain;",
        f"  assign {{last, store, slot}} = chain[{total_bits - 1} -: {bits}];",
        "  always_ff @(posedge clk)",
        "    if (!rst_n) chain <= '0;",
        f"    else if (enable) chain <= {total_bits}'({{chain, {now}}});",
    ]


def _results(arrays: Arrays, stage: Stage, maps: list[PairMap], convs: list[ir.SparseConv2d]) -> list[str]:
    reduce = arrays.design.input_reduce
    size, slot_bits = reduce.max_pixels, bits_for(reduce.max_pixels)
    lines = ["  always_ff @(posedge clk)", "    if (enable && store) begin"]
    for tensor in (reduce.features, reduce.coords):
        if tensor in stage.outputs:
            item = arrays.field(tensor, 1).bits
            lines += [
                f"      for (int i = 0; i < {size}; i++)",
                f"        if (slot == {slot_bits}'(i)) out_{tensor.name}[i*{item} +: {item}] <= now_{tensor.name};",
            ]
    for map_ in maps:
        bits = arrays.code(map_).bits
        if size == 1:
            lines.append(f"      out_{map_.name} <= '0;")
            continue
        # Pair (i, j), i < j, stands at j * (j - 1) / 2 + i.
        lines += [
            f"      for (int j = 1; j < {size}; j++)",
            f"        if (slot == {slot_bits}'(j))",
            "          for (int i = 0; i < j; i++)",
            f"            out_{map_.name}[(j*(j-1)/2+i)*{bits} +: {bits}] <= now_{map_.name}[i*{bits} +: {bits}];",
        ]
    for conv in convs:
        channels, width = conv.output.shape[1], conv.output.type.width
        item, target = channels * width, _sums(conv)
        lines += [
            f"      for (int i = 0; i < {size}; i++)",
            f"        for (int c = 0; c < {channels}; c++)",
            f"          if (slot == {slot_bits}'(i))",
            f"            {target}[i*{item}+c*{width} +: {width}] <= now_{conv.name}_own[c*{width} +: {width}];",
        ]
        if size > 1:
            lines += [
                f"          else if (i < {size - 1})",
                f"            {target}[i*{item}+c*{width} +: {width}] <= {target}[i*{item}+c*{width} +: {width}]",
                f"                + now_{conv.name}_shares[i*{item}+c*{width} +: {width}];",
            ]
    lines.append("    end")
    declared = [
        f"  logic [{conv.output.shape[0] * conv.output.shape[1] * conv.output.type.width - 1}:0] {_sums(conv)};"
        for conv in convs
        if _sums(conv) != f"out_{conv.output.name}"
    ]
    return [*declared, *lines]


def _sums(conv: ir.SparseConv2d) -> str:
    """Where the sums of a convolution grow: the output itself, unless a bias is still to come."""
    late = conv.bias_on == "nonzero" and conv.bias is not None
    return f"sums_{conv.name}" if late else f"out_{conv.output.name}"


def _late_bias(name: str, arrays: Arrays, conv: ir.SparseConv2d) -> tuple[Function, list[str]]:
    """The bias of sums that are not 0, which is known at the end only."""
    sums = Field("sums", conv.output.shape, conv.output.type)
    biases = layers.bias_of(conv)

    def body(sums: np.ndarray) -> dict[str, np.ndarray]:
        found = np.empty(sums.shape, dtype=object)
        for index, value in np.ndenumerate(sums):
            bits = as_variable(value)
            keep, integer, fraction = bits.kif
            some = any_of([bits.quantize(0, integer + int(keep), fraction).unary_bit_op("any")])
            wrapped = value + select(some, biases[index[1]], 0)
            found[index] = as_variable(wrapped).quantize(
                conv.output.type.signed, conv.output.type.width - int(conv.output.type.signed), 0
            )
        return {conv.output.name: found}

    function = trace(f"{name}_{conv.name}_bias", f"bias of {conv.name}", [sums], [arrays.field(conv.output)], body, 99)
    return function, instance(
        function.name, f"{conv.name}_bias", {}, connected(function, {"sums": _sums(conv)}, "out_")
    )


def stream_module(
    name: str, arrays: Arrays, stage: Stage, levels: float
) -> tuple[tuple[Field, ...], list[Function], str]:
    """A streaming reduction; a whole image at once is cut into beats first."""
    reduce = arrays.design.input_reduce
    pixels = arrays.design.pixels_per_cycle
    given = beat_field(arrays, input_pixels(arrays))
    beat = beat_field(arrays, pixels)
    beats, size = arrays.design.beats, reduce.max_pixels
    outputs = [arrays.field(array) for array in stage.outputs]
    lines = ["  wire beat_valid, beat_ready;", f"  {port('wire', beat, 'beat_')};"]
    if given.bits == beat.bits:
        lines += [
            "  assign beat_valid = in_valid;",
            "  assign in_ready = beat_ready;",
            "  assign beat_pixels = in_pixels;",
        ]
    else:
        lines += instance(
            "image_beats",
            "beats",
            {"IMAGE_BITS": given.bits, "BEAT_BITS": beat.bits, "BEATS": beats},
            {
                **{n: n for n in ("clk", "rst_n", "in_valid", "in_ready")},
                "in_image": "in_pixels",
                **{n: n for n in ("beat_valid", "beat_ready", "beat_pixels")},
            },
        )
    features, coords = arrays.field(reduce.features), arrays.field(reduce.coords)
    lines += [f"  {port('wire', features, 'list_')};", f"  {port('wire', coords, 'list_')};"]
    parameters = _parameters(arrays) | {
        "BEAT_PIXELS": pixels,
        "BEATS": beats,
        "COUNT_BITS": bits_for(size + 1),
        "RANK_BITS": bits_for(pixels + 1),
    }
    lines += instance(
        "reduce_stream",
        "reduce",
        parameters,
        {
            **{n: n for n in ("clk", "rst_n")},
            "in_valid": "beat_valid",
            "in_ready": "beat_ready",
            "in_pixels": "beat_pixels",
            "out_valid": "out_valid",
            "out_ready": "out_ready",
            "features": f"list_{features.name}",
            "coords": f"list_{coords.name}",
        },
    )
    lines += [f"  assign out_{field.name} = list_{field.name};" for field in outputs]
    text = module_text(name, f"Input reduction by stream: {title(stage.steps)}", ports([given], outputs), lines)
    return (given,), [], text
