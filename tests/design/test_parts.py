"""The table of FPGA parts."""

import pytest

from sparsepix_hls.project.parts import PARTS, find_part
from sparsepix_ops import SparsePixError


@pytest.mark.parametrize("part", PARTS, ids=lambda p: p.name)
def test_table_is_consistent(part):
    assert find_part(part.name.upper()) == part
    assert find_part(part.full_name) == part
    assert part.full_name.lower().startswith(part.name if part.fabric != "gowin" else part.name.split("-")[0])
    # A CLB or slice has two flip-flops for each LUT in all families of AMD; one, or three for four, in the others.
    assert part.ffs / part.luts in ((2,) if part.fabric == "amd" else (1, 0.75))
    assert part.slrs >= 1
    assert part.dsps > 0
    assert part.bram36 > 0


def test_names_are_unique():
    assert len({part.name for part in PARTS}) == len(PARTS)


def test_known_figures():
    vu9p = find_part("XCVU9P")
    assert (vu9p.luts, vu9p.dsps, vu9p.bram36, vu9p.urams, vu9p.slrs) == (1_182_240, 6_840, 2_160, 960, 3)
    u250 = find_part("xcu250-figd2104-2L-e")
    assert (u250.luts, u250.ffs, u250.dsps) == (1_728_000, 3_456_000, 12_288)


@pytest.mark.parametrize(
    ("text", "device"),
    [("xcvu9p-flgb2104-2-i", "xcvu9p"), ("XC7Z020-clg484-1", "xc7z020"), ("xc7z020clg484-1", "xc7z020")],
)
def test_full_name_passes_with_the_resources_of_its_device(text, device):
    part = find_part(text)
    assert part.full_name == text
    assert part.luts == find_part(device).luts


@pytest.mark.parametrize("text", ["xcvu19p-fsva3824-2-e", "xc7z045ffg900-2", "xczu19eg-ffvc1760-2-e"])
def test_full_name_of_an_unknown_device_passes(text):
    part = find_part(text)
    assert part.full_name == text
    assert not part.known


@pytest.mark.parametrize(("text", "near"), [("xcvu9", "xcvu9p"), ("vu13p", "xcvu13p"), ("xcu520", "xcu250")])
def test_unknown_short_name_gets_near_matches(text, near):
    with pytest.raises(SparsePixError, match=near):
        find_part(text)


@pytest.mark.parametrize("text", ["", "stratix10", "foo-bar", "xcvu9p-"])
def test_nonsense_is_refused(text):
    with pytest.raises(SparsePixError, match="unknown part"):
        find_part(text)
