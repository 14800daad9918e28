"""Layers in rounds: the event is held, each clock a round reads its part, results are collected."""

import math

from sparsepix_hls.design.schedule import Stage
from sparsepix_hls.ir.graph import Layer
from sparsepix_hls.rtl.emit.arrays import Arrays
from sparsepix_hls.rtl.emit.rounds import Reader
from sparsepix_hls.rtl.emit.text import bits_for, connected, instance, module_text, port, ports
from sparsepix_hls.rtl.lower.function import ADDER_LEVELS, Field, Function, Slices, trace
from sparsepix_hls.rtl.lower.layers import Part
from sparsepix_hls.rtl.lower.ports import described, part, title


def loop_module(name: str, arrays: Arrays, stage: Stage, levels: float, slices: Slices) -> tuple[list[Function], str]:
    """A stage that computes its first layer in rounds, and the activations after it in each round."""
    layer = stage.steps[0]
    how = arrays.design.layers[layer.name]
    made = [array for array in stage.made if array in stage.outputs]
    sums = layer.sums
    held = [arrays.field(array) for array in stage.inputs]
    outputs = [arrays.field(array) for array in stage.outputs]
    results = [arrays.field(a, None if sums else how.parallel) for a in made]
    reader = Reader(how, arrays)
    body = layer.lower_round(how, reader)
    views = reader.views

    names = [view.field.name for view in views]
    first = Part(layer.name, described(layer), lambda values: body(**{name: values[name] for name in names}))
    parts = [first, *(part(step, how, arrays.ports) for step in stage.steps[1:])]

    limit = levels - ADDER_LEVELS if sums else levels
    picking = 0.5 + 0.5 * math.log2(how.reuse_factor)  # levels of the multiplexer that picks a round's part
    fields = [view.field for view in views]
    function = trace(f"{name}_logic", title(stage.steps), fields, results, parts, limit, picking, slices)

    rounds, depth, number = how.reuse_factor, function.depth, bits_for(how.reuse_factor)
    read = {"issued": stage.handed_on and depth > 1, "store": True, "first": sums, "last": stage.handed_on}
    flags = {name: name if read[name] else f"unused_{name}" for name in read}
    lines = [f"  wire {', '.join(flags.values())};", f"  wire [{number - 1}:0] round;"]
    connections = {n: n for n in ("clk", "rst_n", "in_valid", "round", "out_valid")} | flags
    parameters = {"ROUNDS": rounds, "DEPTH": depth, "ROUND_BITS": number}
    lines += instance("loop_control", "control", parameters, connections)
    lines += ["", "  // the event"]
    lines += [f"  {port('logic', field, 'held_')};" for field in held]
    lines += ["  always_ff @(posedge clk)", "    if (in_valid) begin"]
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


def _joined(field: Field, part: Field, rounds: int) -> list[str]:
    """Results side by side: the first round's end up in the low bits."""
    all_bits, name = part.bits * rounds, field.name
    kept = f"{{now_{name}, all_{name}[{all_bits - 1}:{part.bits}]}}" if rounds > 1 else f"now_{name}"
    return [
        f"  logic [{all_bits - 1}:0] all_{name};",
        "  always_ff @(posedge clk)",
        f"    if (store) all_{name} <= {kept};",
        f"  assign out_{name} = all_{name}[{field.bits - 1}:0];",
    ]


def _grown(layer: Layer, field: Field) -> list[str]:
    """Sums over the rounds, from the bias on."""
    size, width, name = field.size, field.type.width, field.name
    start = ", ".join(f"{width}'h{value % (1 << width):x}" for value in reversed(layer.start))
    return [
        f"  localparam logic [{field.bits - 1}:0] START_{name} = {{{start}}};",
        "  always_ff @(posedge clk)",
        "    if (store)",
        f"      for (int i = 0; i < {size}; i++)",
        f"        out_{name}[i*{width} +: {width}] <= now_{name}[i*{width} +: {width}]",
        f"            + (first ? START_{name}[i*{width} +: {width}] : out_{name}[i*{width} +: {width}]);",
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
