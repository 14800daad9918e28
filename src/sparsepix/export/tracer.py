"""One run of a model in which every call of a module and of torch is seen."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode


class ModuleTracer(TorchFunctionMode):
    """Follows a model through one forward pass, for subclasses that say what happens in each call.

    They override ``call`` for the calls of modules and ``__torch_function__`` for those of torch.

    Attributes:
        failed: path of the innermost module in which an exception was raised; None without one.
    """

    def __init__(self) -> None:
        super().__init__()
        self.failed: str | None = None
        self._paths = [""]
        self._alive: list[Tensor] = []

    def run(self, copy: nn.Module, *inputs: Any) -> Any:
        """Run a model without hooks.

        Args:
            copy: one that ``evaluation_copy`` has made, since the calls of its modules are rerouted.
            inputs: of the model.

        Returns:
            What the model returns.
        """
        modules = {module: name for name, module in copy.named_modules()}
        # What torch.compile sets; it takes the place of the call with its hooks, in this copy of the model alone.
        for module, name in modules.items():
            module._compiled_call_impl = partial(self._enter, name, module)
        try:
            with torch.no_grad(), self:
                return copy(*inputs)
        finally:
            for module in modules:
                module._compiled_call_impl = None

    def _enter(self, path: str, module: nn.Module, /, *args: Any, **kwargs: Any) -> Any:
        self._paths.append(path)
        try:
            return self.call(module, args, kwargs)
        except Exception:
            self.failed = self.scope if self.failed is None else self.failed
            raise
        finally:
            self._paths.pop()

    def call(self, module: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Run a module, that of ``path``."""
        return module.forward(*args, **kwargs)

    @property
    def path(self) -> str:
        """That of the module that runs; '' for the model itself."""
        return self._paths[-1]

    @property
    def scope(self) -> str:
        """Path of the module that runs; for a quantizer, that of the layer that it belongs to."""
        return self.path.removesuffix(".quantizer")

    def keep(self, tensor: Tensor) -> int:
        """The id of a tensor, which no other tensor gets while this lives."""
        self._alive.append(tensor)
        return id(tensor)
