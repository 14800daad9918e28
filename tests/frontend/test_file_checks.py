"""What an ONNX file must hold before its numbers are read; each fault with its node and what to do."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.testing import assert_array_equal
from onnx import AttributeProto, TensorProto, helper, numpy_helper

from onnx_models import ModelBuilder, compare, whole_model
from sparsepix_hls import translate
from sparsepix_hls.cli.main import main
from sparsepix_hls.frontend.reader import read_model
from sparsepix_hls.project import size_checks
from sparsepix_ops import SparsePixError, bodies, reference
from sparsepix_ops.op import DOMAIN, QUANT_DOMAIN
from sparsepix_ops.ops.quant import OP as QUANT
from sparsepix_ops.registry import CUSTOM_OPS


def function(model, name):
    return next(f for f in model.functions if f.name == name)


def node(model, output):
    return next(n for n in model.graph.node if n.output[0] == output)


def tensor(model, name="conv1.weight"):
    return next(i for i in model.graph.initializer if i.name == name)


def other_tie(model):
    """Rounds down where the op rounds to the nearest."""
    next(n for n in function(model, "Quant").node if n.op_type == "Round").op_type = "Floor"


def other_default(model):
    found = function(model, "SparseConv2d").attribute_proto
    next(a for a in found if a.name == "bias_on").s = b"nonzero"


def function_of(model, name, domain):
    """A function that doubles what the op of this name gets."""
    add = helper.make_node("Add", ["x", "x"], ["y"])
    made = helper.make_function(domain, name, ["x"], ["y"], [add], [helper.make_opsetid("", 20)])
    model.functions.append(made)


def overloaded(model):
    copy = model.functions.add()
    copy.CopyFrom(function(model, "SparseConv2d"))
    copy.overload = "fast"
    node(model, "conv1.features").overload = "fast"


def opset(model, domain, version):
    next(o for o in model.opset_import if o.domain == domain).version = version


def raw(model, change):
    tensor(model).raw_data = change(tensor(model).raw_data)


def external(model, **keys):
    found = tensor(model)
    found.ClearField("raw_data")
    found.data_location = TensorProto.EXTERNAL
    for key, value in keys.items():
        found.external_data.add(key=key, value=value)


def rename(model, old, new):
    for found in model.graph.node:
        found.input[:] = [new if name == old else name for name in found.input]
        found.output[:] = [new if name == old else name for name in found.output]


def not_utf8(model):
    model.ParseFromString(model.SerializeToString().replace(b"conv1.features", b"conv1.featur\xff\xfe"))


def attributes_twice(model):
    found = node(model, "reduce.features").attribute
    found.append(next(a for a in found if a.name == "max_pixels"))


def subgraph(model):
    inner = onnx.GraphProto(name="inner")
    node(model, "conv1.features").attribute.append(helper.make_attribute("then_branch", inner))


def sparse(model):
    indices = TensorProto(name="i", data_type=TensorProto.INT64, dims=[1], int64_data=[0])
    values = numpy_helper.from_array(np.ones(1, dtype=np.float32), "s")
    model.graph.sparse_initializer.append(onnx.SparseTensorProto(values=values, indices=indices, dims=[4]))


def add_output(model, name):
    model.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))


def outside(model):
    external(model, location="../secret.bin", offset="0", length="72")


FAULTS = {
    # what is done to a whole model: words of the message
    "another body": (other_tie, ["image/Quant, conv1/Quant", "not that of qonnx.custom_op.general::Quant"]),
    "another default in a body": (other_default, ["conv1/SparseConv2d", "function body"]),
    "a body cut short": (lambda m: function(m, "SparseFlatten").node.pop(), ["flatten/SparseFlatten", "function body"]),
    "a function for a standard op": (lambda m: function_of(m, "Relu", ""), ["act1/Relu", "standard op", "remove it"]),
    "one that bodies use": (lambda m: function_of(m, "Floor", "ai.onnx"), ["Floor", "standard op", "remove it"]),
    "an overload": (overloaded, ["conv1/SparseConv2d", "no overload", "'fast'"]),
    "an unknown version of our ops": (
        lambda m: opset(m, DOMAIN, 2),
        ["version 2 of the ops of sparsepix_ops", "expected 1"],
    ),
    "an unknown version of Quant": (
        lambda m: opset(m, QUANT_DOMAIN, 9),
        ["version 9", QUANT_DOMAIN, "expected 1 ... 2"],
    ),
    "new standard ops": (
        lambda m: opset(m, "", 99),
        ["version 99 of the standard ops", "13 ... 28", "version_converter"],
    ),
    "old standard ops": (lambda m: opset(m, "", 7), ["version 7 of the standard ops", "13 ... 28"]),
    "a version twice": (
        lambda m: m.opset_import.append(helper.make_opsetid("ai.onnx", 11)),
        ["standard ops", "2 times"],
    ),
    "the version of a body": (
        lambda m: setattr(function(m, "SparseConv2d").opset_import[0], "version", 18),
        ["conv1/SparseConv2d", "version 18", "19 ... 28"],
    ),
    "an unknown attribute": (
        lambda m: node(m, "conv1.features").attribute.append(helper.make_attribute("dilation", 2)),
        ["conv1/SparseConv2d", "'dilation' is not one of", "bias_on"],
    ),
    "an attribute twice": (attributes_twice, ["reduce/InputReduce", "'max_pixels' is given 2 times"]),
    "an attribute of a function": (
        lambda m: setattr(node(m, "reduce.features").attribute[0], "ref_attr_name", "n"),
        ["reduce/InputReduce", "refers to one of a function"],
    ),
    "an attribute of another type": (
        lambda m: setattr(node(m, "reduce.features").attribute[0], "type", AttributeProto.FLOAT),
        ["reduce", "max_pixels"],
    ),
    "a subgraph": (subgraph, ["conv1/SparseConv2d", "holds a graph", "branches"]),
    "too few bytes": (lambda m: raw(m, lambda d: d[:-5]), ["conv1.weight", "takes 72 bytes, found 67", "damaged"]),
    "too many bytes": (lambda m: raw(m, lambda d: d + b"1234"), ["conv1.weight", "takes 72 bytes, found 76"]),
    "a larger shape": (
        lambda m: tensor(m).dims.__setitem__(slice(0, 4), [10**6, 10**6]),
        ["conv1.weight", "4,000,000,000,000 bytes, found 72"],
    ),
    "a negative shape": (lambda m: tensor(m).dims.__setitem__(0, -2), ["conv1.weight", "negative", "[-2, 1, 3, 3]"]),
    "an unknown element type": (lambda m: setattr(tensor(m), "data_type", 99), ["conv1.weight", "99 (unknown)"]),
    "strings": (lambda m: setattr(tensor(m), "data_type", 8), ["conv1.weight", "numbers", "STRING"]),
    "sparse weights": (sparse, ["sparse_initializer", "plain tensors"]),
    "weights outside the folder": (outside, ["conv1.weight", "in the folder of the file", "'../secret.bin'"]),
    "weights at an absolute path": (lambda m: external(m, location="/etc/passwd"), ["in the folder", "'/etc/passwd'"]),
    "weights that are missing": (lambda m: external(m, location="w.bin"), ["conv1.weight", "'w.bin'", "no such file"]),
    "weights in a short file": (
        lambda m: external(m, location="short.bin", offset="0", length="72"),
        ["conv1.weight", "takes 72 bytes, found 10 in 'short.bin'"],
    ),
    "weights at no number": (lambda m: external(m, location="short.bin", offset="x"), ["conv1.weight", "no number"]),
    "a name of bytes": (not_utf8, ["the name of a value is not UTF-8", "\\xff"]),
    "a weight without a name": (lambda m: setattr(tensor(m), "name", ""), ["a weight has no name"]),
    "a control character": (lambda m: rename(m, "conv1.features", "a\nb"), ["control characters", "'a\\nb'"]),
    "two weights of a name": (lambda m: m.graph.initializer.append(tensor(m)), ["'conv1.weight'", "2 weights"]),
    "two nodes of a result": (lambda m: rename(m, "conv2.features", "conv1.features"), ["conv1.features"]),
    "an input as an output": (lambda m: add_output(m, "image"), ["image", "a layer computes", "an input of the model"]),
    "a constant as an output": (lambda m: add_output(m, "conv1.weight"), ["conv1.weight", "a constant or nothing"]),
    "an output twice": (lambda m: add_output(m, "dense2.output"), ["'dense2.output'", "2 outputs"]),
    "no output of a node": (lambda m: node(m, "conv1.features").output.pop(), ["conv1/SparseConv2d", "has no output"]),
    "an image of strings": (lambda m: setattr(m.graph.input[0].type.tensor_type, "elem_type", 8), ["image", "STRING"]),
    "an image without pixels": (
        lambda m: setattr(m.graph.input[0].type.tensor_type.shape.dim[2], "dim_value", 0),
        ["image: expected an image with pixels and channels", "[None, 1, 0, 8]"],
    ),
    "a rank of 3": (lambda m: m.graph.input[0].type.tensor_type.shape.dim.pop(), ["reduce/InputReduce", "4 axes"]),
    "nodes out of order": (lambda m: m.graph.node.insert(0, m.graph.node.pop()), ["topological"]),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_fault_of_a_file(tmp_path, capsys, fault):
    change, words = FAULTS[fault]
    model = whole_model().model()
    change(model)
    path = tmp_path / "net.onnx"
    path.write_bytes(model.SerializeToString())
    (tmp_path / "short.bin").write_bytes(b"0" * 10)
    for backend in ("hls", "rtl"):
        status = main([str(path), "-o", str(tmp_path / "out"), "--backend", backend])
        message = capsys.readouterr().err
        assert status == 2
        assert message.startswith(f"error: {path}: "), message
        for word in words:
            assert word in message, message
    assert sorted(p.name for p in tmp_path.iterdir()) == ["net.onnx", "short.bin"]


def test_every_problem_of_a_file_at_once(tmp_path):
    model = whole_model().model()
    for change in (other_tie, other_default, lambda m: raw(m, lambda d: d[:-1]), lambda m: opset(m, DOMAIN, 3)):
        change(model)
    path = tmp_path / "net.onnx"
    onnx.save(model, path)
    with pytest.raises(SparsePixError) as error:
        read_model(path)
    assert len(error.value.problems) == 4


def test_bodies_that_mean_the_same():
    """Names of values, order and comments do not matter; one op, attribute or wire does."""
    for op in (*CUSTOM_OPS, QUANT):
        expected = bodies.digest(op.function())
        made = op.function()
        names = {name: f"value{i}" for i, name in enumerate(n for x in made.node for n in x.output)}
        for found in made.node:
            found.doc_string = "a comment"
            found.input[:] = [names.get(name, name) for name in found.input]
            found.output[:] = [names[name] for name in found.output]
        made.output[:] = [names[name] for name in made.output]
        ends = [n for n in made.node if n.op_type == "Constant"]
        others = [n for n in made.node if n.op_type != "Constant"]
        moved = onnx.FunctionProto()
        moved.CopyFrom(made)
        del moved.node[:]
        moved.node.extend([*ends[::-1], *others])
        assert bodies.digest(moved) == expected
        for change in ("node", "op_type", "input"):
            broken = op.function()
            last = broken.node[-1]
            if change == "node":
                del broken.node[0]
            elif change == "op_type":
                last.op_type = "Sub" if last.op_type != "Sub" else "Add"
            else:
                last.input[0] = broken.node[0].output[0]
            assert bodies.digest(broken) != expected, (op.name, change)


def test_files_of_an_earlier_version(tmp_path):
    """The first convolutions had no groups; a node that has some is refused with such a body."""
    model = whole_model().model()
    old = onnx.parser.parse_function((Path(__file__).parent / "earlier_sparse_conv2d.txt").read_text())
    for i, found in enumerate(model.graph.node):
        found.name = f"{found.name}/{i}"
        if found.op_type == "SparseConv2d":
            found.attribute.remove(next(a for a in found.attribute if a.name == "group"))
    function(model, "SparseConv2d").CopyFrom(old)
    onnx.save(model, tmp_path / "old.onnx")
    assert read_model(tmp_path / "old.onnx").graph.outputs
    images = np.random.default_rng(0).random((4, 1, 8, 8)).astype(np.float32)
    expected = reference.run(model, images).real
    compare(tmp_path / "old.onnx", images, {"dense2.output": expected})
    node(model, "conv1.features").attribute.append(helper.make_attribute("group", 1))
    onnx.save(model, tmp_path / "mixed.onnx")
    with pytest.raises(SparsePixError, match=r"conv1/SparseConv2d/.*'group' is not known to the function body"):
        read_model(tmp_path / "mixed.onnx")


def test_weights_in_another_file(tmp_path):
    plain = whole_model().save(tmp_path / "plain.onnx")
    expected = read_model(plain).graph
    onnx.save(onnx.load(plain), tmp_path / "apart.onnx", save_as_external_data=True, location="w.bin", size_threshold=0)
    found = read_model(tmp_path / "apart.onnx").graph
    for one, other in zip(found.layers, expected.layers, strict=True):
        if hasattr(one, "weight"):
            assert_array_equal(one.weight.raw, other.weight.raw)


def test_a_weight_that_may_be_overridden(tmp_path):
    """ONNX Runtime takes another value for it from whoever runs the file: the firmware cannot."""
    model = whole_model().model()
    found = tensor(model)
    model.graph.input.append(helper.make_tensor_value_info(found.name, found.data_type, list(found.dims)))
    onnx.save(model, tmp_path / "net.onnx")
    (notice,) = [n for n in read_model(tmp_path / "net.onnx").notices if "conv1.weight" in n]
    assert "input" in notice
    assert "the firmware has the value of the file" in notice


@pytest.mark.parametrize("backend", ["hls", "rtl"])
@pytest.mark.parametrize(
    ("height", "max_pixels", "words"),
    [
        (10**6, 5, ["reduce", "32 images of 1x1000000x1000000", "1.4 PiB"]),
        (10**5, 10**9, ["the pairs of 1,000,000,000 pixels", "EiB", "use fewer max_pixels", "a smaller image"]),
    ],
)
def test_no_memory_for_an_image(tmp_path, height, max_pixels, words, backend):
    model = ModelBuilder(height=height, width=height).image().reduce(max_pixels).conv().activation()
    path = model.save(tmp_path / "net.onnx")
    with pytest.raises(SparsePixError) as error:
        translate(path, tmp_path / "out", backend=backend)
    for word in ("does not fit into memory", "of memory, found", *words):
        assert word in str(error.value)
    assert not (tmp_path / "out").exists()


def test_no_memory_for_the_operations(tmp_path, monkeypatch):
    path = whole_model().save(tmp_path / "net.onnx")
    monkeypatch.setattr(size_checks, "available_bytes", lambda: 100_000)
    with pytest.raises(SparsePixError, match=r"conv2: about 37 operations .* 108.4 KiB of memory, found 97.7") as error:
        size_checks.check_rtl_memory(design_of(path))
    assert "reuse_factor" in str(error.value)
    monkeypatch.setattr(size_checks, "available_bytes", lambda: 10**9)
    size_checks.check_rtl_memory(design_of(path))


def design_of(path):
    from sparsepix_hls.flow.backends import backend_design, find_backend

    return backend_design(read_model(path).graph, None, 5.0, find_backend("rtl"))[0]


def test_sizes_as_text():
    found = [size_checks.size_text(n) for n in (0, 1023, 1024, 7 * 2**40, 2**80)]
    assert found == ["0 bytes", "1023 bytes", "1.0 KiB", "7.0 TiB", "1,048,576.0 EiB"]


@pytest.mark.parametrize("kind", ["relu", "activation", "cast", "identity"])
def test_chains_of_thousands_of_nodes(tmp_path, kind):
    builder = ModelBuilder(height=4, width=4).image().reduce(2)
    for i in range(1500):
        if kind == "cast":
            builder.cast(TensorProto.FLOAT, f"c{i}")
        elif kind == "identity":
            builder.value = builder.node("Identity", [builder.value], [f"i{i}"])
        else:
            getattr(builder, kind)(f"a{i}")
    path = builder.save(tmp_path / "net.onnx")
    layers = len(read_model(path).graph.layers)
    assert layers == (1501 if kind in ("relu", "activation") else 1)
    if kind == "relu":
        assert translate(path, tmp_path / "hls").graph.outputs


def test_a_chain_too_long_for_da4ml(tmp_path):
    builder = ModelBuilder(height=4, width=4).image().reduce(2)
    for i in range(500):
        builder.value = builder.node("Add", [builder.value, builder.value], [f"a{i}"])
        builder.activation(f"q{i}")
    path = builder.save(tmp_path / "net.onnx")
    with pytest.raises(SparsePixError, match=r"chain of operations is too long for da4ml.*--backend hls"):
        translate(path, tmp_path / "rtl", backend="rtl")
    assert not (tmp_path / "rtl").exists()
