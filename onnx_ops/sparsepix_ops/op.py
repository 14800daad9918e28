"""What an op of the contract consists of, and what is known of a value in a model."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

import numpy as np
import onnx
from onnx import parser

from sparsepix_ops.errors import SparsePixError
from sparsepix_ops.fixed_point import MAX_RAW_BITS, FixedArray, FixedPoint, FixedRange

DOMAIN = "sparsepix_ops"
QUANT_DOMAIN = "qonnx.custom_op.general"
OPSET = 20  # of the standard ops, in the models and in the function bodies
IR_VERSION = 10  # onnxruntime accepts at most 13

Shape = tuple[int | None, ...]
Attributes = Mapping[str, Any]
Grid = tuple[int, int]  # rows and columns that the coordinates of a list of pixels lie in


@dataclass(frozen=True)
class Attribute:
    """An attribute of an op; ``default=None`` makes it required, ``choices`` limits its values."""

    default: Any = None
    kind: str = "int"
    choices: tuple[str | int, ...] = ()


@dataclass(frozen=True, eq=False)
class Value:
    """What the range analysis knows of a value.

    Args:
        shape: with the batch axis, which is None where it is dynamic; empty if unknown.
        range: all that it can be; None if it lies on no fixed-point grid (a quantizer is missing).
        format: the format that a quantizer gave it, else the narrowest exact one.
        constant: its exact content, if it is constant.
        partial: the largest magnitude, in units of the last place, that a partial result on the
            way to it can reach in any order of summation: floats are exact while this fits in
            their mantissa.
        coords: it holds pixel coordinates, not numbers of the model.
        groups: of a flattened list: how many groups of neighbouring elements (the channels of a
            pixel) it has, and how many of them can differ from 0 in one event; None elsewhere.
        real: content of a constant that lies on no fixed-point grid yet.
    """

    shape: Shape = ()
    range: FixedRange | None = None
    format: FixedPoint | None = None
    constant: FixedArray | None = None
    partial: int = 0
    coords: bool = False
    groups: tuple[int, int] | None = None
    real: np.ndarray | None = None

    @staticmethod
    def exact(shape: Shape, value_range: FixedRange, partial: int = 0) -> "Value":
        """A value that no quantizer has touched: its format is the narrowest that loses nothing.

        Raises:
            SparsePixError: it needs more than 62 bits.
        """
        partial = max(partial, value_range.largest)
        if partial.bit_length() > MAX_RAW_BITS:
            raise SparsePixError(
                f"its sums need {partial.bit_length()} bits, more than {MAX_RAW_BITS}; "
                "quantize its input or weights to fewer bits"
            )
        return Value(shape, value_range, value_range.format(), None, partial)


class Kind(Enum):
    """The part that an op plays in a model."""

    LAYER = auto()  # computes, on pixels or on vectors
    INPUT = auto()  # makes the list of pixels from the quantized image
    QUANTIZER = auto()  # gives a value its format
    RECTIFIER = auto()  # an activation: becomes one layer with the quantizer after it
    JOIN = auto()  # of several values of the image, which have to lie on the same pixels
    HEAD = auto()  # at the very end; keeps the order of the logits, so that firmware can leave it out
    CAST = auto()  # another element type, the same numbers
    COPY = auto()  # anything under another name, coordinates too


@dataclass(frozen=True, eq=False)
class Op:
    """One op of the contract: everything about it that is not torch or C++.

    Args:
        name: op type.
        domain: '' for a standard ONNX op.
        inputs: names of the inputs, in order.
        outputs: names of the outputs, in order.
        attributes: by name.
        body: the op as an ONNX function in textual form, standard ops only; '' for a standard op.
        variadic: a node may have any number of the last input, one or more; standard ops only.
        compute: the arithmetic on plain arrays (int64 or float64 alike): ``compute(arrays, attributes)``.
        reference: the exact result on ``FixedArray`` and coordinate arrays.
        bound: what is known of the outputs: ``bound(values, attributes)``. Raises SparsePixError
            with a message that does not name the node.
        check: raises SparsePixError for what is wrong with a node whatever comes in: ``check(values, attributes)``,
            where nothing may be known of some of the values.
        kind: the part that it plays in a model.
        role: what its result is called after the name of its module; '' for 'features' or 'output', by its shape.
        weights: names of the inputs that are weights: they have to be constant, and quantized. That of a join may be
            a value of the image instead.
        optional: so many of the last inputs may be left out.
        pixels: which pixels its first output lies on: the name of coordinates that it reads or makes, or of an input
            whose pixels it keeps; '' if the result has no pixels.
        grid: of the coordinates that it makes, from that of those that it reads (of the image, for one of kind INPUT)
            and its attributes: ``grid(grid, attributes)``; None if it makes none.
        unquantized: why an export refuses it without a quantizer after it, by its attributes; '' if it needs none.
        stands_in: by the type of an op that the contract lacks, the advice to use this one.
    """

    name: str
    domain: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Attribute]
    compute: Callable[[Sequence[Any], Attributes], list[Any]]
    reference: Callable[[Sequence[Any], Attributes], list[Any]]
    bound: Callable[[Sequence[Value], Attributes], list[Value]]
    body: str = ""
    variadic: bool = False
    check: Callable[[Sequence[Value], Attributes], None] | None = None
    kind: Kind = Kind.LAYER
    role: str = ""
    weights: tuple[str, ...] = ()
    optional: int = 0
    pixels: str = ""
    grid: Callable[[Grid, Attributes], Grid] | None = None
    unquantized: Callable[[Attributes], str] = lambda _: ""
    stands_in: Mapping[str, str] = field(default_factory=dict)

    def inputs_of(self, count: int) -> tuple[str, ...]:
        """Names of the inputs of a node that has so many."""
        return self.inputs + self.inputs[-1:] * (count - len(self.inputs)) if self.variadic else self.inputs

    def is_optional(self, place: int) -> bool:
        """Whether a node may leave out the input at a place."""
        return len(self.inputs) - self.optional <= place < len(self.inputs)

    def function(self) -> onnx.FunctionProto:
        """The body as an ONNX function, for a model to carry."""
        declared = []
        for name, attribute in self.attributes.items():
            default = f'"{attribute.default}"' if attribute.kind == "string" else attribute.default
            declared.append(name if attribute.default is None else f"{name}: {attribute.kind} = {default}")
        text = (
            f'<domain: "{self.domain}", opset_import: ["" : {OPSET}]>\n'
            f"{self.name} <{', '.join(declared)}> ({', '.join(self.inputs)}) => ({', '.join(self.outputs)})\n"
            f"{{{self.body}}}"
        )
        return parser.parse_function(text)

    def read_attributes(self, node: onnx.NodeProto) -> dict[str, Any]:
        """Attributes of a node, defaults filled in.

        Raises:
            SparsePixError: one is missing, unknown or none of its choices.
        """
        found = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        unknown = sorted(set(found) - set(self.attributes))
        if unknown and self.body:
            raise SparsePixError(f"attribute {unknown[0]!r} is not one of {sorted(self.attributes)}")
        attributes = dict(found)
        for name, attribute in self.attributes.items():
            value = found.get(name, attribute.default)
            if value is None:
                raise SparsePixError(f"attribute {name!r} is missing")
            if isinstance(value, bytes):
                value = value.decode(errors="replace")
            expected = {"int": int, "ints": list | tuple, "float": float, "string": str}[attribute.kind]
            if not isinstance(value, expected) or (attribute.kind == "ints" and len(value) != 2):
                kind = "two integers" if attribute.kind == "ints" else f"of kind {attribute.kind}"
                raise SparsePixError(f"attribute {name!r} must be {kind}, found {value!r}")
            if attribute.choices and value not in attribute.choices:
                raise SparsePixError(f"attribute {name!r} must be one of {list(attribute.choices)}, found {value!r}")
            attributes[name] = tuple(value) if isinstance(value, list | tuple) else value
        return attributes


def is_coords(name: str) -> bool:
    """Whether an input or output of an op holds coordinates, by its name."""
    return name == "coords" or name.endswith("_coords")


def shape_of_type(type_proto: onnx.TypeProto) -> Shape:
    """Shape of a tensor type; a symbolic axis is None, an unknown rank ()."""
    if not type_proto.tensor_type.HasField("shape"):
        return ()
    return tuple(d.dim_value if d.HasField("dim_value") else None for d in type_proto.tensor_type.shape.dim)
