"""A picture of what each layer of a sparse model computes on the pixels of one image."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from sparsepix.export.module_copy import evaluation_copy
from sparsepix.pixels.sparse_pixels import SparsePixels, pixels_of
from sparsepix.plots.style import NEGATIVE, POSITIVE, ZERO, check_images, new_figure
from sparsepix_ops.errors import SparsePixError

if TYPE_CHECKING:
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure

PANEL = 2.3  # inches


def layer_features(
    model: nn.Module, image: np.ndarray, layers: Sequence[str] | None = None, max_channels: int = 6
) -> "Figure":
    """The features of each layer on its pixels: a column for each layer, a panel for each channel.

    A pixel whose feature is 0 (after a ReLU) is grey: it is still active. Places without a pixel are white. The
    scale of a layer runs to its largest magnitude.

    Args:
        model: any module with layers that return ``SparsePixels``; run in evaluation mode.
        image: [C, H, W].
        layers: names of submodules to show, as in ``model.named_modules()``; all that return ``SparsePixels`` if
            left out.
        max_channels: panels in a column; a layer that has more says so in its title.

    Raises:
        SparsePixError: an image of another kind, a layer that the model has not, or that returns no pixels.
    """
    image = check_images("layer_features", np.asarray(image)[None])[0]
    seen = _record(model, image)
    if layers is not None:
        _check_layers(model, layers, seen)
        seen = {name: pixels for name, pixels in seen.items() if name.split(" ")[0] in layers}
    if not seen:
        raise SparsePixError(
            f"layer_features: no layer of {type(model).__name__} returns SparsePixels; it draws sparse models only"
        )
    rows = min(max_channels, max(pixels.channels for pixels in seen.values()))
    figure = new_figure(PANEL * len(seen), 0.95 * PANEL * rows + 1.0)
    grid = figure.subplots(rows, len(seen), squeeze=False)
    colours = _colours()
    for column, (name, pixels) in zip(grid.T, seen.items(), strict=True):
        _layer(figure, column, name, pixels, colours)
    return figure


def _layer(figure: "Figure", column: np.ndarray, name: str, pixels: SparsePixels, colours: "Colormap") -> None:
    """The channels of one layer, one below the other, with a common scale."""
    active = pixels.replace(torch.ones_like(pixels.features[..., :1])).to_dense()[0, 0].numpy() > 0
    values = pixels.to_dense()[0].numpy()
    largest = float(np.abs(values).max()) or 1.0
    for channel, axes in enumerate(column):
        if channel >= len(values):
            axes.axis("off")
            continue
        shown = np.ma.masked_where(~active, values[channel])
        # The scale always is symmetric, so that 0 is grey everywhere; the bar shows the part in use.
        drawn = axes.imshow(shown, cmap=colours, vmin=-largest, vmax=largest, interpolation="nearest")
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_color("0.7")
        if len(values) > 1:
            axes.set_ylabel(f"channel {channel}", fontsize=8)
    hidden = len(values) - len(column)
    channels = f"{len(column)} of {len(values)} channels\n" if hidden > 0 else ""
    column[0].set_title(f"{name}\n{channels}{active.sum()} pixels of {active.size}", fontsize=9)
    bar = figure.colorbar(drawn, ax=list(column), location="bottom", shrink=0.85, aspect=14, pad=0.02)
    bar.ax.set_xlim(-largest if (values < 0).any() else 0, largest)
    bar.ax.tick_params(labelsize=8)
    bar.ax.xaxis.get_major_locator().set_params(nbins=3)


def _record(model: nn.Module, image: np.ndarray) -> dict[str, SparsePixels]:
    """What the submodules return for one image, in order of execution; further calls of one get a number."""
    seen: dict[str, SparsePixels] = {}

    def hook(name: str) -> Callable[[nn.Module, object, object], None]:
        def record(module: nn.Module, inputs: object, output: object) -> None:
            # A container returns what its last layer returned.
            if isinstance(output, SparsePixels) and all(output is not pixels for pixels in seen.values()):
                calls = sum(key.split(" ")[0] == name for key in seen)
                seen[f"{name} ({calls + 1})" if calls else name] = output

        return record

    # A copy: other threads may run the model.
    copy, _ = evaluation_copy(model, own_tensors=False)
    for name, module in copy.named_modules():
        if name:
            module.register_forward_hook(hook(name))
    like = next(model.parameters(), torch.empty(0))
    with torch.no_grad():
        copy(torch.from_numpy(image[None]).to(like))
    return {name: pixels_of(p.features.cpu(), p.coords.cpu(), p.spatial_shape) for name, p in seen.items()}


def _check_layers(model: nn.Module, layers: Sequence[str], seen: dict[str, SparsePixels]) -> None:
    names = {name.split(" ")[0] for name in seen}
    known = {name for name, _ in model.named_modules()}
    problems = [
        f"{layer!r} {'returns no pixels' if layer in known else 'is no layer'}"
        for layer in layers
        if layer not in names
    ]
    if problems:
        raise SparsePixError(f"layer_features: {', '.join(problems)}; layers on pixels are {sorted(names)}")


def _colours() -> "Colormap":
    from matplotlib.colors import LinearSegmentedColormap

    colours = LinearSegmentedColormap.from_list("features", [NEGATIVE, "#fdae6b", ZERO, "#6baed6", POSITIVE])
    return colours.with_extremes(bad="white")
