"""Training in several processes: one on each GPU or CPU, on one machine or many, started by ``torchrun``."""

import contextlib
import os
from collections.abc import Iterator

import torch
from torch import Tensor, distributed, nn

from sparsepix_ops.errors import SparsePixError


def choose_device(name: str = "auto") -> torch.device:
    """The device of this process: 'cpu', 'cuda', or with 'auto' a GPU if there is one.

    Of several GPUs a process that ``torchrun`` started takes the one with its LOCAL_RANK.

    Raises:
        SparsePixError: there is no such GPU.
    """
    if name == "cpu" or (name == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    index, found = int(os.environ.get("LOCAL_RANK", 0)), torch.cuda.device_count()
    if index >= found:
        raise SparsePixError(
            f"--device {name}: expected a GPU for process {index} of this machine, torch finds {found}; start fewer "
            "processes (torchrun --nproc-per-node), or use --device cpu"
        )
    torch.cuda.set_device(index)
    return torch.device("cuda", index)


@contextlib.contextmanager
def process_group(device: torch.device) -> Iterator[None]:
    """Joins the processes that ``torchrun`` started, for the block; a process on its own goes on as it is.

    GPUs talk by NCCL, CPUs by Gloo.
    """
    if int(os.environ.get("WORLD_SIZE", 1)) == 1 or distributed.is_initialized():
        yield
        return
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield
    finally:
        distributed.destroy_process_group()


def rank() -> int:
    """Which of the processes this is; 0 on its own."""
    return distributed.get_rank() if distributed.is_initialized() else 0


def world_size() -> int:
    """Number of processes; 1 on its own."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def barrier() -> None:
    """Wait until all processes are here."""
    if world_size() > 1:
        distributed.barrier()


def total(values: Tensor) -> Tensor:
    """The sum over all processes."""
    if world_size() > 1:
        values = values.clone()
        distributed.all_reduce(values)
    return values


def any_of(flags: list[bool], device: torch.device) -> list[bool]:
    """Which flags are set in one process at least; the same answer in all of them."""
    if world_size() == 1:
        return flags
    values = torch.tensor(flags, dtype=torch.int32, device=device)
    distributed.all_reduce(values, distributed.ReduceOp.MAX)
    return [bool(value) for value in values.tolist()]


def require_same(values: list[int], message: str, device: torch.device) -> None:
    """Raises SparsePixError with the message, in all processes, unless they all have the same values."""
    both = torch.tensor([values, [-value for value in values]], dtype=torch.int64, device=device)
    if world_size() > 1:
        distributed.all_reduce(both, distributed.ReduceOp.MAX)
    if not torch.equal(both[0], -both[1]):
        raise SparsePixError(message)


def averaged(model: nn.Module, device: torch.device) -> nn.Module:
    """The model, with its gradients averaged over all processes; the weights are shared, not copied.

    They all begin with the weights of process 0.
    """
    if world_size() == 1:
        return model
    return nn.parallel.DistributedDataParallel(
        model,
        device_ids=[device.index] if device.type == "cuda" else None,
        # Every step has the same graph: parameters without a gradient, or with one from a penalty alone, do not
        # keep the processes waiting.
        static_graph=True,
    )
