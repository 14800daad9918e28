"""A module a layer: what the modules of a stage hold, and that nothing is in two of them or in none."""

import re
from collections import Counter

import pytest

from onnx_models import whole_model
from sparsepix_hls.design.options import Options
from sparsepix_hls.flow.backends import backend_design
from sparsepix_hls.flow.rtl import RTL
from sparsepix_hls.frontend.reader import read_model
from sparsepix_hls.rtl.emit import stages
from sparsepix_hls.rtl.emit.layers import register_bits, scopes, whole
from sparsepix_hls.rtl.emit.verilog import _Writer, function_source
from sparsepix_hls.rtl.emit.writer import rtl_modules
from sparsepix_hls.rtl.estimate import estimate_rtl
from sparsepix_hls.rtl.lower.function import trace
from sparsepix_hls.rtl.lower.layers import Part
from sparsepix_hls.rtl.stages import loops, scan, steps
from sparsepix_hls.rtl.tools.place import placed_from

DESIGNS = {
    "tree": Options(reduce="tree"),
    "rounds": Options(reduce="scan", reuse_factor=2),
    "overlap": Options(reduce="scan", conv="overlap"),
    "two pixels": Options(reduce="scan", scan_pixels=2, conv="overlap", reuse_factor=3),
    "pairs": Options(reduce="stream", conv="pairs", flatten="lookup"),
    "slow clock": Options(reduce="stream", conv="gather"),
    "pixel by pixel": Options(conv="stream", io="stream"),
}
DECLARED = re.compile(r"^  logic (?:signed )?\[(\d+):0\] v\d+_\d+;$", re.MULTILINE)
COMPUTED = re.compile(
    r"^  (?:wire .* v\d+ = (?!in_)|net_\w+_(?:table|memory)|product|adder|multiplier).*", re.MULTILINE
)


@pytest.fixture(scope="module", params=DESIGNS)
def designed(request, tmp_path_factory):
    """A design, its modules, and its clock."""
    path = whole_model().save(tmp_path_factory.mktemp("model") / "net.onnx")
    clock = 20.0 if request.param == "slow clock" else 5.0
    design, _ = backend_design(read_model(path).graph, DESIGNS[request.param], clock, RTL)
    return design, rtl_modules(design, clock), clock


def constants_aside(text):
    """Lines that compute a value; a constant may be in each module that reads it."""
    return Counter(line for line in COMPUTED.findall(text) if not re.search(r" = \d+'h[0-9a-f]+;$", line))


def test_each_layer_is_a_module_that_is_there_once(designed):
    design, modules, _ = designed
    text = "\n".join(module.source for module in modules)
    declared = re.findall(r"^module (\w+)", text, re.MULTILINE)
    assert len(set(declared)) == len(declared)
    several = [module for module in modules if len(module.stage.steps) > 1 and module.functions]
    assert several
    for module in several:
        parts = module.functions[0].parts
        computing = {module.functions[0].origins.owner[i] for i in range(len(module.functions[0].logic.ops))} - {-1}
        if len(computing) < 2:
            continue  # one layer that computes something is the whole function
        for part in (parts[number] for number in computing):
            name = f"net_layer_{part.name}"
            assert declared.count(name) == 1
            assert len(re.findall(rf"^  {name} layer_{part.name} \($", module.source, re.MULTILINE)) == 1
            assert f"  // {part.title}\n  {name} " in module.source
    names = {layer.name for layer in design.graph.layers}
    assert len(names & {name.removeprefix("net_layer_") for name in declared}) > 1


def test_nothing_is_there_twice_and_nothing_is_gone(designed):
    """The same lines as in one module, the same registers; nothing is computed where the layers are connected."""
    for function in (function for module in designed[1] for function in module.functions):
        text = function_source(function, "net_layer_")
        one = _Writer(function, whole(function)).module()
        assert sum(int(bits) + 1 for bits in DECLARED.findall(text)) == register_bits(function)
        assert constants_aside(text) == constants_aside(one)
        wiring, *layers = scopes(function, "net_layer_")
        if layers:
            top = _Writer(function, wiring).module()
            assert not DECLARED.findall(top)
            assert not constants_aside(top)


def test_layers_change_no_schedule(designed, monkeypatch):
    """A stage whose layers are one part has the same operations in the same stages."""
    design, modules, clock = designed

    def fused(name, title, inputs, outputs, parts, *rest, **more):
        def body(values):
            found = dict(values)
            for part in parts:
                found |= part.body(found)
            return found

        return trace(name, title, inputs, outputs, [Part("all", "", body)], *rest, **more)

    for room in (stages, loops, scan, steps):
        monkeypatch.setattr(room, "trace", fused)
    others = rtl_modules(design, clock)
    assert estimate_rtl(design, others) == estimate_rtl(design, modules)
    for module, other in zip(modules, others, strict=True):
        for function, alone in zip(module.functions, other.functions, strict=True):
            assert function.logic.ops == alone.logic.ops
            assert function.stage == alone.stage
            assert len(scopes(alone, "net_layer_")) == 1


def test_layers_of_a_placed_path():
    """The layers that a path goes through, by the names of its cells; where it begins does not count."""
    cells = ["core.a_stage.compute.layer_x.v1_FF", "core.a_stage.compute.layer_y.v2_LUT", "core.a_stage.held_FF"]
    steps = [("clk-to-q", 0, 0), ("routing", 0, 1), ("logic", 1, 1), ("routing", 1, 2), ("setup", 2, 2)]
    path = [{"type": kind, "delay": 1.0, "from": {"cell": cells[a]}, "to": {"cell": cells[b]}} for kind, a, b in steps]
    report = {
        "fmax": {"clk": {"achieved": 100.0}},
        "utilization": {},
        "critical_paths": [{"from": "posedge clk", "to": "posedge clk", "path": path}],
    }
    found = placed_from(report, 100.0, 1.0).path
    assert (found.stage, found.layers, found.ns, found.routing_ns) == ("a", ("y",), 5.0, 2.0)
