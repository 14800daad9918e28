"""Weights and other constants as C++ text, exact and readable."""

import textwrap
from decimal import Decimal

import numpy as np

from sparsepix_hls.ir.dims import dims
from sparsepix_hls.ir.tensors import Constant
from sparsepix_ops.errors import SparsePixError
from sparsepix_ops.fixed_point import FixedPoint

COLUMNS = 120
_EXACT_BITS = 53  # of a C++ double literal


def decimals(constant: Constant) -> np.ndarray:
    """The values of a constant as exact decimal numbers, an array of str of its shape.

    Raises:
        SparsePixError: a value that a C++ double literal cannot hold.
    """
    exponent = constant.type.exponent
    if constant.raw.size and int(np.abs(constant.raw).max()) >= 1 << _EXACT_BITS:
        raise SparsePixError(
            f"{constant.name}: expected values of at most {_EXACT_BITS} bits, found more: use a narrower format"
        )
    unique, where = np.unique(constant.raw.ravel(), return_inverse=True)
    texts = [format(Decimal(float(np.ldexp(float(raw), exponent))), "f") for raw in unique]
    return np.array(texts, dtype=object)[where].reshape(constant.raw.shape)


def type_name(type_: FixedPoint, integer: bool = False) -> str:
    """C++ type of a format; an ``ap_int`` if it is to hold integers."""
    if integer:
        return f"ap_int<{type_.width}>" if type_.signed else f"ap_uint<{type_.width}>"
    return str(type_)


def definition(constant: Constant, shape: tuple[int, ...], comments: tuple[str, ...] = ()) -> str:
    """Definition of a constant array.

    Args:
        constant: the values.
        shape: its shape in C++, one axis or more, with as many elements.
        comments: a comment before each element of the first axis; empty for none.
    """
    values = decimals(constant).reshape(shape)
    head = f"static const SPARSEPIX_CONSTANT({constant.name}){dims(shape)} = "
    ready = f"SPARSEPIX_CONSTANT_READY({constant.name}, {dims(shape)});\n"
    if len(shape) == 1:
        one_line = f"{head}{_flat(values)};"
        if len(one_line) <= COLUMNS:
            return f"{one_line}\n{ready}"
        return f"{head}{{\n{_wrap(', '.join(values), '    ')}}};\n{ready}"
    rows = []
    for i, row in enumerate(values):
        comment = f"    // {comments[i]}\n" if comments and comments[i] else ""
        rows.append(f"{comment}{_wrap(_flat(row), '    ')},\n")
    return f"{head}{{\n{''.join(rows)}}};\n{ready}"


def _flat(values: np.ndarray) -> str:
    inner = ", ".join(values if values.ndim == 1 else (_flat(row) for row in values))
    return f"{{{inner}}}"


def _wrap(text: str, indent: str) -> str:
    return "\n".join(textwrap.wrap(text, COLUMNS - 1, initial_indent=indent, subsequent_indent=indent))


def fill(head: str, items: list[str], tail: str) -> str:
    """``head(items)tail``, filled to the column limit as clang-format does it."""
    aligned = _filled(f"{head}(", items, tail, " " * (len(head) + 1))
    margin = " " * (len(head) - len(head.lstrip()) + 4)
    below = [f"{head}(", *_filled(margin, items, tail, margin)]
    # For a call clang-format saves each line that it can; for a declaration, which has no indent, only three or more.
    saved, least = len(aligned) - len(below), 1 if margin[4:] else 3
    overflows = any(len(line) > COLUMNS for line in aligned)
    return "\n".join(below if saved >= least or overflows else aligned)


def _filled(start: str, items: list[str], tail: str, indent: str) -> list[str]:
    """Lines of a list of arguments."""
    lines, line = [], start
    for i, item in enumerate(items):
        text = item + (f"){tail}" if i == len(items) - 1 else ",")
        space = "" if i == 0 else " "
        if i > 0 and len(line) + len(space) + len(text) > COLUMNS:
            lines.append(line)
            line, space = indent, ""
        line += space + text
    return [*lines, line]
