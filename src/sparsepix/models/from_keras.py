"""A model of Keras, with the layers of sparsepixels and HGQ2, as one of ours.

Followed are sparsepixels 0.3.2 (``layers.py``) and HGQ2 0.2.0; neither is needed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sparsepix.models.architecture import Architecture, Layer
from sparsepix.models.hgq import HgqQuantizer, read_quantizer
from sparsepix.models.keras_config import dtype_of, layers_of
from sparsepix.models.keras_files import Variables, is_archive, read_archive, read_variables
from sparsepix.models.sparse_cnn import SparseCNN
from sparsepix.quant.formats import exact_format
from sparsepix_ops.errors import SparsePixError
from sparsepix_ops.fixed_point import FixedArray, FixedPoint

RECIPROCAL_BITS = 24
_IGNORED = ("Dropout", "SpatialDropout2D", "GaussianNoise", "ActivityRegularization")
_HEADS = ("softmax", "sigmoid")


def from_keras(
    path: str | Path,
    input_format: FixedPoint | None = None,
    pool_format: FixedPoint | None = None,
    *,
    like: str | Path | None = None,
) -> SparseCNN:
    """Read a model of Keras: a chain of the layers of sparsepixels, HGQ2 and Keras.

    Carried are ``InputReduce`` (a learned budget and threshold at their last values), ``QConv2DSparse``, the sparse
    average and max pools, ``ReLU``, ``Activation``, ``Softmax``, ``Flatten``, ``Dropout`` (left out), ``QDense`` and
    ``Dense``; and, for torch alone, ``QConv2D``, ``Conv2D`` and the pools of the standard CNN. Weights are those that
    HGQ2 computes with, exactly: they lie on the grid of the finest of them.

    Args:
        path: of an archive (.keras); or of weights (.weights.h5) with ``like``.
        input_format: of the image, which such a file does not quantize; None leaves it so, and export asks for one.
        pool_format: of averages over windows whose size is no power of two, which export asks for too.
        like: archive of a model of the same layers, where ``path`` holds weights alone.

    Returns:
        The model, in float32; in float64 it computes what Keras does up to the rounding of Keras's float32. (A sum that
        is 0 in one of them and not in the other gets no bias, or gets it: give the image a format.)

    Raises:
        SparsePixError: no such file, a damaged one, or everything in it that cannot be carried, by layer.
    """
    if is_archive(path) == (like is not None):
        raise SparsePixError(
            f"{path}: expected an archive (.keras), or weights (.weights.h5) and like=, the archive of a model of the "
            f"same layers; found {'weights alone' if like is None else 'an archive and like='}"
        )
    config, variables = read_archive(path if like is None else like)
    if like is not None:
        variables = read_variables(path, str(path))
    chain = _Chain(Path(path).name.partition(".")[0] or "model", variables, input_format, pool_format)
    for layer in layers_of(config, chain.problems):
        chain.take(layer)
    return chain.model(str(path))


@dataclass
class _Chain:
    """What has been read of a model so far."""

    name: str
    variables: Mapping[str, Variables]
    input_format: FixedPoint | None
    pool_format: FixedPoint | None
    problems: list[str] = field(default_factory=list)
    shape: tuple[int, int, int] | None = None
    layers: list[Layer] = field(default_factory=list)
    values: list[dict[str, np.ndarray]] = field(default_factory=list)  # weight and bias of each layer
    max_pixels: int = 0
    threshold: float = 0.0
    head: str | None = None
    taken: set[str] = field(default_factory=set)  # layers by name
    unknown: bool = False  # a layer could not be read, so what comes after it cannot be judged by what is before

    def take(self, layer: Mapping[str, Any]) -> None:
        """Add a layer, or its problems."""
        kind, config = str(layer.get("class_name")), layer["config"]
        name = str(layer.get("name") or config.get("name"))
        self.taken.add(name)
        if kind in _IGNORED:
            return
        maker = _MAKERS.get(kind)
        # A class of the user's own may have the name of one of these.
        if maker is None or str(layer.get("module")).partition(".")[0] not in _PACKAGES:
            self.problems.append(f"{name}: the layer {kind} ({layer.get('module')}) is not carried; {_ADVICE}")
            self.unknown = True
            return
        if self.head is not None:
            self.problems.append(f"{name}: expected nothing after the {self.head}, found {kind}")
        for what, found, right in (
            ("data_format", config.get("data_format"), (None, "channels_last")),
            ("dtype", dtype_of(config), (None, "float32", "float64")),
        ):
            if found not in right:
                self.problems.append(f"{name}: expected {what}={right[1]!r}, found {found!r}")
        try:
            maker(self, config, self.variables.get(name, Variables()))
        except SparsePixError as error:
            self.problems += [f"{name}: {problem}" for problem in error.problems]
            self.unknown = True
        except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError) as error:
            found = f"{type(error).__name__}: {error}"
            self.problems.append(f"{name}: expected the settings and variables of a {kind}, found others ({found})")
            self.unknown = True

    def need(self, found: bool, message: str) -> None:
        """Raise what is wrong with the layer at hand."""
        if not found:
            raise SparsePixError(message)

    def image(self, config: Mapping[str, Any], _: Variables) -> None:
        shape = config.get("batch_shape") or config.get("batch_input_shape") or ()
        self.need(
            len(shape) == 4 and all(isinstance(size, int) for size in shape[1:]),
            f"expected images (height, width, channels), found {list(shape)[1:]}",
        )
        self.shape = (shape[3], shape[1], shape[2])

    def reduce(self, config: Mapping[str, Any], variables: Variables) -> None:
        self.need(not self.layers, "expected it to be the first layer")
        # As Keras adds them: the threshold, the share of the budget, and what the last batch lost.
        learned = [name for name in ("learn_threshold", "learn_n") if config.get(name)]
        self.need(len(variables.own) >= len(learned), "the learned threshold and budget are not in the file")
        values = {name: float(value) for name, value in zip(learned, variables.own, strict=False)}
        count = np.float32(config["n"]) * np.float32(values.get("learn_n", 1.0))
        self.need(count >= 0.5, f"expected a budget of one pixel or more, found {count:g}")
        self.max_pixels = int(np.round(count))
        # Keras compares float32 numbers.
        self.threshold = float(np.float32(values.get("learn_threshold", config["threshold"])))

    def sparse_conv(self, config: Mapping[str, Any], variables: Variables) -> None:
        self.need(self.max_pixels > 0, "expected an InputReduce before it, whose mask it takes")
        inner = config["conv_config"]
        self.need(not inner.get("enable_oq"), "a quantizer of the sums before the bias (enable_oq) is not carried")
        inner = {**inner, "activation": config.get("activation"), "trainable": config.get("trainable", True)}
        bias = self._bias({**config, "trainable": inner["trainable"]}, variables.own, variables.parts.get("_bq"))
        self._conv(inner, variables.parts.get("conv") or Variables(), bias)

    def conv(self, config: Mapping[str, Any], variables: Variables) -> None:
        self.need(self.max_pixels == 0, "a convolution of the whole image after an InputReduce; use QConv2DSparse")
        self._conv(config, variables, self._bias(config, variables.own[1:], variables.parts.get("bq")))

    def _conv(
        self, config: Mapping[str, Any], variables: Variables, bias: tuple[np.ndarray, FixedPoint] | None
    ) -> None:
        size = tuple(config["kernel_size"])
        wrong = [
            f"{name}={config.get(name)!r}"
            for name, right in (
                ("padding", config.get("padding") == "same" or size == (1, 1)),
                ("strides", set(_pair(config.get("strides", 1))) == {1}),
                ("dilation_rate", set(_pair(config.get("dilation_rate", 1))) == {1}),
                ("groups", config.get("groups", 1) == 1),
            )
            if not right
        ]
        self.need(
            not wrong, f"expected padding='same', strides, dilation_rate and groups of 1, found {', '.join(wrong)}"
        )
        kernel, format = self._kernel(config, variables)
        self._add(
            Layer("conv", size, config["filters"]), config, variables, (kernel.transpose(3, 2, 0, 1), format), bias
        )

    def dense(self, config: Mapping[str, Any], variables: Variables) -> None:
        kernel, format = self._kernel(config, variables)
        bias = self._bias(config, variables.own[1:], variables.parts.get("bq"))
        self._add(Layer("dense", config["units"]), config, variables, (kernel.T, format), bias)

    def _add(
        self,
        layer: Layer,
        config: Mapping[str, Any],
        variables: Variables,
        weight: tuple[np.ndarray, FixedPoint | None],
        bias: tuple[np.ndarray, FixedPoint | None] | None,
    ) -> None:
        self.need(
            bias is None or (bias[1] is None) == (weight[1] is None),
            "its weights or its bias have no quantizer, and the other has one",
        )
        formats = {"weight_format": weight[1], "bias_format": bias[1] if bias else None}
        for what, ours in (("iq", "input_format"), ("oq", "activation_format")):
            if config.get(f"enable_{what}"):
                formats[ours] = read_quantizer(config.get(f"{what}_conf"), variables.parts.get(what)).format
        self.layers.append(replace(layer, bias=bias is not None, activation="linear", **formats))
        self.values.append({"weight": weight[0]} | ({"bias": bias[0]} if bias else {}))
        self._activate(config.get("activation") or "linear", bool(config.get("enable_oq")))

    def _kernel(self, config: Mapping[str, Any], variables: Variables) -> tuple[np.ndarray, FixedPoint | None]:
        self.need(bool(variables.own), "its weights are not in the file")
        return _exact(variables.own[0], config, "kq_conf", variables.parts.get("kq"), "the weights")

    def _bias(
        self, config: Mapping[str, Any], own: list[np.ndarray], quantizer: Variables | None
    ) -> tuple[np.ndarray, FixedPoint | None] | None:
        if not config.get("use_bias", True):
            return None
        self.need(bool(own) and own[0].ndim == 1, "its bias is not in the file")
        return _exact(own[0], config, "bq_conf", quantizer, "the bias")

    def average(self, config: Mapping[str, Any], _: Variables) -> None:
        self._pool("avg_pool", config.get("pool_config") or config)

    def largest(self, config: Mapping[str, Any], _: Variables) -> None:
        self._pool("max_pool", config.get("pool_config") or config)

    def _pool(self, kind: str, config: Mapping[str, Any]) -> None:
        on = [name for name in ("enable_iq", "enable_oq") if config.get(name)]
        self.need(not on, f"the quantizers of a pool are not carried, found {' and '.join(on)}")
        size, strides = _pair(config["pool_size"]), _pair(config.get("strides") or config["pool_size"])
        self.need(size == strides, f"expected strides as large as the window {size}, found {strides}")
        self.need(
            config.get("padding", "valid") == "valid", f"expected padding='valid', found {config.get('padding')!r}"
        )
        self.layers.append(Layer(kind, size, over="cell" if kind == "max_pool" else "active"))
        self.values.append({})

    def rectify(self, config: Mapping[str, Any], _: Variables) -> None:
        plain = config.get("max_value") is None and not config.get("negative_slope") and not config.get("threshold")
        self.need(plain, "expected a plain ReLU, found max_value, negative_slope or threshold")
        self._activate("relu")

    def activate(self, config: Mapping[str, Any], _: Variables) -> None:
        self._activate(config.get("activation") or "linear")

    def softmax(self, config: Mapping[str, Any], _: Variables) -> None:
        self.need(config.get("axis", -1) == -1, f"expected the last axis, found {config.get('axis')}")
        self._activate("softmax")

    def _activate(self, kind: Any, quantized: bool = False) -> None:
        kind = kind.get("config", kind) if isinstance(kind, Mapping) else kind
        if kind == "linear":
            return
        self.need(kind in ("relu", *_HEADS), f"the activation {kind!r} is not carried; relu, softmax and sigmoid are")
        if kind in _HEADS:
            self.need(not quantized, f"a quantizer after a {kind} (enable_oq) is not carried")
            self.head = kind
            return
        if self.unknown:
            return
        last = self.layers[-1] if self.layers else None
        self.need(last is not None and "pool" not in last.kind, "expected a convolution or dense layer before a ReLU")
        self.need(quantized or last.activation_format is None, "a ReLU after a quantizer is not carried")
        self.layers[-1] = replace(last, activation="relu")

    def flatten(self, _: Mapping[str, Any], __: Variables) -> None:
        """Ours does it before the first dense layer, in the same order."""

    def model(self, source: str) -> SparseCNN:
        """The model that was read."""
        if self.shape is None and not self.problems:
            self.problems.append("expected an input of images, found none")
        left = [name for name, held in self.variables.items() if name not in self.taken and (held.own or held.parts)]
        if not self.unknown and not self.problems:
            self.problems += [f"{name}: the weights hold this layer, the description does not" for name in left]
        if self.problems:
            raise SparsePixError(self.problems, f"{source}: the model cannot be carried over")
        try:
            model = SparseCNN(
                Architecture(
                    self.name,
                    self.shape,
                    tuple(self.layers),
                    min(self.max_pixels, self.shape[1] * self.shape[2]) or 1,
                    sparse=self.max_pixels > 0,
                    threshold=self.threshold,
                    bias_on="nonzero",
                    input_format=self.input_format,
                    pool_format=self.pool_format,
                    reciprocal_bits=RECIPROCAL_BITS,
                    head=self.head,
                )
            )
        except SparsePixError as error:
            raise SparsePixError(error.problems, f"{source}: the model cannot be carried over") from None
        self._fill(model, source)
        return model

    @torch.no_grad()
    def _fill(self, model: SparseCNN, source: str) -> None:
        modules = [m for name, m in model.named_children() if name.startswith(("conv", "dense"))]
        filled, problems = [], []
        for module, values in zip(modules, [v for v in self.values if v], strict=True):
            for name, array in values.items():
                parameter = getattr(module, name)
                if tuple(parameter.shape) != array.shape:
                    expected = f"expected the shape {tuple(parameter.shape)}, found {array.shape}"
                    problems.append(f"the {name} of a {type(module).__name__}: {expected}")
                filled.append((parameter, array))
        if problems:
            raise SparsePixError(problems, f"{source}: the weights do not fit the layers")
        for parameter, array in filled:
            parameter.copy_(torch.from_numpy(np.ascontiguousarray(array)))


def _pair(size: Any) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else tuple(size)


def _exact(
    values: np.ndarray, layer: Mapping[str, Any], key: str, variables: Variables | None, what: str
) -> tuple[np.ndarray, FixedPoint | None]:
    """Quantized values and the format that holds them; without a quantizer as they are.

    Args:
        values: of the file.
        layer: its settings.
        key: of the settings of the quantizer.
        variables: of the quantizer.
        what: it is, for messages.
    """
    if not np.isfinite(values).all():
        raise SparsePixError(f"{what}: expected finite values, found NaN or infinity")
    if layer.get(key) is None and variables is None:
        return values.astype(np.float32), None
    try:
        quantizer: HgqQuantizer = read_quantizer(layer.get(key), variables)
        quantized = quantizer.quantize(values)
        if quantizer.unwrapped and layer.get("trainable") is False:
            wrapped = replace(quantizer, unwrapped=False).quantize(values)
            if (wrapped != quantized).any():
                raise SparsePixError(
                    "the layer is frozen, and HGQ2 wraps some of them in memory and none after it has read the file; "
                    "save the model with trainable=True"
                )
        return quantized, exact_format(FixedArray.from_real(quantized))
    except SparsePixError as error:
        raise SparsePixError([f"{what}: {problem}" for problem in error.problems]) from None


_PACKAGES = ("keras", "hgq", "sparsepixels")
_ADVICE = "build the rest of the model with sparsepix and fill it with sparsepix.compat.load_keras"
_MAKERS = {
    "InputLayer": _Chain.image,
    "InputReduce": _Chain.reduce,
    "QConv2DSparse": _Chain.sparse_conv,
    "QConv2D": _Chain.conv,
    "Conv2D": _Chain.conv,
    "AveragePooling2DSparse": _Chain.average,
    "AveragePooling2D": _Chain.average,
    "QAveragePooling2D": _Chain.average,
    "MaxPooling2DSparse": _Chain.largest,
    "MaxPooling2D": _Chain.largest,
    "QMaxPooling2D": _Chain.largest,
    "ReLU": _Chain.rectify,
    "Activation": _Chain.activate,
    "Softmax": _Chain.softmax,
    "Flatten": _Chain.flatten,
    "QDense": _Chain.dense,
    "Dense": _Chain.dense,
}
