"""What the schedule makes of C++ of a few lines: widths, trees, slices, arrays at an index, memories."""

import os
import sys
from pathlib import Path

import pytest

from sparsepix_hls.schedule import delays
from sparsepix_hls.schedule.arrays import CHOICE, resolve
from sparsepix_hls.schedule.modulo import LoopSchedule, Operation, schedule_region
from sparsepix_hls.schedule.optimize import optimized
from sparsepix_hls.schedule.ranges import Range, constant, everything, result
from sparsepix_hls.schedule.regions import regions
from sparsepix_hls.schedule.source import compile_source

pytestmark = pytest.mark.gxx
HEAD = '#include "ap_fixed.h"\n#include "ap_int.h"\n'
BUDGET_NS = 3.65


def regions_of(tmp_path, text):
    ir = compile_source(HEAD + text, "stage", tmp_path)
    return regions(optimized(ir.read_text(encoding="utf-8"), "stage"), memories=True)


def only(tmp_path, text):
    (region,) = regions_of(tmp_path, text)
    return region.operations


@pytest.mark.parametrize(
    ("body", "lut"),
    [
        ("out[0] = (a[0] & 15) + (a[1] & 15);", delays.arithmetic_lut(5)),  # of 16 bits in C++
        ("out[0] = (a[0] + a[1]) & 7;", delays.arithmetic_lut(3)),  # nobody looks at the others
        ("out[0] = (a[0] & 3) == (a[1] & 3);", delays.arithmetic_lut(2) + delays.logic_lut(2)),
        ("out[0] = a[0] * 8;", 0),  # wires
        ("out[0] = (a[0] & 255) * 7;", delays.arithmetic_lut(11)),  # 8 a - a
        ("out[0] = (a[0] & 255) * (a[1] & 255);", delays.product_lut(8)),
        ("out[0] = (a[0] & 15) / 4;", 0),
        ("int one = a[0] + a[1], same = a[0] + a[1]; out[0] = one; out[1] = same;", delays.arithmetic_lut(17)),
    ],
)
def test_operations_have_their_real_widths(tmp_path, body, lut):
    found = only(tmp_path, f"void stage(ap_uint<16> a[2], int out[2]) {{ {body} }}")
    assert sum(operation.lut for operation in found) == lut


def test_a_chain_of_sums_is_a_tree(tmp_path):
    loop = "for (int i = 0; i < {n}; i++) sum += a[i];"
    text = f"void stage(ap_uint<8> a[32], ap_uint<16> out[1]) {{{{ ap_uint<16> sum = 0; {loop} out[0] = sum; }}}}"
    assert schedule_region(only(tmp_path, text.format(n=32)), BUDGET_NS).depth_cycles == 1
    # Saturation after each term keeps their order.
    saturating = text.replace("ap_uint<16> sum", "ap_ufixed<10, 10, AP_TRN, AP_SAT> sum").format(n=32)
    assert schedule_region(only(tmp_path, saturating), BUDGET_NS).depth_cycles > 8


def test_half_of_the_products_are_in_slices_with_a_sum(tmp_path):
    text = "void stage(ap_int<8> a[4], ap_int<8> b[4], int out[2]) { out[0] = a[0] * b[0] + a[1] * b[1];"
    found = only(tmp_path, text + " out[1] = a[2] * b[2]; }")
    assert sum(operation.dsp for operation in found) == 1
    assert sum(operation.lut for operation in found) == 2 * delays.product_lut(8)


def test_what_is_carried_is_added_last(tmp_path):
    """Else the products would be in the recurrence, and the loop at interval 3."""
    terms = " + ".join(f"a[{k}] * b[{k}]" for k in range(6))
    text = f"""void stage(ap_int<8> a[6], ap_int<8> b[6], int out[1]) {{
      int sum = 0;
      for (int i = 0; i < sparsepix_trips(9); i++) sum = sum + {terms} * i;
      out[0] = sum; }}"""
    loop = regions_of(tmp_path, text)[-1]
    assert loop.trips == 9
    assert schedule_region(loop.operations, BUDGET_NS).interval_cycles == 1


def test_arrays_at_an_index(tmp_path):
    """Reading is a multiplexer of all elements, writing an enable for each; neither is a memory."""
    text = """void stage(ap_uint<8> a[12], ap_uint<4> at[2], ap_uint<8> out[12]) {
      ap_uint<8> own[12];
      for (int i = 0; i < 12; i++) own[i] = a[i];
      own[int(at[0])] = own[int(at[1])];
      for (int i = 0; i < 12; i++) out[i] = own[i]; }"""
    found = only(tmp_path, text)
    assert sum(operation.lut for operation in found) == 12 * delays.WRITE_LUT + delays.index_lut(12)
    assert schedule_region(found, BUDGET_NS).depth_cycles == 1


def test_two_indices_and_structs(tmp_path):
    text = """struct Pair { ap_uint<4> one; ap_uint<20> two; };
    void stage(ap_uint<4> a[12], ap_uint<2> at[2], ap_uint<20> out[1]) {
      Pair own[3][4];
      for (int i = 0; i < 12; i++) { own[i / 4][i % 4].one = a[i]; own[i / 4][i % 4].two = a[i] * 3; }
      out[0] = own[int(at[0])][int(at[1])].two; }"""
    assert delays.index_lut(12) <= sum(operation.lut for operation in only(tmp_path, text)) < 12 * 12 + 100


def test_constants_at_an_index_are_a_memory(tmp_path):
    text = """static const ap_int<8> table[9] = {5, 3, 7, 1, 9, 2, 8, 4, 6};
    void stage(ap_uint<3> at[1], ap_int<9> out[1]) { out[0] = table[int(at[0])] + at[0]; }"""
    found = only(tmp_path, text)
    assert [operation.registered for operation in found].count(True) == 1
    assert schedule_region(found, BUDGET_NS).depth_cycles == 2


def test_an_index_that_turns_out_to_be_constant():
    call = f"  %x = call i8 @{CHOICE}.i8.3.-1(i64 0, i8 %a, i8 %b, i8 7)\n"
    assert resolve(call) == "  %x = or i8 %b, 0\n"
    assert resolve(call.replace("i64 0", "i64 %k")) == call.replace("i64 0", "i64 %k")


def test_ranges():
    nibble = everything(4)
    assert result("sub", 32, [nibble, nibble], "") == Range(-15, 15)
    assert result("shl", 32, [Range(-15, 15), constant(21)], "").bits == 5
    assert result("trunc", 33, [Range(2**33 - 1, 2**33 + 14)], "") == Range(-1, 14)
    assert result("add", 8, [everything(8), everything(8)], "") == everything(8)
    assert result("sdiv", 16, [Range(-7, 9), constant(4)], "") == Range(-1, 2)
    assert result("sext", 16, [everything(8)], "sext i8 %a to i16") == Range(-128, 127)


def test_variables_of_vitis_are_forwarded():
    """What is written in a clock is read in it, by the log of Vitis HLS: a clock less between two iterations."""
    region = [Operation(1.0, ((k - 1, 0),) if k else ((5, 1),)) for k in range(6)]
    assert schedule_region(region, 3.0) == LoopSchedule(2, 2, 0)
    assert schedule_region(region, 3.0, forwarded=True) == LoopSchedule(2, 1, 0)


@pytest.mark.skipif(
    "SPARSEPIX_PUBLISHED" not in os.environ, reason="SPARSEPIX_PUBLISHED: a clone of hftsoi/sparse-pixels"
)
@pytest.mark.parametrize("size", [100, 400])
def test_published_search(size):
    """The loop of the published reduction: depth and interval as Vitis HLS 2023.1 reports them."""
    sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
    from published_projects import Projects
    from schedule import schedule

    projects = Projects(Path(os.environ["SPARSEPIX_PUBLISHED"]))
    folder = f"hls_proj/scaling/10b/reduction/reduction-in{size}/reduction-in{size}-out10"
    (layer,) = projects.layers(folder)
    found = schedule(layer)
    assert found.loop == layer.report.loop
    assert abs(found.latency_cycles - layer.report.latency_cycles) <= 1


def test_what_waits_for_a_later_clock_is_in_registers():
    first = Operation(2.0, (), bits=8)
    region = [first, Operation(2.0, ((0, 0),), bits=5), Operation(0.0, ((0, 0),), bits=99)]
    region.append(Operation(2.0, ((1, 0), (2, 0)), bits=8))  # reads the first one through a wire
    assert schedule_region(region, 3.0) == LoopSchedule(3, 1, 8 + 8 + 5)
    # Two clocks to the next iteration: one register does for both.
    slow = [*region, Operation(2.0, ((4, 1),)), Operation(2.0, ((4, 0),)), Operation(0.0, ((5, 0), (4, 1)))]
    slow[4] = Operation(2.0, ((5, 1),))
    assert schedule_region(slow, 3.0).interval_cycles == 2
    assert schedule_region(slow, 3.0).ff == 8 + 5


def test_a_port_is_kept_by_a_loop_and_a_stream_is_not(tmp_path):
    loop = "for (int i = 0; i < sparsepix_trips(4); i++) {{ total += {read}; }} out[0] = total;"
    port = "void stage(ap_uint<8> a[2], ap_uint<16> out[1]) {{ ap_uint<16> total = 0; {loop} }}"
    kept = regions_of(tmp_path, port.format(loop=loop.format(read="a[0] + a[1]")))
    assert sum(operation.held for operation in kept[-1].operations) == 16
    beat = "hls::axis<ap_uint<8>, 0, 0, 0>"
    text = f"#include <ap_axi_sdata.h>\n#include <hls_stream.h>\nvoid stage(hls::stream<{beat}> &a, ap_uint<16> out[1])"
    text += f" {{ ap_uint<16> total = 0; {loop.format(read='a.read().data')} }}"
    passed = regions_of(tmp_path, text)[-1]
    assert sum(operation.held for operation in passed.operations) == 0
    # Both reads of an iteration happen.
    both = regions_of(tmp_path, text.replace("a.read().data", "ap_uint<9>(a.read().data + a.read().data)"))[-1]
    assert sum(operation.lut for operation in both.operations) > sum(operation.lut for operation in passed.operations)


@pytest.mark.parametrize("memories", [True, False])
def test_constants_at_an_index_are_memories_or_a_multiplexer(tmp_path, memories):
    text = "static const unsigned char table[8] = {1, 7, 2, 9, 30, 4, 8, 5};\n"
    text += "void stage(ap_uint<3> a[1], ap_uint<8> out[1]) { out[0] = table[int(a[0])]; }"
    ir = compile_source(HEAD + text, "stage", tmp_path)
    (region,) = regions(optimized(ir.read_text(encoding="utf-8"), "stage"), memories)
    assert schedule_region(region.operations, BUDGET_NS).depth_cycles == (2 if memories else 1)
    assert sum(operation.lut for operation in region.operations) == (0 if memories else delays.index_lut(8))


def test_an_index_of_few_values_is_a_choice_of_these(tmp_path):
    text = "void stage(ap_uint<8> a[9], bool first[1], bool second[1], ap_uint<8> out[1])"
    text += " { ap_uint<8> b[9]; for (int i = 0; i < 9; i++) b[i] = a[i];"
    found = only(tmp_path, text + " out[0] = b[second[0] ? 6 : first[0] ? 3 : 0]; }")
    assert not [operation for operation in found if operation.lut == delays.index_lut(9)]
    assert any(operation.lut == delays.logic_lut(8) for operation in found)
