"""Whether the code that runs is being traced by torch.compile or torch.export."""

import torch
from torch._guards import detect_fake_mode


def is_traced() -> bool:
    """True where this thread's code is traced: tensors have no numbers then, and sizes may be symbols.

    ``torch.compiler.is_compiling()`` alone would be true in all threads while one of them compiles.
    """
    return torch.compiler.is_compiling() and (torch.compiler.is_dynamo_compiling() or detect_fake_mode() is not None)
