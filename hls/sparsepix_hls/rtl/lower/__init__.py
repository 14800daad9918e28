"""Layers as operations on the variables of a tracer."""
