"""The names of the penalties, for those who load no torch; see ``penalty_terms``."""

PENALTIES = ("budget", "masked_intensity", "ebops")
