"""Fixed-point quantizers, fixed and learned."""
