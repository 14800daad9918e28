"""What layers have in common that merge the pixels of a cell into the first of their slots."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from sparsepix_hls.cost.costs import layer_estimate, scaled
from sparsepix_hls.cost.matrices import POOLED, cell_members
from sparsepix_hls.cost.primitives import Cost
from sparsepix_hls.cost.streams import cells_estimate
from sparsepix_hls.ir.estimate import Estimate
from sparsepix_hls.ir.graph import Layer, Setting
from sparsepix_hls.ir.kernel import Config
from sparsepix_hls.ir.streams import MERGED, WHOLE, Cells, Streamed, cells_config
from sparsepix_hls.ir.tensors import LayerDesign, Tensor


@dataclass(frozen=True)
class Downsample2d(Layer):
    """Pixels on an image of ``spatial_shape`` merge into cells; the list keeps its length."""

    name: str
    features: Tensor
    coords: Tensor
    output_features: Tensor
    output_coords: Tensor
    kernel_size: tuple[int, int]
    spatial_shape: tuple[int, int]

    by_pixel = True

    @property
    def cell(self) -> tuple[int, int]:
        """Rows and columns of a cell."""
        return self.kernel_size

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of the cells that count."""
        return self.spatial_shape[0] // self.cell[0], self.spatial_shape[1] // self.cell[1]

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """Features and coords."""
        return self.features, self.coords

    @property
    def outputs(self) -> tuple[Tensor, ...]:
        """Features and coords of the cells."""
        return self.output_features, self.output_coords

    @property
    def work(self) -> int:
        """The slots."""
        return self.features.shape[0]

    @property
    def grids(self) -> Mapping[str, tuple[int, int]]:
        """That of the cells."""
        return {self.output_coords.name: self.grid}

    def operations(self, parallel: int) -> int:
        """Each slot of a round meets each pixel."""
        return self.features.shape[0] * parallel

    def lower(self, values: Mapping[str, np.ndarray], how: LayerDesign, ports: Any) -> dict[str, np.ndarray]:
        """See ``Layer.lower``."""
        from sparsepix_hls.rtl.lower.folds import Fold

        del ports
        features, coords = values[self.features.name], values[self.coords.name]
        slots = range(len(coords))
        earlier = np.array([[int(j < k) for j in slots] for k in slots], dtype=object)
        return self._results(self.merged(how.implementation, features, coords, coords, earlier, Fold()))

    def lower_round(self, how: LayerDesign, reader: Any) -> Callable[..., dict[str, np.ndarray]]:
        """See ``Layer.lower_round``."""
        from sparsepix_hls.rtl.lower.folds import fold_of

        reader.whole(self.features)
        reader.whole(self.coords)
        reader.items(self.coords, "own")
        reader.after("earlier", self.features.shape[0])

        def merge(**v: np.ndarray) -> dict[str, np.ndarray]:
            features, coords = v[self.features.name], v[self.coords.name]
            given = features, coords, v["own"], v["earlier"], fold_of(v, how)
            return self._results(self.merged(how.implementation, *given))

        return merge

    def _results(self, found: tuple[np.ndarray, np.ndarray]) -> dict[str, np.ndarray]:
        return {self.output_features.name: found[0], self.output_coords.name: found[1]}

    def merged(
        self,
        implementation: str,
        features: np.ndarray,
        coords: np.ndarray,
        own: np.ndarray,
        earlier: np.ndarray,
        fold: Any,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Features and coords of some slots after the merge, on variables of da4ml's tracer.

        Args:
            implementation: of the layer.
            features: of all pixels [N, C].
            coords: of all pixels [N, 2].
            own: coords of the output slots [parallel, 2].
            earlier: whether a pixel comes before the output slot, bits [parallel, N].
            fold: which of the outputs that folds share out, a ``rtl.lower.folds.Fold``.
        """
        raise NotImplementedError


@dataclass(frozen=True)
class Pool2d(Downsample2d):
    """What both kinds of pooling have: cells of ``kernel_size``."""

    def pool_config(self, setting: Setting) -> Config:
        """Members of the parameter struct that both kinds have."""
        max_pixels, channels = self.features.shape
        return {
            "max_pixels": max_pixels,
            "channels": channels,
            "height": self.spatial_shape[0],
            "width": self.spatial_shape[1],
            "cell_height": self.kernel_size[0],
            "cell_width": self.kernel_size[1],
            "reuse_factor": setting.how.reuse_factor,
            "parallel": setting.how.parallel,
        }

    @property
    def sums_members(self) -> bool:
        """Whether a cell is the sum of its members, and not their maximum."""
        raise NotImplementedError

    def of_merged(self, merged: Any, whole: Any) -> Any:
        """One channel of a cell, in units of the output.

        Args:
            merged: sum or maximum of its members.
            whole: whether all of its pixels are active, one bit.
        """
        raise NotImplementedError

    def streamed(self) -> Streamed:
        """See ``Layer.streamed``."""

        def body(values: Mapping[str, np.ndarray], ports: Any) -> dict[str, np.ndarray]:
            del ports
            (row,), whole = values[MERGED], values[WHOLE].item()
            return {self.output_features.name: np.array([[self.of_merged(v, whole) for v in row]], dtype=object)}

        return Streamed(self.merges, body)

    @property
    def merges(self) -> Cells:
        """What a stream gathers."""
        return Cells(self.kernel_size, self.grid, self.sums_members)

    def stream_config(self) -> Config:
        """Members of the parameter struct that both kinds have for pixels that come one by one."""
        return cells_config(self.merges, self.features.shape[1], self.spatial_shape)

    @property
    def sizes(self) -> str:
        """Cell and image, for a comment."""
        return "{}x{} of {}x{}".format(*self.kernel_size, *self.spatial_shape)

    def pool_cost(self, how: LayerDesign, logic_ns: float, joined: Cost, mean: Cost, products: int = 0) -> Estimate:
        """Estimated cost, from that of joining the members of one cell and of what follows."""
        slots, channels = self.features.shape
        if how.implementation == "stream":
            return cells_estimate(self.merges, self.features, self.spatial_shape, mean, logic_ns)
        b, cell, coord = self.features.type.width, self.output_coords.type.width, self.coords.type.width
        members = cell_members(slots, coord, cell, how.reuse_factor, how.parallel)
        cost = scaled(members + how.parallel * joined, POOLED) + how.parallel * mean
        live = slots * (channels * b + 2 * cell) + how.parallel * slots
        return layer_estimate(cost, logic_ns, how.reuse_factor, live, products)

    def merged(
        self,
        implementation: str,
        features: np.ndarray,
        coords: np.ndarray,
        own: np.ndarray,
        earlier: np.ndarray,
        fold: Any,
    ) -> tuple[np.ndarray, np.ndarray]:
        """See ``Downsample2d.merged``."""
        from sparsepix_hls.rtl.lower.arithmetic import known, select
        from sparsepix_hls.rtl.lower.cells import merged_cells

        del implementation, fold
        members, firsts, places = merged_cells(self.spatial_shape, self.cell, self.grid, coords, own, earlier)
        pooled = np.empty((len(own), features.shape[1]), dtype=object)
        for k in range(len(own)):
            # Where an earlier slot has the cell, this one is cleared: its members before it do not matter.
            used = [0 if known(f) == 1 else m for m, f in zip(members[k], earlier[k], strict=True)]
            for channel in range(features.shape[1]):
                pooled[k, channel] = select(firsts[k], self.pooled(used, features[:, channel]), 0)
        return pooled, places

    def pooled(self, members: list[Any], values: np.ndarray) -> Any:
        """One channel of a cell, in units of the output: of the values [N] of those that are members."""
        raise NotImplementedError
