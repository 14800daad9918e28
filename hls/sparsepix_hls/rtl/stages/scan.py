"""The input reduction by scan, and what works while it lists the pixels."""

from dataclasses import dataclass
from functools import partial

import numpy as np

from sparsepix_hls.design.schedule import Stage
from sparsepix_hls.ir.kernel import bias_values
from sparsepix_hls.ir.tensors import KernelMap
from sparsepix_hls.layers.kernel_map import MakeKernelMap
from sparsepix_hls.layers.sparse_conv2d import SparseConv2d
from sparsepix_hls.rtl.lower.arithmetic import Number, aligned, any_of, as_variable, inverse, negative, select, total
from sparsepix_hls.rtl.lower.convolution import weighted
from sparsepix_hls.rtl.lower.function import ADDER_LEVELS, Field, Function, Slices, trace, unsigned
from sparsepix_hls.rtl.lower.layers import Part, Values
from sparsepix_hls.rtl.lower.pairs import code_of
from sparsepix_hls.rtl.lower.ports import described, title
from sparsepix_hls.rtl.stages.arrays import Arrays
from sparsepix_hls.rtl.stages.reductions import beat_field, image_parameters, input_pixels
from sparsepix_hls.rtl.stages.text import bits_for, connected, instance, module_text, port, ports


def scan_module(
    name: str, arrays: Arrays, stage: Stage, levels: float, slices: Slices
) -> tuple[tuple[Field, ...], list[Function], str]:
    """A scan, and the kernel maps and the convolution that grow with its list."""
    reduce = arrays.design.input_reduce
    assert reduce.features.type.width == reduce.image.type.width, "the list holds the image's numbers"
    pixels = input_pixels(arrays)
    _, height, width = reduce.image.shape
    steps = Steps(reduce.max_pixels, arrays.design.scan_pixels)
    beat = beat_field(arrays, pixels)
    outputs = [arrays.field(array) for array in stage.outputs]
    maps = [step.map for step in stage.steps if isinstance(step, MakeKernelMap)]
    convs = [step for step in stage.steps if isinstance(step, SparseConv2d)]
    function = _arrival(f"{name}_arrival", arrays, stage, steps, levels, slices)

    lines = ["  wire pixel_valid, pixel_last;", f"  wire [{steps.bits - 1}:0] pixel_slot;"]
    pixel, place = function.inputs[2], function.inputs[3]
    lines += [f"  {port('wire', pixel)};", f"  {port('wire', place)};"]
    parameters = {"LANES": steps.lanes} | image_parameters(arrays)
    parameters |= {
        "LARGEST": reduce.max_pixels if reduce.selection == "magnitude" else 0,
        "BEAT_PIXELS": pixels,
        "BEATS": -(-height * width // pixels),
        "SLOT_BITS": steps.bits,
    }
    signals = ("clk", "rst_n", "in_valid", "pixel_valid", "pixel_slot", "pixel_last")
    connections = {n: n for n in signals} | {"in_pixels": "in_pixels", "pixel": "pixel", "place": "place"}
    lines += instance("reduce_scan", "scan", parameters, connections)
    lines += ["", "  // the earlier pixels of the list; empty at the beginning of an image"]
    lines += _earlier_list(function, steps)
    lines += ["", "  // new pixels meet the earlier ones and each other"]
    lines += [f"  {port('wire', field, 'now_')};" for field in function.outputs]
    lines += instance(function.name, "arrival", {}, connected(function, _ARRIVAL, "now_"))
    lines += _delayed(function.depth, steps)
    lines += ["", "  // the results so far"]
    lines += _results(arrays, stage, maps, convs, steps)
    lines += [
        "",
        "  always_ff @(posedge clk)",
        "    if (!rst_n) out_valid <= 1'b0;",
        "    else out_valid <= store && last;",
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


@dataclass(frozen=True)
class Steps:
    """How a list grows.

    Args:
        size: slots of the list.
        lanes: slots that a step fills; the last step may have fewer.
    """

    size: int
    lanes: int

    @property
    def number(self) -> int:
        """Steps of a list."""
        return -(-self.size // self.lanes)

    @property
    def earlier(self) -> int:
        """Slots that are filled before the last step; a list of one step has one that stays empty."""
        return max(self.lanes * (self.number - 1), 1)

    @property
    def bits(self) -> int:
        """Bits of the number of a step."""
        return bits_for(self.number)


def _arrival(name: str, arrays: Arrays, stage: Stage, steps: Steps, levels: float, slices: Slices) -> Function:
    """What new pixels and the earlier ones of the list are to each other."""
    reduce, lanes, earlier = arrays.design.input_reduce, steps.lanes, steps.earlier
    maps = [step.map for step in stage.steps if isinstance(step, MakeKernelMap)]
    convs = [step for step in stage.steps if isinstance(step, SparseConv2d)]
    inputs = [
        arrays.field(reduce.features, earlier, "list_features"),
        arrays.field(reduce.coords, earlier, "list_coords"),
        arrays.field(reduce.features, lanes, "pixel"),
        arrays.field(reduce.coords, lanes, "place"),
    ]
    # Of each new pixel: its codes with the earlier ones, then with those that are new before it.
    outputs = [unsigned(f"{m.name}_{q}", (earlier + q,), arrays.code(m).bits) for m in maps for q in range(lanes)]
    for conv in convs:
        outputs += [
            Field(f"{conv.name}_shares", (earlier, conv.output.shape[1]), conv.output.type),
            Field(f"{conv.name}_own", (lanes, conv.output.shape[1]), conv.output.type),
        ]
    kept = [tensor for tensor in (reduce.features, reduce.coords) if tensor in stage.outputs]
    outputs += [arrays.field(tensor, lanes) for tensor in kept]

    def listed(values: Values) -> dict[str, np.ndarray]:
        return {reduce.features.name: values["pixel"], reduce.coords.name: values["place"]}

    def codes(map_: KernelMap, values: Values) -> dict[str, np.ndarray]:
        """For each new pixel, its codes with the earlier ones and with those that are new before it."""
        code, place = arrays.code(map_), values["place"]
        before = [*values["list_coords"], *place]
        rows = [[code_of(code, before[i], place[q]) for i in range(earlier + q)] for q in range(lanes)]
        return {f"{map_.name}_{q}": np.array(row, dtype=object) for q, row in enumerate(rows)}

    def sums(conv: SparseConv2d, values: Values) -> dict[str, np.ndarray]:
        map_ = conv.kernel_map
        # Where no layer after the scan reads the map, it is made here, once for all convolutions.
        made = {} if f"{map_.name}_0" in values else codes(map_, values)
        rows = [{**values, **made}[f"{map_.name}_{q}"] for q in range(lanes)]
        shares, own = _meeting(conv, arrays, rows, values["list_features"], values["pixel"], values["place"])
        return made | {f"{conv.name}_shares": shares, f"{conv.name}_own": own}

    parts = [Part(reduce.name, described(reduce), listed)]
    for step in stage.steps:
        if isinstance(step, MakeKernelMap):
            parts.append(Part(step.name, described(step), partial(codes, step.map)))
        elif isinstance(step, SparseConv2d):
            parts.append(Part(step.name, described(step), partial(sums, step)))
    what = f"new pixels: {title(stage.steps)}"
    return trace(name, what, inputs, outputs, parts, levels - ADDER_LEVELS, slices=slices)


def _meeting(
    conv: SparseConv2d,
    arrays: Arrays,
    codes: list[np.ndarray],
    list_features: np.ndarray,
    pixel: np.ndarray,
    place: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """What new pixels add to the earlier ones [earlier, out_channels], and their own sums so far [lanes, out_channels].

    Args:
        conv: the convolution.
        arrays: of the design.
        codes: for each new pixel, its codes with the earlier ones and with those that are new before it.
        list_features: of the earlier pixels.
        pixel: features of the new ones.
        place: their coordinates.
    """
    code, earlier, lanes = arrays.code(conv.kernel_map), len(list_features), len(pixel)
    exponent = conv.features.type.exponent + conv.weight.type.exponent
    outs = conv.output.shape[1]
    terms: list[list[list[Number]]] = [[[] for _ in range(outs)] for _ in range(earlier + lanes)]
    values = [*list_features, *pixel]
    for q in range(lanes):
        for i in range(earlier + q):
            to_earlier = weighted(conv, code, codes[q][i], 0, pixel[q])
            to_new = weighted(conv, code, codes[q][i], 1, values[i])
            for out in range(outs):
                terms[i][out] += to_earlier[out]
                terms[earlier + q][out] += to_new[out]
        for out, products in enumerate(weighted(conv, code, code.center, 0, pixel[q])):
            terms[earlier + q][out] += products
    sums = np.empty((earlier + lanes, outs), dtype=object)
    for i, out in np.ndindex(sums.shape):
        sums[i, out] = aligned(total(terms[i][out]), exponent, conv.output.type.exponent)
    if conv.bias_on == "active":
        for q in range(lanes):
            active = inverse(negative(place[q, 0]))
            sums[earlier + q] += np.array(
                [select(active, bias, 0) for bias in bias_values(conv.bias, conv.output)], dtype=object
            )
    return sums[:earlier], sums[earlier:]


def _earlier_list(function: Function, steps: Steps) -> list[str]:
    features, coords, pixel, place = function.inputs
    lines = [
        f"  {port('logic', features)};",
        f"  {port('logic', coords)};",
        "  always_ff @(posedge clk)",
        "    if (!rst_n || (pixel_valid && pixel_last)) begin",
        "      list_features <= '0;",
        "      list_coords <= '1;",
    ]
    if steps.number > 1:
        item, spot = pixel.bits, place.bits
        lines += [
            "    end else if (pixel_valid) begin",
            f"      for (int s = 0; s < {steps.number - 1}; s++)",
            f"        if (pixel_slot == {steps.bits}'(s)) begin",
            f"          list_features[s*{item} +: {item}] <= pixel;",
            f"          list_coords[s*{spot} +: {spot}] <= place;",
            "        end",
        ]
    return [*lines, "    end"]


def _delayed(depth: int, steps: Steps) -> list[str]:
    """Number and flags of the step whose results are ready."""
    lines = ["  wire store, last;", f"  wire [{steps.bits - 1}:0] slot;"]
    now = "{pixel_valid && pixel_last, pixel_valid, pixel_slot}"
    if depth == 1:
        return [*lines, f"  assign {{last, store, slot}} = {now};"]
    bits = steps.bits + 2
    total_bits = bits * (depth - 1)
    return [
        *lines,
        f"  logic [{total_bits - 1}:0] chain;",
        f"  assign {{last, store, slot}} = chain[{total_bits - 1} -: {bits}];",
        "  always_ff @(posedge clk)",
        "    if (!rst_n) chain <= '0;",
        f"    else chain <= {total_bits}'({{chain, {now}}});",
    ]


def _results(arrays: Arrays, stage: Stage, maps: list[KernelMap], convs: list[SparseConv2d], steps: Steps) -> list[str]:
    reduce = arrays.design.input_reduce
    lines = ["  always_ff @(posedge clk)", "    if (store) begin"]
    # Slots of one lane lie `lanes` apart; the last step may have none for the last lanes.
    loops = [(q, f"      for (int s = 0; s * {steps.lanes} + {q} < {steps.size}; s++)") for q in range(steps.lanes)]
    here = f"if (slot == {steps.bits}'(s))"
    for tensor in (reduce.features, reduce.coords):
        if tensor in stage.outputs:
            item = arrays.field(tensor, 1).bits
            for q, loop in loops:
                target = f"out_{tensor.name}[(s*{steps.lanes}+{q})*{item} +: {item}]"
                lines += [loop, f"        {here} {target} <= now_{tensor.name}[{q * item} +: {item}];"]
    for map_ in maps:
        bits = arrays.code(map_).bits
        if steps.size == 1:
            lines.append(f"      out_{map_.name} <= '0;")
            continue
        # Pair (i, j), i < j, is at j * (j - 1) / 2 + i.
        for q, loop in loops:
            code = f"now_{map_.name}_{q}"
            index = f"(s*{steps.lanes}+{q})*(s*{steps.lanes}+{q}-1)/2"
            lines += [loop, f"        {here} begin", f"          for (int i = 0; i < s * {steps.lanes}; i++)"]
            lines += [f"            out_{map_.name}[({index}+i)*{bits} +: {bits}] <= {code}[i*{bits} +: {bits}];"]
            for other in range(q):
                target = f"out_{map_.name}[({index}+s*{steps.lanes}+{other})*{bits} +: {bits}]"
                lines += [f"          {target} <= {code}[{(steps.earlier + other) * bits} +: {bits}];"]
            lines += ["        end"]
    for conv in convs:
        item, width, target = conv.output.shape[1] * conv.output.type.width, conv.output.type.width, _sums(conv)
        for q, loop in loops:
            slot = f"(s*{steps.lanes}+{q})*{item}+c*{width} +: {width}"
            lines += [
                loop,
                f"        for (int c = 0; c < {conv.output.shape[1]}; c++)",
                f"          {here}",
                f"            {target}[{slot}] <= now_{conv.name}_own[{q * item}+c*{width} +: {width}];",
            ]
            if steps.number > 1:
                lines += [
                    f"          else if (s < {steps.number - 1})",
                    f"            {target}[{slot}] <= {target}[{slot}] + now_{conv.name}_shares[{slot}];",
                ]
    lines.append("    end")
    declared = [
        f"  logic [{conv.output.shape[0] * conv.output.shape[1] * conv.output.type.width - 1}:0] {_sums(conv)};"
        for conv in convs
        if _sums(conv) != f"out_{conv.output.name}"
    ]
    return [*declared, *lines]


def _sums(conv: SparseConv2d) -> str:
    """Where the sums of a convolution grow: the output itself, unless a bias is still to come."""
    late = conv.bias_on == "nonzero" and conv.bias is not None
    return f"sums_{conv.name}" if late else f"out_{conv.output.name}"


def _late_bias(name: str, arrays: Arrays, conv: SparseConv2d) -> tuple[Function, list[str]]:
    """The bias of sums that are not 0, which is known at the end only."""
    sums = Field("sums", conv.output.shape, conv.output.type)
    biases = bias_values(conv.bias, conv.output)

    def body(values: Values) -> dict[str, np.ndarray]:
        found = np.empty(sums.shape, dtype=object)
        for index, value in np.ndenumerate(values["sums"]):
            bits = as_variable(value)
            keep, integer, fraction = bits.kif
            some = any_of([bits.quantize(0, integer + int(keep), fraction).unary_bit_op("any")])
            wrapped = value + select(some, biases[index[1]], 0)
            found[index] = as_variable(wrapped).quantize(
                conv.output.type.signed, conv.output.type.width - int(conv.output.type.signed), 0
            )
        return {conv.output.name: found}

    what, parts = f"bias of {conv.name}", [Part(conv.name, described(conv), body)]
    function = trace(f"{name}_{conv.name}_bias", what, [sums], [arrays.field(conv.output)], parts, 99)
    return function, instance(
        function.name, f"{conv.name}_bias", {}, connected(function, {"sums": _sums(conv)}, "out_")
    )
