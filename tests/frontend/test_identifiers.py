"""Names of a model never meet those of a language, a library, a header or our own sources."""

import itertools
import re
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.testing import assert_array_equal

from onnx_models import ModelBuilder, bases, whole_model
from sparsepix_hls import Options, translate
from sparsepix_hls.design.schedule import plan
from sparsepix_hls.design.select import make_design
from sparsepix_hls.frontend import reserved_names as reserved
from sparsepix_hls.frontend.identifiers import MOST_CHARACTERS, Names, identifier, top_identifier
from sparsepix_hls.frontend.reader import read_model
from sparsepix_hls.project.toolchain import ap_types_directory, find_compiler
from sparsepix_ops import reference

HEADERS = (
    "assert.h ctype.h errno.h fenv.h float.h inttypes.h limits.h locale.h math.h setjmp.h signal.h stdint.h stdio.h "
    "stdlib.h string.h time.h wchar.h wctype.h unistd.h fcntl.h pthread.h sched.h features.h sys/types.h sys/stat.h "
    "sys/time.h algorithm array atomic chrono cmath complex cstdint cstdio fstream functional iostream limits list map "
    "memory mutex numeric random regex set sstream string thread tuple vector ap_fixed.h ap_int.h"
)
ROLES = {
    "a top function": "void {safe}(const int *image, int (*output)[3]);",
    "a type": "typedef ap_int<3> {safe}_t;",
    "a configuration": "struct {safe}_config {{ static const int x = 1; }};",
    "a constant": "static const ap_int<3> {safe}_weight = 0;",
    "an array": "int in_function{number}() {{ int {safe}[3] = {{0}}; return {safe}[0]; }}",
}
WORD = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]*")
# The cases of the report, and others of their kinds.
HOSTILE = f"""
features math stdio M_PI UINT8_MAX valid pixel uint size_t size coords main NULL assert INT_MAX EOF reg logic wire std
hls sparsepix int class {"x" * 240} ünïcode 名前 a.b a_b A.B in out a1 v1 v1_1 I errno linux stdin ROUND LIST_PIXEL
active slot round image output image_t image_config x_to_y clk rst_n ready enable handed_on ap_int int8 uint64_t
FIRMWARE_NET_H SPARSEPIX_ROUNDS_H net net_layers net_reduce aux 0 __x
""".split()


def compiled(source, *flags):
    include = ["-std=c++14", "-isystem", str(ap_types_directory())]
    return subprocess.run(
        [*find_compiler(), *include, *flags, "-x", "c++", "-"],
        input=source,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def library():
    """Every identifier of the headers at hand, macros included, and each without its _t."""
    headers = "".join(f"#include <{header}>\n" for header in HEADERS.split())
    words = set(re.findall(r"\b[A-Za-z]\w*\b", compiled(headers, "-E", "-P").stdout))
    words |= set(re.findall(r"^#define ([A-Za-z]\w*)", compiled(headers, "-E", "-dM").stdout, re.MULTILINE))
    assert len(words) > 3000
    return headers, sorted(words | {word[:-2] for word in words if word.endswith("_t") and len(word) > 2})


@pytest.mark.gxx
@pytest.mark.parametrize("role", ROLES)
def test_no_name_of_the_library_is_taken(library, role):
    """The compiler at hand takes every name of its headers as ours, once it has gone through ``identifier``."""
    headers, words = library
    make = top_identifier if role == "a top function" else identifier
    lines = [ROLES[role].format(safe=safe, number=i) for i, safe in enumerate(sorted({make(w) for w in words}))]
    done = compiled(headers + "\n".join(lines), "-fsyntax-only", "-w", "-fmax-errors=5")
    assert done.returncode == 0, done.stderr[:2000]


def test_keywords():
    for word in (*reserved.CPP_KEYWORDS.split(), *reserved.VERILOG_KEYWORDS.split()):
        assert top_identifier(word) not in (word, "")
    assert identifier("class") == "class_v"
    assert identifier("ports") == "ports_v"  # a row of the tables beside those of the stages
    assert top_identifier("logic") == "logic_top"
    assert len(reserved.VERILOG_KEYWORDS.split()) > 200


@pytest.mark.parametrize("name", ["adder", "reduce_scan", "stage", "ports"])
def test_modules_have_the_name_of_their_design(tmp_path, name):
    """Two designs in one FPGA share no module, whatever they are called and whichever version wrote them."""
    path = ModelBuilder(height=4, width=4).image().reduce(2).flatten().dense("dense").save(tmp_path / f"{name}.onnx")
    project = translate(path, tmp_path / "net", backend="rtl")
    top = project.graph.name
    text = "\n".join(file.read_text() for file in sorted((project.directory / "rtl").glob("*.sv")))
    modules = re.findall(r"^module (\w+)", text, re.MULTILINE)
    assert len(set(modules)) == len(modules) > 10
    assert all(module == top or module.startswith(f"{top}_") for module in modules)


# The image and functions that are not in the scope of another value; stages of ours, whose names no layer's stage gets.
NEVER_MEET = re.compile(r"input|output|image|in_image|(layers|pairs|reduce|receive)(_[0-9]+)?")


def marked(model):
    """A model whose every name is a mark, to tell names of a model from ours in what is generated."""
    names = {}

    def mark(name):
        return names.setdefault(name, f"zq{len(names)}v")

    graph = model.graph
    for node in graph.node:
        node.input[:] = [mark(name) for name in node.input]
        node.output[:] = [mark(name) for name in node.output]
        node.name = mark(f"node {node.name.split('/')[0]}")
    for holder in (*graph.initializer, *graph.input, *graph.output):
        holder.name = mark(holder.name)
    return model


def words_of(files, members=False):
    """Identifiers of sources: comments, strings, members and what is in a namespace left out."""
    found = set()
    for path in files:
        text = re.sub(r"//.*|#(include|pragma|ifndef|endif|define).*|\"[^\"]*\"", "", path.read_text())
        text = re.sub(r"\d+'s?[hdb][0-9a-f]+", "", text)
        if not members:
            text = re.sub(r"\w+(::\w+)+|(static constexpr|typedef) .*", "", text)
        found |= set(WORD.findall(text))
    return found


@pytest.fixture(scope="module")
def generated(tmp_path_factory):
    """Words of the C++ and of the SystemVerilog of many designs."""
    folder = tmp_path_factory.mktemp("marked")
    cpp, verilog = set(), set()
    models = [onnx.ModelProto.FromString(data) for data in bases()] + [whole_model().model()]
    for number, model in enumerate(models):
        path = folder / f"zq{number}top.onnx"
        onnx.save(marked(model), path)
        designs = [
            ("hls", Options(reduce=reduce, io=io, conv=conv, reuse_factor=reuse))
            for reduce, io, conv, reuse in (
                ("scan", "parallel", "pairs", 1),
                ("scan", "parallel", "overlap", None),
                ("stream", "stream", "gather", 2),
                ("tree", "parallel", "auto", 2),
                ("scan", "stream", "auto", 2),
            )
            if conv != "overlap" or number in (0, 3, 4)
        ]
        designs += [("hls", Options(dense="adders"))]
        designs += [("rtl", Options(reduce="scan", scan_pixels=pixels, reuse_factor=pixels)) for pixels in (1, 2)]
        designs += [("rtl", Options(reduce="stream", reuse_factor=2))]
        designs += [(backend, Options(conv="stream", io="stream")) for backend in ("hls", "rtl")]
        for i, (backend, options) in enumerate(designs):
            target = folder / f"{number}_{i}"
            translate(path, target, backend=backend, options=options, keep_head=backend == "hls")
            if backend == "hls":
                cpp |= words_of([*target.glob("firmware/zq*.*"), target / "firmware" / "parameters.h"])
            else:
                verilog |= words_of(target.glob("rtl/zq*.sv"), members=True)
    return cpp, verilog


def test_our_own_names_are_taken(generated):
    """Of each word of ours in a generated source, and of what follows a prefix that names of a model get too."""
    for words, bare in zip(generated, (True, False), strict=True):
        marks = [word for word in words if "zq" in word]
        ours = {word for word in words if "zq" not in word}
        around = {tuple(re.split(r"zq\d+(?:v|top)", word, maxsplit=1)) for word in marks}
        around -= {("", "")} if not bare else set()
        assert len(around) > 10
        for before, after in around:
            for word in ours:
                inner = word[len(before) : len(word) - len(after)]
                if word.startswith(before) and word.endswith(after) and inner and len(word) > len(before) + len(after):
                    names = Names()
                    assert names.unique(inner) != inner or NEVER_MEET.fullmatch(inner), word


def test_pairs_of_names_never_meet():
    suffixes = ("_t", "_config", "_round", "_pairs_3x3", "_pairs_3x3_2", "_next", "_beat_t", "_logic_table0_5", "_sums")
    for suffix in suffixes:
        names = Names()
        assert names.unique("x") == "x"
        other = names.unique(f"x{suffix}")
        assert not any(other == f"x{s}" for s in suffixes)
    names = Names()
    assert names.unique("conv1") == "conv1"
    assert names.unique("Conv1") == "Conv1_2"  # files of both must be able to lie in one folder
    assert identifier("a_to_b") == "a_into_b"
    assert top_identifier("conv", ["conv.features"]) == "conv_top"


def test_stages_have_names_of_their_own():
    builder = ModelBuilder(height=4, width=4).image().reduce(2).conv("pairs").activation("a1").conv("reduce_2")
    builder.activation("a2").flatten().dense("layers").activation("a3").dense("receive")
    names = [
        stage.name
        for options in (Options(reuse_factor=2), Options(reuse_factor=2, io="stream"))
        for stage in plan(make_design(graph_of(builder), options)[0])
    ]
    assert {"pairs_rounds", "reduce_2_rounds", "layers_rounds", "receive_rounds"} <= set(names)
    assert max(names.count(name) for name in names) == 2  # once in each design


def graph_of(builder):
    with tempfile.TemporaryDirectory() as folder:
        return read_model(builder.save(Path(folder) / "net.onnx")).graph


def test_long_names_give_short_files(tmp_path):
    builder = ModelBuilder(height=4, width=4).image().reduce(2).conv("c" * 240).activation("d" * 240)
    path = builder.save(tmp_path / f"{'n' * 240}.onnx")
    for backend in ("hls", "rtl"):
        project = translate(path, tmp_path / backend, backend=backend)
        assert project.graph.name == "n" * MOST_CHARACTERS
        assert max(len(p.name) for p in (tmp_path / backend).rglob("*")) < 200


def hostile_model():
    """Layers, values and outputs with every one of the hostile names."""
    builder = ModelBuilder(height=4, width=4).image().reduce(2)
    names = iter(itertools.cycle(HOSTILE))
    model = builder.conv("c1").activation("a1").conv("c2").relu("r2").activation("a2").flatten().dense("d1").model()
    last = model.graph.output[0].name
    quantizer = next(node for node in model.graph.node if node.output[0] == "a1.features")
    for i in range(len(HOSTILE) // 2):
        node = model.graph.node.add()
        node.CopyFrom(quantizer)
        node.input[0], node.output[0], node.name = last, f"chain{i}", f"chain{i}"
        last = node.output[0]
    model.graph.output[0].name = last
    new = {}
    for node in model.graph.node:
        for name in node.output:
            new[name] = next(names)
        node.name = next(names)
    taken = set()
    for name, wanted in new.items():  # ONNX itself wants names of values to differ
        while wanted in taken:
            wanted += "'"
        taken.add(wanted)
        new[name] = wanted
    for node in model.graph.node:
        node.input[:] = [new.get(name, name) for name in node.input]
        node.output[:] = [new.get(name, name) for name in node.output]
    model.graph.input[0].name = "image input"
    model.graph.node[0].input[0] = "image input"
    model.graph.output[0].name = new[last]
    return model


@pytest.mark.gxx
@pytest.mark.parametrize("top", ["features", "math"])
def test_hostile_names_compile(tmp_path, top):
    path = tmp_path / f"{top}.onnx"
    onnx.save(hostile_model(), path)
    project = translate(path, tmp_path / "hls")
    project.compile()
    images = np.random.default_rng(0).random((20, 1, 4, 4))
    assert_array_equal(project.predict(images), reference.run(onnx.load(path), images).real)
    if top == "math":
        assert project.csim().mismatches == 0


@pytest.mark.verilator
def test_hostile_names_simulate(tmp_path):
    path = tmp_path / "valid.onnx"
    onnx.save(hostile_model(), path)
    project = translate(path, tmp_path / "rtl", backend="rtl")
    project.compile()
    images = np.random.default_rng(0).random((20, 1, 4, 4))
    assert_array_equal(project.predict(images), reference.run(onnx.load(path), images).real)
