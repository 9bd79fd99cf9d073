"""Generators of fresh prompts for the field's standard tasks; numpy only, so parent and harness share them."""
