"""Extents and indices of arrays, as numbers and as text."""


def dims(shape: tuple[int, ...]) -> str:
    """Extents of an array as C++ and our messages write them: (20, 3) -> '[20][3]'."""
    return "".join(f"[{extent}]" for extent in shape)


def index_bits(count: int) -> int:
    """Bits that number ``count`` things, at least 1."""
    return max((count - 1).bit_length(), 1)
