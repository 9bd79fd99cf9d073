"""`mecheval schema`: JSON Schema of the claim file."""

import argparse
import json

HELP = "JSON Schema of the claim file"


def arguments(_parser: argparse.ArgumentParser) -> None:
    """No options."""


def run(_options: argparse.Namespace) -> str:
    """The schema as text."""
    from pytest_mecheval.checks.registry import checks
    from pytest_mecheval.claims.schema import claim_file_schema

    specs = {kind: check.spec.model_json_schema() for kind, check in checks().items()}
    return json.dumps(claim_file_schema(specs), indent=2)
