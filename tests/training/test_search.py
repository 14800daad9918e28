"""The search: what it tries, keeps, and records; on few digits, and mostly with a made-up cost in place of firmware."""

import csv
from dataclasses import replace

import optuna
import pytest
import torch

import sparsepix as sp
from sparsepix.cli import train as train_cli
from sparsepix.cost.firmware_estimate import FirmwareEstimate
from sparsepix.datasets import Dataset, Split, digits
from sparsepix.training import search as search_module
from sparsepix.training.runs import RunOptions, build_model
from sparsepix.training.search import pareto_front, search
from sparsepix.training.search_space import SPACE, parse_space

CPU = torch.device("cpu")
OPTIONS = RunOptions("digits", epochs=1, learning_rate=1e-2, batch_size=16)
SMALL = {"max_pixels": (4, 8), "bits": (8,), "selection": ("raster", "magnitude"), "channels": (1, 2)}


def few_digits():
    whole = digits()
    parts = (Split(part.images[:60], part.labels[:60]) for part in (whole.train, whole.validation, whole.test))
    return Dataset("few digits", whole.classes, *parts)


@pytest.fixture(scope="module")
def data():
    return few_digits()


def made_up_cost(model):
    """Fewer slots are faster, more channels are larger."""
    slots, channels = model.architecture.max_pixels, model.architecture.layers[0].out_channels
    return FirmwareEstimate(10 + slots, slots, 100 * slots * channels, 7, 0)


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(search_module, "firmware_estimate", made_up_cost)


def rows(folder):
    with (folder / "trials.csv").open() as file:
        return list(csv.DictReader(file))


def test_search_keeps_the_pareto_front(tmp_path, data, quick):
    folder = tmp_path / "study"
    found = search(OPTIONS, data, folder, 7, CPU, space=SMALL)
    assert len(found.trials) == len(rows(folder)) == 7
    points = {}
    for trial, row in zip(found.trials, rows(folder), strict=True):
        assert row["state"] == "complete"
        assert int(row["latency_cycles"]) == trial.values[1] == 10 + int(row["max_pixels"])
        assert int(row["lut"]) == trial.values[2] == 100 * int(row["max_pixels"]) * int(row["channels1"])
        assert float(row["accuracy"]) == trial.values[0]
        assert int(row["front"]) == (trial.number in found.front)
        points[trial.number] = (-trial.values[0], *trial.values[1:])
    for number, point in points.items():
        beaten = any(
            all(a <= b for a, b in zip(other, point, strict=True)) and (other != point or k < number)
            for k, other in points.items()
            if k != number
        )
        assert beaten != (number in found.front)
    kept = sorted(path.name for path in (folder / "models").iterdir())
    assert kept == [f"trial_{number:04}.pt" for number in sorted(found.front)]
    for number in found.front:
        model = sp.load(folder / "models" / f"trial_{number:04}.pt")
        trial = found.trials[number]
        assert model.architecture.max_pixels == trial.params["max_pixels"]
        assert model.architecture.selection == trial.params["selection"]
        reached = sp.training.accuracy(sp.training.predict(model, data.validation.images), data.validation.labels)
        assert reached == trial.values[0]
    assert (folder / "pareto.png").stat().st_size > 5000


def test_a_search_goes_on(tmp_path, data, quick):
    folder = tmp_path / "study"
    first = search(OPTIONS, data, folder, 2, CPU, space=SMALL)
    both = search(OPTIONS, data, folder, 2, CPU, space=SMALL)
    assert [trial.number for trial in both.trials] == [0, 1, 2, 3]
    assert [trial.params for trial in both.trials[:2]] == [trial.params for trial in first.trials]
    with pytest.raises(sp.SparsePixError, match="epochs: 1 there, 2 now") as error:
        search(replace(OPTIONS, epochs=2), data, folder, 1, CPU, space={**SMALL, "bits": (6,)})
    assert "space" in str(error.value)
    assert "max_pixels" not in str(error.value).replace("'max_pixels'", "")


def test_the_same_model_is_not_trained_twice(tmp_path, data, quick, monkeypatch):
    trained = []
    fit = search_module.fit
    monkeypatch.setattr(search_module, "fit", lambda *a, **k: trained.append(None) or fit(*a, **k))
    one = {"max_pixels": (4,), "bits": (8,), "selection": ("raster",), "channels": (1,)}
    found = search(OPTIONS, data, tmp_path / "study", 3, CPU, space=one)
    assert len(trained) == 1
    assert len({tuple(trial.values) for trial in found.trials}) == 1
    assert found.front == (0,)


def test_failed_trials_are_recorded_and_stop_nothing(tmp_path, data, monkeypatch):
    def fails_for_two_channels(model):
        if model.architecture.layers[0].out_channels == 2:
            raise RuntimeError("no such part, 'x'")
        return made_up_cost(model)

    monkeypatch.setattr(search_module, "firmware_estimate", fails_for_two_channels)
    folder = tmp_path / "study"
    found = search(OPTIONS, data, folder, 6, CPU, space=SMALL)
    states = {(row["channels1"], row["state"], row["reason"]) for row in rows(folder)}
    assert states == {("1", "complete", ""), ("2", "fail", "RuntimeError: no such part, 'x'")}
    assert all(found.trials[number].params["channels1"] == 1 for number in found.front)
    with pytest.raises(sp.SparsePixError, match=r"every trial has failed; the last: trial 1: .*no such part"):
        search(OPTIONS, data, tmp_path / "other", 2, CPU, space={**SMALL, "channels": (2,)})
    assert [row["state"] for row in rows(tmp_path / "other")] == ["fail", "fail"]


def test_an_interrupted_trial(tmp_path, data, monkeypatch):
    folder, count = tmp_path / "study", []

    def interrupted(model):
        count.append(None)
        if len(count) == 2:
            raise KeyboardInterrupt
        return made_up_cost(model)

    monkeypatch.setattr(search_module, "firmware_estimate", interrupted)
    with pytest.raises(KeyboardInterrupt):
        search(OPTIONS, data, folder, 3, CPU, space=SMALL)
    assert [row["state"] for row in rows(folder)] == ["complete"]
    found = search(OPTIONS, data, folder, 2, CPU, space=SMALL)
    assert [row["state"] for row in rows(folder)] == ["complete", "fail", "complete", "complete"]
    assert 1 not in found.front


def test_two_machines_share_a_storage(tmp_path, data, quick):
    url = f"sqlite:///{tmp_path / 'shared.db'}"
    folders = [tmp_path / machine / "study" for machine in ("one", "two")]
    for folder in folders:
        folder.parent.mkdir()
        found = search(OPTIONS, data, folder, 2, CPU, space=SMALL, storage=url)
    assert len(found.trials) == len(rows(folders[1])) == 4
    assert not (folders[0] / "search.db").exists()
    assert len(optuna.load_study(study_name="study", storage=url).trials) == 4


def test_storages_that_cannot_be_opened(tmp_path, data):
    for url in ("nonsense", f"sqlite:///{tmp_path}/no/such/folder.db"):
        with pytest.raises(sp.SparsePixError, match="--storage"):
            search(OPTIONS, data, tmp_path / "study", 1, CPU, storage=url)


def test_auc_as_metric(tmp_path, data, quick):
    found = search(OPTIONS, data, tmp_path / "study", 1, CPU, space=SMALL, metric="auc")
    assert 0.3 < found.trials[0].values[0] <= 1
    assert "auc" in rows(tmp_path / "study")[0]


def numbered(number, values):
    trial = optuna.trial.create_trial(values=list(values))
    trial.number = number
    return trial


def test_pareto_front_of_known_points():
    points = [(0.9, 50, 100), (0.8, 60, 100), (0.9, 50, 100), (0.95, 70, 300), (0.5, 10, 10), (0.5, 10, 11)]
    assert pareto_front([numbered(i, values) for i, values in enumerate(points)]) == (0, 3, 4)
    assert pareto_front([]) == ()


def test_space():
    assert parse_space([]) == SPACE
    space = parse_space([("max_pixels", ["4", "9"]), ("selection", ["raster"])])
    assert space["max_pixels"] == (4, 9)
    assert space["selection"] == ("raster",)
    assert space["bits"] == SPACE["bits"]
    with pytest.raises(sp.SparsePixError) as error:
        parse_space([("depth", ["3"]), ("bits", ["4", "x", "0"]), ("selection", ["middle"])])
    for part in ("depth: expected one of", "found x", "found 0", "found middle"):
        assert part in str(error.value)


def test_learned_widths_begin_with_any():
    assert build_model(replace(OPTIONS, bits=6, learn=("bits",))).conv1.weight_quantizer.fixed_point.width == 6


@pytest.mark.parametrize("bits", [2, 5, 8, 12, 16, None])
def test_models_of_any_width(bits):
    model = build_model(replace(OPTIONS, bits=bits, channels=(2,), max_pixels=5))
    architecture = model.architecture
    assert architecture.layers[0].out_channels == 2
    if bits is None:
        assert architecture.weight_format is None
        return
    assert (architecture.weight_format.width, architecture.activation_format.width) == (bits, bits)
    preset = sp.models.digits(bits=16 if bits > 8 else 8).architecture
    assert architecture.weight_format.initial_integer == preset.weight_format.initial_integer
    assert architecture.input_format == preset.input_format


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bits": 1}, "bits must be 2 ... 16 or float, found 1"),
        ({"bits": 17}, "found 17"),
        ({"channels": (1, 2)}, r"expected 1 numbers of channels.*found \(1, 2\)"),
        ({"formats": "mine"}, "formats: expected one of calibrated, paper, found 'mine'"),
        ({"batch_norm": "yes"}, "batch_norm: expected True or False, found 'yes'"),
    ],
)
def test_models_that_cannot_be(change, message):
    with pytest.raises(sp.SparsePixError, match=message):
        build_model(replace(OPTIONS, **change))


def test_the_command_with_real_estimates(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(train_cli, "load_data", lambda options, console: few_digits())
    folder = tmp_path / "study"
    command = ["digits", "--epochs", "1", "--device", "cpu", "-o", str(folder)]
    choices = ["--max-pixels", "6", "--space", "channels=1", "--space", "bits=4,8", "--selection", "raster"]
    assert train_cli.main([*command, "--search", "3", *choices]) == 0
    output = capsys.readouterr()
    assert "Pareto front of 3 trials (0 failed)" in output.out
    assert "trial 2: max_pixels=6" in output.err
    found = rows(folder)
    luts = {row["bits"]: int(row["lut"]) for row in found}
    assert {row["max_pixels"] for row in found} == {"6"}
    assert min(luts.values()) > 1000
    assert "4" not in luts or "8" not in luts or luts["4"] < luts["8"]
    assert train_cli.main([*command, "--search", "1", "--channels", "2"]) == 2
    assert "--space channels=" in capsys.readouterr().err


def test_without_the_translator(tmp_path, data, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(sp.SparsePixError, match="sparsepix_hls, which is not installed"):
        search(OPTIONS, data, tmp_path / "study", 1, CPU)
