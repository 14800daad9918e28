"""What options of the presets can be, for code that does not load torch; see ``presets``."""

SELECTIONS = ("raster", "magnitude")
FORMATS = ("calibrated", "paper")
BITS_PER = ("tensor", "channel", "weight")
