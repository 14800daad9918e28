"""Threads that export, train and evaluate models at the same time do not disturb each other."""

import itertools
import threading

import numpy as np
import onnx
import pytest
import torch
from numpy.testing import assert_array_equal
from torch import nn

import sparsepix as sp
from sparsepix.training import predict
from sparsepix.util.modes import evaluating

FORMAT = sp.FixedPoint(8, 3)
SHAPE = (1, 6, 7)


def small_model(seed, batch_norm=True):
    torch.manual_seed(seed)
    return nn.Sequential(
        sp.QuantIdentity(sp.FixedPoint(8, 2)),
        sp.SparseInputReduce(6, learn_threshold=True, learn_max_pixels=True),
        sp.SparseConv2d(1, 2, 3, weight_format=FORMAT, batch_norm=batch_norm),
        sp.SparseReLU(sp.LearnedFixedPoint(8, signed=False, initial_integer=3, learn_width=True)),
        sp.SparseAvgPool2d(2, 8, FORMAT),
        sp.SparseFlatten(),
        sp.QuantLinear(18, 3, weight_format=FORMAT),
    )


def images(count=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.rand(count, *SHAPE, generator=generator)
    return pixels * (torch.rand(count, *SHAPE, generator=generator) < 0.3)


def train(model, steps):
    """Train for a few steps; every number that came up."""
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    losses = []
    for step in range(steps):
        optimizer.zero_grad()
        loss = model(images(seed=step)).square().mean() + 1e-4 * sum(sp.penalties(model).values())
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    return losses


def at_once(*jobs):
    """Run jobs in threads of their own until all have finished; what each returned, the exceptions raised."""
    results, errors = [None] * len(jobs), []
    start = threading.Barrier(len(jobs))

    def run(index, job):
        try:
            start.wait()
            results[index] = job()
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=item) for item in enumerate(jobs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    return results


def exports(model, path, times):
    def job():
        return [sp.export_onnx(model, path, SHAPE).SerializeToString() for _ in range(times)]

    return job


def forwards(model, expected, times):
    """How many of so many forward passes gave something else."""

    def job():
        with torch.no_grad():
            return sum(not torch.equal(model(images()), expected) for _ in range(times))

    return job


def test_exports_beside_forwards_and_training_of_other_models(tmp_path):
    exported, evaluated, trained, alone = (small_model(seed).eval() for seed in (1, 2, 3, 3))
    alone.train(), trained.train()
    with torch.no_grad():
        expected = evaluated(images())
    reference = sp.export_onnx(exported, tmp_path / "a.onnx", SHAPE).SerializeToString()
    found = at_once(
        exports(exported, tmp_path / "a.onnx", 15),
        exports(small_model(1).eval(), tmp_path / "a.onnx", 15),
        forwards(evaluated, expected, 200),
        lambda: train(trained, 40),
    )
    assert set(found[0] + found[1]) == {reference}
    assert found[2] == 0
    assert found[3] == train(alone, 40)


def test_exports_of_a_model_that_other_threads_run_and_train(tmp_path):
    """The model that is trained is exported too, by two threads: its training stays what it is alone."""
    model, alone = small_model(4), small_model(4)
    evaluated = small_model(5).eval()
    with torch.no_grad():
        expected = evaluated(images())
    found = at_once(
        exports(evaluated, tmp_path / "a.onnx", 12),
        exports(evaluated, tmp_path / "a.onnx", 12),
        forwards(evaluated, expected, 200),
        lambda: train(model, 40),
        lambda: [onnx.checker.check_model(sp.export_onnx(model, tmp_path / "b.onnx", SHAPE)) for _ in range(8)],
        lambda: [sp.ebops(model, images()) for _ in range(8)],
    )
    assert len(set(found[0] + found[1])) == 1
    assert found[2] == 0
    assert found[3] == train(alone, 40)


def test_predictions_of_one_model_in_many_threads():
    """Each turns the model to evaluation mode and back: none may find it in training mode, nor leave it otherwise."""
    model = small_model(6).train()
    model[2].batch_norm.eval()
    pixels = images(64).numpy()
    expected = predict(model, pixels)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    found = at_once(*[lambda: [predict(model, pixels, batch_size=4) for _ in range(20)]] * 4)
    for output in itertools.chain(*found):
        assert_array_equal(output, expected)
    assert model.training
    assert model[0].training
    assert not model[2].batch_norm.training
    for name, value in model.state_dict().items():
        assert_array_equal(value.numpy(), before[name].numpy())


def test_while_another_thread_compiles(tmp_path, monkeypatch):
    """The flag of torch.compiler is the process's, and set in all threads while one of them compiles."""
    model = small_model(11).eval()
    with torch.no_grad():
        model[1].learned_max_pixels.share.fill_(0.5)
    exported = sp.export_onnx(model, tmp_path / "a.onnx", SHAPE).SerializeToString()
    slots = model[:2](images()).coords.shape[1]
    monkeypatch.setattr(torch.compiler, "_is_compiling_flag", True)
    assert torch.compiler.is_compiling()
    assert sp.export_onnx(model, tmp_path / "a.onnx", SHAPE).SerializeToString() == exported
    assert model[:2](images()).coords.shape[1] == slots == 3
    with pytest.raises(sp.SparsePixError, match="listed once"):
        sp.SparsePixels(torch.ones(1, 2, 1), torch.zeros(1, 2, 2).long(), (4, 4))


def test_evaluation_ends_with_the_last_block():
    model = small_model(7).train()
    with evaluating(model):
        with evaluating(model):
            pass
        assert not model.training
    assert model.training


def test_penalties_of_one_thread_while_another_exports(tmp_path):
    model, alone = small_model(8), small_model(8)
    found = at_once(lambda: train(model, 30), exports(small_model(9), tmp_path / "a.onnx", 10))
    assert found[0] == train(alone, 30)


class Failing(nn.Module):
    def __init__(self, inner, error):
        super().__init__()
        self.inner, self.error = inner, error

    def forward(self, x):
        self.inner(x)
        raise self.error


@pytest.mark.parametrize("error", [None, ValueError("no"), KeyboardInterrupt()], ids=["well", "failed", "interrupted"])
def test_a_model_is_after_its_export_what_it_was(error, tmp_path):
    model = small_model(10).train()
    model[2].eval()
    model[3].requires_grad_(False)
    seen = []
    model[2].register_forward_hook(lambda module, inputs, output: None)
    model[5].register_forward_pre_hook(lambda module, inputs: None)
    model[6].register_full_backward_hook(lambda module, inputs, outputs: seen.append(module))
    loss = model(images()).sum()
    whole = model if error is None else Failing(model, error)
    before = {name: (id(value), value.clone()) for name, value in model.state_dict(keep_vars=True).items()}

    def state():
        return [
            (name, m.training, list(m._forward_hooks), list(m._forward_pre_hooks), list(m._backward_hooks),
             set(vars(m)), m.__class__, dict(vars(m.last_forward)).keys() if hasattr(m, "last_forward") else None,
             [(p.requires_grad, p.grad, p.dtype) for p in m.parameters()])
            for name, m in model.named_modules()
        ]  # fmt: skip

    kept, random = state(), torch.get_rng_state()
    if error is None:
        sp.export_onnx(whole, tmp_path / "a.onnx", SHAPE)
    else:
        with pytest.raises(KeyboardInterrupt if isinstance(error, KeyboardInterrupt) else sp.SparsePixError):
            sp.export_onnx(whole, tmp_path / "a.onnx", SHAPE)
    assert state() == kept
    assert torch.equal(torch.get_rng_state(), random)
    for name, value in model.state_dict(keep_vars=True).items():
        assert id(value) == before[name][0]
        assert torch.equal(value, before[name][1])
    assert seen == []
    loss.backward()  # the pass from before the export
    assert seen == [model[6]]
    assert np.isfinite(float(sum(sp.penalties(model).values()).detach()))
    assert not sp.models.digits()(torch.zeros(1, 1, 48, 48)).isnan().any()
