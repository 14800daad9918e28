"""The rules of the contract that span several nodes of a model, each checked here alone.

The exporter and the translator's reader go through the nodes of a model and ask these functions, so that both report a
fault in the same words. What can be wrong within one node is checked by its op (``Op.bound``, ``Op.check``).
"""

from collections.abc import Callable, Collection, Sequence

import onnx

from sparsepix_ops.errors import SparsePixError
from sparsepix_ops.op import Grid, Kind, Op, Value, is_coords
from sparsepix_ops.range_analysis import DOUBLE_MANTISSA, Analysis


def constant_names(model: onnx.ModelProto) -> frozenset[str]:
    """Names of all values that are computed from initializers alone."""
    names = {i.name for i in model.graph.initializer}
    for node in model.graph.node:
        if all(name in names for name in node.input if name):
            names |= set(node.output)
    return frozenset(names)


def unquantized_weights(
    node: onnx.NodeProto, op: Op, known: Callable[[str], Value | None], constants: Collection[str]
) -> list[str]:
    """What is wrong with the weights and the bias of a node: each must be constant and have a quantizer.

    Args:
        node: an instance of ``op``.
        op: of the contract.
        known: by the name of a value, what is known of it; None for one that is not to be looked at.
        constants: names of all values that are computed from initializers alone.
    """
    messages = []
    for place, name in enumerate(node.input):
        role = op.weights[0] if op.kind is Kind.JOIN and op.weights else _name_at(op.inputs, place)
        value = known(name)
        if role not in op.weights or value is None:
            continue
        if name not in constants:
            if op.kind is not Kind.JOIN:
                messages.append(f"its {role} must be constant, found a computed value")
        elif value.format is None and not (role == "bias" and _all_zero(value)):
            messages.append(f"its {role} has no quantizer; give the layer a {role}_format")
    return messages


def _name_at(names: Sequence[str], place: int) -> str:
    return names[place] if place < len(names) else ""


def _all_zero(value: Value) -> bool:
    return value.constant is not None and not value.constant.raw.any()


def unquantized_image(op: Op, sources: Sequence[str], image: str) -> list[str]:
    """Whether a node takes the image as it is, which only its quantizer may.

    Args:
        op: of the node.
        sources: what the node reads, with Cast and Identity left out.
        image: name of the model's input.
    """
    if op.kind in (Kind.QUANTIZER, Kind.CAST, Kind.COPY) or image not in sources:
        return []
    return ["the image has no quantizer; put a QuantIdentity in front of it (input_format)"]


def unquantized_result(node: onnx.NodeProto, op: Op, quantized: Collection[str]) -> list[str]:
    """Whether a quantizer is missing after a node that needs one.

    Args:
        node: an instance of ``op``.
        op: of the contract.
        quantized: names of all values that a quantizer or a rectifier reads.
    """
    if node.output[0] in quantized:
        return []
    try:
        reason = op.unquantized(op.read_attributes(node))
    except SparsePixError:  # reported by the range analysis
        return []
    return [reason] if reason else []


def too_wide(value: Value) -> list[str]:
    """Whether a value, or a sum on the way to it, has more bits than double holds."""
    bits = 0 if value.range is None else max(value.partial, value.range.largest).bit_length()
    if bits <= DOUBLE_MANTISSA:
        return []
    return [
        f"its sums need {bits} bits, more than the {DOUBLE_MANTISSA} that double holds exactly; quantize its input or "
        "weights to fewer bits"
    ]


class PixelLists:
    """Follows which list of pixels each value lies on and which grid each list has, node by node."""

    def __init__(self, analysis: Analysis) -> None:
        self._analysis = analysis
        self._sources: dict[str, str] = {}  # by the name of a Cast's or Identity's output, the value that it hands on
        self._coords: dict[str, str] = {}  # by the name of features, the coordinates that they belong to
        self._grids: dict[str, Grid] = {}  # by the name of coordinates

    def visit(self, node: onnx.NodeProto, op: Op) -> list[str]:
        """Check the lists of pixels that a node reads, and note those that it makes; nodes come in order."""
        read = [self._sources.get(name, name) for name in node.input]
        if op.kind in (Kind.CAST, Kind.COPY):
            self._sources[node.output[0]] = read[0]
            return []
        attributes = op.read_attributes(node)
        inputs = dict(zip(op.inputs, read, strict=False))
        outputs = dict(zip(op.outputs, node.output, strict=False))
        coords = inputs.get("coords")
        if coords is not None:
            if self._coords.get(inputs["features"]) != coords:
                return ["its features and coords do not belong together: take both from the same layer"]
            # An op that reads the pixels of its result has their grid, others that of their features.
            grid = self._grids[inputs.get(op.pixels, coords) if is_coords(op.pixels) else coords]
            found = attributes.get("spatial_shape", grid)
            if found != grid:
                return [f"its spatial_shape is {found}, but its pixels come from a grid of {grid}"]
        if op.kind is Kind.JOIN and len({self._coords.get(name) for name in read}) > 1:
            return [
                "its operands lie on different pixels: take all of them after the same SparseInputReduce or "
                "pool, and pool only what is joined already"
            ]
        if op.pixels in outputs:
            before = self._image_grid(read[0]) if coords is None else self._grids[coords]
            self._grids[outputs[op.pixels]] = op.grid(before, attributes)
            self._coords[node.output[0]] = outputs[op.pixels]
        elif is_coords(op.pixels):
            self._coords[node.output[0]] = inputs[op.pixels]
        elif op.pixels and inputs[op.pixels] in self._coords:
            self._coords[node.output[0]] = self._coords[inputs[op.pixels]]
        return []

    def _image_grid(self, image: str) -> Grid:
        _, _, rows, columns = self._analysis.values[image].shape
        return rows, columns
