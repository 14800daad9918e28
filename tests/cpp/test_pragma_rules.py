"""The checker of '#pragma HLS': each rule on a few lines that break it, and on right code."""

import pytest

from hls_pragmas import check
from hls_pragmas.source import SourceError, Statement, parse

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
    "a[0] = n;\n#pragma HLS PIPELINE": "PIPELINE must be before the statements of its function",
    "a[0] = n;\n#pragma HLS INLINE": "INLINE must be before the statements of its function",
    "#pragma HLS UNROLL": "UNROLL cannot be in a function, only in a loop",
    "#pragma HLS LOOP_TRIPCOUNT max=4": "LOOP_TRIPCOUNT cannot be in a function, only in a loop",
    "if (n) {\n#pragma HLS PIPELINE\n a[0] = 1;\n}": "PIPELINE cannot be in a branch",
    "{\n#pragma HLS INLINE\n n++;\n}": "INLINE cannot be in a region, only in a function",
    "a[0] =\n#pragma HLS EXPRESSION_BALANCE off\n n;": "EXPRESSION_BALANCE is inside a statement",
    "for (int i = 0; i < 4; i++)\n#pragma HLS UNROLL\n a[i] = 0;": "UNROLL is inside a statement",
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
    "int c = 0;\n#pragma HLS INTERFACE mode=ap_none port=n": "INTERFACE must be before the statements",
    "#pragma HLS INTERFACE mode=ap_vld port=a": "ap_vld on the array 'a' needs it partitioned completely",
    "#pragma HLS INTERFACE mode=ap_none port=n\n#pragma HLS INTERFACE mode=ap_vld port=n": "'n' for the second time",
    "#pragma HLS INTERFACE mode=ap_ovld port=b\n#pragma HLS ARRAY_PARTITION variable=b dim=0": "ap_ovld is for outputs",
    "#pragma HLS STREAM variable=a type=fifos": "STREAM: type: expected one of",
    "#pragma HLS STREAM variable=a[0]": "STREAM: variable: expected a name, found 'a[0]'",
    "#pragma HLS INLINE\n#pragma HLS DATAFLOW\n f(a, b, n);": "INLINE and DATAFLOW exclude each other in one function",
    "#pragma HLS BIND_STORAGE variable=a impl=bram": "BIND_STORAGE needs the option 'type'",
    "#pragma HLS DEPENDENCE variable=a false": "DEPENDENCE has no option 'false'",
    "#pragma HLS DEPENDENCE variable=a class=array type=inter": "class and variable exclude each other",
    "#pragma HLS FUNCTION_INSTANTIATE variable=z": "no variable 'z' was declared before",
    LOOP.replace("L:", "").format("#pragma HLS UNROLL"): "a loop with pragmas needs a label",
    LOOP.replace("i < 4", "i < n").format("#pragma HLS PIPELINE"): "a loop with pragmas needs constant bounds",
    LOOP.replace("int i = 0", "int i = n").format("#pragma HLS UNROLL"): "a loop with pragmas needs constant bounds",
    LOOP.format("    n++;\n#pragma HLS UNROLL"): "UNROLL must be before the statements of its loop",
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
    assert problem == "file.h:1: INLINE cannot be in a file, only in a function"


REGION = {  # body of a dataflow region 'void top(const int in[4], int out[4])' -> the one reason
    "int c[4];\n first(in, c);\n second(c, out);": None,
    "int c[4], d[4];\n first(in, c);\n second(c, d);\n second(d, out);": None,
    "int c[4] = {0};\n first(in, c);\n second(c, out);": "'c' must be a local variable without an initial value",
    "static int c[4];\n first(in, c);\n second(c, out);": "'c' must be a local variable without an initial value",
    "int c[4];\n first(in, c);\n if (in[0]) {\n }\n second(c, out);": "only declarations and calls may be",
    "int c[4];\n first(in, c);\n c[0]++;\n second(c, out);": "only declarations and calls may be",
    "int c[4];\n first(in, c);\n unknown(c, out);\n second(c, out);": "only declarations and calls may be",
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


def test_a_dataflow_region_returns_nothing():
    text = f"{PROCESSES}int top(const int in[4], int out[4]) {{\n#pragma HLS DATAFLOW\n first(in, out);\n}}\n"
    (problem,) = check({"top.cpp": text}, "top").problems
    assert problem == "top.cpp:17: dataflow: top must return void"


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
