"""Turn the stated findings of an interpretability bundle into tests that could have failed."""

__version__ = "0.1.0"
