"""FPGA parts: short names, default ordering codes, and what is on the chip.

Figures from AMD's data sheets: UltraScale and UltraScale+ overview (DS890), Alveo U200/U250 (DS962),
U280 (DS963), U50 (DS965), U55C (DS978), Kria K26 (DS987), Versal overview (DS950), 7 series overview
(DS180) and Zynq-7000 overview (DS190); Lattice: ECP5 family (FPGA-DS-02012); Gowin: GW2A (DS102), GW5A (DS1103) and
GW5AST (DS1104). Lattice and Gowin count look-up tables of four inputs, and memory blocks of 18 Kib: two are one
``bram36`` here.
"""

import difflib
import re
from dataclasses import dataclass, replace
from typing import Literal

from sparsepix_ops.errors import SparsePixError

Fabric = Literal["amd", "ecp5", "gowin"]
RESOURCES = ("lut", "ff", "dsp", "bram")  # that a part has so many of; blocks of 18 kbit


@dataclass(frozen=True)
class Part:
    """A device.

    Args:
        name: short name, as 'xcvu9p'.
        full_name: with package, speed grade and temperature, as Vivado and Vitis HLS take it.
        family: product family; empty if the device is not in the table, and all counts are 0 then.
        luts: look-up tables.
        ffs: flip-flops.
        dsps: DSP slices.
        bram36: block RAMs of 36 Kib.
        urams: UltraRAMs.
        slrs: super logic regions (dies).
    """

    name: str
    full_name: str
    family: str = ""
    luts: int = 0
    ffs: int = 0
    dsps: int = 0
    bram36: int = 0
    urams: int = 0
    slrs: int = 0

    @property
    def fabric(self) -> Fabric:
        """What its cells are like: 'amd' has look-up tables of six inputs, 'ecp5' and 'gowin' of four."""
        return "ecp5" if "ECP5" in self.family else "gowin" if "Gowin" in self.family else "amd"

    @property
    def known(self) -> bool:
        """Whether the table has the device's resources."""
        return self.luts > 0


PARTS: tuple[Part, ...] = (
    Part("xcvu9p", "xcvu9p-flga2104-2L-e", "Virtex UltraScale+", 1_182_240, 2_364_480, 6_840, 2_160, 960, 3),
    Part("xcvu13p", "xcvu13p-flga2577-2-e", "Virtex UltraScale+", 1_728_000, 3_456_000, 12_288, 2_688, 1_280, 4),
    Part("xcvu35p", "xcvu35p-fsvh2104-2-e", "Virtex UltraScale+ HBM", 871_680, 1_743_360, 5_952, 1_344, 640, 2),
    Part("xcvu37p", "xcvu37p-fsvh2892-2L-e", "Virtex UltraScale+ HBM", 1_303_680, 2_607_360, 9_024, 2_016, 960, 3),
    Part("xcu200", "xcu200-fsgd2104-2-e", "Alveo U200", 1_182_240, 2_364_480, 6_840, 2_160, 960, 3),
    Part("xcu250", "xcu250-figd2104-2L-e", "Alveo U250", 1_728_000, 3_456_000, 12_288, 2_688, 1_280, 4),
    Part("xcu280", "xcu280-fsvh2892-2L-e", "Alveo U280", 1_303_680, 2_607_360, 9_024, 2_016, 960, 3),
    Part("xcu50", "xcu50-fsvh2104-2-e", "Alveo U50", 871_680, 1_743_360, 5_952, 1_344, 640, 2),
    Part("xcu55c", "xcu55c-fsvh2892-2L-e", "Alveo U55C", 1_303_680, 2_607_360, 9_024, 2_016, 960, 3),
    Part("xcku15p", "xcku15p-ffve1517-2-e", "Kintex UltraScale+", 522_720, 1_045_440, 1_968, 984, 128, 1),
    Part("xczu7ev", "xczu7ev-ffvc1156-2-e", "Zynq UltraScale+ MPSoC", 230_400, 460_800, 1_728, 312, 96, 1),
    Part("xczu9eg", "xczu9eg-ffvb1156-2-e", "Zynq UltraScale+ MPSoC", 274_080, 548_160, 2_520, 912, 0, 1),
    Part("xczu28dr", "xczu28dr-ffvg1517-2-e", "Zynq UltraScale+ RFSoC", 425_280, 850_560, 4_272, 1_080, 80, 1),
    Part("xck26", "xck26-sfvc784-2LV-c", "Kria K26", 117_120, 234_240, 1_248, 144, 64, 1),
    Part("xcku040", "xcku040-ffva1156-2-e", "Kintex UltraScale", 242_400, 484_800, 1_920, 600, 0, 1),
    Part("xcku115", "xcku115-flvb2104-2-i", "Kintex UltraScale", 663_360, 1_326_720, 5_520, 2_160, 0, 2),
    Part("xcvc1902", "xcvc1902-vsva2197-2MP-e-S", "Versal AI Core", 899_840, 1_799_680, 1_968, 967, 463, 1),
    Part("xc7vx690t", "xc7vx690tffg1927-2", "Virtex-7", 433_200, 866_400, 3_600, 1_470, 0, 1),
    Part("xc7k325t", "xc7k325tffg900-2", "Kintex-7", 203_800, 407_600, 840, 445, 0, 1),
    Part("xc7z020", "xc7z020clg400-1", "Zynq-7000", 53_200, 106_400, 220, 140, 0, 1),
    Part("lfe5u-25f", "LFE5U-25F-8BG381C", "Lattice ECP5", 24_288, 24_288, 28, 28, 0, 1),
    Part("lfe5u-45f", "LFE5U-45F-8BG381C", "Lattice ECP5", 43_848, 43_848, 72, 54, 0, 1),
    Part("lfe5u-85f", "LFE5U-85F-8BG381C", "Lattice ECP5", 83_640, 83_640, 156, 104, 0, 1),
    Part("lfe5um5g-85f", "LFE5UM5G-85F-8BG381C", "Lattice ECP5-5G", 83_640, 83_640, 156, 104, 0, 1),
    Part("gw2a-18", "GW2A-LV18PG256C8/I7", "Gowin GW2A", 20_736, 15_552, 48, 23, 0, 1),
    Part("gw5a-25", "GW5A-LV25MG121NC1/I0", "Gowin GW5A", 23_040, 23_040, 28, 28, 0, 1),
    Part("gw5ast-138", "GW5AST-LV138PG484AC1/I0", "Gowin GW5AST", 138_240, 138_240, 298, 170, 0, 1),
)
# A word in the family of a part, the first that fits, and the name that Yosys has for it.
_FAMILIES = (("UltraScale+", "xcup"), ("Alveo", "xcup"), ("Kria", "xcup"), ("UltraScale", "xcu"), ("7", "xc7"))
_BY_NAME = {part.name: part for part in PARTS}
# Ordering codes of Lattice, then of Gowin.
_OTHER_CODES = (
    re.compile(r"(?P<family>lfe5(?:u|um|um5g))-(?P<size>\d+)f-[678][a-z]{2}\d{3}[ci]", re.IGNORECASE | re.ASCII),
    re.compile(r"(?P<family>gw\d[a-z]+)-[a-z]v(?P<size>\d+)[a-z]+\d+\w*(?:/i\d)?", re.IGNORECASE | re.ASCII),
)
# Those of AMD: device, package, then speed grade and the rest; series 7 writes no '-' between device and package.
_ORDERING_CODE = re.compile(
    r"(x[acq][a-z0-9]+?)-?([a-z]{3,4}\d{3,4})-(\d[a-z0-9]*(?:-[a-z0-9]+)*)", re.IGNORECASE | re.ASCII
)


def find_part(text: str) -> Part:
    """The part of a short name in any case, or of a full name, which passes through unchanged.

    Raises:
        SparsePixError: a short name that the table does not have; with near matches.
    """
    if not isinstance(text, str):
        raise SparsePixError(f"part: expected a name such as xcvu9p, found {text!r}")
    text = text.strip()
    short = text.lower()
    if short in _BY_NAME:
        return _BY_NAME[short]
    for code in _OTHER_CODES:
        if other := code.fullmatch(text):
            device = f"{other['family']}-{other['size']}{'f' if 'lfe5' in short else ''}".lower()
            return replace(_BY_NAME[device], full_name=text) if device in _BY_NAME else Part(device, text)
    if _ORDERING_CODE.fullmatch(text):
        devices = [part for part in PARTS if re.match(rf"{part.name}-?[a-z]{{3,4}}\d{{3,4}}-", short)]
        if devices:
            return replace(devices[0], full_name=text)
        return Part(short.split("-")[0], text)
    near = difflib.get_close_matches(short.split("-")[0], _BY_NAME, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}" if near else f"is it one of {', '.join(sorted(_BY_NAME))}"
    raise SparsePixError(f"unknown part {text!r}: {hint}? A full name such as xcu250-figd2104-2L-e always passes")


def yosys_family(part: Part) -> str | None:
    """The family of a part as Yosys calls it; None if it has no such family."""
    return next((family for word, family in _FAMILIES if word in part.family), None)


def known_family(part: Part) -> str:
    """The same.

    Raises:
        SparsePixError: Yosys has no such family.
    """
    family = yosys_family(part)
    if family is None:
        raise SparsePixError(no_family(part))
    return family


def no_family(part: Part) -> str:
    """What to say of a part without a family, with the fix."""
    found = part.family or "a part that is not in the table"
    what = f"{part.full_name}: Yosys maps stages to UltraScale+, UltraScale and 7 series, found {found}"
    return (
        f"{what}: use --place, which maps the whole design" if part.fabric != "amd" else f"{what}: use another --part"
    )
