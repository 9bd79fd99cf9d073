"""Pure functions of arrays, one method each, with formula and source in the docstring."""
