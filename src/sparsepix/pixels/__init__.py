"""The list of active pixels, and who is whose neighbour in it."""
