"""Hardware primitives and what they cost on an FPGA with six-input LUTs (UltraScale+).

Every function counts one primitive from how the fabric builds it: a LUT6 is any function of six
inputs, or two functions that share five; a carry chain adds a bit a LUT; wide multiplexers join four LUTs of a
slice (F7, F8). Nothing here is fitted. What synthesis makes of a whole kernel (shared, merged and pruned logic)
is a factor on these counts; ``published.py`` holds the factors that the published designs need.

``a + b`` is b after a (their levels add), ``a | b`` is b beside a (the longer path counts), ``n * a`` is n copies
side by side.
"""

import math
from dataclasses import dataclass, replace

from sparsepix_hls.ir.dims import index_bits

LUT_INPUTS = 6
MUX_CHOICES = 16  # the widest multiplexer inside a slice: four LUT6 of four inputs each, joined by F7 and F8
DSP_A, DSP_B = 27, 18  # the signed multiplier of a DSP48E2
DSP_LEVELS = 2  # an unregistered DSP product takes about as long as two levels of LUTs with their wires


@dataclass(frozen=True)
class Cost:
    """Resources and depth of some logic; fractions are halves of a LUT, or averages.

    Args:
        lut: six-input LUTs.
        ff: flip-flops.
        dsp: DSP48E2 slices.
        bram: 18-kbit memory blocks.
        levels: LUT levels on the longest path (a carry chain counts as one).
    """

    lut: float = 0.0
    ff: float = 0.0
    dsp: float = 0.0
    bram: float = 0.0
    levels: float = 0.0

    def __add__(self, after: "Cost") -> "Cost":
        return self._joined(after, self.levels + after.levels)

    def __or__(self, beside: "Cost") -> "Cost":
        return self._joined(beside, max(self.levels, beside.levels))

    def __mul__(self, copies: float) -> "Cost":
        if copies < 0:
            raise ValueError(f"copies: expected a number of at least 0, found {copies}.")
        return Cost(self.lut * copies, self.ff * copies, self.dsp * copies, self.bram * copies, self.levels)

    __rmul__ = __mul__

    def _joined(self, other: "Cost", levels: float) -> "Cost":
        return Cost(
            self.lut + other.lut, self.ff + other.ff, self.dsp + other.dsp, self.bram + other.bram, levels=levels
        )


def tree_levels(terms: int) -> int:
    """Levels of a tree that joins ``terms`` things in pairs."""
    return max(terms - 1, 0).bit_length()


def register(bits: float) -> Cost:
    """A rank of flip-flops."""
    return Cost(ff=bits)


def gate(bits: float) -> Cost:
    """A word forced to zero by one signal: two bits share a LUT."""
    return Cost(lut=bits / 2, levels=1)


def logic(inputs: int) -> Cost:
    """One bit from so many: a tree of LUT6, each takes five lines away; one input needs none."""
    if inputs <= 1:
        return Cost()
    return Cost(lut=math.ceil((inputs - 1) / (LUT_INPUTS - 1)), levels=_depth(inputs, LUT_INPUTS))


def equal(bits: int) -> Cost:
    """Two words equal: three bit pairs a LUT, then one AND."""
    return Cost(lut=math.ceil(bits / 3), levels=1) + logic(math.ceil(bits / 3))


def less_than(bits: int) -> Cost:
    """Two words compared: a carry chain of two bits a LUT."""
    return Cost(lut=math.ceil(bits / 2), levels=1)


def less_than_constant(bits: int) -> Cost:
    """A word compared with a constant: a carry chain of up to five bits a LUT."""
    return Cost(lut=math.ceil(bits / 5), levels=1)


def adder(bits: float) -> Cost:
    """Sum or difference of two words: a carry chain, a LUT a bit of the result."""
    return Cost(lut=bits, levels=1)


def adder_tree(terms: int, bits: int) -> Cost:
    """Sum of so many words; each level's sums are a bit wider than its terms, and an odd term passes by."""
    total = Cost()
    while terms > 1:
        bits += 1
        total = total + (terms // 2) * adder(bits)
        terms -= terms // 2
    return total


def mux(choices: int, bits: int) -> Cost:
    """One of so many words by a binary index.

    Two choices: two bits share a LUT. Up to 16: a LUT for each four choices, F7 and F8 join them. More: groups of 16
    and a multiplexer over the groups.
    """
    if choices <= 1 or bits <= 0:
        return Cost()
    if choices == 2:
        return gate(bits)
    if choices <= MUX_CHOICES:
        return Cost(lut=bits * math.ceil(choices / 4), levels=1)
    whole, rest = divmod(choices, MUX_CHOICES)
    return (whole * mux(MUX_CHOICES, bits) | mux(rest, bits)) + mux(whole + (rest > 0), bits)


def one_hot_mux(choices: int, bits: int) -> Cost:
    """One of so many words by a line for each: an AND-OR, three choices to a LUT and a bit."""
    return Cost() if choices <= 1 else bits * logic(2 * choices)


def rom(words: int, bits: int) -> Cost:
    """A table of constants in LUTs: 32 words of two bits or 64 of one in a LUT, multiplexers over more."""
    if words <= 1:
        return Cost()
    if words <= 32:
        return Cost(lut=bits / 2, levels=1)
    banks = math.ceil(words / 64)
    # F7 and F8 join four banks in the slice for nothing.
    joined = math.ceil(banks / 4)
    return Cost(lut=bits * banks, levels=1) + mux(joined, bits)


def lut_multiplier(a: int, b: int) -> Cost:
    """A product in LUTs: a carry chain sums two rows of partial products, an adder tree joins the chains."""
    wide, narrow = max(a, b), min(a, b)
    rows = math.ceil(narrow / 2)
    if narrow == 1:
        return gate(wide)
    return Cost(lut=rows * (wide + 2), levels=1) + _shifted_sum(rows, wide + 2, shift=2)


def dsp_multiplier(a: int, b: int) -> Cost:
    """A product in DSP slices of 27 x 18 bits; each further slice of a wider factor adds 26 or 17 bits."""
    wide, narrow = max(a, b), min(a, b)
    slices = _slices(wide, DSP_A) * _slices(narrow, DSP_B)
    return Cost(dsp=slices, levels=DSP_LEVELS * slices)


def multiplier(a: int, b: int, dsp_above: int = 10) -> Cost:
    """A product: in DSP slices if both factors have more than ``dsp_above`` bits, else in LUTs.

    In the published designs, products of 8 x 8 and 10 x 10 bits are in LUTs, those of 16 x 16 in DSP slices.
    """
    return dsp_multiplier(a, b) if min(a, b) > dsp_above else lut_multiplier(a, b)


def signed_digits(value: int) -> int:
    """Non-zero digits of the integer in the shortest form with digits -1, 0, 1 (canonical signed digit)."""
    value = abs(value)
    return ((3 * value) ^ value).bit_count()


def constant_multiplier(bits: int, constant: int) -> Cost:
    """A product with a constant: an adder for each non-zero signed digit but the first; powers of two are wires.

    A factor of up to six bits may be an address instead: then the product is a table, if that is smaller.
    """
    digits, length = signed_digits(constant), abs(constant).bit_length()
    if digits < 2:
        return Cost()
    # The lowest bits of each partial sum pass by: on average half of the constant's length.
    added = Cost(lut=(digits - 1) * (bits + length / 2), levels=tree_levels(digits))
    if bits > LUT_INPUTS:
        return added
    return min(added, rom(2**bits, bits + length), key=lambda cost: cost.lut)


def popcount(inputs: int) -> Cost:
    """The number of ones: three LUTs count six lines, adders join the counts."""
    groups = math.ceil(inputs / LUT_INPUTS)
    return Cost(lut=3 * groups, levels=1) + adder_tree(groups, 3) if inputs > 1 else Cost()


def lowest_only(inputs: int) -> Cost:
    """First active of so many lines, a line for each input (one-hot): a carry chain, a LUT an input."""
    if inputs <= 1:
        return Cost()
    return Cost(lut=inputs, levels=1 + inputs // 64)  # a chain is fast, but not free over many slices


def priority_encoder(inputs: int) -> Cost:
    """First active of so many lines, one-hot, with 'any active' and the index.

    ORs gather each bit of the index from half of the lines.
    """
    if inputs <= 1:
        return Cost()
    return lowest_only(inputs) + (index_bits(inputs) * logic(math.ceil(inputs / 2)) | logic(inputs))


def maximum(bits: int) -> Cost:
    """The larger of two words, and which it was."""
    return less_than(bits) + mux(2, bits)


def maximum_tree(terms: int, bits: int) -> Cost:
    """The largest of so many words."""
    return replace(max(terms - 1, 0) * maximum(bits), levels=2 * tree_levels(terms))


def cycles(cost: Cost, logic_ns: float, level_ns: float) -> int:
    """Clock cycles that logic of this depth takes; at least 1."""
    if logic_ns <= 0 or level_ns <= 0:
        raise ValueError(f"logic_ns, level_ns: expected times above 0, found {logic_ns} and {level_ns}.")
    in_a_clock = max(math.floor(logic_ns / level_ns), 1)
    return max(math.ceil(cost.levels / in_a_clock), 1)


def _slices(bits: int, width: int) -> int:
    return 1 if bits <= width else math.ceil((bits - 1) / (width - 1))


def _shifted_sum(terms: int, bits: int, shift: int) -> Cost:
    """Sum of partial products, each ``shift`` bits above the one before: low bits pass by without an adder."""
    total = Cost()
    while terms > 1:
        total = total + (terms // 2) * adder(bits)
        bits, shift, terms = bits + shift, 2 * shift, terms - terms // 2
    return total


def _depth(inputs: int, fan_in: int) -> int:
    levels, reach = 0, 1
    while reach < inputs:
        reach *= fan_in
        levels += 1
    return levels
