"""One file, one task generator."""
