"""Layers in rounds: the event is held, each clock a round reads its part, results are collected."""

import math
from dataclasses import replace

from sparsepix_hls.design.schedule import Stage
from sparsepix_hls.ir.graph import Layer
from sparsepix_hls.ir.tensors import LayerDesign
from sparsepix_hls.rtl.lower.function import ADDER_LEVELS, Field, Function, Slices, trace
from sparsepix_hls.rtl.lower.layers import Part
from sparsepix_hls.rtl.lower.ports import described, part, title
from sparsepix_hls.rtl.stages.arrays import Arrays
from sparsepix_hls.rtl.stages.rounds import Reader
from sparsepix_hls.rtl.stages.text import bits_for, connected, instance, module_text, port, ports


def loop_module(name: str, arrays: Arrays, stage: Stage, levels: float, slices: Slices) -> tuple[list[Function], str]:
    """A stage that computes its first layer in rounds, and the activations after it in each round."""
    layer = stage.steps[0]
    how = arrays.design.layers[layer.name]
    made = [array for array in stage.made if array in stage.outputs]
    sums = layer.sums
    held = [arrays.field(array) for array in stage.inputs]
    outputs = [arrays.field(array) for array in stage.outputs]
    results = [_result(layer, how, arrays.field(a, None if sums else how.parallel)) for a in made]
    reader = Reader(how, arrays)
    body = layer.lower_round(how, reader)
    views = reader.views

    names = [view.field.name for view in views]
    first = Part(layer.name, described(layer), lambda values: body(**{name: values[name] for name in names}))
    parts = [first, *(part(step, how, arrays.ports) for step in stage.steps[1:])]

    limit = levels - ADDER_LEVELS if sums else levels
    picking = 0.5 + 0.5 * math.log2(how.item_rounds)  # levels of the multiplexer that picks a round's part
    fields = [view.field for view in views]
    function = trace(f"{name}_logic", title(stage.steps), fields, results, parts, limit, picking, slices)

    rounds, depth, folds = how.reuse_factor, function.depth, how.folds
    number, fold = bits_for(how.item_rounds), bits_for(folds)
    read = {"issued": stage.handed_on and depth > 1, "store": True, "first": sums, "last": stage.handed_on}
    read["whole"] = folds > 1 and any(array.name in layer.grids for array in made)
    flags = {name: name if read[name] else f"unused_{name}" for name in read}
    counts = {"round": "round", "fold": "fold" if folds > 1 else "unused_fold"}
    lines = [f"  wire {', '.join(flags.values())};", f"  wire [{number - 1}:0] round;"]
    lines += [f"  wire [{fold - 1}:0] {counts['fold']};"]
    connections = {n: n for n in ("clk", "rst_n", "in_valid", "out_valid")} | counts | flags
    parameters = {"ROUNDS": rounds, "FOLDS": folds, "DEPTH": depth, "ROUND_BITS": number, "FOLD_BITS": fold}
    lines += instance("loop_control", "control", parameters, connections)
    lines += ["", "  // the event"]
    lines += [f"  {port('logic', field, 'held_')};" for field in held]
    lines += ["  always_ff @(posedge clk)", "    if (in_valid) begin"]
    lines += [f"      held_{field.name} <= in_{field.name};" for field in held]
    lines += ["    end", "", "  // what a round reads of it"]
    for view in views:
        lines += view.lines()
    lines += [f"  {port('wire', field, 'now_')};" for field in results]
    lines += instance(function.name, "compute", {}, connected(function, {v.field.name: v.value for v in views}, "now_"))
    lines += ["", "  // the results"]
    for array, field in zip(made, results, strict=True):
        lines += _grown(layer, arrays.field(array), field) if sums else _joined(layer, how, arrays.field(array), field)
    for array in stage.handed_on:
        lines += _handed_on(arrays.field(array), depth, rounds)
    each = f", {folds} for each item" if folds > 1 else ""
    comment = f"Loop of {rounds} rounds{each}: {title(stage.steps)}"
    return [function], module_text(name, comment, ports(held, outputs), lines)


def _result(layer: Layer, how: LayerDesign, field: Field) -> Field:
    """What a round gives of an array: the outputs of its fold; of coordinates all."""
    if how.folds == 1 or field.name in layer.grids:
        return field
    return replace(field, shape=(*field.shape[:-1], layer.round_outs(how)))


def _joined(layer: Layer, how: LayerDesign, field: Field, part: Field) -> list[str]:
    """Results side by side: the first round's end up in the low bits; coordinates come once an item."""
    once, name = field.name in layer.grids, field.name
    rounds = how.item_rounds if once else how.reuse_factor
    stored = "store && whole" if once and how.folds > 1 else "store"
    all_bits = part.bits * rounds
    kept = f"{{now_{name}, all_{name}[{all_bits - 1}:{part.bits}]}}" if rounds > 1 else f"now_{name}"
    whole = f"all_{name}[{field.bits - 1}:0]"
    if how.folds > 1 and all_bits > field.bits:  # too many outputs in the last fold of each item
        items = how.item_rounds
        here, used = all_bits // items, field.bits // items
        whole = f"{{{', '.join(f'all_{name}[{item * here} +: {used}]' for item in reversed(range(items)))}}}"
    return [
        f"  logic [{all_bits - 1}:0] all_{name};",
        "  always_ff @(posedge clk)",
        f"    if ({stored}) all_{name} <= {kept};",
        f"  assign out_{name} = {whole};",
    ]


def _grown(layer: Layer, field: Field, part: Field) -> list[str]:
    """Sums over the rounds, from the bias on. With folds they go round, so that those of a fold are in the low bits."""
    width, name = field.type.width, field.name
    folds = -(-field.size // part.size)
    size = folds * part.size
    values = [*layer.start, *[0] * (size - field.size)]
    start = ", ".join(f"{width}'h{value % (1 << width):x}" for value in reversed(values))
    lines = [f"  localparam logic [{size * width - 1}:0] START_{name} = {{{start}}};"]
    if folds == 1:
        return [
            *lines,
            "  always_ff @(posedge clk)",
            "    if (store)",
            f"      for (int i = 0; i < {size}; i++)",
            f"        out_{name}[i*{width} +: {width}] <= now_{name}[i*{width} +: {width}]",
            f"            + (first ? START_{name}[i*{width} +: {width}] : out_{name}[i*{width} +: {width}]);",
        ]
    rest = (size - part.size) * width
    return [
        *lines,
        f"  logic [{size * width - 1}:0] sums_{name};",
        f"  wire [{size * width - 1}:0] from_{name} = first ? START_{name} : sums_{name};",
        "  always_ff @(posedge clk)",
        "    if (store) begin",
        f"      sums_{name}[{rest - 1}:0] <= from_{name}[{size * width - 1}:{part.bits}];",
        f"      for (int i = 0; i < {part.size}; i++)",
        f"        sums_{name}[{rest} + i*{width} +: {width}] <= now_{name}[i*{width} +: {width}]",
        f"            + from_{name}[i*{width} +: {width}];",
        "    end",
        f"  assign out_{name} = sums_{name}[{field.bits - 1}:0];",
    ]


def _handed_on(field: Field, depth: int, rounds: int) -> list[str]:
    name = field.name
    if depth == 1:
        taken = f"    if (store && last) out_{name} <= held_{name};"
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
            "stored": "store && last",
            "in": f"held_{name}",
            "out": f"out_{name}",
        },
    )
