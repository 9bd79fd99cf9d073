"""The LLM step: passages of a bundle to proposed claims. It runs before any test and decides nothing."""
