"""Typed claims and plan steps, anchored to verbatim quotes; reads and writes the claim file."""
