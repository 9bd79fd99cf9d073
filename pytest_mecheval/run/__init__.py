"""Turns plan steps into jobs, gives them to the harness once, and hands back evidence."""
