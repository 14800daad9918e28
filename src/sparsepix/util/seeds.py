"""Random numbers that depend on a key alone."""

import numpy as np
import torch


def keyed_generator(*key: int) -> torch.Generator:
    """A generator that depends on the key alone, so that no state has to be kept from step to step."""
    state = np.random.SeedSequence([number % 2**64 for number in key]).generate_state(1, np.uint64)
    return torch.Generator().manual_seed(int(state[0] >> 1))
