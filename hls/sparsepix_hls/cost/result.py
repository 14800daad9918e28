"""The estimate of a whole design, whichever backend it was made for."""

from dataclasses import dataclass

from sparsepix_hls.ir.estimate import Estimate


@dataclass(frozen=True)
class Row:
    """One thing that costs something.

    Args:
        stage: where it is.
        name: of the layer, the kernel map or the channels.
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
        kind: what the figures rest on, for a person.
        hand_over_cycles: clocks from one stage to the next, beside those of the stages.
    """

    rows: tuple[Row, ...]
    stages: tuple[StageEstimate, ...]
    total: Estimate
    kind: str
    hand_over_cycles: int = 0
