"""Options are declared once: the commands, the YAML file and explored designs say the same names and defaults."""

import inspect
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Literal

import pytest
import yaml

from sparsepix.cli import train_arguments
from sparsepix.training.run_options import FIT_OPTIONS, RunOptions
from sparsepix_hls import Options, translate
from sparsepix_hls.cli import arguments
from sparsepix_hls.design.options_file import read_options
from sparsepix_hls.flow.backends import BACKENDS
from sparsepix_hls.flow.explore import command
from sparsepix_ops.system.options import as_words, option, options_of, with_help

DESIGNS = [
    Options(),
    Options(reduce="stream", pixels_per_cycle=4, io="stream", conv="pairs", flatten="lookup", dense="adders"),
    Options(scan_pixels=2, reuse_factor=3),
    Options(target_interval=70),
]


@pytest.mark.parametrize("options", DESIGNS)
def test_options_of_a_design_as_words_and_as_yaml(tmp_path, options):
    words = command(options, "rtl").split()
    assert words[:2] == ["--backend", "rtl"]
    found = arguments.parse(["net.onnx", *words])
    assert Options(**found.design) == options
    assert found.backend == "rtl"
    given = {one.name: getattr(options, one.name) for one in options_of(Options)}
    (tmp_path / "design.yaml").write_text(yaml.safe_dump({k: v for k, v in given.items() if v is not None}))
    assert read_options(tmp_path / "design.yaml") == options


def test_defaults_of_the_command_are_those_of_translate():
    parameters = inspect.signature(translate).parameters
    found = arguments.parse(["net.onnx"])
    assert (found.part, found.clock, found.backend) == tuple(
        parameters[name].default for name in ("part", "clock_ns", "backend")
    )
    assert (found.force, found.keep_head) == (parameters["force"].default, parameters["keep_head"].default)
    (backend,) = (one for one in options_of(arguments.Translate) if one.name == "backend")
    assert backend.choices == BACKENDS


def test_a_run_has_the_defaults_of_its_dataclass():
    found = train_arguments.parse(["digits", "-o", "run"])
    assert found == train_arguments.Train(Path("run"), run={"preset": "digits"})
    assert {one.name for one in options_of(RunOptions)} == {part.name for part in fields(RunOptions)}
    assert sorted(FIT_OPTIONS) == sorted(
        ["epochs", "batch_size", "learning_rate", "seed", "label_smoothing", "schedule", "penalties", "monitor",
         "patience", "float_epochs", "weight_decay"]
    )  # fmt: skip


def test_options_of_a_run_are_read_by_kind():
    words = "jet --data a b --bits float --channels 2 3 --penalty budget=1 --penalty ebops=1e-7 --patience 4"
    found = train_arguments.parse([*words.split(), "-o", "x", "--space", "bits=4,6", "--space", "channels=1"])
    assert found.run == {
        "preset": "jet", "data": ("a", "b"), "bits": None, "channels": (2, 3),
        "penalties": {"budget": 1.0, "ebops": 1e-7}, "patience": 4,
    }  # fmt: skip
    assert found.space == (("bits", ["4", "6"]), ("channels", ["1"]))
    assert RunOptions(**found.run).bits is None


def test_options_of_a_run_are_checked_before_torch_is_loaded():
    code = (
        "import sys\nfrom sparsepix.cli.train import main\n"
        "assert main(['digits', '-o', 'x', '--bits', '1', '--epochs', '0']) == 2\n"
        "assert not {'torch', 'optuna', 'brevitas'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "bits must be 2 ... 16 or float, found 1" in done.stderr


def test_what_a_field_declares():
    @dataclass(frozen=True)
    class Some:
        where: str = option(help="a place", flags=())
        many_of: tuple[int, ...] = option((), low=1, metavar="N")
        how: Literal["so", "thus"] | None = option(None)
        named: Mapping[str, float] = option({}, flags=("-n", "--named"))
        plain: int = field(default=3)
        rate: float = option(0.5, "a rate (default: %(default)s)")

    assert "how (so, thus): " in with_help(Some).__doc__
    where, many, how, named, rate = options_of(Some)
    assert (where.default, where.flags, where.help) == (MISSING, (), "a place")
    assert (many.kind, many.several, many.flags, many.low) == (int, True, ("--many-of",), 1)
    assert (how.kind, how.optional, how.choices) == (str, True, ("so", "thus"))
    assert (named.kind, named.default, named.flags) == (Mapping, {}, ("-n", "--named"))
    assert (rate.kind, rate.help) == (float, "a rate (default: 0.5)")
    assert Some("x").named is not Some("y").named
    assert as_words(Some("x", how="so", rate=1.5))[-2:] == ["--how so", "--rate 1.5"]
