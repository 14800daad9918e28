"""The input reduction by tree."""

import math

from sparsepix_hls.design.layout import Design
from sparsepix_hls.design.schedule import Stage
from sparsepix_hls.rtl.lower.function import Field
from sparsepix_hls.rtl.lower.ports import title
from sparsepix_hls.rtl.stages.arrays import Arrays
from sparsepix_hls.rtl.stages.reductions import beat_field, image_parameters, input_pixels
from sparsepix_hls.rtl.stages.text import instance, module_text, ports


def tree_levels(design: Design) -> int:
    """Levels at which lists are joined."""
    _, height, width = design.input_reduce.image.shape
    return (width - 1).bit_length() + (height - 1).bit_length()


def tree_step(design: Design, levels: float) -> int:
    """Levels of the tree between registers: a slot is picked from as many entries as it has slots before it."""
    each = 0.6 + math.log(2 * design.input_reduce.max_pixels + 1, 6)
    return max(int(levels / each), 1)


def tree_depth(design: Design, step: int) -> int:
    """Registers from the image to the list."""
    return tree_levels(design) // step + 1


def tree_module(name: str, arrays: Arrays, stage: Stage, step: int) -> tuple[tuple[Field, ...], str]:
    """A tree of lists; the whole image comes at once."""
    reduce = arrays.design.input_reduce
    given = beat_field(arrays, input_pixels(arrays))
    outputs = [arrays.field(array) for array in stage.outputs]
    parameters = image_parameters(arrays) | {"STEP": step, "DEPTH": tree_depth(arrays.design, step)}
    signals = ("clk", "rst_n", "in_valid", "in_pixels", "out_valid")
    read = {array.name for array in stage.outputs}
    lists = {"features": arrays.field(reduce.features), "coords": arrays.field(reduce.coords)}
    connections = {signal: signal for signal in signals}
    lines = []
    for port, field in lists.items():
        wire = f"out_{field.name}" if field.name in read else f"unused_{port}"
        if field.name not in read:
            lines.append(f"  wire [{field.bits - 1}:0] {wire};")
        connections[port] = wire
    lines += instance("reduce_tree", "reduce", parameters, connections)
    text = module_text(name, f"Input reduction by tree: {title(stage.steps)}", ports([given], outputs), lines)
    return (given,), text
