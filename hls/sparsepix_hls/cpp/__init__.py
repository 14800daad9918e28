"""The HLS C++ backend."""
