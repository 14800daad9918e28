"""A whole stream as a module: the input reduction, layer after layer, and the vector that they end in."""

from dataclasses import dataclass

from sparsepix_hls.design.schedule import Stage
from sparsepix_hls.ir.streams import grouped
from sparsepix_hls.rtl.lower.function import Field, Slices
from sparsepix_hls.rtl.lower.ports import title
from sparsepix_hls.rtl.stages.arrays import Arrays
from sparsepix_hls.rtl.stages.links import Link
from sparsepix_hls.rtl.stages.reductions import beat_field, image_parameters
from sparsepix_hls.rtl.stages.steps import Step, step_of
from sparsepix_hls.rtl.stages.text import instance, module_text, port

_BEATS_WAITING = 32  # in LUTs, where block memory does not hold them
_BLOCK_DEPTH = 512  # words of a block of 18 kbit at its full width


@dataclass(frozen=True)
class Chain:
    """A stream as modules.

    Args:
        inputs: the beats of the image.
        steps: its layers.
        source: of all its modules.
        beat_bits: of what waits of a beat that has an active pixel.
        in_blocks: whether they wait in block memory.
    """

    inputs: tuple[Field, ...]
    steps: tuple[Step, ...]
    source: str
    beat_bits: int
    in_blocks: bool


def chain_module(name: str, arrays: Arrays, stage: Stage, levels: float, slices: Slices, gap: int) -> Chain:
    """A stage whose pixels go one by one from layer to layer.

    Args:
        name: of the module.
        arrays: of the design.
        stage: the stage.
        levels: of LUTs that a pipeline stage may have.
        slices: for products.
        gap: clocks between two results, at least.
    """
    design = arrays.design
    reduce, pixels = design.input_reduce, design.pixels_per_cycle
    given = beat_field(arrays, pixels)
    _, height, width = reduce.image.shape
    link = first = Link(reduce.features, reduce.coords, (height, width))
    chunk = max(round(pixels**0.5), 1)
    chunks = -(-pixels // chunk)
    beat_bits = 1 + link.row_bits + (2 * width - 1).bit_length() + chunks + chunks * chunk + given.bits
    beats = min(_BLOCK_DEPTH, max(8, 1 << (design.beats + 3).bit_length()))
    in_blocks = beats > _BEATS_WAITING
    parameters = image_parameters(arrays)
    del parameters["COORD_BITS"]
    parameters |= {
        "BEAT_PIXELS": pixels,
        "BEATS": design.beats,
        "CHUNK": chunk,
        "PLACES": beats,
        "IS_BLOCK": int(in_blocks),
        **link.sizes,
    }
    clock = {n: n for n in ("clk", "rst_n")}
    lines: list[str] = []
    steps: list[Step] = []
    for number, layers in enumerate(grouped(stage.steps[1:])):
        step = step_of(f"{name}_{layers[0].name}", layers, link, arrays.ports, levels, slices, gap)
        steps.append(step)
        lines += ["", f"  // {title(layers)}"]
        connections = clock | link.connections("in", f"s{number}")
        if step.given is None:
            result = stage.outputs[0].name
            connections |= {"out_valid": "out_valid", f"out_{result}": f"out_{result}"}
        else:
            link = step.given
            lines += link.wires(f"s{number + 1}")
            connections |= link.connections("out", f"s{number + 1}")
        lines += instance(step.module, f"{layers[0].name}_step", {}, connections)
    parameters["WIPES"] = max(words for step in steps for _, words, _, _ in (*step.memory, (False, 1, 0, 0)))
    begins = clock | {n: n for n in ("in_valid", "in_ready", "in_pixels")} | first.connections("out", "s0")
    lines = [*first.wires("s0"), *instance("stream_pixels", "reduce", parameters, begins), *lines]
    ports = [
        "input  logic clk",
        "input  logic rst_n",
        "input  logic in_valid",
        "output logic in_ready",
        port("input  logic", given, "in_"),
        "output logic out_valid",
        *(port("output logic", arrays.field(array), "out_") for array in stage.outputs),
    ]
    comment = f"Stream of pixels: {title(stage.steps)}"
    own = [
        "// verilator lint_off DECLFILENAME",
        *(step.source for step in steps),
        "// verilator lint_on DECLFILENAME",
        "",
    ]
    text = "\n".join([module_text(name, comment, ports, lines), *own])
    return Chain((given,), tuple(steps), text, beat_bits, in_blocks)
