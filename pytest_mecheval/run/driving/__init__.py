"""Measuring a bundle's own module: questions to the sandbox, metrics from its raw logits, records (tier T2)."""
