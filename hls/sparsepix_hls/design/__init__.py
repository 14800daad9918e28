"""How a model is laid out in hardware: options, choices, stages."""
