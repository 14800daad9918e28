"""The stages of a design: the processes of the generated dataflow, and the arrays between them.

A stage is a pipeline, in which every layer is fully parallel, or a loop over time with one layer that shares
its hardware between rounds and the activation after it. Each array between two stages has one producer and one
consumer, as the vendor's dataflow wants it (UG1399, 'Canonical Forms'): what a later stage needs is handed on
from stage to stage.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from sparsepix_hls.design.layout import Design
from sparsepix_hls.ir.graph import Layer
from sparsepix_hls.ir.tensors import Array, KernelMap
from sparsepix_hls.layers.kernel_map import MakeKernelMap
from sparsepix_hls.layers.sparse_conv2d import SparseConv2d

_OURS = re.compile(r"(receive|reduce|pixels|layers|pairs)(_.*)?", re.IGNORECASE)  # stages without a layer's name
Kind = Literal["receive", "scan", "stream", "tree", "chain", "pipeline", "loop"]


@dataclass(frozen=True)
class Stage:
    """One process.

    Args:
        name: identifier, unique in the design.
        kind: 'receive' collects a streamed image; 'scan' and 'stream' are loops that list the active pixels, 'tree' is
            a pipeline that does; 'chain' lists them too, and has all layers on lists, which they go through one by one;
            'pipeline' takes an event every clock; 'loop' computes its first layer in rounds.
        steps: what it computes, in order.
        rounds: iterations of its loop over time; 1 for a pipeline.
        inputs: arrays from the stage before, or the image.
        outputs: arrays for the next stage, its own and those it hands on, or the result.
    """

    name: str
    kind: Kind
    steps: tuple[Layer, ...]
    rounds: int
    inputs: tuple[Array, ...]
    outputs: tuple[Array, ...]

    @property
    def made(self) -> tuple[Array, ...]:
        """Arrays that its steps make."""
        return tuple(array for step in self.steps for array in step.outputs)

    @property
    def handed_on(self) -> tuple[Array, ...]:
        """Arrays that it only copies for later stages."""
        return tuple(array for array in self.outputs if array in self.inputs and self.kind != "receive")


@dataclass
class _Draft:
    name: str
    kind: Kind
    steps: list[Layer]
    rounds: int = 1
    made: set[str] = field(default_factory=set)  # names of what the steps make: a model may have thousands of them

    def __post_init__(self) -> None:
        self.made |= {array.name for step in self.steps for array in step.outputs}

    def add(self, step: Layer) -> None:
        """Let it compute one more step."""
        self.steps.append(step)
        self.made |= {array.name for array in step.outputs}


def plan(design: Design) -> tuple[Stage, ...]:
    """The stages of a design, in order; ``Design.stages`` keeps them."""
    drafts = _front(design)
    first = len(drafts)
    begun = {step for draft in drafts for step in draft.steps}
    for layer in design.graph.layers:
        if layer in begun:
            continue
        last, rounds = drafts[-1], design.layers[layer.name].reuse_factor
        joins = last.kind == "pipeline" or (last.kind == "loop" and not (design.sums_apart and last.steps[0].sums))
        if layer.joins and layer.inputs[0].name in last.made and joins:
            last.add(layer)
            continue
        maps = [array for array in layer.reads(design.implementation(layer)) if isinstance(array, KernelMap)]
        missing = [map_ for map_ in maps if not any(map_.name in draft.made for draft in drafts)]
        if (missing or rounds == 1) and last.kind != "pipeline":
            last = _Draft("", "pipeline", [])
            drafts.append(last)
        for map_ in missing:
            last.add(MakeKernelMap(map_))
        if rounds == 1:
            last.add(layer)
        else:
            name = f"{layer.name}_rounds" if _OURS.fullmatch(layer.name) else layer.name
            drafts.append(_Draft(name, "loop", [layer], rounds))
    _name_pipelines(drafts, first)
    return _connected(drafts, design)


def _front(design: Design) -> list[_Draft]:
    """The stages up to the list of active pixels."""
    drafts = []
    reduce = design.input_reduce
    if design.streams:
        return [_Draft("pixels", "chain", [reduce, *design.graph.on_lists], design.beats)]
    if design.io == "stream" and design.reduce != "stream":
        drafts.append(_Draft("receive", "receive", [], design.beats))
    if design.reduce == "tree":
        # In C++ the layers after it are part of the same pipeline; in RTL the tree is a module of its own.
        return [*drafts, _Draft("reduce", "tree" if design.sums_apart else "pipeline", [reduce])]
    if design.reduce == "stream":
        return [*drafts, _Draft("reduce", "stream", [reduce], design.beats)]
    # Pixels arrive one by one: each finds its place in the windows of the earlier ones as it comes.
    convs = [layer for layer in design.graph.layers if isinstance(layer, SparseConv2d)]
    here = [conv for conv in convs if conv.coords == reduce.coords]
    overlapped = [conv for conv in here if design.implementation(conv) == "overlap"]
    maps = dict.fromkeys(conv.kernel_map for conv in here if conv not in overlapped)
    steps: list[Layer] = [reduce, *map(MakeKernelMap, maps), *overlapped]
    for layer in design.graph.layers if not design.sums_apart else ():
        if layer.joins and any(layer.inputs[0] in step.outputs for step in steps if step != reduce):
            steps.append(layer)
    return [*drafts, _Draft("reduce", "scan", steps, -(-reduce.max_pixels // design.scan_pixels))]


def _name_pipelines(drafts: list[_Draft], first: int) -> None:
    unnamed = [draft for draft in drafts[first:] if not draft.name]
    for number, draft in enumerate(unnamed, 1):
        only_maps = all(isinstance(step, MakeKernelMap) for step in draft.steps)
        stem = "pairs" if only_maps else "layers"
        draft.name = stem if number == 1 else f"{stem}_{number}"


def _connected(drafts: list[_Draft], design: Design) -> tuple[Stage, ...]:
    """Stages with the arrays that live between them."""
    reads = [{a: None for step in draft.steps for a in step.reads(design.implementation(step))} for draft in drafts]
    if drafts[0].kind == "receive":
        reads[0] = {design.graph.input: None}
    stages: list[Stage] = []
    arrived: tuple[Array, ...] = (design.graph.input,)
    for i, draft in enumerate(drafts):
        made = [array for step in draft.steps for array in step.outputs]
        later = _unique(array for read in reads[i + 1 :] for array in read)
        if i == len(drafts) - 1:
            leaving: tuple[Array, ...] = design.graph.outputs
        else:
            kept = [array for array in later if array in made or array in arrived]
            # A result that is ready before the last stage is handed on to the end.
            leaving = _unique([*kept, *(a for a in (*made, *arrived) if a in design.graph.outputs)])
        stages.append(Stage(draft.name, draft.kind, tuple(draft.steps), draft.rounds, arrived, leaving))
        arrived = leaving
    return tuple(stages)


def _unique(arrays: Iterable[Array]) -> tuple[Array, ...]:
    return tuple(dict.fromkeys(arrays))
