"""Option files, testbench data and numeric options: what does not fit is refused, with its place."""

import io
import itertools
import json

import numpy as np
import pytest

from onnx_models import layers_with_options
from sparsepix_hls import LayerOptions, Options, translate
from sparsepix_hls.cli.main import main
from sparsepix_hls.design.options_file import read_options
from sparsepix_hls.project.testbench_data import load_images
from sparsepix_ops import SparsePixError

LAUGHS = "a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1]\n" + "".join(
    f"{outer}: &{outer} [{', '.join([f'*{inner}'] * 9)}]\n" for inner, outer in itertools.pairwise("abcdefgh")
)
YAML = {
    # a file: words of the message
    "a key twice": ("reduce: scan\nio: stream\nreduce: tree\n", ["key 'reduce'", "twice", "lines 1 and 3"]),
    "a key twice in a layer": ("layers:\n  conv1: {reuse_factor: 2, reuse_factor: 3}\n", ["'reuse_factor'", "2 and 2"]),
    "a layer twice": ("layers:\n  conv1: {}\n  a: {}\n  conv1: {}\n", ["key 'conv1'", "lines 2 and 4"]),
    "a key of another style": ('"reduce": scan\nreduce: tree\n', ["'reduce'", "lines 1 and 2"]),
    "a true number": ("reuse_factor: true\n", ["reuse_factor: expected a whole number, found True"]),
    "a half number": ("reuse_factor: 1.5\n", ["reuse_factor: expected a whole number, found 1.5"]),
    "a number as text": ('reuse_factor: "3"\n', ["expected a whole number, found '3'"]),
    "nothing": ("reuse_factor:\n", ["expected a whole number, found None"]),
    "a list": ("reduce: [scan]\n", ["reduce: expected a word, found ['scan']"]),
    "a word that is a bool": ("io: on\n", ["io: expected a word, found True"]),
    "a date": ("reduce: 2020-01-01\n", ["reduce: expected a word, found datetime.date"]),
    "an octal number": ("reuse_factor: 010\n", ["'010'", "decimal"]),
    "a number in base 60": ("reuse_factor: 1:30\n", ["'1:30'", "decimal"]),
    "30 digits": (f"reuse_factor: {10**30}\n", ["reuse_factor: expected at most 2,147,483,647", "1e+30"]),
    "10,000 digits": ("reuse_factor: 1" + "0" * 10000, ["expected YAML", "10001"]),
    "a python object": ("reduce: !!python/object/apply:os.system [ls]\n", ["expected YAML", "python/object"]),
    "a tag that does not fit": ("reuse_factor: !!int scan\n", ["'scan'", "decimal"]),
    "a set": ("layers: !!set {conv1}\n", ["layers: expected layer names"]),
    "bytes": ("reduce: !!binary aGk=\n", ["reduce: expected a word, found b'hi'"]),
    "deep nesting": ("[" * 5000, ["nested far too deeply"]),
    "deep maps": ("{a: " * 3000, ["nested far too deeply"]),
    "laughs": (LAUGHS, ["no option is called 'h'"]),
    "two documents": ("reduce: scan\n---\nreduce: tree\n", ["a single document"]),
    "a list of options": ("- reduce: scan\n", ["expected names and values"]),
    "a near key": ("reuse: 3\n", ["no option is called 'reuse'", "did you mean reuse_factor?"]),
    "a near key of a layer": ("layers: {conv1: {implementaton: pairs}}\n", ["conv1", "did you mean implementation?"]),
    "a key that is a number": ("1: scan\n", ["no option is called 1"]),
    "a layer that is a number": ("layers: {1: {reuse_factor: 2}}\n", ["expected the name of a layer, found 1"]),
    "a key that is a list": ("[a]: scan\n", ["expected YAML", "unhashable"]),
    "not UTF-8": (b"reduce: \xff\xfe\n", ["expected YAML", "utf-8"]),
    "a tab": ("\treduce: scan\n", ["expected YAML"]),
}  # fmt: skip


@pytest.fixture
def model(tmp_path):
    return layers_with_options().save(tmp_path / "net.onnx")


@pytest.mark.parametrize("fault", YAML)
def test_fault_of_an_option_file(tmp_path, capsys, model, fault):
    content, words = YAML[fault]
    path = tmp_path / "options.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert main([str(model), "-o", str(tmp_path / "out"), "--config", str(path)]) == 2
    message = capsys.readouterr().err
    assert message.startswith(f"error: {path}: ")
    assert len(message) < 2000
    for word in words:
        assert word in message, message
    assert sorted(p.name for p in tmp_path.iterdir()) == ["net.onnx", "options.yaml"]


def test_option_files_that_fit(tmp_path):
    path = tmp_path / "options.yaml"
    path.write_text("# nothing\n")
    assert read_options(path) == Options()
    path.write_text(
        "layers:\n  conv1: &same {reuse_factor: 2}\n  conv2: *same\n  conv3: {<<: *same, implementation: pairs}\n"
    )
    assert read_options(path).layers == {
        "conv1": LayerOptions(reuse_factor=2),
        "conv2": LayerOptions(reuse_factor=2),
        "conv3": LayerOptions("pairs", 2),
    }
    path.write_bytes(b"a" * (2 << 20))
    with pytest.raises(SparsePixError, match=r"2,097,152 bytes, more than 1,048,576"):
        read_options(path)


CLOCKS = ("0", "-1", "nan", "inf", "-inf", "1e-9", "0.49", "10001", "1e9", "1e300")


@pytest.mark.parametrize("backend", ["hls", "rtl"])
@pytest.mark.parametrize("clock", CLOCKS)
def test_clocks_that_no_fpga_has(tmp_path, capsys, model, clock, backend):
    for action in ((), ("--explore",)):
        assert main([str(model), "-o", str(tmp_path / "out"), f"--clock={clock}", "--backend", backend, *action]) == 2
        message = capsys.readouterr().err
        assert "clock: expected a number of nanoseconds, 0.5 ... 10000 (2 GHz" in message
        assert f"found {float(clock)}" in message
    assert [p.name for p in tmp_path.iterdir()] == ["net.onnx"]


@pytest.mark.parametrize("backend", ["hls", "rtl"])
def test_the_fastest_and_the_slowest_clock(tmp_path, model, backend):
    for clock in (0.5, np.float32(2.5), 7, 10_000):
        assert translate(model, tmp_path / "out", clock_ns=clock, backend=backend, force=True).graph.outputs


@pytest.mark.parametrize("option", ["reuse-factor", "target-interval", "pixels-per-cycle", "scan-pixels"])
@pytest.mark.parametrize("value", ["0", "-1", str(10**9), str(10**30), "-" + "9" * 30])
def test_numeric_options(tmp_path, capsys, model, option, value):
    """Too few are refused, and so are more than there is; a large reuse or target asks for less than there is."""
    for backend in ("hls", "rtl"):
        status = main([str(model), "-o", str(tmp_path / "out"), f"--{option}={value}", "--backend", backend, "--force"])
        message = capsys.readouterr().err
        if value == str(10**9) and option in ("reuse-factor", "target-interval"):
            assert (status, message) == (0, "")
        else:
            assert status == 2
            assert f"{option.replace('-', '_')}: expected" in message


@pytest.mark.parametrize("value", ["nan", "inf", "1e-9", "1.5", "", "x"])
def test_numbers_that_are_not_whole(model, capsys, value):
    with pytest.raises(SystemExit) as stopped:
        main([str(model), f"--reuse-factor={value}"])
    assert stopped.value.code == 2
    assert "invalid int value" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Options(reuse_factor=1.5), ["reuse_factor: expected a whole number, found 1.5"]),
        (lambda: Options(reuse_factor=True, scan_pixels="2"), ["reuse_factor", "True", "scan_pixels", "'2'"]),
        (lambda: Options(target_interval=float("nan")), ["target_interval", "nan"]),
        (lambda: Options(pixels_per_cycle=10**30), ["pixels_per_cycle", "at most 2,147,483,647"]),
        (lambda: Options(reduce=None, io=3), ["reduce: expected a word, found None", "io", "3"]),
        (lambda: Options(layers=["conv1"]), ["layers: expected LayerOptions by the names of layers"]),
        (lambda: Options(layers={"conv1": {"reuse_factor": 2}}), ["layers: 'conv1'", "LayerOptions"]),
        (lambda: LayerOptions(implementation=1, reuse_factor=2.0), ["implementation", "1", "reuse_factor", "2.0"]),
    ],
)
def test_options_from_python(make, words):
    with pytest.raises(SparsePixError) as error:
        make()
    for word in words:
        assert word in str(error.value)


def test_whole_numbers_of_numpy_are_numbers(tmp_path, model):
    options = Options(reuse_factor=np.int64(2), layers={"conv1": LayerOptions(reuse_factor=np.uint8(3))})
    assert type(options.reuse_factor) is type(options.layers["conv1"].reuse_factor) is int
    assert translate(model, tmp_path / "out", options=options).graph.outputs


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"clock_ns": "5"}, "clock: expected a number of nanoseconds, .* found '5'"),
        ({"clock_ns": None}, "clock: .* found None"),
        ({"clock_ns": True}, "clock: .* found True"),
        ({"part": ""}, "unknown part ''"),
        ({"part": None}, "part: expected a name such as xcvu9p, found None"),
        ({"part": "xcvu9p]; exec rm"}, "unknown part"),
        ({"part": "\u212acu250-figd2104-2L-e"}, "unknown part"),
        ({"options": {"reduce": "scan"}}, r"options: expected Options\(...\), found"),
        ({"backend": "vhdl"}, "backend: expected one of 'hls', 'rtl', found 'vhdl'"),
        ({"backend": ["hls"]}, "backend: expected one of"),
        ({"testbench_inputs": 5}, "testbench data: .*found"),
        ({"testbench_inputs": "images"}, "testbench data: .*found"),
        ({"testbench_inputs": [[1], [2, 3]]}, "testbench data: .*found"),
        ({"testbench_inputs": np.zeros((2, 1, 4, 4), dtype=object)}, "testbench data: .*dtype object"),
    ],
)
def test_settings_from_python(tmp_path, model, settings, words):
    with pytest.raises(SparsePixError, match=words):
        translate(model, tmp_path / "out", **settings)
    assert [p.name for p in tmp_path.iterdir()] == ["net.onnx"]


def npy(array=None, header=None, version=(1, 0)):
    if array is not None:
        file = io.BytesIO()
        np.lib.format.write_array(file, array, version=version)
        return file.getvalue()
    size = len(header).to_bytes(2 if version == (1, 0) else 4, "little")
    return b"\x93NUMPY" + bytes(version) + size + header.encode() + bytes(64)


def described(shape, kind="'<f4'"):
    return f"{{'descr': {kind}, 'fortran_order': False, 'shape': {shape}, }}"


IMAGES = np.random.default_rng(0).random((3, 1, 4, 4))


@pytest.mark.parametrize(
    "content",
    [
        npy(header=described((10**9, 10**9))),
        npy(header=described((10**30,))),
        npy(header=described((-1, 4))),
        npy(header=described((10**6, 1, 4, 4))),
        npy(header=described((2, 1, 4, 4), "'|O'")),
        npy(header="(" * 3000),
        npy(header="{'descr': " * 500, version=(3, 0)),
        npy(header="not a header"),
        npy(header=described((True,))),
        npy(IMAGES)[:-1],
        npy(IMAGES)[:70],
        b"\x93NUMPY",
        b"",
    ],
)
def test_npy_files_that_hold_no_images(tmp_path, capsys, model, content):
    path = tmp_path / "images.npy"
    path.write_bytes(content)
    assert main([str(model), "-o", str(tmp_path / "out"), "--testbench-data", str(path)]) == 2
    message = capsys.readouterr().err
    assert message.startswith(f"error: {path}: expected a .npy file with one array of numbers"), message
    assert sorted(p.name for p in tmp_path.iterdir()) == ["images.npy", "net.onnx"]


def test_an_archive_of_arrays(tmp_path, model):
    np.savez(tmp_path / "images.npz", IMAGES)
    with pytest.raises(SparsePixError, match="one array of numbers"):
        load_images(tmp_path / "images.npz")


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_npy_files_of_any_layout(tmp_path, model, version):
    """Byte order, order of axes and version of the header change no image."""
    expected = translate(model, tmp_path / "p", testbench_inputs=IMAGES).directory / "tb" / "data" / "inputs.dat"
    path = tmp_path / "images.npy"
    for array in (IMAGES, np.asfortranarray(IMAGES), IMAGES.astype(">f8")):
        path.write_bytes(npy(array, version=version))
        found = translate(model, tmp_path / "q", testbench_inputs=load_images(path), force=True).directory
        assert (found / "tb" / "data" / "inputs.dat").read_text() == expected.read_text()


def test_the_uncertainty_of_the_clock_goes_everywhere(tmp_path, model):
    words = ["--clock-uncertainty", "12", "-o", str(tmp_path / "out")]
    assert main([str(model), *words]) == 0
    assert "set clock_uncertainty 12%" in (tmp_path / "out/build.tcl").read_text()
    assert json.loads((tmp_path / "out/report.json").read_text())["clock_uncertainty"] == 12


@pytest.mark.parametrize("percent", [-1, 91])
def test_an_uncertainty_that_no_clock_has(tmp_path, model, percent):
    with pytest.raises(SparsePixError, match=f"clock_uncertainty: expected 0 ... 90 percent.*found {percent}"):
        translate(model, tmp_path / "out", options=Options(clock_uncertainty=percent))
