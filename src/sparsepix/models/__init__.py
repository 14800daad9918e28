"""Ready models, their description and their files. Names are loaded on first use: not every command needs torch."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sparsepix.models.presets import PresetOptions, digits, jet, mnist, muon, neutrino, neutrino_large

__all__ = ["PresetOptions", "digits", "jet", "mnist", "muon", "neutrino", "neutrino_large"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from sparsepix_ops.system.tools import needed_for

    with needed_for("sparsepix.models"):
        from sparsepix.models import presets
    return getattr(presets, name)


def __dir__() -> list[str]:
    return __all__
