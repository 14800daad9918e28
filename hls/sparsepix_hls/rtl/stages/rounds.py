"""What a round of a loop reads of the event that is held."""

from sparsepix_hls.ir.tensors import KernelMap, LayerDesign, Tensor
from sparsepix_hls.rtl.lower.folds import FOLD
from sparsepix_hls.rtl.lower.function import Field, unsigned
from sparsepix_hls.rtl.lower.pairs import PairCode, pair_index
from sparsepix_hls.rtl.stages.arrays import Arrays
from sparsepix_hls.rtl.stages.text import bits_for, port


class View:
    """An input of a round: the same in each, or picked from the event by the round's number.

    Args:
        field: the input.
        value: that is connected to it.
        parts: of the event, one for each number of a round.
    """

    def __init__(self, field: Field, value: str, parts: list[str] | None = None) -> None:
        self.field, self.value, self.parts = field, value, parts

    def lines(self) -> list[str]:
        """What makes it."""
        if self.parts is None:
            return []
        rounds = len(self.parts)
        lines = [f"  {port('logic', self.field, 'round_')};", "  always_comb", "    case (round)"]
        for number, part in enumerate(self.parts[:-1]):
            lines.append(f"      {bits_for(rounds)}'d{number}: round_{self.field.name} = {part};")
        return [*lines, f"      default: round_{self.field.name} = {self.parts[-1]};", "    endcase"]


class Reader:
    """Collects what a round of a layer reads; ``Layer.lower_round`` asks for it.

    Args:
        how: the layer is computed.
        arrays: of the design.

    Attributes:
        views: what has been asked for, in order; the number of the fold where each item takes several rounds.
    """

    def __init__(self, how: LayerDesign, arrays: Arrays) -> None:
        self.how, self._arrays = how, arrays
        self.views: list[View] = []
        if how.folds > 1:
            self.views.append(View(unsigned(FOLD, (), bits_for(how.folds)), "fold"))

    def whole(self, tensor: Tensor) -> None:
        """All of an array, in each round."""
        field = self._arrays.field(tensor)
        self.views.append(View(field, f"held_{field.name}"))

    def items(self, tensor: Tensor, name: str | None = None) -> None:
        """``parallel`` neighbours of the first axis; zeros (an empty slot's coords: -1) after the last."""
        field = self._arrays.field(tensor, self.how.parallel, name)
        item, items = field.bits // self.how.parallel, tensor.shape[0]
        padding = "1" if field.low == -1 else "0"
        parts = []
        for first in self._firsts:
            here = min(self.how.parallel, items - first)
            text = f"held_{tensor.name}[{first * item} +: {here * item}]"
            missing = (self.how.parallel - here) * item
            parts.append(f"{{{{{missing}{{1'b{padding}}}}}, {text}}}" if missing else text)
        self._pick(field, parts)

    def after(self, name: str, items: int) -> None:
        """For each item of the round and each item, whether the first comes after the second [parallel, items]."""
        slots, parts = range(self.how.parallel), []
        for first in self._firsts:
            bits = [int(first + k > j) for k in slots for j in range(items)]
            parts.append(f"{len(bits)}'b{''.join(map(str, reversed(bits)))}")
        self._pick(unsigned(name, (self.how.parallel, items), 1), parts)

    def active(self, name: str, coords: Tensor) -> None:
        """For each item of the round, whether its slot holds a pixel, bits [parallel]."""
        width, size = self._arrays.field(coords).type.width, coords.shape[0]
        parts = []
        for first in self._firsts:
            signs = [(i, (2 * i + 1) * width - 1) for i in range(first, first + self.how.parallel)]
            flags = [f"!held_{coords.name}[{sign}]" if i < size else "1'b0" for i, sign in signs]
            parts.append("{" + ", ".join(reversed(flags)) + "}")
        self._pick(unsigned(name, (self.how.parallel,), 1), parts)

    def pairs(self, name: str, map_: KernelMap) -> PairCode:
        """For each item of the round, the codes of its pixel with all pixels [parallel, N]; returns what they mean."""
        code, size = self._arrays.code(map_), map_.pixels
        parts = []
        for first in self._firsts:
            row = []
            for i in range(first, first + self.how.parallel):
                for j in range(size):
                    if i == j or i >= size:
                        row.append(f"{code.bits}'d{code.center}")
                    else:
                        start = pair_index(min(i, j), max(i, j)) * code.bits
                        row.append(f"held_{map_.name}[{start} +: {code.bits}]")
            parts.append("{" + ", ".join(reversed(row)) + "}")
        self._pick(unsigned(name, (self.how.parallel, size), code.bits), parts)
        return code

    def number(self, name: str) -> None:
        """The number of the round; where there are folds, that of the item."""
        self.views.append(View(unsigned(name, (), bits_for(self.how.item_rounds)), "round"))

    @property
    def _firsts(self) -> range:
        """The first item of each round; all folds of an item read the same."""
        return range(0, self.how.item_rounds * self.how.parallel, self.how.parallel)

    def _pick(self, field: Field, parts: list[str]) -> None:
        self.views.append(View(field, f"round_{field.name}", parts))
