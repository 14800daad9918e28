"""Estimated latency and area of a design: the costs of its layers, put together stage by stage; not synthesis."""

import math
from dataclasses import asdict, dataclass

from sparsepix_hls.cost.costs import Estimate, channel_cost, interval
from sparsepix_hls.design.options import Design
from sparsepix_hls.design.schedule import Stage, plan
from sparsepix_hls.ir.graph import Layer
from sparsepix_hls.ir.tensors import Array, LayerDesign
from sparsepix_hls.layers.input_reduce import InputReduce, read_beats_cost, receive_cost, reduce_cost
from sparsepix_hls.layers.kernel_map import MakePairMap
from sparsepix_hls.project.parts import Part

HAND_OVER = 1  # clocks from one process to the next
KIND = "estimate from primitives, not confirmed by synthesis: expect a factor of 1.5 either way"


@dataclass(frozen=True)
class Row:
    """One thing that costs something.

    Args:
        stage: where it is.
        name: of the layer, the pair map or the channels.
        op: what it is.
        cost: its estimate; latencies of the rows of a stage add up.
    """

    stage: str
    name: str
    op: str
    cost: Estimate


@dataclass(frozen=True)
class StageEstimate:
    """Latency and interval of one process."""

    name: str
    latency_cycles: int
    interval_cycles: int


@dataclass(frozen=True)
class DesignEstimate:
    """The estimate of a design: latencies of stages add up, the slowest one sets the interval.

    Args:
        rows: everything that costs something, in order.
        stages: the processes, in order.
        total: of the model.
    """

    rows: tuple[Row, ...]
    stages: tuple[StageEstimate, ...]
    total: Estimate


def estimate_design(design: Design, clock_ns: float) -> DesignEstimate:
    """Estimated cost of a design at a clock period of ``clock_ns``."""
    rows: list[Row] = []
    stages = []
    planned = plan(design)
    for stage in planned:
        own = [_row(stage, step, design, clock_ns) for step in stage.steps]
        if stage.kind == "receive":
            own = [
                Row(stage.name, design.graph.input.name, "AXI4-Stream", receive_cost(design.input_reduce, stage.rounds))
            ]
        rows += own
        latency = sum(row.cost.latency_cycles for row in own)
        slowest = max([interval(stage.rounds), *(row.cost.interval_cycles for row in own)])
        stages.append(StageEstimate(stage.name, latency, slowest))
    between = [array for stage in planned[:-1] for array in stage.outputs]
    if between:
        rows.append(Row("", "channels", "FIFO", _channels(between, len(planned) - 1)))
    costs = [row.cost for row in rows]
    total = Estimate(
        latency_cycles=sum(cost.latency_cycles for cost in costs),
        interval_cycles=max(stage.interval_cycles for stage in stages),
        **{key: sum(getattr(cost, key) for cost in costs) for key in ("lut", "ff", "dsp", "bram", "multipliers")},
    )
    return DesignEstimate(tuple(rows), tuple(stages), total)


def _row(stage: Stage, step: Layer, design: Design, clock_ns: float) -> Row:
    if isinstance(step, InputReduce):
        cost = reduce_cost(step, design.reduce, design.pixels_per_cycle, clock_ns)
        if design.reduce == "stream" and design.io == "parallel":
            beats = read_beats_cost(step, design.pixels_per_cycle)
            cost = Estimate(**(asdict(cost) | {"lut": cost.lut + round(beats.lut)}))
        return Row(stage.name, step.name, f"InputReduce {design.reduce}", cost)
    if isinstance(step, MakePairMap):
        how = LayerDesign("scan" if stage.kind == "scan" else "", stage.rounds if stage.kind == "scan" else 1, 1)
        return Row(stage.name, step.name, "PairMap", step.cost(how, clock_ns))
    how = design.layers[step.name]
    words = [type(step).__name__, how.implementation]
    return Row(stage.name, step.name, " ".join(word for word in words if word), step.cost(how, clock_ns))


def _channels(arrays: list[Array], hand_overs: int) -> Estimate:
    total = channel_cost(0, 0)
    for array in arrays:
        total = total | channel_cost(math.prod(array.shape), array.bits)
    return Estimate(hand_overs * HAND_OVER, 1, round(total.lut), round(total.ff))


def utilization(total: Estimate, part: Part) -> dict[str, float] | None:
    """Share of a part's resources, 1.0 is all of them; None for a part that the table does not have.

    ``slr`` is the share of one die's LUTs (a design that crosses dies needs more clocks than estimated).
    """
    if not part.known:
        return None
    return {
        "dsp": total.dsp / part.dsps,
        "lut": total.lut / part.luts,
        "ff": total.ff / part.ffs,
        "bram": total.bram / (2 * part.bram36),
        "slr": total.lut * part.slrs / part.luts,
    }


def warnings(total: Estimate, part: Part) -> tuple[str, ...]:
    """What does not fit."""
    shares = utilization(total, part)
    if shares is None:
        return ()
    over = [name for name in ("lut", "ff", "dsp", "bram") if shares[name] > 1]
    if over:
        needs = ", ".join(f"{shares[name]:.0%} of its {name.upper()}" for name in over)
        return (f"the estimate needs {needs} of {part.name}: use more reuse (--target-interval), or a larger part",)
    if shares["slr"] > 1:
        return (
            f"the estimate fills {shares['slr']:.1f} of the {part.slrs} dies (SLR) of {part.name}: paths between dies "
            "are slow; more reuse may fit it in one",
        )
    return ()


def estimate_json(
    estimate: DesignEstimate, kind: str, part: Part, clock_ns: float, hand_over_cycles: int = HAND_OVER
) -> dict:
    """An estimate as plain data for ``report.json``.

    Args:
        estimate: of the design.
        kind: what it rests on.
        part: the FPGA.
        clock_ns: clock period.
        hand_over_cycles: clocks from one stage to the next, beside those of the stages.
    """
    return {
        "kind": kind,
        "hand_over_cycles": hand_over_cycles,
        "rows": [{"stage": row.stage, "name": row.name, "op": row.op, **asdict(row.cost)} for row in estimate.rows],
        "stages": [asdict(stage) for stage in estimate.stages],
        "total": asdict(estimate.total),
        "latency_ns": estimate.total.latency_cycles * clock_ns,
        "interval_ns": estimate.total.interval_cycles * clock_ns,
        "utilization": utilization(estimate.total, part),
        "warnings": list(warnings(estimate.total, part)),
    }
