"""Text of pages: whatever comes from a model or a user is escaped here, and nowhere else."""

import html
import json
import re
from typing import Any

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")  # not allowed in HTML, or no UTF-8
_TYPE = re.compile(r"(\w+)<(-?\d+)(?:, (-?\d+))?(?:, (.+))?>")
NOTHING = "–"
# What is known of a design or a part of it, with its name on a page.
FIGURES = (
    ("latency_cycles", "latency"),
    ("interval_cycles", "interval"),
    ("lut", "LUT"),
    ("ff", "FF"),
    ("dsp", "DSP"),
    ("bram", "BRAM"),
)


def escaped(value: Any) -> str:
    """Text for HTML, also inside of quoted attributes."""
    return html.escape(_CONTROL.sub("\ufffd", str(value)), quote=True)


def script_data(data: Any) -> str:
    """JSON for the inside of a ``script`` element: no text in it can end the element or begin a comment."""
    text = json.dumps(data, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def count(value: float | None) -> str:
    """A whole number with commas; a dash for one that is not known."""
    return NOTHING if value is None else f"{value:,.0f}"


def share(value: float | None) -> str:
    """A share of 1 as percent."""
    return "" if value is None else f"{100 * value:.{1 if 0.0005 <= value < 0.995 else 0}f} %"


def time(nanoseconds: float) -> str:
    """A time in its best unit."""
    for unit, size in (("s", 1e9), ("ms", 1e6), ("µs", 1e3)):
        if nanoseconds >= size:
            return f"{nanoseconds / size:.4g} {unit}"
    return f"{nanoseconds:.4g} ns"


def value_range(found: dict[str, Any]) -> str:
    """Smallest and largest value of a tensor or of weights; '' from a report of before they were noted."""
    low, high = found.get("range") or (None, None)
    if low is None or high is None:
        return ""
    return f"{low:.5g}" if low == high else f"{low:.5g} … {high:.5g}"


def shape(found: dict[str, Any]) -> str:
    """Shape of a tensor."""
    return " × ".join(map(str, found["shape"])) or "1"


def short_type(text: str) -> str:
    """A format without its modes: ``ap_fixed<8, 3>``."""
    parts = _TYPE.fullmatch(text)
    if parts is None:
        return text
    inner = parts[2] if parts[3] is None else f"{parts[2]}, {parts[3]}"
    return f"{parts[1]}<{inner}>"


def exponent(text: str) -> int:
    """The place of the last bit of a format: a raw integer is worth ``2**exponent``."""
    parts = _TYPE.fullmatch(text)
    return int(parts[3]) - int(parts[2]) if parts is not None and parts[3] is not None else 0
