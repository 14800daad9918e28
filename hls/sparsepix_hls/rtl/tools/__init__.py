"""Simulation, synthesis and exchange of RTL."""
