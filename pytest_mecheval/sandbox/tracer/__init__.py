"""Runs a script or notebook and writes down what it did: models, forwards, hooks and what they changed.

Lives inside the bundle's interpreter: standard library plus the torch it finds, nothing else of this
project. An in-process tracer is evidence, not security: code that shares the process can remove it or
forge its rows. The hash chain shows edits made afterwards, the differential run shows code that behaves
differently when watched, and every absence of a row is read as "did not happen".
"""
