"""Files, processes and signals, as every command treats them."""
