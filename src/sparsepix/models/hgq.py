"""The fixed-point quantizers of HGQ2, as the files of its users hold them.

A quantizer has for each weight, or for each group of values, whether there is a sign (k), the integer bits i and the
fractional bits f; ``kbi`` files hold b = i + f instead of f. These are floats that are rounded half to even.
What is computed here for weights is what HGQ2 computes at inference, in float32, to the last bit (HGQ2 0.2.0,
``quantizer/internal/fixed_point_quantizer.py``; its rounding and overflow are those of the package quantizers 1.2).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from sparsepix.models.keras_files import Variables
from sparsepix_ops.errors import SparsePixError
from sparsepix_ops.fixed_point import FixedPoint
from sparsepix_ops.fixed_points import FixedPoints

_ROUNDINGS = {
    "TRN": np.floor,
    "RND": lambda x: np.floor(x + np.float32(0.5)),
    "RND_CONV": np.round,
    "TRN_ZERO": lambda x: np.floor(np.abs(x)) * np.sign(x),
    "RND_ZERO": lambda x: -np.floor(-np.abs(x) + np.float32(0.5)) * np.sign(x),
    "RND_MIN_INF": lambda x: -np.floor(-x + np.float32(0.5)),
    "RND_INF": lambda x: np.floor(np.abs(x) + np.float32(0.5)) * np.sign(x),
}
_OVERFLOWS = ("WRAP", "SAT", "SAT_SYM")
# Of values in firmware: the names of ``FixedPoint``.
FIXED_ROUNDING = {"TRN": "FLOOR", "RND": "HALF_UP", "RND_CONV": "ROUND"}


@dataclass(frozen=True)
class HgqQuantizer:
    """A quantizer of a layer.

    Args:
        k: 1 where negative values are kept.
        i: integer bits, without the sign.
        f: fractional bits; all of a shape that broadcasts to that of what is quantized.
        rounding: of HGQ2, as 'RND'.
        overflow: 'WRAP', 'SAT' or 'SAT_SYM'.
        unwrapped: weights that HGQ2 rounds only, since their bits follow them in training.
    """

    k: np.ndarray
    i: np.ndarray
    f: np.ndarray
    rounding: str
    overflow: str
    unwrapped: bool

    def quantize(self, values: np.ndarray) -> np.ndarray:
        """Values as HGQ2 has them at inference, float32."""
        x, k, f = values.astype(np.float32), self.k, self.f
        if np.broadcast_shapes(x.shape, k.shape, self.i.shape, f.shape) != x.shape:
            raise SparsePixError(f"bits of the shape {f.shape} for values of the shape {x.shape}")
        i, scale = np.maximum(self.i, -f), np.exp2(f)
        top = np.exp2(i) - np.exp2(-f)
        if self.overflow != "WRAP":
            low = -top * k if self.overflow == "SAT_SYM" else -np.exp2(i) * k
            x = np.where(x > top, top, np.where(x < low, low, x)).astype(np.float32)
        x = _ROUNDINGS[self.rounding](x * scale) / scale
        if self.unwrapped:
            return x.astype(np.float32)
        if self.overflow == "WRAP":
            span = np.exp2(i + k)
            bias = k * span / 2
            x = (x + bias) % span - bias
        return np.where(k + self.i + f > 0, x, 0).astype(np.float32)

    @property
    def format(self) -> FixedPoint | FixedPoints:
        """The format of all values, or one for each place of their last axis.

        Raises:
            SparsePixError: formats that differ along other axes, a rounding that no firmware has, or no bit at all.
        """
        if self.rounding not in FIXED_ROUNDING:
            raise SparsePixError(f"its rounding {self.rounding} is not one of {', '.join(FIXED_ROUNDING)}")
        bits = np.stack(np.broadcast_arrays(self.k, self.i, self.f), -1)
        rows = bits.reshape(-1, *bits.shape[-2:]) if bits.ndim > 1 else bits.reshape(1, 1, 3)
        if (rows != rows[:1]).any():
            raise SparsePixError(
                f"it has formats of the shape {bits.shape[:-1]}, a format for each pixel; firmware has one for each "
                "channel: train with heterogeneous_axis=(-1,)"
            )
        found = [self._of(*(int(v) for v in row)) for row in rows[0]]
        if not any(found):
            raise SparsePixError("it has no bits: everything after it is 0")
        return found[0] if len(set(found)) == 1 else FixedPoints(tuple(found))

    def _of(self, k: int, i: int, f: int) -> FixedPoint | None:
        if k + i + f < 1 or i + f < int(self.overflow == "SAT_SYM"):
            return None
        return FixedPoint(k + i + f, i + k, bool(k), FIXED_ROUNDING[self.rounding], self.overflow)


def read_quantizer(config: Mapping[str, Any] | None, variables: Variables | None) -> HgqQuantizer:
    """A quantizer from its ``QuantizerConfig`` and its variables.

    Args:
        config: serialized; None: only the variables are known, and the modes are those that HGQ2 takes for weights
            by default.
        variables: of the ``Quantizer`` layer.

    Raises:
        SparsePixError: a kind of quantizer, a mode or a mapping of its bits that is not carried.
    """
    inner = variables.parts.get("quantizer") if variables is not None else None
    if inner is None or len(inner.own) < 3:
        raise SparsePixError("its bits are not in the file")
    settings = (config or {}).get("config") or {}
    if not isinstance(settings, Mapping):
        raise SparsePixError("expected the settings of a quantizer, found something else")
    named = next((kind for kind in ("kif", "kbi") if kind in inner.name), "")
    kind = settings.get("q_type") or named or "kbi"
    if kind not in ("kbi", "kif"):
        raise SparsePixError(f"a quantizer of the kind {kind!r}; kbi and kif are carried")
    for name in ("scaler", "affine", "bw_mapper"):
        if settings.get(name) is not None:
            raise SparsePixError(f"a quantizer with {name}={settings[name]!r}; set it to None")
    wraps = len(inner.own) == 4  # with the speed at which the integer bits decay
    overflow = str(settings.get("overflow_mode") or ("WRAP" if wraps else "SAT_SYM")).upper()
    rounding = str(settings.get("round_mode") or "RND").upper().removeprefix("S_")
    if overflow not in _OVERFLOWS or rounding not in _ROUNDINGS:
        raise SparsePixError(
            f"a quantizer with round_mode={rounding!r}, overflow_mode={overflow!r}; expected one of "
            f"{', '.join(_ROUNDINGS)} and one of {', '.join(_OVERFLOWS)}"
        )
    if (named and named != kind) or wraps != (overflow == "WRAP") or len(inner.own) > 4:
        held = f"{named or 'a quantizer'}{' that wraps' if wraps else ''} ({len(inner.own)} variables)"
        raise SparsePixError(f"the description says {kind} with overflow_mode={overflow!r}, the weights hold {held}")
    places = {("kbi", False): "bik", ("kbi", True): "bki", ("kif", False): "ifk", ("kif", True): "fki"}
    found = {
        name: np.round(values.astype(np.float32)) for name, values in zip(places[kind, wraps], inner.own, strict=False)
    }
    if not all(np.isfinite(values).all() for values in found.values()):
        raise SparsePixError("its bits are not finite")
    shapes = {values.shape for values in found.values()}
    if len(shapes) > 1 or not found["k"].size or not np.isin(found["k"], (0, 1)).all():
        raise SparsePixError(f"expected bits of one shape and signs of 0 or 1, found the shapes {sorted(shapes)}")
    fraction = found["f"] if kind == "kif" else found["b"] - found["i"]
    weight = bool(settings.get("is_weight", False)) and bool(settings.get("trainable", True))
    unwrapped = wraps and weight and (kind == "kif" or rounding == "RND")
    return HgqQuantizer(found["k"], found["i"], fraction, rounding, overflow, unwrapped)
