"""Ready models, their description and their files."""

from sparsepix.models.presets import PresetOptions, digits, jet, mnist, muon, neutrino

__all__ = ["PresetOptions", "digits", "jet", "mnist", "muon", "neutrino"]
