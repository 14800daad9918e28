"""What goes from one layer of a stream to the next."""

from dataclasses import dataclass

from sparsepix_hls.ir.streams import Size
from sparsepix_hls.ir.tensors import Tensor
from sparsepix_hls.rtl.lower.function import Field
from sparsepix_hls.rtl.stages.text import bits_for
from sparsepix_ops.fixed_point import FixedPoint


@dataclass(frozen=True)
class Link:
    """A stream of pixels: in row-major order, then a word that ends the event.

    Args:
        features: of the list that it is.
        coords: of that list.
        grid: rows and columns of the image that the pixels lie on.
    """

    features: Tensor
    coords: Tensor
    grid: Size

    @property
    def pixels(self) -> int:
        """Of an event, at most."""
        return min(self.features.shape[0], self.grid[0] * self.grid[1])

    @property
    def row_bits(self) -> int:
        """Bits of a row."""
        return bits_for(self.grid[0])

    @property
    def column_bits(self) -> int:
        """Bits of a column."""
        return bits_for(self.grid[1])

    @property
    def pixel(self) -> Field:
        """The features of a pixel."""
        return Field(self.features.name, (1, self.features.shape[1]), self.features.type)

    @property
    def place(self) -> Field:
        """Row and column of a pixel, as computations read them."""
        width = max(self.row_bits, self.column_bits)
        kind = FixedPoint(width, width, signed=False, rounding="FLOOR", overflow="WRAP")
        return Field(self.coords.name, (1, 2), kind, 0, (self.grid[0] - 1, self.grid[1] - 1))

    @property
    def word_bits(self) -> int:
        """Bits of all of it, without the handshake."""
        return 1 + self.row_bits + self.column_bits + self.pixel.bits

    def place_of(self, prefix: str) -> str:
        """Row and column as ``place`` wants them; the row in the low bits."""
        width = self.place.type.width
        return f"{{{width}'({prefix}column), {width}'({prefix}row)}}"

    def ports(self, side: str) -> list[str]:
        """Ports of a module, ``side`` is 'out', or begins with 'in'."""
        here, back = ("output logic", "input  logic") if side == "out" else ("input  logic", "output logic")
        return [
            f"{here} {side}_valid",
            f"{back} {side}_ready",
            f"{here} {side}_ends",
            f"{here} [{self.row_bits - 1}:0] {side}_row",
            f"{here} [{self.column_bits - 1}:0] {side}_column",
            f"{here} [{self.pixel.bits - 1}:0] {side}_features",
        ]

    def wires(self, prefix: str) -> list[str]:
        """Wires between two modules."""
        return [
            f"  wire {prefix}_valid, {prefix}_ready, {prefix}_ends;",
            f"  wire [{self.row_bits - 1}:0] {prefix}_row;",
            f"  wire [{self.column_bits - 1}:0] {prefix}_column;",
            f"  wire [{self.pixel.bits - 1}:0] {prefix}_features;",
        ]

    def connections(self, side: str, prefix: str) -> dict[str, str]:
        """Connections of a module to such wires."""
        names = ("valid", "ready", "ends", "row", "column", "features")
        return {f"{side}_{name}": f"{prefix}_{name}" for name in names}

    def word(self, prefix: str) -> str:
        """All of such wires but the handshake, side by side."""
        return f"{{{', '.join(f'{prefix}_{name}' for name in ('ends', 'row', 'column', 'features'))}}}"

    @property
    def sizes(self) -> dict[str, int]:
        """Parameters of the modules that read it."""
        return {"ROW_BITS": self.row_bits, "COLUMN_BITS": self.column_bits}
