"""torch.export with an open number of images, copies and pickles."""

import copy
import io

import pytest
import torch
from numpy.testing import assert_array_equal

import sparsepix as sp
from small_stacks import NAMES, some_images, stacks


@pytest.mark.parametrize("name", NAMES)
def test_every_layer(name):
    check(stacks()[name].eval())


@pytest.mark.parametrize("strict", [False, True])
def test_a_preset(strict):
    check(sp.models.digits().eval(), strict)


def check(model, strict=False):
    shape = getattr(model, "input_shape", (1, 6, 7))
    batch = {0: torch.export.Dim("batch")}
    with torch.no_grad():
        program = torch.export.export(model, (some_images(3, shape),), dynamic_shapes=(batch,), strict=strict)
        for count in (1, 2, 3, 11):
            images = some_images(count, shape, seed=count)
            assert_array_equal(program.module()(images).numpy(), model(images).numpy())


@pytest.mark.parametrize("name", NAMES)
def test_copies_and_pickles(name):
    model = stacks()[name]
    images = some_images(4)
    model(images).sum().backward()
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    again = stacks()[name]
    again.load_state_dict(model.state_dict(), strict=True)
    expected = model.eval()(images)
    for found in (copy.deepcopy(model), torch.load(file, weights_only=False), again):
        assert_array_equal(found.eval()(images).detach().numpy(), expected.detach().numpy())
