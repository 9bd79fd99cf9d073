"""Runs code that is not ours in isolation: backends, limits, supervision, and the contract all backends keep."""
