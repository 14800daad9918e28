"""Small helpers that several folders use."""
