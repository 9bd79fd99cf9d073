"""What a quoted sentence says against what its spec tests: numbers, strength and binding, by rule."""
