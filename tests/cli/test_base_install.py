"""A base install, without the packages of the extra 'train': messages name the extra, and what needs none works."""

import subprocess
import sys

import pytest

BLOCKED = """
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {names}:
            raise ModuleNotFoundError("No module named " + repr(name), name=name)

sys.meta_path.insert(0, Blocked())
"""
EXTRA = ("torch", "brevitas", "onnxscript", "onnxruntime", "sklearn", "h5py", "optuna", "qonnx")


def run(code, names=EXTRA):
    command = [sys.executable, "-c", BLOCKED.replace("{names}", repr(set(names))) + code]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("call", "what"),
    [
        ("from sparsepix.cli.export import main; sys.exit(main(['model.pt']))", "sparsepix-export needs torch"),
        ("from sparsepix.cli.train import main; sys.exit(main(['digits', '-o', 'x']))", "sparsepix-train needs torch"),
    ],
)
def test_commands_name_the_extra(call, what):
    done = run(call)
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {what}")
    assert "which are not installed: pip install 'sparsepix[train]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_help_and_version_work_without_it():
    done = run(
        "from sparsepix.cli import export as cli, train as train_cli\n"
        "for main in (cli.main, train_cli.main):\n"
        "    for option in ('--help', '--version'):\n"
        "        try: main([option])\n"
        "        except SystemExit as end: assert not end.code\n"
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_package_names_the_extra_and_gives_what_needs_none():
    done = run(
        "import sparsepix as sp\n"
        "assert str(sp.FixedPoint(8, 3)).startswith('ap_fixed<8, 3')\n"
        "for name in sp.__all__:\n"
        "    try: getattr(sp, name)\n"
        "    except ImportError as error:\n"
        "        assert isinstance(error, sp.SparsePixError)\n"
        "        assert str(error).startswith(f'sparsepix.{name} needs torch'), error\n"
        "        assert \"pip install 'sparsepix[train]'\" in str(error)\n"
        "    else: print(name)\n"
        "try: from sparsepix import training\n"
        "except ImportError as error: assert 'sparsepix.training needs torch' in str(error)\n"
        "assert not hasattr(sp, 'nothing')\n"
    )
    assert done.stderr == ""
    assert {"FixedPoint", "SparsePixError", "__version__", "datasets"} <= set(done.stdout.split())
    assert "load" not in done.stdout.split()


@pytest.mark.parametrize(
    ("package", "code", "what"),
    [
        ("sklearn", "sp.datasets.digits()", "the data set digits needs sklearn"),
        ("optuna", "sp.search", "sparsepix.training.search needs optuna"),
        ("h5py", "sp.compat.read_keras_file(sys.executable)", "reading a Keras file needs h5py"),
        ("brevitas", "sp.models.digits()", "sparsepix.models needs brevitas"),
    ],
)
def test_each_package_by_itself(package, code, what):
    done = run(f"import sparsepix as sp\ntry: {code}\nexcept sp.SparsePixError as error: print(error)", [package])
    assert done.stdout.startswith(f"{what}, which is not installed: pip install 'sparsepix[train]'"), done.stderr
