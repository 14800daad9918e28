"""The list of active pixels, and which pixels in it are neighbours."""
