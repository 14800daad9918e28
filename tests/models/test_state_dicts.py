"""state_dicts in what training scripts put around them, and tensors that do not fit."""

import re

import pytest
import torch

from fuzz_models import build
from output_checks import refusal
from small_training import same_state
from sparsepix.cli.export import main
from sparsepix.models.state_dicts import find_state


@pytest.mark.parametrize(
    "wrap",
    [
        lambda s: s,
        lambda s: {"model": s, "epoch": 3, "optimizer": {"state": {0: {"exp_avg": torch.zeros(2)}}}},
        lambda s: {"model_state_dict": s, "loss": torch.tensor(0.5)},
        lambda s: {"net": s},
        lambda s: {"checkpoint": {"state_dict": s}},
        lambda s: {f"module.{k}": v for k, v in s.items()},
        lambda s: {f"_orig_mod.module.{k}": v for k, v in s.items()},
        lambda s: {f"module._orig_mod.{k}": v for k, v in s.items()},
        lambda s: {"state_dict": {f"model.{k}": v for k, v in s.items()}, "callbacks": {"best": {"a": torch.ones(1)}}},
        lambda s: {"n_averaged": torch.tensor(3)} | {f"module.{k}": v for k, v in s.items()},
        lambda s: {k.replace("2.", "2._orig_mod."): v for k, v in s.items()},
    ],
)  # fmt: skip
def test_state_dicts_are_found(wrap):
    state = build().state_dict()
    assert same_state(find_state(wrap(state), list(state), "file"), dict(state))


def test_state_dicts_that_are_not_found():
    state = build().state_dict()
    message = refusal(find_state, {"model": state, "ema": state}, list(state), "file.pt")
    assert "found several: 'model', 'ema'" in message
    assert "torch.save(torch.load('file.pt')['model'], 'weights.pt')" in message
    assert "found a dict with 'epoch', 'loss'" in refusal(find_state, {"epoch": 3, "loss": 0.5}, list(state), "file")
    assert "found a list" in refusal(find_state, [1, 2], list(state), "file")


@pytest.mark.parametrize(
    ("tensor", "message"),
    [
        (lambda t: t * torch.nan, "expected finite values"),
        (lambda t: t.long(), "expected torch.float32, found torch.int64"),
        (lambda t: t.to(torch.complex64), "found complex numbers"),
        (lambda t: t.to_sparse(), r"layout torch.sparse_coo; save its .to_dense\(\)"),
        (lambda t: torch.quantize_per_tensor(t, 0.1, 0, torch.qint8), "quantized by torch"),
        (lambda t: t.to("meta"), "without values"),
        (lambda t: t[:1], r"expected the shape \(2, 72\), found \(1, 72\)"),
        (lambda t: t.tolist(), "expected a tensor, found a list"),
        (lambda t: t.double(), "expected torch.float32 as other tensors are, found torch.float64"),
    ],
)
def test_tensors_that_do_not_fit(tmp_path, monkeypatch, capsys, tensor, message):
    monkeypatch.chdir(tmp_path)
    state = build().state_dict()
    state["5.weight"] = tensor(state["5.weight"])
    del state["5.bias"]
    state["6.bias"] = torch.zeros(2)
    torch.save(state, "state.pt")
    assert main(["state.pt", "--model", "fuzz_models:build", "--input-shape", "1", "6", "6"]) == 2
    errors = capsys.readouterr().err
    assert re.search(message, errors)
    assert "5.weight: " in errors
    assert "5.bias: it is missing" in errors
    assert "6.bias: the model has nothing of this name" in errors
    assert [path.name for path in tmp_path.iterdir()] == ["state.pt"]


def test_weights_that_share_memory_are_as_good_as_others(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    state = build().state_dict()
    state["5.bias"] = torch.full((1,), 0.5).expand(2)
    torch.save(state, "state.pt")
    torch.save(state, "old.pt", _use_new_zipfile_serialization=False)
    for name in ("state.pt", "old.pt"):
        assert main([name, "--model", "fuzz_models:build", "--input-shape", "1", "6", "6"]) == 0
