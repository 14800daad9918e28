"""Mutations of ONNX models: one small fault each, drawn from a random generator; see ``fuzz_onnx``."""

import struct
from collections.abc import Callable

import numpy as np
import onnx
from onnx import AttributeProto, ModelProto, TensorProto, helper

from sparsepix_ops.op import DOMAIN, QUANT_DOMAIN

HOSTILE = (
    "", " ", "a b", "\n", "image", "output", "size_t", "size", "int", "class", "logic", "wire", "valid", "ready",
    "pixel", "std", "sparsepix", "hls", "main", "M_PI", "UINT8_MAX", "NULL", "features", "coords", "reduce",
    "../../etc/passwd",
    "/abs", "C:\\con", "ünïcode", "名前", "x" * 240, "x" * 100_000, "a/b/c", "%s%n", "$(reboot)", "{0}", "[bold]",
    '"', "'", "a\x00b", "\u202e", "__x__", "_t", "0", "-1", "1e9", "conv1", "conv1.features", "CONV1.FEATURES",
    "conv1_features",
    "net", "net_reduce", "config",
)  # fmt: skip
NUMBERS = (0, 1, -1, 2, 3, 7, 8, 63, 255, 10**6, 2**31 - 1, 2**31, -(2**31), 2**62, 2**63 - 1, -(2**63))
REALS = (
    0.0,
    -0.0,
    1.0,
    -1.0,
    0.25,
    0.3,
    1e-45,
    1e-30,
    1e30,
    3.4e38,
    float("inf"),
    float("-inf"),
    float("nan"),
    2.0**-60,
)
TYPES = (*TensorProto.DataType.values(), 99, -1)
Mutation = Callable[[ModelProto, np.random.Generator], None]


def pick(rng: np.random.Generator, values):
    """One of some values; None if there are none."""
    return values[int(rng.integers(len(values)))] if len(values) else None


def _node(model, rng):
    return pick(rng, model.graph.node)


def _all_names(model) -> list[str]:
    graph = model.graph
    return [*(n for x in graph.node for n in (*x.input, *x.output)), *(i.name for i in graph.initializer)]


def drop_node(model, rng):
    del model.graph.node[int(rng.integers(len(model.graph.node)))]


def duplicate_node(model, rng):
    copy = model.graph.node.add()
    copy.CopyFrom(_node(model, rng))
    if rng.random() < 0.7:
        copy.name += "_copy"
        copy.output[:] = [f"{name}_copy" for name in copy.output]
        if rng.random() < 0.7:
            pick(rng, model.graph.output).name = copy.output[0]


def swap_nodes(model, rng):
    nodes = [onnx.NodeProto.FromString(n.SerializeToString()) for n in model.graph.node]
    i, k = rng.integers(len(nodes), size=2)
    nodes[i], nodes[k] = nodes[k], nodes[i]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def rewire(model, rng):
    node = _node(model, rng)
    if node.input:
        node.input[int(rng.integers(len(node.input)))] = pick(rng, _all_names(model))


def inputs_of_node(model, rng):
    node = _node(model, rng)
    names = list(node.input)
    if rng.random() < 0.5 and names:
        del names[int(rng.integers(len(names)))]
    else:
        names.append(pick(rng, [*_all_names(model), ""]))
    if rng.random() < 0.3:
        rng.shuffle(names)
    node.input[:] = names


def outputs_of_node(model, rng):
    node = _node(model, rng)
    if rng.random() < 0.5 and node.output:
        del node.output[-1]
    else:
        node.output.append(pick(rng, [*_all_names(model), "extra", ""]))


def graph_outputs(model, rng):
    outputs = model.graph.output
    what = rng.integers(4)
    if what == 0:
        del outputs[:]
    elif what == 1:
        name = pick(rng, [*_all_names(model), "image", "none"])
        outputs.append(helper.make_tensor_value_info(name, int(pick(rng, (1, 7, 11))), None))
    elif what == 2:
        outputs.append(outputs[0])
    else:
        outputs[0].name = pick(rng, [*_all_names(model), "image", "none"])


def graph_inputs(model, rng):
    inputs, what = model.graph.input, rng.integers(5)
    if what == 0:
        del inputs[:]
    elif what == 1:
        inputs.append(helper.make_tensor_value_info(pick(rng, _all_names(model)), 1, [1]))
    elif what == 2:
        inputs[0].type.tensor_type.elem_type = int(pick(rng, TYPES)) % 2**31
    elif what == 3:
        dims = inputs[0].type.tensor_type.shape.dim
        if len(dims):
            dim = dims[int(rng.integers(len(dims)))]
            if rng.random() < 0.3:
                dim.dim_param = pick(rng, HOSTILE)
            else:
                dim.dim_value = pick(rng, NUMBERS)
    else:
        shape = [int(n) for n in rng.choice(NUMBERS[:9], size=rng.integers(6))]
        inputs[0].CopyFrom(helper.make_tensor_value_info("image", 1, shape))


def attribute(model, rng):
    node = _node(model, rng)
    what = rng.integers(6)
    if what == 0 or not node.attribute:
        name = pick(rng, ("axis", "group", "alpha", "to", "extra", "max_pixels", "bias_on"))
        node.attribute.append(helper.make_attribute(name, pick(rng, (1, 1.5, "text", [1, 2], [0.5]))))
        return
    found = node.attribute[int(rng.integers(len(node.attribute)))]
    if what == 1:
        node.attribute.remove(found)
    elif what == 2:
        node.attribute.append(found)
    elif what == 3:
        found.type = int(pick(rng, AttributeProto.AttributeType.values()))
    elif what == 4:
        found.ref_attr_name = "other"
    else:
        values = (*NUMBERS, *REALS, *HOSTILE, b"\xff\xfe", [2, 2], [0, 0], [-1, 5], [1, 2, 3], [10**6, 10**6], [])
        value = values[int(rng.integers(len(values)))]
        kind = AttributeProto.INTS if value == [] else None
        new = helper.make_attribute(found.name, value, attr_type=kind)
        found.CopyFrom(new)


def number_attribute(model, rng):
    """Another number of the same type, which is more often accepted."""
    found = [a for n in model.graph.node for a in n.attribute if a.type in (AttributeProto.INT, AttributeProto.FLOAT)]
    found += [a for n in model.graph.node for a in n.attribute if a.type == AttributeProto.INTS]
    chosen = pick(rng, found)
    if chosen.type == AttributeProto.INT:
        chosen.i = pick(rng, NUMBERS)
    elif chosen.type == AttributeProto.FLOAT:
        chosen.f = float(np.clip(pick(rng, REALS), -3.4e38, 3.4e38)) if rng.random() < 0.9 else float("nan")
    else:
        chosen.ints[int(rng.integers(len(chosen.ints)))] = pick(rng, NUMBERS)


def tensor_shape(model, rng):
    tensor = pick(rng, model.graph.initializer)
    if rng.random() < 0.5 and tensor.dims:
        tensor.dims[int(rng.integers(len(tensor.dims)))] = pick(rng, NUMBERS)
    elif rng.random() < 0.5:
        tensor.dims.append(pick(rng, (0, 1, 2, 10**6)))
    else:
        rng.shuffle(dims := list(tensor.dims))
        tensor.dims[:] = dims


def tensor_type(model, rng):
    pick(rng, model.graph.initializer).data_type = int(pick(rng, TYPES))


def tensor_bytes(model, rng):
    tensor = pick(rng, model.graph.initializer)
    data = bytearray(tensor.raw_data)
    what = rng.integers(4)
    if what == 0 and data:
        data = data[: int(rng.integers(len(data)))]
    elif what == 1:
        data += rng.bytes(int(rng.integers(1, 40)))
    elif data:
        place = int(rng.integers(len(data) // 4)) * 4
        data[place : place + 4] = struct.pack("<f", pick(rng, REALS)) if what == 2 else rng.bytes(4)
    tensor.raw_data = bytes(data)


def tensor_elsewhere(model, rng):
    tensor = pick(rng, model.graph.initializer)
    tensor.data_location = TensorProto.EXTERNAL
    for key, values in (
        ("location", ("weights.bin", "../weights.bin", "/etc/passwd", "", "net.onnx", ".")),
        ("offset", ("0", "-1", "10", "x", "9" * 30)),
        ("length", ("0", "4", "-1", "9" * 30, "x")),
    ):
        if rng.random() < 0.8:
            tensor.external_data.add(key=key, value=pick(rng, values))


def tensor_fields(model, rng):
    """Data in a repeated field instead of raw bytes, or in both."""
    tensor = pick(rng, model.graph.initializer)
    if rng.random() < 0.7:
        tensor.ClearField("raw_data")
    field = pick(rng, ("float_data", "int32_data", "int64_data", "double_data", "string_data"))
    value = b"text" if field == "string_data" else 1
    getattr(tensor, field).extend([value] * int(rng.integers(5)))


def tensors(model, rng):
    tensor = pick(rng, model.graph.initializer)
    what = rng.integers(4)
    if what == 0:
        model.graph.initializer.remove(tensor)
    elif what == 1:
        model.graph.initializer.append(tensor)
    elif what == 2:
        kind, dims = tensor.data_type, list(tensor.dims)
        model.graph.input.append(helper.make_tensor_value_info(tensor.name, kind, dims))
    else:
        node = helper.make_node("Constant", [], [tensor.name], value=tensor)
        model.graph.node.insert(0, node)
        model.graph.initializer.remove(tensor)


def rename(model, rng):
    """A value, everywhere or in one place only."""
    old, new = pick(rng, [*_all_names(model), "image"]), pick(rng, HOSTILE)
    new = new if rng.random() < 0.8 else pick(rng, _all_names(model))
    everywhere = rng.random() < 0.8
    for holder in (*model.graph.node,):
        holder.input[:] = [new if n == old else n for n in holder.input]
        if everywhere:
            holder.output[:] = [new if n == old else n for n in holder.output]
    for holder in (*model.graph.initializer, *model.graph.input, *model.graph.output):
        if everywhere and holder.name == old:
            holder.name = new


def rename_node(model, rng):
    node = _node(model, rng)
    setattr(node, pick(rng, ("name", "name", "op_type", "domain", "overload")), pick(rng, HOSTILE))


def not_text(model, rng):
    """Bytes that are no UTF-8, put in place of a name in the file."""
    name = pick(rng, [n for n in _all_names(model) if len(n) > 1]).encode()
    data = model.SerializeToString().replace(name, b"\xff\xfe" + name[2:])
    model.ParseFromString(data)


def function_body(model, rng):
    function = pick(rng, model.functions)
    if function is None:
        return
    node = pick(rng, function.node)
    what = rng.integers(9)
    if what == 0:
        function.node.remove(node)
    elif what == 1:
        node.op_type = pick(rng, ("Add", "Sub", "Mul", "Floor", "Ceil", "Identity", "Max", "Min"))
    elif what == 2 and node.input:
        node.input[int(rng.integers(len(node.input)))] = pick(rng, [o for n in function.node for o in n.output])
    elif what == 3 and node.attribute:
        chosen = pick(rng, node.attribute)
        chosen.CopyFrom(helper.make_attribute(chosen.name, pick(rng, (0, 1, 2.0, "FLOOR", [1, 0]))))
    elif what == 4:
        function.opset_import[0].version = pick(rng, (1, 11, 19, 21, 28, 99, -1))
    elif what == 5:
        function.name, function.domain = pick(rng, (("Relu", ""), ("Quant", DOMAIN), ("Add", "ai.onnx"), ("", "")))
    elif what == 6:
        function.overload = "other"
    elif what == 7:
        model.functions.remove(function)
    else:
        copy = model.functions.add()
        copy.CopyFrom(function)
        copy.name, copy.domain = pick(rng, (("Relu", ""), ("Floor", ""), ("Gemm", "ai.onnx"), (function.name, DOMAIN)))


def opsets(model, rng):
    what = rng.integers(4)
    if what == 0:
        pick(rng, model.opset_import).version = pick(rng, (0, 1, 7, 11, 13, 17, 21, 28, 29, 99, -1))
    elif what == 1:
        model.opset_import.append(helper.make_opsetid(pick(rng, ("", "ai.onnx", DOMAIN, QUANT_DOMAIN, "x")), 1))
    elif what == 2:
        del model.opset_import[int(rng.integers(len(model.opset_import)))]
    else:
        model.ir_version = pick(rng, (0, 1, 3, 7, 8, 10, 13, 99))


def other_parts(model, rng):
    what = rng.integers(5)
    if what == 0:
        tensor = TensorProto(name="indices", data_type=7, dims=[1], int64_data=[0])
        sparse = onnx.SparseTensorProto(values=model.graph.initializer[0], indices=tensor, dims=[4])
        model.graph.sparse_initializer.append(sparse)
    elif what == 1:
        model.training_info.add()
    elif what == 2:
        graph = onnx.GraphProto(name="inner")
        _node(model, rng).attribute.append(helper.make_attribute("then_branch", graph))
    elif what == 3:
        helper.set_model_props(model, {"key": "x" * 1000})
    else:
        model.ClearField("graph")


def chain(model, rng):
    """Many nodes in a row; a test has thousands."""
    kind, length = pick(rng, ("Relu", "Identity", "Cast", "Quant")), int(pick(rng, (50, 400)))
    last = model.graph.output[0].name
    quant = next(n for n in model.graph.node if n.op_type == "Quant")
    for i in range(length):
        node = model.graph.node.add(op_type=kind, name=f"chain{i}", input=[last], output=[f"chain{i}.output"])
        last = node.output[0]
        if kind == "Cast":
            node.attribute.append(helper.make_attribute("to", 1))
        if kind == "Quant":
            node.domain = QUANT_DOMAIN
            node.input.extend(quant.input[1:])
            node.attribute.extend(quant.attribute)
    model.graph.output[0].name = last


def wide(model, rng):
    """Formats and images that are large."""
    choice = rng.integers(3)
    if choice == 0:
        tensor = pick(rng, [i for i in model.graph.initializer if i.name.endswith(("scale", "bitwidth"))])
        value = float(pick(rng, (0, 1, 2, 24, 32, 62, 63, 64, 1000, -3, 2.0**-20, 2.0**30, 2.0**100, 0.5, 1.5)))
        tensor.CopyFrom(onnx.numpy_helper.from_array(np.float32(value), tensor.name))
    else:
        size = pick(rng, (7, 100, 10**4, 10**6))
        for dim in model.graph.input[0].type.tensor_type.shape.dim[2:]:
            dim.dim_value = size
        for node in model.graph.node:
            for found in node.attribute:
                if found.name == "spatial_shape" and choice == 2:
                    found.ints[:] = [size, size]
                if found.name == "max_pixels" and rng.random() < 0.5:
                    found.i = min(size * size, int(pick(rng, (10**6, 10**9)))) if size > 1000 else 5


MUTATIONS: tuple[Mutation, ...] = (
    drop_node, duplicate_node, swap_nodes, rewire, inputs_of_node, outputs_of_node, graph_outputs, graph_inputs,
    attribute, number_attribute, tensor_shape, tensor_type, tensor_bytes, tensor_elsewhere, tensor_fields, tensors,
    rename,
    rename_node, not_text, function_body, opsets, other_parts, chain, wide,
)  # fmt: skip


def damaged(data: bytes, rng: np.random.Generator) -> bytes:
    """A file with some bits flipped, cut, or with a piece twice."""
    what = rng.integers(3)
    if what == 0:
        return data[: int(rng.integers(len(data)))]
    if what == 1:
        start, end = sorted(rng.integers(len(data), size=2))
        return data[:start] + data[start : min(end, start + 200)] + data[start:]
    flipped = bytearray(data)
    for place in rng.integers(len(data), size=rng.integers(1, 4)):
        flipped[place] ^= 1 << int(rng.integers(8))
    return bytes(flipped)
