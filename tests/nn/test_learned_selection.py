"""Learned budget and threshold: the selection is the plain layer's bit for bit, the gradient has the right sign."""

import copy

import numpy as np
import onnxruntime as ort
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from torch import nn

import sparsepix as sp
from random_networks import hard_images
from sparsepix_ops import reference

GRID = sp.FixedPoint(6, 2)


def learned(max_pixels=6, threshold=0.25, share=None, value=None, **options):
    """A layer that learns both, with the budget at ``share`` and the threshold at ``value``."""
    reduce = sp.SparseInputReduce(
        max_pixels, threshold, **{"learn_max_pixels": True, "learn_threshold": True, "input_format": GRID} | options
    )
    with torch.no_grad():
        if share is not None:
            reduce.learned_max_pixels.share.fill_(share)
        if value is not None:
            reduce.learned_threshold.value.fill_(value)
    return reduce


def same_pixels(found, expected):
    """The same list; further slots are empty."""
    slots = expected.features.shape[1]
    assert_array_equal(found.features[:, :slots].detach().numpy(), expected.features.detach().numpy())
    assert_array_equal(found.coords[:, :slots].numpy(), expected.coords.numpy())
    assert not found.features[:, slots:].any()
    assert (found.coords[:, slots:] == -1).all()


@given(
    seed=st.integers(0, 10**6),
    max_pixels=st.one_of(st.integers(1, 12), st.just(63)),
    share=st.one_of(st.floats(-0.25, 1.25, width=32), st.sampled_from([0.0, 0.5, 1.0])),
    value=st.one_of(st.floats(-1.0, 3.0, width=32), st.sampled_from([0.0, 0.5, 0.53125, 1.0])),
    activity=st.sampled_from(["first", "any", "sum"]),
    selection=st.sampled_from(["raster", "magnitude"]),
    grid=st.booleans(),
    dtype=st.sampled_from([torch.float32, torch.float64]),
)
@settings(max_examples=60, deadline=None)
def test_selection_is_that_of_the_plain_layer(seed, max_pixels, share, value, activity, selection, grid, dtype):
    images = GRID.quantize(hard_images(np.random.default_rng(seed), (2, 7, 9))).real
    images = torch.from_numpy(images).to(dtype)
    options = {"activity": activity, "selection": selection}
    reduce = learned(max_pixels, 0.25, share, value, input_format=GRID if grid else None, **options).to(dtype)
    assert 1 <= reduce.max_pixels <= max_pixels
    assert reduce.max_pixels == pytest.approx(np.clip(share, 0, 1) * max_pixels, abs=1)
    assert reduce.threshold >= 0
    if grid:
        assert GRID.quantize(reduce.threshold).real == reduce.threshold < GRID.range.high * GRID.scale
    plain = sp.SparseInputReduce(reduce.max_pixels, reduce.threshold, **options)
    expected = plain(images)
    same_pixels(reduce(images), expected)
    assert reduce(images).features.shape[1] == max_pixels
    reduce.eval()
    same_pixels(reduce(images), expected)
    assert reduce(images).features.shape == expected.features.shape


def test_float_and_double_round_to_the_same():
    for max_pixels in (3, 7, 30, 100):
        for target in np.arange(0.5, max_pixels, 1.0):
            reduce = learned(max_pixels, share=float(target / max_pixels))
            budget = reduce.max_pixels
            assert reduce.double().max_pixels == budget


def test_only_one_of_the_two_learns():
    images = torch.from_numpy(hard_images(np.random.default_rng(0), (1, 7, 9)))
    for options in ({"learn_threshold": False}, {"learn_max_pixels": False}):
        reduce = learned(6, 0.3, **options)
        (parameter,) = reduce.parameters()
        reduce(images).features.square().sum().backward()
        assert parameter.grad is not None
    assert learned(6, 0.3, learn_threshold=False).threshold == float(np.float32(0.3))


@pytest.mark.parametrize("selection", ["raster", "magnitude"])
def test_useful_pixels_raise_the_budget_and_lower_the_threshold(selection):
    images = torch.rand(8, 1, 9, 9, generator=torch.Generator().manual_seed(0)) + 0.3
    for sign, useful in ((-1, True), (1, False)):
        reduce = learned(6, share=0.5, value=0.25, selection=selection)
        # Per image, the sum over its pixels: small enough for the first order to rule.
        (sign * 0.1 * reduce(images).features.sum() / 8).backward()
        # A step goes against the gradient.
        assert (reduce.learned_max_pixels.share.grad < 0) == useful
        assert (reduce.learned_threshold.value.grad > 0) == useful


def test_pixels_of_a_settled_model_are_still_worth_keeping():
    """At the minimum the first order of each pixel is noise around 0; what dropping one costs is the second."""
    torch.manual_seed(0)
    images = torch.rand(64, 1, 4, 4) + 0.5
    reduce = learned(8, share=0.75, learn_threshold=False)
    # Targets on both sides of the sums of the pixels: the loss is at its minimum for a factor common to all.
    target = reduce(images).features.sum((1, 2)).detach() + torch.tensor([0.3, -0.3]).repeat(32)
    loss = (reduce(images).features.sum((1, 2)) - target).square().mean()
    loss.backward()
    assert reduce.learned_max_pixels.share.grad < 0


def test_penalties_push_the_other_way():
    images = torch.rand(8, 1, 9, 9, generator=torch.Generator().manual_seed(0)) + 0.3
    model = nn.Sequential(learned(6, share=0.5, value=0.25))
    model(images)
    found = sp.penalties(model)
    assert set(found) == {"budget", "masked_intensity"}
    found["budget"].backward()
    assert model[0].learned_max_pixels.share.grad == 1
    assert model[0].learned_threshold.value.grad is None
    model.zero_grad()
    found["masked_intensity"].backward()
    assert model[0].learned_max_pixels.share.grad < 0
    assert model[0].learned_threshold.value.grad > 0


def test_the_last_pixel_speaks_loudest():
    """In the order in which a smaller budget drops them: by place, or by score with ties to the earlier pixel."""
    image = torch.tensor([[0.0, 0.5, 1.5], [0.75, 0.5, 0.0], [0.0, 1.0, 0.25]])[None, None]
    for selection, order in (("raster", [0, 1, 2, 3, 4, 5]), ("magnitude", [1, 4, 2, 0, 3, 5])):
        reduce = learned(8, 0.0, share=0.75, selection=selection, learn_threshold=False)
        gradients = []
        for slot in range(6):
            reduce.zero_grad()
            pixels = reduce(image)
            assert pixels.active.sum() == 6
            pixels.presence[0, slot].backward()
            gradients.append(float(reduce.learned_max_pixels.share.grad))
        assert np.argsort(gradients).tolist() == order
        # A pixel at the very end counts nearly once a slot, so that losses keep their units.
        assert 0.5 < sum(gradients) / 8 < 1.2


def test_bounds_hold_and_let_go():
    images = torch.rand(4, 1, 5, 5) + 0.5
    at_top, at_bottom = learned(5), learned(5, share=0.1, value=0.0)
    for reduce, sign in ((at_top, -1), (at_bottom, 1)):
        share = reduce.learned_max_pixels.share
        (sign * 0.1 * reduce(images).features.sum() / 4).backward()
        assert share.grad == 0
        reduce.zero_grad()
        (-sign * 0.1 * reduce(images).features.sum() / 4).backward()
        assert share.grad * sign < 0
    threshold = at_bottom.learned_threshold.value
    at_bottom.zero_grad()
    (-at_bottom(images).features.sum()).backward()
    assert threshold.grad == 0
    for share, budget in ((-3.0, 1), (5.0, 5)):
        assert learned(5, share=share).max_pixels == budget
    assert learned(5, value=50.0).threshold == (GRID.raw_max - 1) * GRID.scale
    assert learned(5, value=-50.0).threshold == 0
    assert learned(5, -0.5, value=-50.0).threshold == -0.5


def test_few_pixels_and_none():
    reduce = learned(20, 0.0)
    empty = torch.zeros(3, 1, 9, 9)
    pixels = reduce(empty)
    pixels.features.sum().backward()
    assert not pixels.active.any()
    for parameter in reduce.parameters():
        assert parameter.grad == 0
    reduce(empty)
    found = sp.penalties(nn.Sequential(reduce))
    assert found["masked_intensity"] == 0
    found["masked_intensity"].backward()
    # Two pixels do not care whether 18 or 20 fit.
    few = empty.clone()
    few[:, 0, [1, 5], [3, 8]] = 1.0
    reduce.zero_grad()
    reduce(few).features.sum().backward()
    assert 0 <= reduce.learned_max_pixels.share.grad < 1e-3


def test_pixels_at_the_threshold_are_not_active():
    image = torch.tensor([0.25, 0.3125, 0.25, 0.3125]).reshape(1, 1, 2, 2)
    reduce = learned(4, 0.25)
    assert reduce.threshold == 0.25
    pixels = reduce(image)
    assert pixels.coords[0].tolist() == [[0, 1], [1, 1], [-1, -1], [-1, -1]]
    pixels.features.sum().backward()
    assert torch.isfinite(reduce.learned_threshold.value.grad)
    # All kept pixels a hair above a threshold between the grid's points: no scale for the soft threshold to go by.
    at = learned(4, 0.25, value=0.3125)
    at(image + 0.0625).features.sum().backward()
    assert torch.isfinite(at.learned_threshold.value.grad)


def test_infinite_pixels_stay_what_they_are():
    image = torch.tensor([torch.inf, 1.0, torch.inf, 0.5]).reshape(1, 1, 2, 2)
    assert_array_equal(learned(3)(image).features.detach().numpy().ravel(), [np.inf, 1.0, np.inf])


def test_gradient_of_the_image_is_that_of_the_plain_layer():
    reduce = learned(6, share=0.6)
    plain = sp.SparseInputReduce(reduce.max_pixels, reduce.threshold)
    gradients = []
    for layer in (reduce, plain):
        image = torch.rand(3, 2, 6, 7, generator=torch.Generator().manual_seed(1)).requires_grad_()
        layer(image).features.square().sum().backward()
        gradients.append(image.grad.numpy())
    assert_array_equal(*gradients)


def small_model(**options):
    torch.manual_seed(2)
    return nn.Sequential(
        sp.QuantIdentity(GRID), learned(12, 0.25, **options), sp.SparseConv2d(1, 2, 3, weight_format=GRID),
        sp.SparseReLU(GRID), sp.SparseMaxPool2d(2), sp.SparseConv2d(2, 2, 3, weight_format=GRID), sp.SparseReLU(GRID),
        sp.SparseFlatten(), sp.QuantLinear(2 * 3 * 4, 2, weight_format=GRID),
    )  # fmt: skip


def test_a_budget_shrinks_under_its_penalty_and_grows_back():
    images = torch.rand(16, 1, 7, 9, generator=torch.Generator().manual_seed(0)) + 0.3
    model = nn.Sequential(learned(12, 0.25, learn_threshold=False))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)

    def train(steps, useful, weight):
        for _ in range(steps):
            optimizer.zero_grad()
            loss = -0.1 * useful * model(images).features.sum() / 16
            (loss + weight * sp.penalties(model)["budget"]).backward()
            optimizer.step()
        return model[0].max_pixels

    assert train(40, 0.0, 1.0) == 1
    # Each pixel more gains about 0.08, and a slot costs 0.005, then 0.5.
    assert train(80, 1.0, 0.06) == 12
    assert train(80, 1.0, 6.0) == 1


@pytest.mark.parametrize("selection", ["raster", "magnitude"])
def test_export_takes_the_learned_values(selection, tmp_path):
    images = hard_images(np.random.default_rng(3), (1, 7, 9))
    model = small_model(share=0.42, value=0.53, selection=selection)
    exported = sp.export_onnx(model, tmp_path / "model.onnx", (1, 7, 9))
    node = next(node for node in exported.graph.node if node.op_type == "InputReduce")
    attributes = {a.name: a.i or a.f for a in node.attribute}
    assert attributes["max_pixels"] == model[1].max_pixels == 5
    assert attributes["threshold"] == model[1].threshold == 0.5
    in_integers = reference.run(exported, images).real
    assert len(np.unique(in_integers)) > 8
    assert_array_equal(ort.InferenceSession(tmp_path / "model.onnx").run(None, {"image": images})[0], in_integers)
    with torch.no_grad():
        # While it trains too: the further slots are empty and change nothing.
        assert_array_equal(model(torch.from_numpy(images)).numpy(), in_integers)
        assert_array_equal(model.eval()(torch.from_numpy(images)).numpy(), in_integers)
        assert_array_equal(model.double()(torch.from_numpy(images).double()).numpy(), in_integers)


def test_a_file_restores_the_learned_state(tmp_path):
    model = sp.models.digits(30, learn_max_pixels=True, learn_threshold=True, learn_bits=True, threshold=0.1)
    with torch.no_grad():
        model.reduce.learned_max_pixels.share.fill_(0.4)
        model.reduce.learned_threshold.value.fill_(0.31)
        model.dense1.weight_quantizer.learned.msb_clamp_bit_width_impl.share.fill_(0.6)
    sp.save(model, tmp_path / "model.pt")
    again = sp.load(tmp_path / "model.pt")
    assert again.architecture == model.architecture
    assert (again.reduce.max_pixels, again.reduce.threshold) == (12, 40 / 128)
    assert again.dense1.weight_quantizer.fixed_point == sp.FixedPoint(5, 2)
    images = torch.from_numpy(sp.datasets.digits().test.images[:20])
    assert_array_equal(again.eval()(images).detach().numpy(), model.eval()(images).detach().numpy())


def test_descriptions_of_before_still_load():
    plain = sp.models.digits().architecture.to_dict()
    for name in ("learn_max_pixels", "learn_threshold"):
        del plain[name]
    assert sp.Architecture.from_dict(plain) == sp.models.digits().architecture


def test_copies_in_the_middle_of_training():
    model, images = small_model(), torch.rand(4, 1, 7, 9)
    model(images).sum().backward()
    other = copy.deepcopy(model)
    assert_array_equal(other(images).detach().numpy(), model(images).detach().numpy())


def test_compiled_models_give_the_same_and_are_compiled_once():
    model, images = small_model(share=0.9), torch.rand(4, 1, 7, 9)
    torch._dynamo.reset()
    compiled = torch.compile(model, backend="aot_eager", fullgraph=True)
    with torch._dynamo.config.patch(error_on_recompile=True):
        for share in (0.9, 0.5, 0.1):
            with torch.no_grad():
                model[1].learned_max_pixels.share.fill_(share)
            results = []
            for f in (model, compiled):
                model.zero_grad()
                y = f(images)
                (y.sum() + sum(sp.penalties(f).values())).backward()
                results.append([y.detach(), *(p.grad.clone() for p in model.parameters())])
            for eager, traced in zip(*results, strict=True):
                assert_array_equal(traced.numpy(), eager.numpy())
    model.eval()
    with torch.no_grad():
        assert_array_equal(compiled(images).numpy(), model(images).numpy())


def test_wrong_arguments_and_values():
    with pytest.raises(sp.SparsePixError, match="input_format must be FixedPoint or None"):
        sp.SparseInputReduce(3, learn_threshold=True, input_format=sp.LearnedFixedPoint(8))
    with pytest.raises(sp.SparsePixError, match=r"learned max_pixels is not finite.*learning rate"):
        _ = learned(share=float("nan")).max_pixels
    with pytest.raises(sp.SparsePixError, match=r"learned threshold must be finite.*learning rate"):
        _ = learned(value=float("nan")).threshold
    with pytest.raises(sp.SparsePixError, match="learn_bits needs widths"):
        sp.models.digits(bits=None, learn_bits=True)
