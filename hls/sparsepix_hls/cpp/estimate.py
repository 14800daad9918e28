"""Estimated latency and area of a design: the costs of its layers, put together stage by stage; not synthesis."""

import math
from dataclasses import replace
from functools import reduce
from operator import or_

from sparsepix_hls.cost.costs import FIFO_CONTROL, channel_cost, interval
from sparsepix_hls.cost.primitives import register
from sparsepix_hls.cost.result import DesignEstimate, Row, StageEstimate
from sparsepix_hls.cost.streams import memory
from sparsepix_hls.cpp.chain_flow import chain_queues
from sparsepix_hls.design.layout import Design
from sparsepix_hls.design.schedule import Stage
from sparsepix_hls.ir.estimate import Estimate
from sparsepix_hls.ir.graph import Layer
from sparsepix_hls.ir.tensors import Array, LayerDesign
from sparsepix_hls.layers.input_reduce import InputReduce, pixel_stream_cost, read_beats_cost, receive_cost, reduce_cost
from sparsepix_hls.layers.kernel_map import MakeKernelMap

HAND_OVER = 1  # clocks from one process to the next
KIND = "estimate from primitives, not confirmed by synthesis: expect a factor of 1.5 either way"


def estimate_design(design: Design, clock_ns: float) -> DesignEstimate:
    """Estimated cost of a design at a clock period of ``clock_ns``."""
    logic_ns = design.logic_ns(clock_ns)
    rows: list[Row] = []
    stages = []
    for stage in design.stages:
        own = [_row(stage, step, design, logic_ns) for step in stage.steps]
        if stage.kind == "receive":
            own = [
                Row(stage.name, design.graph.input.name, "AXI4-Stream", receive_cost(design.input_reduce, stage.rounds))
            ]
        if stage.kind == "chain" and (queues := chain_queues(stage, design)):
            own.append(Row(stage.name, "branches", "FIFO", _queues(queues)))
        rows += own
        latency = sum(row.cost.latency_cycles for row in own)
        slowest = max(row.cost.interval_cycles for row in own)
        if stage.kind != "chain":
            slowest = max(slowest, interval(stage.rounds))
        stages.append(StageEstimate(stage.name, latency, slowest))
    between = [array for stage in design.stages[:-1] for array in stage.outputs]
    if between:
        rows.append(Row("", "channels", "FIFO", _channels(between, len(design.stages) - 1)))
    costs = [row.cost for row in rows]
    total = Estimate(
        latency_cycles=sum(cost.latency_cycles for cost in costs),
        interval_cycles=max(stage.interval_cycles for stage in stages),
        **{key: sum(getattr(cost, key) for cost in costs) for key in ("lut", "ff", "dsp", "bram", "multipliers")},
    )
    return DesignEstimate(tuple(rows), tuple(stages), total, KIND, HAND_OVER)


def _row(stage: Stage, step: Layer, design: Design, logic_ns: float) -> Row:
    if isinstance(step, InputReduce) and stage.kind == "chain":
        cost = pixel_stream_cost(step, design.pixels_per_cycle, logic_ns)
        return Row(stage.name, step.name, "InputReduce stream", cost)
    if isinstance(step, InputReduce):
        cost = reduce_cost(step, design.reduce, design.pixels_per_cycle, logic_ns, design.scan_pixels)
        if design.reduce == "stream" and design.io == "parallel":
            beats = read_beats_cost(step, design.pixels_per_cycle)
            cost = replace(cost, lut=cost.lut + round(beats.lut), ff=cost.ff + round(beats.ff))
        return Row(stage.name, step.name, f"InputReduce {design.reduce}", cost)
    if isinstance(step, MakeKernelMap):
        way = ("scan", stage.rounds, design.scan_pixels) if stage.kind == "scan" else ("", 1, 1)
        return Row(stage.name, step.name, "KernelMap", step.cost(LayerDesign(*way), logic_ns))
    how = design.how(step)
    if how.implementation == "overlap":
        how = replace(how, reuse_factor=stage.rounds, parallel=design.scan_pixels)
    words = [type(step).__name__, how.implementation]
    return Row(stage.name, step.name, " ".join(word for word in words if word), step.cost(how, logic_ns))


def _queues(queues: list[tuple[int, int]]) -> Estimate:
    """Streams that hold pixels of several layers, each (places, bits of a word)."""
    total = reduce(or_, (memory(places, bits) + register(bits) for places, bits in queues))
    return Estimate(0, 1, round(total.lut) + len(queues) * FIFO_CONTROL, round(total.ff), bram=round(total.bram))


def _channels(arrays: list[Array], hand_overs: int) -> Estimate:
    total = channel_cost(0, 0)
    for array in arrays:
        total = total | channel_cost(math.prod(array.shape), array.bits)
    return Estimate(hand_overs * HAND_OVER, 1, round(total.lut), round(total.ff))
