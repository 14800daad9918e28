"""Latency and area of an RTL design before simulation and synthesis.

Latency, interval and pipeline registers follow from the structure, so they are exact; clocks of a stream of pixels
depend on the event, see ``chain_cycles``. LUTs are counted from the operations of each traced function and from the
multiplexers around it, times the factors below, which were set by what Yosys made of the stages of the neutrino model
and of four streaming reductions (``benchmarks/firmware.py`` shows both for other models).
"""

import math
from collections import Counter
from dataclasses import dataclass

from da4ml.types import minimal_kif

from sparsepix_hls.cost.result import DesignEstimate, Row, StageEstimate
from sparsepix_hls.design.layout import Design
from sparsepix_hls.ir.estimate import Estimate
from sparsepix_hls.ir.tensors import KernelMap
from sparsepix_hls.layers.input_reduce import key_digits, score_bits
from sparsepix_hls.layers.kernel_map import MakeKernelMap
from sparsepix_hls.project.parts import Fabric
from sparsepix_hls.rtl.emit.cycles import OUTPUT_CYCLES, pace, stage_cycles
from sparsepix_hls.rtl.emit.layers import register_bits
from sparsepix_hls.rtl.emit.stages import Module
from sparsepix_hls.rtl.lower.folds import FOLD
from sparsepix_hls.rtl.lower.function import Field, Function
from sparsepix_hls.rtl.lower.memory import BLOCK_WIDTH, blocks
from sparsepix_hls.rtl.lower.operations import BINARY as BITWISE
from sparsepix_hls.rtl.lower.operations import INPUT, LOOKUP, MUX, PRODUCT, UNARY, operands
from sparsepix_hls.rtl.lower.products import product_luts
from sparsepix_hls.rtl.stages.chain import Chain
from sparsepix_hls.rtl.stages.tree import tree_levels

KIND = "estimate of the RTL: cycles exact, LUTs counted, not synthesized"
STREAM_KIND = "estimate of the RTL: cycles of a full list that comes with the last beat, LUTs counted, not synthesized"
# LUTs a bit for each kind of work; a selection between a value and 0 fits into the LUTs of the adder after it.
FACTORS = {"adder": 1.0, "constant": 0.4, "product": 1.0, "table": 1.0, "select": 0.1, "logic": 0.4, "pick": 1.0}
_TURN = 0.8  # LUTs a bit and step of a window that is turned, set by windows of 3x3 and 7x7 that Yosys mapped
_TAG_BITS = 14  # of a word of a window, about
# Look-up tables for one of six inputs: those of four take more. Set by a model of 24 x 24 pixels that Yosys mapped.
LUTS: dict[Fabric, float] = {"amd": 1.0, "ecp5": 1.75, "gowin": 1.75}


@dataclass(frozen=True)
class Counts:
    """What a module is made of, before the factors.

    Args:
        work: bits of adders and of additions of a constant, LUTs of products and of tables, bits of selections
            between two values and of logic, and multiplexers over rounds, rows and columns, in LUTs.
        registers: flip-flops.
    """

    work: dict[str, float]
    registers: int


def mux_luts(values: int) -> float:
    """LUTs that select one of ``values`` bits: 4 a LUT; MUXF7 to MUXF9 after them join the LUTs at no cost."""
    if values <= 1:
        return 0.0
    if values <= 4:
        return 1.0 if values > 2 else 0.5
    first = math.ceil(values / 4)
    return first + mux_luts(math.ceil(first / 4))


def function_work(function: Function) -> Counter[str]:
    """What the operations of a function count."""
    logic, found = function.logic, Counter[str]()
    kifs = [minimal_kif(op.qint) for op in logic.ops]
    widths = [sum(kif) for kif in kifs]
    in_memory = {i for memory in function.memories for i in memory.reads}
    for i, op in enumerate(logic.ops):
        if op.opcode == INPUT or i in in_memory:
            continue
        reads = [widths[k] for k in operands(op)]
        match abs(op.opcode):
            case 0 | 1:
                found["adder"] += widths[i] if min(reads) > 1 else 0  # one bit is a carry into another adder
            case 4:
                found["constant"] += widths[i]  # mostly joins an adder
            case k if k == MUX:
                found["select"] += widths[i]
            case k if k == PRODUCT:
                if i not in function.in_dsp:
                    found["product"] += product_luts([kifs[k] for k in operands(op)])
            case k if k == LOOKUP:
                found["table"] += widths[i] * (2.0 ** (reads[0] - 6) if reads[0] > 5 else 0.6)
            case k if k == UNARY:
                found["logic"] += max(reads[0] - 1, 0) if op.data else 0
            case k if k == BITWISE:
                found["logic"] += widths[i]
    return found


def memory_blocks(function: Function) -> int:
    """Blocks of 18 kbit of the tables of a function."""
    widths = [sum(minimal_kif(op.qint)) for op in function.logic.ops]
    return sum(blocks(widths[memory.address], sum(widths[i] for i in memory.reads)) for memory in function.memories)


def module_counts(module: Module, design: Design) -> Counts:
    """What a module is made of."""
    work = sum((function_work(function) for function in module.functions), Counter[str]())
    registers = sum(register_bits(function) for function in module.functions)
    held, given = _bits(module.inputs), _bits(module.outputs)
    stage = module.stage
    if stage.kind == "loop":
        function, parts = module.functions[0], design.how(stage.steps[0]).item_rounds
        whole = {field.name: field.bits for field in module.inputs}
        for field in function.inputs:
            # A part of the event, which depends on the round.
            if field.bits != whole.get(field.name) and field.name != FOLD:
                work["pick"] += field.bits * mux_luts(parts)
        registers += held + given
    elif module.chain is not None:
        amount, between = _chain(module.chain, design)
        work["pick"] += amount
        registers += between
    elif stage.kind == "tree":
        amount, between = _tree(design, module.step)
        work["pick"] += amount
        registers += between + given
    elif stage.kind == "pipeline":
        registers += given if module.registered else 0
    else:
        reduce = design.input_reduce
        channels, height, width = reduce.image.shape
        pixel, place = channels * reduce.image.type.width, reduce.coords.type.width
        lanes, size = design.scan_pixels, reduce.max_pixels
        if stage.kind == "scan":
            lines = lanes * width * (pixel + 1)
            work["logic"] += height * width * pixel / 2
            work["pick"] += lines * (mux_luts(height) + (1 if lanes == 2 else 0.5))
            work["pick"] += (2 * lanes - 1) * (pixel + place) * width * 0.5 + 6 * lanes * width + 4 * lanes * height
            work["adder"] += sum(field.bits for field in module.outputs if field.name in _sums(module))
            registers += height * width * (pixel + 1) + lines + given + size * (pixel + 2 * place)
            if reduce.selection == "magnitude":
                # A digit is picked, met with the limit and counted three times over, for each pixel.
                work["pick"] += height * width * 2 * mux_luts(key_digits(reduce))
                work["logic"] += height * width * 36
                registers += height * width * 3 + 3 * width * place
        elif reduce.selection == "magnitude":
            amount, between = _largest(design)
            work["pick"] += amount
            registers += between + given
        else:
            beat, entry = design.pixels_per_cycle, pixel + place // 2 + 1  # a row is known for a whole beat
            work["logic"] += beat * pixel / 2
            # Each entry of a beat meets each slot; it is packed in its group; each slot keeps what it has.
            work["pick"] += entry * (0.4 * size * beat + beat + 3.5 * size)
            registers += 2 * beat * entry + given
    return Counts(dict(work), registers)


def _largest(design: Design) -> tuple[float, int]:
    """LUTs and registers of a stream of the largest pixels: lists in order, what is left of them, a tournament."""
    reduce = design.input_reduce
    channels, height, width = reduce.image.shape
    lanes, pixel = design.pixels_per_cycle, channels * reduce.image.type.width
    key, when = score_bits(reduce), (design.beats - 1).bit_length()
    others = pixel - (reduce.image.type.width if reduce.activity == "first" or channels == 1 else 0)
    held, kept = key + when + others, min(reduce.max_pixels, design.beats)
    entry, listed = held + (lanes - 1).bit_length(), pixel + (height - 1).bit_length() + (width - 1).bit_length() + 1
    # A place compares its key and takes what is new, what is before it, or nothing; then it is loaded or moves on.
    luts = lanes * kept * (key / 2 + 2 * held) + (lanes - 1) * ((key + when) / 2 + entry)
    luts += reduce.max_pixels * ((listed - pixel) / 2 + listed)
    return luts, lanes * (2 * kept + 1) * held + (lanes - 1) * entry + reduce.max_pixels * listed


def _chain(chain: Chain, design: Design) -> tuple[float, int]:
    """LUTs and registers of a stream, beside what it computes: pixels are found in a beat, windows in memories."""
    reduce = design.input_reduce
    pixel, beat = reduce.image.shape[0] * reduce.image.type.width, design.pixels_per_cycle
    chunk = max(round(beat**0.5), 1)
    luts = beat * pixel / 2 + beat * (pixel + 1) * 0.4 + chunk * (pixel + 4) + 60
    registers = beat * (pixel + 1) + chunk * (pixel + 2) + 3 * pixel
    for step in chain.steps:
        for is_block, words, bits, copies in step.memory:
            if not is_block:
                luts += copies * bits * words / 64
            if copies > 2:  # of a window: what is read is compared with its tag, and turned in steps to its place
                turns = 2 * math.ceil(math.log2(copies) / 2)
                luts += copies * (_TURN * turns * max(bits - _TAG_BITS, 1) + 23) + 70
            else:
                luts += copies * (bits + 6) * 0.7 + 120
            registers += copies * bits + 60
        given = step.given.word_bits if step.given is not None else 0
        luts += given * 0.6 + 20
        registers += given + 16
        if step.given is None:
            registers += sum(field.bits for field in step.function.outputs)
    for queue in chain.queues.values():
        luts += queue.bits * (0.1 if queue.in_blocks else max(0.6, queue.places / 64)) + 25
        registers += queue.bits + 3 * queue.places.bit_length() + 4
    return luts, registers


def _chain_blocks(chain: Chain) -> int:
    """Blocks of 18 kbit of a stream: the beats that wait, its windows, and long queues."""
    found = -(-chain.beat_bits // BLOCK_WIDTH) if chain.in_blocks else 0
    for step in chain.steps:
        for is_block, words, bits, copies in step.memory:
            if is_block:
                found += copies * blocks((words - 1).bit_length(), bits)
    long = [queue for queue in chain.queues.values() if queue.in_blocks]
    return found + sum(blocks((queue.places - 1).bit_length(), queue.bits) for queue in long)


def _tree(design: Design, step: int) -> tuple[float, int]:
    """LUTs and registers of a tree: slot m of a node picks from the m entries before it."""
    reduce, levels = design.input_reduce, tree_levels(design)
    channels, height, width = reduce.image.shape
    pixel = channels * reduce.image.type.width
    luts, registers = height * width * pixel / 2, 0
    for level in range(levels + 1):
        nodes, slots = height * width / 2**level, min(reduce.max_pixels, 2**level)
        bits, before = 1 + pixel + level, min(reduce.max_pixels, 2 ** max(level - 1, 0))
        luts += nodes * bits * sum(0.4 * min(m + 1, before) for m in range(slots)) if level else 0
        registers += round(nodes * slots * bits) if level < levels and (level + 1) % step == 0 else 0
    return luts, registers


def _sums(module: Module) -> set[str]:
    """Outputs that grow from pixel to pixel: those of an overlapped convolution."""
    listed = {array.name for step in module.stage.steps[:1] for array in (step.features, step.coords)}
    maps = {array.name for array in module.stage.outputs if isinstance(array, KernelMap)}
    return {field.name for field in module.outputs} - listed - maps


def _bits(fields: tuple[Field, ...]) -> int:
    return sum(field.bits for field in fields)


def _names(module: Module) -> str:
    """The layers of a stage; kernel maps are part of it without saying."""
    return (
        ", ".join(step.name for step in module.stage.steps if not isinstance(step, MakeKernelMap)) or module.stage.name
    )


def _queue(bits: int, places: int) -> Estimate:
    """The ports: a multiplexer and a register a bit of the result, and memory of LUTs, 32 places of 6 bits in 8."""
    lut = bits + 8 * math.ceil(bits / 6) * math.ceil((places - 1) / 32) + 30
    return Estimate(OUTPUT_CYCLES, 1, lut, bits + 30)


def estimate_rtl(design: Design, modules: list[Module], fabric: Fabric = "amd") -> DesignEstimate:
    """Estimated cost of the modules of a design, in the look-up tables of a fabric."""
    rows, stages = [], []
    for module in modules:
        latency, interval = stage_cycles(module, design)
        counts = module_counts(module, design)
        lut = LUTS[fabric] * sum(FACTORS[kind] * amount for kind, amount in counts.work.items())
        dsp = sum(len(function.in_dsp) for function in module.functions)
        bram = sum(memory_blocks(function) for function in module.functions)
        bram += _chain_blocks(module.chain) if module.chain is not None else 0
        cost = Estimate(latency, interval, round(lut), counts.registers, dsp, bram)
        rows.append(Row(module.stage.name, _names(module), module.stage.kind, cost))
        stages.append(StageEstimate(module.stage.name, latency, interval))
    at_most = pace(design, modules)
    rows.append(Row("ports", "results", "queue", _queue(_bits(modules[-1].outputs), at_most.places)))
    stages.append(StageEstimate("ports", OUTPUT_CYCLES, 1))
    total = Estimate(
        latency_cycles=at_most.latency_cycles,
        interval_cycles=at_most.interval_cycles,
        lut=sum(row.cost.lut for row in rows),
        ff=sum(row.cost.ff for row in rows),
        dsp=sum(row.cost.dsp for row in rows),
        bram=sum(row.cost.bram for row in rows),
    )
    return DesignEstimate(tuple(rows), tuple(stages), total, STREAM_KIND if at_most.waits else KIND)
