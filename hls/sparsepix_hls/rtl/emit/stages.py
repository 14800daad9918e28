"""The stages of a design as SystemVerilog modules: one module a stage, one more for what it computes."""

from dataclasses import dataclass

from sparsepix_hls.design.schedule import Stage
from sparsepix_hls.project.parts import Fabric
from sparsepix_hls.rtl.emit.verilog import function_source
from sparsepix_hls.rtl.lower.function import Field, Function, Slices, trace
from sparsepix_hls.rtl.lower.memory import BlockMemory
from sparsepix_hls.rtl.lower.ports import part, title
from sparsepix_hls.rtl.stages.arrays import Arrays
from sparsepix_hls.rtl.stages.chain import Chain, chain_module
from sparsepix_hls.rtl.stages.loops import loop_module
from sparsepix_hls.rtl.stages.reductions import stream_cuts, stream_module
from sparsepix_hls.rtl.stages.scan import scan_module
from sparsepix_hls.rtl.stages.text import connected, instance, module_text, port, ports, unused
from sparsepix_hls.rtl.stages.tree import tree_depth, tree_module, tree_step

# A read takes 1 to 1.5 ns (AMD DS923), 4.6 ns (ECP5, nextpnr).
MEMORIES: dict[Fabric, BlockMemory] = {
    "amd": BlockMemory(6, 2.5),
    "ecp5": BlockMemory(4, 3.0),
    "gowin": BlockMemory(4, 3.0),
}


@dataclass(frozen=True)
class Module:
    """A stage in hardware.

    Args:
        name: of its module.
        stage: what it is.
        inputs: what it reads from the stage before; the beats of the image for the first one.
        outputs: what it gives to the next stage.
        functions: what it computes.
        source: of all its modules.
        cuts: registers that the clock asks for in a module of ``verilog/``.
        step: levels of a tree between them; 0 where there is none.
        chain: a stream of pixels, if it is one.
        registered: whether there are registers after its last function; a pipeline before a loop or before the output
            has none, since these load the results.
    """

    name: str
    stage: Stage
    inputs: tuple[Field, ...]
    outputs: tuple[Field, ...]
    functions: tuple[Function, ...]
    source: str
    registered: bool
    cuts: int = 0
    step: int = 0
    chain: Chain | None = None


def stage_modules(arrays: Arrays, stages: tuple[Stage, ...], levels: float, fabric: Fabric) -> list[Module]:
    """A module for each stage.

    Args:
        arrays: of the design.
        stages: of the design, in order.
        levels: of LUTs that a pipeline stage may have.
        fabric: of the part.
    """
    slices = Slices(arrays.design.dsp, memory=MEMORIES[fabric])
    made = _modules(arrays, stages, levels, slices)
    if arrays.design.dsp and not slices.left and fabric == "amd":  # not enough: two products in one, where they fit
        made = _modules(arrays, stages, levels, Slices(arrays.design.dsp, in_pairs=True, memory=MEMORIES[fabric]))
    return made


def _modules(arrays: Arrays, stages: tuple[Stage, ...], levels: float, slices: Slices) -> list[Module]:
    design, made = arrays.design, []
    for number, stage in enumerate(stages):
        if stage.kind == "receive":
            continue  # the reduction itself collects the beats
        name = f"{design.graph.name}_stage_{stage.name}"
        outputs = tuple(arrays.field(array) for array in stage.outputs)
        registered = number + 1 < len(stages) and stages[number + 1].kind != "loop"
        cuts = step = 0
        chain = None
        if stage.kind == "scan":
            inputs, functions, source = scan_module(name, arrays, stage, levels, slices)
        elif stage.kind == "chain":
            gap = max((later.rounds for later in stages[number + 1 :]), default=1)
            chain = chain_module(name, arrays, stage, levels, slices, gap)
            inputs, source, functions = chain.inputs, chain.source, [step.function for step in chain.steps]
        elif stage.kind == "stream":
            cuts = stream_cuts(arrays, levels)
            inputs, source = stream_module(name, arrays, stage, cuts)
            functions = []
        elif stage.kind == "tree":
            step = tree_step(design, levels)
            inputs, source = tree_module(name, arrays, stage, step)
            functions, cuts = [], tree_depth(design, step) - 1
        else:
            inputs = tuple(arrays.field(array) for array in stage.inputs)
            if stage.kind == "loop":
                functions, source = loop_module(name, arrays, stage, levels, slices)
            else:
                functions, source = _pipeline_module(name, arrays, stage, levels, registered, slices)
        texts = [function_source(function, f"{design.graph.name}_layer_") for function in functions]
        if texts:  # one waiver, of one message: the file of a stage holds what the stage is made of
            texts = ["// verilator lint_off DECLFILENAME", *texts, "// verilator lint_on DECLFILENAME", ""]
        made.append(
            Module(
                name,
                stage,
                inputs,
                outputs,
                tuple(functions),
                "\n".join([source, *texts]),
                registered,
                cuts,
                step,
                chain,
            )
        )
    return made


def _pipeline_module(
    name: str, arrays: Arrays, stage: Stage, levels: float, registered: bool, slices: Slices
) -> tuple[list[Function], str]:
    """A pipeline: one function, and registers after it unless whatever comes next loads the results itself."""
    inputs = [arrays.field(array) for array in stage.inputs]
    outputs = [arrays.field(array) for array in stage.outputs]

    parts = [part(step, arrays.design.how(step), arrays.ports) for step in stage.steps]
    function = trace(f"{name}_logic", title(stage.steps), inputs, outputs, parts, levels, slices=slices)
    depth = function.depth if registered else function.depth - 1
    if depth:
        signals = ("clk", "rst_n", "in_valid", "out_valid")
        lines = instance("valid_chain", "control", {"DEPTH": depth}, {n: n for n in signals})
    else:
        lines = ["  assign out_valid = in_valid;", *unused(["clk", "rst_n"] if function.depth == 1 else ["rst_n"])]
    result = "now_" if registered else "out_"
    connections = connected(function, {}, result)
    if registered:
        lines += [f"  {port('wire', field, 'now_')};" for field in outputs]
        lines += ["  always_ff @(posedge clk) begin"]
        lines += [f"    out_{field.name} <= now_{field.name};" for field in outputs]
        lines += ["  end"]
    lines += instance(function.name, "compute", {}, connections)
    comment = f"Pipeline: {title(stage.steps)}"
    return [function], module_text(name, comment, ports(inputs, outputs), lines)
