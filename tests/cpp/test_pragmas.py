"""Every '#pragma HLS' in the kernels and in generated code: known, spelt right, and in the right place."""

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

import sparsepix as sp
import sparsepix_hls
from design_space import covering, options_of
from firmware_graphs import Builder, accumulator, design_of
from hls_pragmas import check
from hls_pragmas.source import SourceError, Statement, parse
from sparsepix_hls.cpp.writer import write_project
from sparsepix_hls.design.schedule import plan
from sparsepix_hls.design.select import make_design
from sparsepix_hls.ir.tensors import Constant
from sparsepix_ops.fixed_point import FixedPoint

ROOT = Path(__file__).parents[2]
KERNELS = ROOT / "hls/sparsepix_hls/kernels/include"
CLANG_FORMAT = str(Path(sys.executable).parent / "clang-format")
U8, S8 = FixedPoint(8, 2, signed=False), FixedPoint(8, 3)
SIXTH = (43, FixedPoint(6, -2, signed=False))


def lines_with_pragmas(files):
    """Directives by a plain search, which knows nothing of C++."""
    found = [re.findall(r"^[ \t]*#[ \t]*pragma[ \t]+HLS[ \t]+(\w+)", text, re.MULTILINE) for text in files.values()]
    return Counter(name.upper() for names in found for name in names)


def sources(directory):
    """All C++ but the number types; of these, what is ours has macros that no parser reads, and no pragma."""
    paths = [path for path in directory.rglob("*") if path.suffix in {".h", ".cpp"} and "ap_types" not in path.parts]
    files = {path.relative_to(directory).as_posix(): path.read_text() for path in paths}
    numbers = {name: files.pop(name) for name in list(files) if "native_types/" in name}
    assert lines_with_pragmas(numbers) == {}
    return files


# --- what must pass -------------------------------------------------------------------------------------------


def test_kernels():
    files = sources(KERNELS)
    report = check(files)
    assert report.problems == []
    assert report.pragmas == lines_with_pragmas(files)
    assert report.pragmas["UNROLL"] >= 60
    assert report.pragmas["INLINE"] >= 25
    assert report.pragmas["ARRAY_PARTITION"] >= 30
    assert report.pragmas["PIPELINE"] >= 1


def thresholds(builder, steps):
    raw = np.linspace(-500, 500, steps).astype(np.int64)
    return Constant(f"{builder.name}_steps", raw, FixedPoint(10, 4))


def shared_pairs():
    """Two kernel sizes on one list of pixels: one kernel map for each, one of them shared."""
    builder = Builder("shared", (2, 9, 8), U8).reduce(6, activity="any")
    for kernel, groups in (((3, 3), 1), ((3, 3), 2), ((5, 1), 1)):
        builder.conv(2, kernel, S8, accumulator(22, -11), S8, groups=groups).act(U8)
    return builder.flatten().dense(3, S8, accumulator(28, -11)).graph()


def two_pools():
    """Magnitude selection, convolutions before, between and behind two kinds of pools, Softmax."""
    builder = Builder("pools", (1, 12, 12), U8).reduce(7, selection="magnitude", activity="sum")
    builder.conv(2, (3, 3), S8, accumulator(22, -11)).act(U8)
    builder.pool((2, 3), accumulator(26, -17, signed=False), SIXTH).act(U8)
    builder.conv(3, (3, 1), S8, accumulator(22, -11), S8, "nonzero").act(U8)
    builder.strided(2, (3, 3), (2, 1), S8, accumulator(22, -11), S8).act(U8)
    builder.pool((2, 2), U8, over="cell").conv(1, (1, 1), S8, accumulator(22, -11)).act(S8, False, 3)
    return builder.flatten().head("Softmax", thresholds(builder, 1024)).graph()


def only_reduction():
    return Builder("pixels", (1, 4, 4), U8).reduce(3).graph()


def sigmoid_of_pixels():
    builder = Builder("logits", (1, 2, 3), S8).reduce(4, threshold_raw=-300).flatten()
    return builder.head("Sigmoid", thresholds(builder, 1023)).graph()


GRAPHS = (shared_pairs, two_pools, only_reduction, sigmoid_of_pixels)
PRESETS = {
    "neutrino": (20, {}),
    "jet": (12, {"head": True, "selection": "magnitude"}),
    "mnist": (20, {"head": True}),
    "digits": (5, {"bias_on": "nonzero"}),
}


def check_project(directory, top):
    """Check a project as a whole: the top function, the copied kernels, the testbench."""
    files = sources(directory)
    report = check(files, top)
    assert report.problems == []
    assert report.pragmas == lines_with_pragmas(files)
    firmware = files[f"firmware/{top}.cpp"]
    assert report.pragmas["ARRAY_PARTITION"] > lines_with_pragmas(sources(KERNELS))["ARRAY_PARTITION"] + 2
    assert not any(lines_with_pragmas({n: t}) for n, t in files.items() if n.startswith("tb/"))
    return report, firmware


@pytest.mark.parametrize("make", GRAPHS, ids=lambda make: make.__name__)
def test_written_projects(make, tmp_path):
    graph = make()
    zeros = [np.zeros((1, *tensor.shape), np.int64) for tensor in (graph.input, graph.output)]
    write_project(design_of(graph), tmp_path, "xcvu9p-flga2104-2L-e", 5.0, *zeros)
    report, _ = check_project(tmp_path, graph.name)
    one_process = make is only_reduction
    assert report.regions == report.pragmas["DATAFLOW"] == (0 if one_process else 1)
    assert report.pragmas["INTERFACE"] == 2


@pytest.mark.parametrize("values", covering(), ids=lambda values: "-".join(map(str, values)))
def test_written_designs(values, tmp_path):
    """Every kind of stage: the dataflow region is canonical, and the code is formatted as ours."""
    graph = shared_pairs()
    design, _ = make_design(graph, options_of(values, 6, 5))
    zeros = [np.zeros((1, *tensor.shape), np.int64) for tensor in (graph.input, graph.output)]
    write_project(design, tmp_path, "xcvu9p-flga2104-2L-e", 5.0, *zeros)
    report, firmware = check_project(tmp_path, graph.name)
    stages = plan(design)
    assert report.regions == 1
    assert report.pragmas["INTERFACE"] == (3 if design.io == "stream" else 2)
    assert firmware.count("rewind") >= sum(stage.rounds > 1 for stage in stages)
    files = [*tmp_path.glob("firmware/*.*"), *tmp_path.glob("firmware/weights/*.h"), *tmp_path.glob("tb/*.*")]
    command = [CLANG_FORMAT, f"--style=file:{ROOT / '.clang-format'}", "--dry-run", "-Werror"]
    done = subprocess.run([*command, *map(str, files)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[:3000]


@pytest.fixture(scope="module")
def presets(tmp_path_factory):
    folder = tmp_path_factory.mktemp("presets")
    for name, (max_pixels, options) in PRESETS.items():
        sp.export_onnx(getattr(sp.models, name)(max_pixels, **options), folder / f"{name}.onnx")
        sparsepix_hls.translate(folder / f"{name}.onnx", output_dir=folder / name, keep_head=True)
    return folder


@pytest.mark.parametrize("name", PRESETS)
def test_translated_presets(name, presets):
    """The top function is a canonical dataflow region of two processes, and each port has one interface."""
    report, firmware = check_project(presets / name, name)
    assert report.regions == 1
    assert sum(lines_with_pragmas({name: firmware}).values()) >= 15
    assert report.pragmas["INTERFACE"] == 2
    assert report.pragmas["DATAFLOW"] == 1


# --- what must be reported: in a generated project ------------------------------------------------------------

SPOILED = [
    # file, what stands there, what is written instead, reason
    ("jet.cpp", "HLS DATAFLOW\n", "HLS DATA_FLOW\n", "unknown directive 'DATA_FLOW'"),
    ("jet.cpp", "HLS PIPELINE II = 1", "HLS PIPELINE ii = 1", "PIPELINE has no option 'ii'"),
    ("jet.cpp", "mode = ap_none port = image", "mode = ap_none port = picture", "no parameter 'picture'"),
    ("jet.cpp", "variable = reduce_coords type", "variable = reduce_coord type", "variable 'reduce_coord' was"),
    ("jet.cpp", "INLINE off\n#pragma HLS PIPELINE", "INLINE\n#pragma HLS PIPELINE", "INLINE and PIPELINE exclude"),
    ("jet.cpp", "#pragma HLS DATAFLOW\n", "#pragma HLS PIPELINE II = 1\n", "this pipeline unrolls"),
    ("jet.cpp", "  jet_reduce(", "  image_copy = image;\n  jet_reduce(", "only declarations and calls may stand"),
    ("jet.cpp", "  jet_layers(", "  jet_reduce(image, reduce_features, reduce_coords);\n  jet_layers(", "2 producers"),
    ("sparsepix/dense.h", "DENSE_INPUT:\n", "\n", "a loop with pragmas needs a label"),
    ("sparsepix/dense.h", "o < OUTPUTS", "o < input[0]", "needs constant bounds"),
    ("sparsepix/dense.h", "variable = weight type = complete dim = 0", "variable = weight", "without dim only"),
    ("sparsepix/dense.h", " : sums[o];\n", " : sums[o];\n#pragma HLS UNROLL\n", "before"),
    ("sparsepix/select.h", "variable = tree type = complete", "variable = values complete", "no option 'complete'"),
]  # fmt: skip


@pytest.mark.parametrize(("file", "old", "new", "reason"), SPOILED, ids=range(len(SPOILED)))
def test_spoiled_projects(file, old, new, reason, presets):
    files = sources(presets / "jet")
    text = files[f"firmware/{file}"]
    assert old in text
    files[f"firmware/{file}"] = text.replace(old, new, 1)
    problems = check(files, "jet").problems
    assert problems
    assert all(problem.startswith("firmware/") for problem in problems)
    assert any(problem.startswith(f"firmware/{file}:") and reason in problem for problem in problems), problems


def test_each_pragma_of_the_kernels_is_looked_at():
    """Misspell each variable and move each pragma one line up: every such kernel is refused."""
    files = sources(KERNELS / "sparsepix")
    spoiled = 0
    for name, text in files.items():
        lines = text.splitlines()
        for i, line in enumerate(lines):
            wrong = []
            if "variable = " in line:
                wrong.append([*lines[:i], line.replace("variable = ", "variable = un"), *lines[i + 1 :]])
            elif line.startswith("#pragma HLS") and not lines[i - 1].startswith("#pragma"):
                wrong.append([*lines[: i - 1], line, lines[i - 1], *lines[i + 1 :]])
            for changed in wrong:
                spoiled += 1
                # Of the other files only the constants count.
                others = {other: files[other] for other in ("types.h", "kernel_map.h") if other != name}
                problems = check({name: "\n".join(changed), **others}).problems
                assert any(p.startswith(f"{name}:{i}:") or p.startswith(f"{name}:{i + 1}:") for p in problems), (
                    f"{name}:{i + 1}: {line} -> {problems}"
                )
    assert spoiled >= 120


# --- what must be reported: small snippets --------------------------------------------------------------------

LOOP = "L:\n  for (int i = 0; i < 4; i++) {{\n{}\n    a[i] = 0;\n  }}"
NESTED = LOOP.replace("{}", "#pragma HLS {}\nM:\n    for (int j = 0; j < {}; j++) {{\n#pragma HLS {}\n    }}")
BODY = {  # pragma or statements in the body of 'void top(int a[4], const int b[2][3], int n)' -> the one reason
    "#pragma HLS PIPELIN II=1": "unknown directive 'PIPELIN'",
    "#pragma HLS": "unknown directive ''",
    "#pragma HLS INLINE of": "INLINE has no option 'of'",
    "#pragma HLS INLINE off=1": "INLINE: off: takes no value, found '1'",
    "#pragma HLS PIPELINE II=0": "PIPELINE: II: expected 1 or more, found 0",
    "#pragma HLS PIPELINE II=fast": "II: expected a whole number or the name of a constant, found 'fast'",
    "#pragma HLS PIPELINE II=n": "II: expected a whole number or the name of a constant, found 'n'",
    "#pragma HLS PIPELINE II=2+1": "II: expected a whole number or the name of a constant, found '2+1'",
    "#pragma HLS PIPELINE II=1 II = 2": "PIPELINE has an option twice",
    "#pragma HLS PIPELINE II=": "PIPELINE: II: needs a value",
    "#pragma HLS PIPELINE\n#pragma HLS PIPELINE": "PIPELINE for the second time in one function",
    "#pragma HLS DATAFLOW\n#pragma HLS PIPELINE off\n f(a, b, n);": None,
    "a[0] = n;\n#pragma HLS PIPELINE": "PIPELINE must stand before the statements of its function",
    "a[0] = n;\n#pragma HLS INLINE": "INLINE must stand before the statements of its function",
    "#pragma HLS UNROLL": "UNROLL cannot stand in a function, only in a loop",
    "#pragma HLS LOOP_TRIPCOUNT max=4": "LOOP_TRIPCOUNT cannot stand in a function, only in a loop",
    "if (n) {\n#pragma HLS PIPELINE\n a[0] = 1;\n}": "PIPELINE cannot stand in a branch",
    "{\n#pragma HLS INLINE\n n++;\n}": "INLINE cannot stand in a region, only in a function",
    "a[0] =\n#pragma HLS EXPRESSION_BALANCE off\n n;": "EXPRESSION_BALANCE stands inside a statement",
    "for (int i = 0; i < 4; i++)\n#pragma HLS UNROLL\n a[i] = 0;": "UNROLL stands inside a statement",
    "#pragma HLS ARRAY_PARTITION type=complete": "ARRAY_PARTITION needs the option 'variable'",
    "#pragma HLS ARRAY_PARTITION variable=c": "no variable 'c' was declared before",
    "#pragma HLS ARRAY_PARTITION variable=later\n int later[2];": "no variable 'later' was declared before",
    "{ int c[2]; }\n#pragma HLS ARRAY_PARTITION variable=c": "no variable 'c' was declared before",
    "#pragma HLS ARRAY_PARTITION variable=shared": "no variable 'shared' was declared before",
    "#pragma HLS ARRAY_PARTITION variable=n": "'n' is no array",
    "#pragma HLS ARRAY_PARTITION variable=a type=completely": "type: expected one of ['block', 'complete', 'cyclic']",
    "#pragma HLS ARRAY_PARTITION variable=a type=block": "type = block needs a factor",
    "#pragma HLS ARRAY_PARTITION variable=a type=complete factor=2": "factor has no meaning with type = complete",
    "#pragma HLS ARRAY_PARTITION variable=a dim=-1": "dim: expected 0 or more, found -1",
    "#pragma HLS ARRAY_PARTITION variable=a dim=2": "'a' has 1 dimensions, and no dimension 2",
    "#pragma HLS ARRAY_PARTITION variable=b": "without dim only the first of the 2 dimensions of 'b' counts",
    "#pragma HLS ARRAY_PARTITION variable=a\n#pragma HLS ARRAY_PARTITION variable=a dim=1": "'a' for the second time",
    "#pragma HLS INTERFACE mode=ap_nine port=n": "INTERFACE: mode: expected one of",
    "#pragma HLS INTERFACE port=n": "INTERFACE needs the option 'mode'",
    "#pragma HLS INTERFACE ap_none port=n": "INTERFACE has no option 'ap_none'",
    "#pragma HLS INTERFACE mode=ap_none port=c": "the function has no parameter 'c'",
    "int c = 0;\n#pragma HLS INTERFACE mode=ap_none port=n": "INTERFACE must stand before the statements",
    "#pragma HLS INTERFACE mode=ap_vld port=a": "ap_vld on the array 'a' needs it partitioned completely",
    "#pragma HLS INTERFACE mode=ap_none port=n\n#pragma HLS INTERFACE mode=ap_vld port=n": "'n' for the second time",
    "#pragma HLS INTERFACE mode=ap_ovld port=b\n#pragma HLS ARRAY_PARTITION variable=b dim=0": "ap_ovld is for outputs",
    "#pragma HLS STREAM variable=a type=fifos": "STREAM: type: expected one of",
    "#pragma HLS BIND_STORAGE variable=a impl=bram": "BIND_STORAGE needs the option 'type'",
    "#pragma HLS DEPENDENCE variable=a false": "DEPENDENCE has no option 'false'",
    "#pragma HLS DEPENDENCE variable=a class=array type=inter": "class and variable exclude each other",
    "#pragma HLS FUNCTION_INSTANTIATE variable=z": "no variable 'z' was declared before",
    LOOP.replace("L:", "").format("#pragma HLS UNROLL"): "a loop with pragmas needs a label",
    LOOP.replace("i < 4", "i < n").format("#pragma HLS PIPELINE"): "a loop with pragmas needs constant bounds",
    LOOP.replace("int i = 0", "int i = n").format("#pragma HLS UNROLL"): "a loop with pragmas needs constant bounds",
    LOOP.format("    n++;\n#pragma HLS UNROLL"): "UNROLL must stand before the statements of its loop",
    LOOP.format("#pragma HLS PIPELINE\n#pragma HLS UNROLL"): "PIPELINE and UNROLL exclude each other in one loop",
    LOOP.format("#pragma HLS DATAFLOW\n#pragma HLS PIPELINE"): "PIPELINE and DATAFLOW exclude each other in one loop",
    NESTED.format("PIPELINE", "i", "UNROLL"): "a loop with pragmas needs constant bounds",
    NESTED.format("UNROLL", "9", "UNROLL factor=i"): "expected a whole number or the name of a constant, found 'i'",
    "W:\n while (n) {\n#pragma HLS PIPELINE\n }": "a loop with pragmas needs constant bounds",
    "#pragma HLS PIPELINE\n" + LOOP.format("#pragma HLS PIPELINE"): "this pipeline unrolls 'for",
    "#pragma HLS PIPELINE\n helper(a);": "this pipeline unrolls 'for",
}  # fmt: skip
HELPER = "static int shared[4];\nvoid helper(int a[4]) {\n  " + LOOP.format("#pragma HLS PIPELINE II = 1") + "\n}\n"
PROCESS = "void f(int a[4], const int b[2][3], int n) {\n#pragma HLS INLINE off\n a[n] = b[0][0];\n}\n"


def in_top(body):
    return {"top.cpp": f"{HELPER}{PROCESS}void top(int a[4], const int b[2][3], int n) {{\n{body}\n}}\n"}


@pytest.mark.parametrize(("body", "reason"), BODY.items(), ids=range(len(BODY)))
def test_snippets(body, reason):
    problems = check(in_top(body), "top").problems
    if reason is None:
        assert problems == []
    else:
        assert len(problems) == 1, problems
        assert reason in problems[0]
        assert problems[0].startswith("top.cpp:")


def test_interface_outside_of_the_top_function():
    files = in_top("#pragma HLS INTERFACE mode = ap_none port = n")
    assert check(files, "top").problems == []
    (problem,) = check(files, "other").problems
    assert problem == "top.cpp:14: INTERFACE belongs in the top function"
    (problem,) = check({"file.h": "#pragma HLS INLINE\nint x;\n"}).problems
    assert problem == "file.h:1: INLINE cannot stand in a file, only in a function"


REGION = {  # body of a dataflow region 'void top(const int in[4], int out[4])' -> the one reason
    "int c[4];\n first(in, c);\n second(c, out);": None,
    "int c[4], d[4];\n first(in, c);\n second(c, d);\n second(d, out);": None,
    "int c[4] = {0};\n first(in, c);\n second(c, out);": "'c' must be a local variable without an initial value",
    "static int c[4];\n first(in, c);\n second(c, out);": "'c' must be a local variable without an initial value",
    "int c[4];\n first(in, c);\n if (in[0]) {\n }\n second(c, out);": "only declarations and calls may stand",
    "int c[4];\n first(in, c);\n c[0]++;\n second(c, out);": "only declarations and calls may stand",
    "int c[4];\n first(in, c);\n unknown(c, out);\n second(c, out);": "only declarations and calls may stand",
    "int c[4], d[4];\n first(in, c);\n second(c, out);": "channel 'd' has 0 producers and 0 consumers",
    "int c[4], d[4];\n first(in, c);\n second(c, d);\n second(c, out);": "'c' has 1 producers and 2 consumers",
    "int c[4];\n second(c, out);\n first(in, c);": "'c' has 1 producers and 1 consumers, the consumer first",
    "int c[4];\n first(in, c);\n first(in, out);\n second(c, out);": "port",
    "int c[4];\n first(in, c);\n second(c + 1, out);": "argument 'c + 1' must be a channel or a port",
    "int c[4];\n first(in);\n second(c, out);": "first takes 2 arguments, found 1",
    "int c[4];\n small(in, c);\n second(c, out);": "small is inlined, so it is no process",
    "int c[4];\n answer(in, c);\n second(c, out);": "process answer must return void",
    "int c[4];\n second(out, c);\n first(c, in);": "'in' is const, and first writes it",
}  # fmt: skip
PROCESSES = "".join(
    f"{result} {name}(const int x[4], int y[4]) {{\n#pragma HLS INLINE {inline}\n y[0] = x[0];\n}}\n"
    for result, name, inline in (
        ("void", "first", "off"), ("void", "second", "off"), ("void", "small", ""), ("int", "answer", "off"),
    )
)  # fmt: skip


@pytest.mark.parametrize(("body", "reason"), REGION.items(), ids=range(len(REGION)))
def test_dataflow_regions(body, reason):
    text = f"{PROCESSES}void top(const int in[4], int out[4]) {{\n#pragma HLS DATAFLOW\n{body}\n}}\n"
    report = check({"top.cpp": text}, "top")
    assert report.regions == 1
    assert not report.problems if reason is None else any(reason in p for p in report.problems), report.problems


RIGHT = """
// #pragma HLS NONSENSE
/* #pragma HLS NONSENSE { */
#define BRACE "{ #pragma HLS NONSENSE"
namespace a::b {
enum class Kind { one, two };
constexpr int twice(int count) { return 2 * count; }
template <int SIZE, class Config = int, decltype(sizeof(0)) LAST = (SIZE > 1)>
inline Flags<(twice(SIZE))> f(const typename Config::type (&x)[3], Array<int, Pair<2, 3>> y[SIZE][2], int *const z) {
#pragma HLS inline
#pragma HLS ARRAY_PARTITION variable=y dim = 2 type = cyclic factor = Config::factor // twice
  const char brace = '{', quote = '\\'', *text = "}\\"";
  constexpr int COUNT = twice(SIZE) + 1;
  Array<int, Pair<2, 3>> local[COUNT], other[COUNT][2];
  static const int table[2] = {1, COUNT};
#pragma HLS BIND_STORAGE variable = table type = rom_1p impl = lutram \\
    latency = 2
#pragma HLS ARRAY_RESHAPE variable = other dim = 0
LEVEL:
  for (int level = COUNT - 1; level >= 0; level--) {
#pragma HLS UNROLL
    const int half = 1 << level;
  HALF:
    for (int i = 0; i < half && i < Config::size; i += 2) {
#pragma HLS UNROLL factor = SIZE skip_exit_check
      if (i < level) other[i][0] = local[i < 3 ? i : 0];
    }
  }
  for (int i = 0; i < *z; i++) other[i][1] = y[i][0];
  return x[0] < y[0][0] ? local : table;
}
struct S : Base {
  explicit S(int n) : n(n) {
#pragma HLS INLINE off
  }
  int n;
};
} // namespace a::b
"""


def test_right_code_passes():
    """Comments, strings, macros, continued lines and templates do not confuse the reader."""
    report = check({"right.h": RIGHT})
    assert report.problems == []
    expected = {"INLINE": 2, "ARRAY_PARTITION": 1, "BIND_STORAGE": 1, "ARRAY_RESHAPE": 1, "UNROLL": 2}
    assert report.pragmas == expected


@pytest.mark.parametrize("text", ["void f() {", "void f() {}}", "int a", "void f() { int a }", "int f(int a;"])
def test_text_that_is_no_cpp(text):
    with pytest.raises(SourceError):
        parse(text)


def test_lines_are_counted():
    block = parse("/* 1\n2 */ a;\n#define X \\\n  5\nchar c = '\\n'; // c\n#pragma HLS y\n{\nd;}")
    c, region = block.items[1], block.items[3]
    assert [item.line for item in block.items] == [2, 5, 6, 7]
    assert isinstance(c, Statement)
    assert c.node.text == rb"char c = '\n';"
    assert [item.line for item in region.items] == [8]
