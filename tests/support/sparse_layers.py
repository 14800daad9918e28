"""Images of small integers with some of their pixels active, and comparisons of sparse layers with dense ones."""

import numpy as np
import torch

from sparsepix.pixels.sparse_pixels import SparsePixels


def same(found, expected):
    np.testing.assert_array_equal(found.detach().numpy(), expected.detach().numpy())


def integers(rng, *shape, low=-4, high=5):
    return torch.tensor(rng.integers(low, high, shape), dtype=torch.float64)


def border(height, width):
    """Pixels on all four borders and corners."""
    mask = np.zeros((height, width), bool)
    mask[[0, -1], :] = mask[:, [0, -1]] = True
    return mask


def one(height, width, row, column):
    mask = np.zeros((height, width), bool)
    mask[row, column] = True
    return mask


RNG = np.random.default_rng(7)
MASKS = {
    "empty": np.zeros((5, 6), bool),
    "full": np.ones((5, 6), bool),
    "border": border(6, 5),
    "first corner": one(5, 4, 0, 0),
    "last corner": one(5, 4, 4, 3),
    "one row": RNG.random((1, 9)) < 0.6,
    "one column": RNG.random((9, 1)) < 0.6,
    "one pixel image": np.ones((1, 1), bool),
    "sparse": RNG.random((8, 11)) < 0.15,
    "crowded": RNG.random((11, 7)) < 0.7,
}


def random_pixels(mask, channels, rng, batch=3, zeros=0.3):
    """Images whose active pixels are in shuffled slots among empty ones, as after a pooling.

    Image 0 has the whole mask, the others a part of it. An active pixel may be zero or negative
    everywhere. Returns the leaf image [B, C, H, W], the mask [B, 1, H, W] and the pixels.
    """
    height, width = mask.shape
    masks = np.stack([mask] + [mask & (rng.random(mask.shape) < 0.6) for _ in range(batch - 1)])
    slots = min(height * width, int(masks.sum((1, 2)).max()) + 2)
    coords = np.full((batch, slots, 2), -1)
    for b in range(batch):
        places = rng.permutation(np.argwhere(masks[b]))
        coords[b, np.sort(rng.permutation(slots)[: len(places)])] = places
    image = integers(rng, batch, channels, height, width)
    image *= torch.tensor(rng.random((batch, 1, height, width)) >= zeros)
    image.requires_grad_()
    coords = torch.tensor(coords)
    row, column = coords.clamp(min=0).unbind(-1)
    features = image[torch.arange(batch)[:, None], :, row, column] * (coords[..., :1] >= 0)
    return image, torch.tensor(masks)[:, None], SparsePixels(features, coords, (height, width))


def assert_empty_slots_are_zero(pixels):
    empty = (pixels.coords == -1).all(-1)
    assert torch.equal(empty, (pixels.coords < 0).any(-1))
    assert not pixels.features[empty].any()
    same(pixels.active, ~empty)


def compare(image, sparse, expected, parameters, rng):
    """Two results on dense grids agree, and so do their gradients to the image and the parameters."""
    same(sparse, expected)
    incoming = integers(rng, *expected.shape)
    wanted = [image, *parameters]
    for found, other in zip(
        torch.autograd.grad(sparse, wanted, incoming, allow_unused=True, materialize_grads=True, retain_graph=True),
        torch.autograd.grad(expected, wanted, incoming, allow_unused=True, materialize_grads=True, retain_graph=True),
        strict=True,
    ):
        same(found, other)


def integer_conv(layer, rng):
    layer = layer.double()
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(integers(rng, *parameter.shape, low=-2, high=3))
    return layer
