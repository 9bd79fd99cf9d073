"""Measured arrays, what was concluded from them, and the content-addressed store they live in."""
