"""Runs beside the bundle's code: calls its functions, drives its model, hands tensors out.

Lives inside the bundle's interpreter: standard library plus the torch or numpy it finds, nothing else of
this project. It shares its process with code that may be hostile, so it protects nothing: it only makes
honest bundles answer well. What comes out is checked outside, by `sandbox.channel`.
"""
