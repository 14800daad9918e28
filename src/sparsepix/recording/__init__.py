"""What layers and quantizers need of an export: to know that a model is recorded, and to record their op."""
