"""The names of the penalties, for code that does not load torch; see ``penalty_terms``."""

PENALTIES = ("budget", "masked_intensity", "ebops")
