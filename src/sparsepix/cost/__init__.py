"""What a model costs: bit operations, penalties, an estimate of its firmware."""
