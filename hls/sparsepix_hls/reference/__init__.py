"""Published firmware, and the model of it that the estimates are checked by."""
