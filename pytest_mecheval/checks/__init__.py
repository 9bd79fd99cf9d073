"""How a claim becomes a decision: the check record, the registry and one module per kind in `kinds`."""
