"""The C++ kernels, and their parameters and constants as text."""
