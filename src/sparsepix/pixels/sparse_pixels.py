"""The sparse representation of a batch of images."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from sparsepix.pixels.kernel_map import kernel_map
from sparsepix.recording.blank import is_blank
from sparsepix.util.precision import in_full_precision
from sparsepix.util.tracing import is_traced
from sparsepix_ops.errors import SparsePixError
from sparsepix_ops.whole import whole_number


class SparsePixels:
    """The active pixels of a batch of images, N slots an image.

    Args:
        features: [B, N, C], the channel values of each kept pixel; 0 in an empty slot.
        coords: [B, N, 2] integers, the (row, column) of each pixel, unique in an image;
            (-1, -1) marks an empty slot, and nothing else does.
        spatial_shape: (H, W) of the images.
        presence: [B, N], 1 for a pixel and 0 for an empty slot, with a gradient to a learned selection
            (see ``soft_selection``); None where nothing is learned.

    Raises:
        SparsePixError: tensors of another rank or dtype, or that do not belong together; coordinates outside of the
            image, or twice; features that are not finite, or not 0 in an empty slot.
    """

    __slots__ = ("_cache", "coords", "features", "spatial_shape")

    def __init__(
        self, features: Tensor, coords: Tensor, spatial_shape: Sequence[int], presence: Tensor | None = None
    ) -> None:
        _check_kinds(features, coords, spatial_shape)
        features = in_full_precision("SparsePixels", features, "features")
        shape = (whole_number(spatial_shape[0]), whole_number(spatial_shape[1]))
        # Numbers are looked at here alone, where they come from a user; not in compiled code, which has none yet.
        if not (is_blank(features) or is_traced()):
            _check_numbers(features.detach(), coords, shape)
        self.features = features
        self.coords = coords
        self.spatial_shape = shape
        self._cache: dict[Any, Tensor] = {} if presence is None else {"presence": presence}

    def replace(self, features: Tensor) -> "SparsePixels":
        """The same pixels with other features [B, N, C']; the kernel maps stay shared."""
        features = in_full_precision("SparsePixels", features, "features")
        if features.dim() != 3 or features.shape[:2] != self.coords.shape[:2]:
            raise SparsePixError(
                f"SparsePixels: features must be [B, N, C] with the B and N of coords {tuple(self.coords.shape)}, "
                f"found {tuple(features.shape)}"
            )
        pixels = pixels_of(features, self.coords, self.spatial_shape)
        pixels._cache = self._cache
        return pixels

    @property
    def channels(self) -> int:
        """C, the features of a pixel."""
        return self.features.shape[2]

    @property
    def active(self) -> Tensor:
        """[B, N] bool: the slots that hold a pixel."""
        if "active" not in self._cache:
            self._cache["active"] = self.coords[..., 0] >= 0
        return self._cache["active"]

    @property
    def presence(self) -> Tensor | None:
        """[B, N]: 1 for a pixel, 0 for an empty slot, with a gradient; None where nothing is learned."""
        return self._cache.get("presence")

    def kernel_map(self, kernel_size: tuple[int, int]) -> Tensor:
        """The kernel map [kh * kw, B * N] of a kernel size, made on first use (see ``kernel_map``)."""
        if kernel_size not in self._cache:
            self._cache[kernel_size] = kernel_map(self.coords, self.spatial_shape, kernel_size)
        return self._cache[kernel_size]

    def to_rows(self) -> Tensor:
        """The features at their places [B, H * W, C], 0 elsewhere."""
        height, width = self.spatial_shape
        batch, slots, channels = self.features.shape
        cells = batch * height * width
        image = torch.arange(batch, device=self.coords.device)[:, None] * (height * width)
        place = image + self.coords[..., 0] * width + self.coords[..., 1]
        # Empty slots go to one more row at the end, which is then cut off.
        place = torch.where(self.active, place, cells).view(-1)
        rows = self.features.new_zeros(cells + 1, channels)
        rows = rows.index_copy(0, place, self.features.reshape(batch * slots, channels))
        return rows[:cells].view(batch, height * width, channels)

    def to_dense(self) -> Tensor:
        """The zero-filled images [B, C, H, W]."""
        return self.to_rows().transpose(1, 2).reshape(-1, self.channels, *self.spatial_shape)

    def __add__(self, other: "SparsePixels") -> "SparsePixels":
        """The sum of the features of the same pixels, as in a skip connection; see ``sparsepix.add``."""
        if not isinstance(other, SparsePixels):
            raise _no_tensor("add")
        check_same_list("add", (self, other))
        if self.channels != other.channels:
            raise SparsePixError(
                f"add: expected operands of the same channels, found {self.channels} and {other.channels}; bring one "
                "of them to as many by a SparseConv2d with kernel_size 1"
            )
        return self.replace(self.features + other.features)

    @classmethod
    def __torch_function__(cls, function: Callable, types: Any, args: Sequence[Any] = (), kwargs: Any = None) -> None:
        """Functions of torch are for tensors: refuse them, with the layer to use."""
        raise _no_tensor(getattr(function, "__name__", str(function)))

    def __getattr__(self, name: str) -> None:
        if hasattr(Tensor, name):
            raise _no_tensor(name)
        raise AttributeError(f"SparsePixels has no attribute {name!r}")

    def __repr__(self) -> str:
        return f"SparsePixels(features={tuple(self.features.shape)}, spatial_shape={self.spatial_shape})"


class _NoTensorError(SparsePixError, AttributeError):
    """``hasattr`` finds no method of a tensor."""


_INSTEAD = {
    "relu": "SparseReLU",
    "leaky_relu": "SparseLeakyReLU",
    "conv2d": "SparseConv2d",
    "batch_norm": "SparseBatchNorm2d, or SparseConv2d(..., batch_norm=True)",
    "max_pool2d": "SparseMaxPool2d",
    "avg_pool2d": "SparseAvgPool2d",
    "adaptive_avg_pool2d": "SparseGlobalAvgPool2d",
    "adaptive_max_pool2d": "SparseGlobalMaxPool2d",
    "linear": "SparseFlatten, and QuantLinear after it",
    "matmul": "SparseFlatten, and QuantLinear after it",
    "flatten": "SparseFlatten",
    "view": "SparseFlatten",
    "reshape": "SparseFlatten",
    "dropout": "a dropout after SparseFlatten, on the vector",
    "cat": "sparsepix.concat",
    "add": "sparsepix.add, for pixels of the same list",
    # What layers of torch read first of their input.
    "dim": "SparseBatchNorm2d, SparseFlatten or a global pool",
    "shape": "SparseFlatten or a global pool, which give a vector",
    "size": "SparseFlatten or a global pool, which give a vector",
}


def _no_tensor(name: str) -> _NoTensorError:
    plain = name.strip("_").removeprefix("r").removeprefix("i") if name.startswith("__") else name.rstrip("_")
    found = next((_INSTEAD[n] for n in (plain, plain.split("_with_")[0], name) if n in _INSTEAD), None)
    instead = f"use {found}" if found else "use the layers for pixels (SparseReLU, SparseConv2d, SparseFlatten, ...)"
    return _NoTensorError(
        f"{name} is for tensors, found SparsePixels: {instead}. Where no layer fits, pixels.features is a tensor "
        "[B, N, C], and pixels.replace(features) gives the same pixels with others"
    )


def _refusing(name: str) -> Callable[..., None]:
    def refuse(self: SparsePixels, *_: Any) -> None:
        raise _no_tensor(name)

    return refuse


for _name in ("radd", "sub", "rsub", "mul", "rmul", "truediv", "rtruediv", "pow", "matmul", "neg", "abs", "getitem"):
    setattr(SparsePixels, f"__{_name}__", _refusing(f"__{_name}__"))


def pixels_of(
    features: Tensor, coords: Tensor, spatial_shape: tuple[int, int], presence: Tensor | None = None
) -> SparsePixels:
    """``SparsePixels`` of what a layer has computed: nothing is checked."""
    pixels = SparsePixels.__new__(SparsePixels)
    pixels.features, pixels.coords, pixels.spatial_shape = features, coords, spatial_shape
    pixels._cache = {} if presence is None else {"presence": presence}
    return pixels


def _check_kinds(features: Tensor, coords: Tensor, spatial_shape: Sequence[int]) -> None:
    problems = []
    if not isinstance(features, Tensor) or features.dim() != 3 or not features.dtype.is_floating_point:
        problems.append(f"features must be a floating-point tensor [B, N, C], found {_described(features)}")
    if not isinstance(coords, Tensor) or coords.dtype not in (torch.int64, torch.int32):
        problems.append(f"coords must be integers (int64 or int32), found {_described(coords)}; use coords.long()")
    if isinstance(features, Tensor) and isinstance(coords, Tensor):
        if coords.dim() != 3 or coords.shape[2] != 2 or coords.shape[:2] != features.shape[:2]:
            problems.append(
                f"coords must be [B, N, 2] with the B and N of features {tuple(features.shape)}, found "
                f"{tuple(coords.shape)}"
            )
        if coords.device != features.device:
            problems.append(f"features and coords must be on one device, found {features.device} and {coords.device}")
    sizes = [whole_number(size) for size in spatial_shape] if isinstance(spatial_shape, Sequence) else []
    if len(sizes) != 2 or any(size is None or size < 1 for size in sizes):
        problems.append(f"spatial_shape must be (H, W), two numbers of at least 1, found {spatial_shape!r}")
    _raise(problems)


def _described(value: Any) -> str:
    return f"{value.dtype} {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__


def _check_numbers(features: Tensor, coords: Tensor, spatial_shape: tuple[int, int]) -> None:
    """Raise SparsePixError unless each slot is a pixel of its own inside of the image, or empty and 0."""
    height, width = spatial_shape
    row, column = coords[..., 0], coords[..., 1]
    empty = (row == -1) & (column == -1)
    inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
    problems = []
    outside = ~(empty | inside)
    if outside.any():
        swapped = (row >= 0) & (row < width) & (column >= 0) & (column < height)
        hint = ""
        if bool((empty | swapped).all()):
            hint = "; are they (x, y)? coords are (row, column): take coords.flip(-1)"
        problems.append(
            f"coords must lie inside of the image {spatial_shape}, or be (-1, -1) in an empty slot, found "
            f"{_first(coords, outside)}{hint}"
        )
    place = torch.where(inside, row.long() * width + column, -1)
    ordered, order = place.sort(dim=1)
    again = torch.zeros_like(inside)
    if place.shape[1] > 1:
        again[:, 1:] = (ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] >= 0)
    if again.any():
        twice = torch.zeros_like(again).scatter(1, order, again)
        problems.append(
            f"each pixel of an image may be listed once, found one again at {_first(coords, twice)}; add up or drop "
            "the others"
        )
    filled = empty & (features != 0).any(2)
    if filled.any():
        problems.append(
            f"features of an empty slot must be 0, found others at {_first(coords, filled)}; use "
            "features.masked_fill(coords[..., :1] < 0, 0)"
        )
    unusable = ~features.isfinite().all(2)
    if unusable.any():
        problems.append(f"features must be finite, found NaN or infinity at {_first(coords, unusable)}")
    _raise(problems)


def _first(coords: Tensor, which: Tensor) -> str:
    image, slot = which.nonzero()[0].tolist()
    found = f"{tuple(coords[image, slot].tolist())} (image {image}, slot {slot})"
    others = int(which.sum()) - 1
    return f"{found} and {others} more" if others else found


def _raise(problems: list[str]) -> None:
    if problems:
        raise SparsePixError([f"SparsePixels: {problem}" for problem in problems])


def check_pixels(layer: str, pixels: Any) -> None:
    """Check that a layer for pixels is given some.

    Raises:
        SparsePixError: something else; names the layer.
    """
    if not isinstance(pixels, SparsePixels):
        found = f"a tensor {tuple(pixels.shape)}" if isinstance(pixels, Tensor) else type(pixels).__name__
        raise SparsePixError(f"{layer}: expected SparsePixels, found {found}; put a SparseInputReduce in front of it")


def check_same_list(name: str, pixels: Sequence[SparsePixels]) -> None:
    """Check that all share one list of pixels: that they come from one input reduction or one pool.

    Args:
        name: of what joins them.
        pixels: one or more.

    Raises:
        SparsePixError: something else than ``SparsePixels``, or other pixels.
    """
    for other in pixels:
        if not isinstance(other, SparsePixels):
            raise SparsePixError(f"{name}: expected SparsePixels, found {type(other).__name__}")
        # Equal coordinates are not enough: what the lists hold is known for a single batch only.
        if other.coords is not pixels[0].coords:
            raise SparsePixError(
                f"{name}: expected operands on the same list of pixels, found two lists, of images of "
                f"{pixels[0].spatial_shape} and {other.spatial_shape}; take both after the same "
                "SparseInputReduce or pool, and pool only what is joined already"
            )


def _flatten(pixels: SparsePixels) -> tuple[list[Tensor], tuple[int, int]]:
    return [pixels.features, pixels.coords], pixels.spatial_shape


def _unflatten(leaves: Sequence[Any], spatial_shape: tuple[int, int]) -> SparsePixels:
    # Leaves may be placeholders of torch.export that no check understands.
    return pixels_of(*leaves, tuple(spatial_shape))


# Lets torch.compile and torch.export take SparsePixels as an input or output of a module.
pytree.register_pytree_node(
    SparsePixels, _flatten, _unflatten, serialized_type_name=f"{SparsePixels.__module__}.{SparsePixels.__qualname__}"
)
