"""Layers in rounds: the event is held, each clock a round reads its part, results are collected."""

import math

import numpy as np

from sparsepix_hls.design.options import LayerDesign
from sparsepix_hls.design.schedule import PairMap, Stage, accumulates, pair_map
from sparsepix_hls.ir import graph as ir
from sparsepix_hls.rtl.emit.text import bits_for, connected, instance, module_text, port, ports
from sparsepix_hls.rtl.lower import layers, vectors
from sparsepix_hls.rtl.lower.fields import Arrays, pair_index, title
from sparsepix_hls.rtl.lower.function import ADDER_LEVELS, Body, Field, Function, trace, unsigned


def loop_module(name: str, arrays: Arrays, stage: Stage, levels: float) -> tuple[list[Function], str]:
    """A stage that computes its first layer in rounds, and the activations behind it in each round."""
    layer = stage.steps[0]
    assert not isinstance(layer, PairMap | ir.InputReduce | ir.Activation | ir.Head)
    how = arrays.design.layers[layer.name]
    made = [array for array in stage.made if array in stage.outputs]
    sums = accumulates(layer)
    held = [arrays.field(array) for array in stage.inputs]
    outputs = [arrays.field(array) for array in stage.outputs]
    results = [arrays.field(a, None if sums else how.copies) for a in made]
    views, body = _round(layer, how, arrays)

    def whole(**values: np.ndarray) -> dict[str, np.ndarray]:
        found = body(**values)
        for step in stage.steps[1:]:
            assert isinstance(step, ir.Activation)
            found[step.output.name] = layers.activation(step, found[step.input.name])
        return found

    limit = levels - ADDER_LEVELS if sums else levels
    picking = 0.5 + 0.5 * math.log2(how.rounds)  # levels of the multiplexer that picks a round's part
    function = trace(f"{name}_logic", title(stage.steps), [v.field for v in views], results, whole, limit, picking)

    rounds, depth, number = how.rounds, function.depth, bits_for(how.rounds)
    flags = ("load", "enable", "issued", "store", "first", "last")
    lines = [f"  wire {', '.join(flags)};", f"  wire [{number - 1}:0] round;"]
    names = ("clk", "rst_n", "in_valid", "in_ready", "round", "out_valid", "out_ready", *flags)
    parameters = {"ROUNDS": rounds, "DEPTH": depth, "ROUND_BITS": number}
    lines += instance("loop_control", "control", parameters, {n: n for n in names})
    lines += ["", "  // the event"]
    lines += [f"  {port('logic', field, 'held_')};" for field in held]
    lines += ["  always_ff @(posedge clk)", "    if (load) begin"]
    lines += [f"      held_{field.name} <= in_{field.name};" for field in held]
    lines += ["    end", "", "  // what a round reads of it"]
    for view in views:
        lines += view.lines(rounds)
    lines += [f"  {port('wire', field, 'now_')};" for field in results]
    lines += instance(function.name, "compute", {}, connected(function, {v.field.name: v.value for v in views}, "now_"))
    lines += ["", "  // the results"]
    for array, field in zip(made, results, strict=True):
        lines += _grown(layer, arrays.field(array)) if sums else _joined(arrays.field(array), field, rounds)
    for array in stage.handed_on:
        lines += _handed_on(arrays.field(array), depth, rounds)
    comment = f"Loop of {rounds} rounds: {title(stage.steps)}"
    return [function], module_text(name, comment, ports(held, outputs), lines)


class _View:
    """An input of the function: the same in each round, or picked from the event by the round's number."""

    def __init__(self, field: Field, value: str, parts: list[str] | None = None) -> None:
        self.field, self.value, self.parts = field, value, parts

    def lines(self, rounds: int) -> list[str]:
        """What makes it."""
        if self.parts is None:
            return []
        assert len(self.parts) == rounds
        lines = [f"  {port('logic', self.field, 'round_')};", "  always_comb", "    case (round)"]
        for number, part in enumerate(self.parts[:-1]):
            lines.append(f"      {bits_for(rounds)}'d{number}: round_{self.field.name} = {part};")
        return [*lines, f"      default: round_{self.field.name} = {self.parts[-1]};", "    endcase"]


def _same(field: Field) -> _View:
    return _View(field, f"held_{field.name}")


def _picked(field: Field, parts: list[str]) -> _View:
    return _View(field, f"round_{field.name}", parts)


def _items(arrays: Arrays, tensor: ir.Tensor, how: LayerDesign, name: str | None = None) -> _View:
    """The items of a round: ``copies`` neighbours of the first axis; zeros (an empty slot's coords: -1) behind it."""
    field = arrays.field(tensor, how.copies, name)
    item, items = field.bits // how.copies, tensor.shape[0]
    padding = "1" if field.low == -1 else "0"
    parts = []
    for number in range(how.rounds):
        first = number * how.copies
        here = min(how.copies, items - first)
        text = f"held_{tensor.name}[{first * item} +: {here * item}]"
        missing = (how.copies - here) * item
        parts.append(f"{{{{{missing}{{1'b{padding}}}}}, {text}}}" if missing else text)
    return _picked(field, parts)


def _after(name: str, how: LayerDesign, items: int) -> _View:
    """For each copy and each item, whether the copy's own item comes behind it, bits [copies, items]."""
    field = unsigned(name, (how.copies, items), 1)
    parts = []
    for number in range(how.rounds):
        bits = [int(number * how.copies + k > j) for k in range(how.copies) for j in range(items)]
        parts.append(f"{len(bits)}'b{''.join(map(str, reversed(bits)))}")
    return _picked(field, parts)


def _round(layer: ir.Layer, how: LayerDesign, arrays: Arrays) -> tuple[list[_View], Body]:
    """What a round of a layer reads, and the computation."""
    match layer:
        case ir.SparseConv2d():
            return _conv_round(layer, how, arrays)
        case ir.Merging():
            own = _items(arrays, layer.coords, how, "own")
            earlier = _after("earlier", how, layer.features.shape[0])
            views = [_same(arrays.field(layer.features)), _same(arrays.field(layer.coords)), own, earlier]

            merged = layers.merging(layer, how.implementation)

            def merge(**v: np.ndarray) -> dict[str, np.ndarray]:
                found = merged(v[layer.features.name], v[layer.coords.name], v["own"], v["earlier"])
                return {layer.output_features.name: found[0], layer.output_coords.name: found[1]}

            return views, merge
        case ir.SparseFlatten() | ir.SparseFlattenDense():
            views = [_items(arrays, layer.features, how), _items(arrays, layer.coords, how)]
            kernel = vectors.flatten if isinstance(layer, ir.SparseFlatten) else vectors.flatten_dense

            def flatten(**v: np.ndarray) -> dict[str, np.ndarray]:
                return {layer.output.name: kernel(layer, v[layer.features.name], v[layer.coords.name])}

            return views, flatten
        case ir.Dense():
            number = unsigned("number", (), bits_for(how.rounds))
            views = [_items(arrays, layer.input, how), _View(number, "round")]

            def dense(**v: np.ndarray) -> dict[str, np.ndarray]:
                values, number = v[layer.input.name], v["number"][()]
                return {layer.output.name: vectors.dense_round(layer, values, number, how.rounds)}

            return views, dense
    raise TypeError(f"no RTL for {type(layer).__name__}")


def _conv_round(layer: ir.SparseConv2d, how: LayerDesign, arrays: Arrays) -> tuple[list[_View], Body]:
    map_ = pair_map(layer)
    code, size = arrays.code(map_), layer.features.shape[0]
    codes = unsigned("codes", (how.copies, size), code.bits)
    active = unsigned("active", (how.copies,), 1)
    rows, flags = [], []
    place = arrays.field(layer.coords)
    for number in range(how.rounds):
        row, flag = [], []
        for i in range(number * how.copies, (number + 1) * how.copies):
            for j in range(size):
                if i == j or i >= size:
                    row.append(f"{code.bits}'d{code.center}")
                else:
                    row.append(f"held_{map_.name}[{pair_index(min(i, j), max(i, j)) * code.bits} +: {code.bits}]")
            sign = (2 * i + 1) * place.type.width - 1
            flag.append(f"!held_{layer.coords.name}[{sign}]" if i < size else "1'b0")
        rows.append("{" + ", ".join(reversed(row)) + "}")
        flags.append("{" + ", ".join(reversed(flag)) + "}")
    views = [
        _same(arrays.field(layer.features)),
        _picked(codes, rows),
        _after("turned", how, size),
        _picked(active, flags),
    ]
    kernel = layers.conv_gather if how.implementation == "gather" else layers.conv_pairs

    def convolution(**v: np.ndarray) -> dict[str, np.ndarray]:
        result = kernel(layer, code, v[layer.features.name], v["codes"], v["turned"], v["active"])
        return {layer.output.name: result}

    return views, convolution


def _joined(field: Field, part: Field, rounds: int) -> list[str]:
    """Results side by side: the first round's end up in the low bits."""
    all_bits, name = part.bits * rounds, field.name
    kept = f"{{now_{name}, all_{name}[{all_bits - 1}:{part.bits}]}}" if rounds > 1 else f"now_{name}"
    return [
        f"  logic [{all_bits - 1}:0] all_{name};",
        "  always_ff @(posedge clk)",
        f"    if (enable && store) all_{name} <= {kept};",
        f"  assign out_{name} = all_{name}[{field.bits - 1}:0];",
    ]


def _grown(layer: ir.Layer, field: Field) -> list[str]:
    """Sums over the rounds, from the bias on."""
    size, width, name = field.size, field.type.width, field.name
    biased = isinstance(layer, ir.Dense | ir.SparseFlattenDense)
    biases = layers.bias_of(layer) if biased else [0] * size
    start = ", ".join(f"{width}'h{value % (1 << width):x}" for value in reversed(biases))
    return [
        f"  localparam logic [{field.bits - 1}:0] START_{name} = {{{start}}};",
        "  always_ff @(posedge clk)",
        "    if (enable && store)",
        f"      for (int i = 0; i < {size}; i++)",
        f"        out_{name}[i*{width} +: {width}] <= now_{name}[i*{width} +: {width}]",
        f"            + (first ? START_{name}[i*{width} +: {width}] : out_{name}[i*{width} +: {width}]);",
    ]


def _handed_on(field: Field, depth: int, rounds: int) -> list[str]:
    name = field.name
    if depth == 1:
        taken = f"    if (enable && store && last) out_{name} <= held_{name};"
        return ["  always_ff @(posedge clk)", taken]
    slots = max(-(-(depth - 1) // rounds), 1)
    return instance(
        "handed_on",
        f"keep_{name}",
        {"BITS": field.bits, "SLOTS": slots, "SLOT_BITS": bits_for(slots)},
        {
            "clk": "clk",
            "rst_n": "rst_n",
            "issued": "issued",
            "stored": "enable && store && last",
            "in": f"held_{name}",
            "out": f"out_{name}",
        },
    )
