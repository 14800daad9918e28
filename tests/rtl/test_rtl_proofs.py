"""Proofs: the assertions that the simulation checks hold in every clock, whatever comes and whenever it comes."""

import numpy as np
import pytest
import torch
from torch import nn

import sparsepix as sp
import sparsepix_hls as hls
from proofs import design_sources, formulas, module_sources, prove, solve
from sparsepix_hls.rtl.emit.properties import checked_modules
from sparsepix_ops import reference

pytestmark = pytest.mark.yosys

IMAGE = {"HEIGHT": 2, "WIDTH": 3, "BITS": 2, "BEAT_PIXELS": 6, "COORD_BITS": 3, "SLOT_BITS": 2}
STREAM = {"HEIGHT": 3, "WIDTH": 4, "BITS": 3, "COORD_BITS": 3, "COUNT_BITS": 3, "MAX_PIXELS": 4}
TREE = {"HEIGHT": 3, "WIDTH": 4, "BITS": 2, "COORD_BITS": 3}
LARGEST = {"HEIGHT": 2, "WIDTH": 3, "BITS": 2, "COORD_BITS": 3}
# Module, parameters, steps of the induction: as many as what is in it can remember.
CASES = [
    ("valid_chain", {"DEPTH": 5}, 8),
    ("result_queue", {"BITS": 4, "PLACES": 2}, 4),
    ("result_queue", {"BITS": 4, "PLACES": 5}, 4),
    ("event_gate", {"BEATS": 1, "HOLD": 0, "INTERVAL": 1, "PLACES": 2}, 4),
    ("event_gate", {"BEATS": 3, "HOLD": 2, "INTERVAL": 7, "PLACES": 3}, 4),
    ("event_gate", {"BEATS": 1, "HOLD": 12, "INTERVAL": 13, "PLACES": 4}, 4),
    ("event_gate", {"BEATS": 63, "HOLD": 0, "INTERVAL": 63, "PLACES": 2}, 4),
    ("loop_control", {"ROUNDS": 1, "DEPTH": 2, "ROUND_BITS": 1}, 5),
    ("loop_control", {"ROUNDS": 3, "DEPTH": 1, "ROUND_BITS": 2}, 6),
    ("loop_control", {"ROUNDS": 4, "DEPTH": 3, "ROUND_BITS": 2}, 9),
    ("loop_control", {"ROUNDS": 6, "FOLDS": 3, "DEPTH": 2, "ROUND_BITS": 1, "FOLD_BITS": 2}, 10),
    ("handed_on", {"BITS": 4, "SLOTS": 1, "SLOT_BITS": 1}, 4),
    ("handed_on", {"BITS": 4, "SLOTS": 3, "SLOT_BITS": 2}, 4),
    ("image_beats", {"IMAGE_BITS": 11, "BEAT_BITS": 3, "BEATS": 4}, 7),
    ("reduce_scan", IMAGE | {"LANES": 1, "MAX_PIXELS": 4}, 10),
    ("reduce_scan", IMAGE | {"LANES": 2, "MAX_PIXELS": 5}, 10),
    ("reduce_stream", STREAM | {"BEAT_PIXELS": 5, "BEATS": 3}, 9),
    ("reduce_stream", STREAM | {"BEAT_PIXELS": 4, "BEATS": 3, "CUTS": 1}, 9),
    ("reduce_stream", STREAM | {"BEAT_PIXELS": 4, "BEATS": 3, "CUTS": 2}, 9),
    ("reduce_largest", LARGEST | {"BEAT_PIXELS": 2, "BEATS": 3, "MAX_PIXELS": 2, "RULE": 1}, 10),
    ("reduce_largest", LARGEST | {"BEAT_PIXELS": 5, "BEATS": 2, "MAX_PIXELS": 3, "RULE": 1}, 13),
    ("reduce_largest", LARGEST | {"BEAT_PIXELS": 1, "BEATS": 6, "MAX_PIXELS": 1, "RULE": 1}, 9),
    ("reduce_tree", TREE | {"STEP": 1, "DEPTH": 5, "MAX_PIXELS": 3}, 7),
    ("reduce_tree", TREE | {"STEP": 2, "DEPTH": 3, "MAX_PIXELS": 13}, 5),
    ("stream_queue", {"BITS": 4, "PLACES": 2}, 5),
    ("stream_queue", {"BITS": 4, "PLACES": 5}, 5),
    ("stream_credit", {"PLACES": 3}, 4),
]
PIXELS = {"HEIGHT": 2, "WIDTH": 2, "BITS": 1, "PLACES": 8, "ROW_BITS": 1, "COLUMN_BITS": 1}
# For so many clocks from reset, with any stalls; that events are counted alike at both ends no assertion says.
BOUNDED = [
    ("stream_pixels", PIXELS | {"MAX_PIXELS": 1, "BEAT_PIXELS": 2, "BEATS": 2}, 12),
    ("stream_pixels", PIXELS | {"MAX_PIXELS": 3, "BEAT_PIXELS": 3, "BEATS": 2, "CHUNK": 2}, 10),
]
TOP = LARGEST | {"BEAT_PIXELS": 3, "BEATS": 2, "MAX_PIXELS": 2}
# What one could get wrong: the proof has to find it.
FAULTS = [
    ("result_queue", "waiting ? kept[reading] : coming", "coming", {"BITS": 4, "PLACES": 3}),
    ("result_queue", "if (moves) leaving <=", "leaving <=", {"BITS": 4, "PLACES": 3}),
    ("event_gate", "WAIT_BITS'(INTERVAL - 1);", "WAIT_BITS'(INTERVAL - 2);", {"INTERVAL": 5}),
    ("event_gate", "next_free != '0", "free != '0", {"PLACES": 2}),
    ("loop_control", "else if (at_end) busy", "else if (issued && DEPTH == 1) busy", {"DEPTH": 2}),
    (
        "loop_control",
        "{whole, last, first, store} = now",
        "{last, whole, first, store} = now",
        {"FOLDS": 1, "DEPTH": 1},
    ),
    ("loop_control", "if (busy && fold_end) round", "if (busy) round", {"ROUNDS": 4, "FOLDS": 2}),
    ("handed_on", "if (issued) kept[writing] <= in;", "kept[writing] <= in;", {"SLOTS": 2, "SLOT_BITS": 1}),
    (
        "image_beats",
        "else held <= held >> BEAT_BITS;",
        "else held <= held >> 1;",
        {"BEATS": 3, "BEAT_BITS": 2, "IMAGE_BITS": 6},
    ),
    ("reduce_scan", "2'(LANES + 1)", "2'(LANES)", IMAGE | {"LANES": 1, "MAX_PIXELS": 4}),
    ("reduce_largest", "later[ENTRY_BITS-1-:RANK_BITS] >", "later[ENTRY_BITS-1-:RANK_BITS] >=", TOP),
    ("reduce_largest", "starts[0]) left", "starts[0] && !busy) left", TOP | {"HEIGHT": 1, "BEATS": 1}),
    ("reduce_stream", "first_2 ? '0 : count", "count", STREAM | {"BEAT_PIXELS": 4, "BEATS": 3}),
    (
        "reduce_tree",
        "(k + 1) % STEP == 0",
        "(k + 1) % (STEP + 1) == 0",
        TREE | {"STEP": 2, "DEPTH": 3, "MAX_PIXELS": 4},
    ),
    ("stream_queue", "count != '0 && (!out_valid || out_ready)", "count != '0", {"BITS": 4, "PLACES": 3}),
    ("stream_credit", "COUNT_BITS'(PLACES)", "COUNT_BITS'(PLACES + 1)", {"PLACES": 2}),
    ("stream_pixels", "!(full && ends == '0)", "!full", PIXELS | {"MAX_PIXELS": 1, "BEAT_PIXELS": 2, "BEATS": 2}),
    ("stream_pixels", "(MAX_PIXELS - 1);", "(MAX_PIXELS);", PIXELS | {"MAX_PIXELS": 1, "BEAT_PIXELS": 2, "BEATS": 2}),
]


@pytest.mark.parametrize(("module", "parameters", "steps"), CASES)
def test_a_module_keeps_to_its_properties(module, parameters, steps, tmp_path):
    prove(formulas(tmp_path, module_sources(module), module, parameters), steps)


@pytest.mark.parametrize(("module", "parameters", "steps"), BOUNDED)
def test_a_module_for_so_many_clocks(module, parameters, steps, tmp_path):
    prove(formulas(tmp_path, module_sources(module), module, parameters), steps, for_ever=False)


@pytest.mark.parametrize("lanes", [1, 2])
def test_a_scan_of_an_image_in_beats(lanes, tmp_path):
    """Two images: the next one may begin to come while the last pixels of one are listed."""
    parameters = IMAGE | {"LANES": lanes, "MAX_PIXELS": 3, "BEAT_PIXELS": 4, "BEATS": 2}
    prove(formulas(tmp_path, module_sources("reduce_scan"), "reduce_scan", parameters), 16, for_ever=False)


def test_the_largest_pixels_of_a_stream(tmp_path):
    """The list of two images of any values; that it comes in time is proved for ever above."""
    parameters = LARGEST | {"BEAT_PIXELS": 3, "BEATS": 2, "MAX_PIXELS": 2}
    prove(formulas(tmp_path, module_sources("reduce_largest"), "reduce_largest", parameters), 14, for_ever=False)


def test_every_checked_module_is_proved():
    assert {module for module, _, _ in (*CASES, *BOUNDED)} == set(checked_modules())


@pytest.mark.parametrize(("module", "right", "wrong", "parameters"), FAULTS)
def test_a_fault_is_found(module, right, wrong, parameters, tmp_path):
    first, *others = module_sources(module)
    assert first.count(right) == 1
    circuit = formulas(tmp_path, [first.replace(right, wrong), *others], module, parameters)
    good, said = solve(circuit, "-t", "20")
    assert not good
    assert "Assert failed" in said


# A scan for ever. A stream of beats within a design for so many clocks only: that its beats are counted alike in two
# modules follows from the reset, and no assertion says so.
DESIGNS = [
    (hls.Options(reduce="scan"), 13, True),
    (hls.Options(reduce="stream", pixels_per_cycle=3), 13, False),
]


@pytest.mark.slow
@pytest.mark.parametrize(("options", "steps", "for_ever"), DESIGNS)
def test_a_small_design(options, steps, for_ever, tmp_path):
    """Ports and pace; and one event among any others, with any stalls and resets, for so many clocks."""
    torch.manual_seed(0)
    bits = sp.FixedPoint(3, 2)
    model = nn.Sequential(
        sp.QuantIdentity(sp.FixedPoint(2, 2, signed=False)),
        sp.SparseInputReduce(2, 0.0),
        sp.SparseConv2d(1, 1, 3, weight_format=bits),
        sp.SparseReLU(sp.FixedPoint(3, 2, signed=False)),
        sp.SparseFlatten(),
        sp.QuantLinear(6, 1, weight_format=bits),
    ).eval()
    exported = sp.export_onnx(model, tmp_path / "net.onnx", (1, 2, 3))
    project = hls.translate(tmp_path / "net.onnx", tmp_path / "net", backend="rtl", options=options)
    image = np.array([[[[1, 0, 3], [0, 2, 0]]]])
    (result,) = reference.run(exported, image.astype(np.float64)).raw.ravel()
    word = sum(int(value) << 2 * place for place, value in enumerate(image.ravel()))
    width = project.graph.outputs[0].type.width
    sources = design_sources(project.directory, "net", f"16'd{word}", f"8'd{int(result) % (1 << width)}")
    timing, followed = tmp_path / "timing", tmp_path / "followed"
    timing.mkdir()
    followed.mkdir()
    prove(formulas(timing, sources.checked, "net", {}), steps, for_ever)
    prove(formulas(followed, sources.followed, "net", {}), steps + 3, for_ever=False)
