"""A whole stream as a module: the input reduction, layer after layer, and the vector that they end in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sparsepix_hls.design.schedule import Stage
from sparsepix_hls.ir.stream_graph import readers_of, stream_parts, waiting_places
from sparsepix_hls.rtl.lower.function import Field, Slices
from sparsepix_hls.rtl.lower.ports import title
from sparsepix_hls.rtl.stages.arrays import Arrays
from sparsepix_hls.rtl.stages.ends import together
from sparsepix_hls.rtl.stages.forks import QUEUE_PLACES, Queue, fork_lines, queues_of
from sparsepix_hls.rtl.stages.gathering import sides_of
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
        queues: before layers that read a list that others read too, or that read several lists; by the list and the
            number of the step.
        source: of all its modules.
        beat_bits: of what waits of a beat that has an active pixel.
        in_blocks: whether they wait in block memory.
    """

    inputs: tuple[Field, ...]
    steps: tuple[Step, ...]
    queues: Mapping[tuple[str, int], Queue]
    source: str
    beat_bits: int
    in_blocks: bool


def _connected(
    links: Mapping[str, Link], steps: Sequence[Step], arrays: Arrays
) -> tuple[dict[tuple[str, int], Queue], list[str]]:
    """The queues between the steps, and all of these as instances.

    Args:
        links: the streams, that of the input reduction first, by the names of their features.
        steps: the layers.
        arrays: of the design.
    """
    parts = [step.part for step in steps]
    readers, ends = readers_of(parts), [part.result.name for part in parts if part.ends]
    pixels = {name: link.pixels for name, link in links.items()}
    places = waiting_places(parts, pixels, {step.part.result.name: step.holds + QUEUE_PLACES for step in steps})
    made = {name: f"s{number}" for number, name in enumerate(links)}  # prefixes of wires
    lines = [] if len(ends) == 1 else ["  wire taken;"]
    queues: dict[tuple[str, int], Queue] = {}
    for name, link in links.items():
        own = queues_of(link, readers[name], places)
        queues |= {(name, number): queue for number, queue in own.items()}
        lines += link.wires(made[name])
        if own:
            lines += fork_lines(link, made[name], {f"{made[name]}_{number}": queue for number, queue in own.items()})
    for number, step in enumerate(steps):
        result = step.part.result
        connections = {n: n for n in ("clk", "rst_n")}
        for side, tensor in zip(sides_of(step.part.reads), step.part.reads, strict=True):
            prefix = made[tensor.name] + (f"_{number}" if (tensor.name, number) in queues else "")
            connections |= links[tensor.name].connections(side, prefix)
        lines += ["", f"  // {title(step.part.layers)}"]
        if step.given is not None:
            connections |= step.given.connections("out", made[result.name])
        elif len(ends) == 1:
            connections |= {"out_valid": "out_valid", f"out_{result.name}": f"out_{result.name}"}
        else:
            end = f"end{ends.index(result.name)}"
            lines += [f"  wire {end}_valid;", f"  {port('wire', arrays.field(result), f'{end}_')};"]
            connections |= {"taken": "taken", "out_valid": f"{end}_valid", f"out_{result.name}": f"{end}_{result.name}"}
        lines += instance(step.module, f"{step.part.layers[0].name}_step", {}, connections)
    if len(ends) > 1:
        lines += together([arrays.field(part.result) for part in parts if part.ends])
    return queues, lines


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
    first = Link(reduce.features, reduce.coords, (height, width))
    chunk = max(round(pixels**0.5), 1)
    chunks = -(-pixels // chunk)
    beat_bits = 1 + first.row_bits + (2 * width - 1).bit_length() + chunks + chunks * chunk + given.bits
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
        **first.sizes,
    }
    parts = stream_parts(stage.steps)
    alone = sum(part.ends for part in parts) == 1
    links = {reduce.features.name: first}
    steps: list[Step] = []
    for part in parts:
        taken = [links[tensor.name] for tensor in part.reads]
        module = f"{name}_{part.layers[0].name}"
        steps.append(step_of(module, part, taken, arrays.ports, levels, slices, gap, alone))
        if steps[-1].given is not None:
            links[part.result.name] = steps[-1].given
    queues, lines = _connected(links, steps, arrays)
    parameters["WIPES"] = max(words for step in steps for _, words, _, _ in (*step.memory, (False, 1, 0, 0)))
    begins = {n: n for n in ("clk", "rst_n", "in_valid", "in_ready", "in_pixels")} | first.connections("out", "s0")
    lines += ["", *instance("stream_pixels", "reduce", parameters, begins)]
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
    return Chain((given,), tuple(steps), queues, text, beat_bits, in_blocks)
