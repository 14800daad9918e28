"""Cost model: latency and area from counts of hardware primitives."""
