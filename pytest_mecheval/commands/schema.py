"""`mecheval schema`: JSON Schema of the claim file, or of what a run writes."""

import argparse
import json
from typing import Any

HELP = "JSON Schema of the claim file, or of what a run writes"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this command."""
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--decisions", action="store_true", help="of decisions.json")
    which.add_argument("--checklist", action="store_true", help="of checklist.json")


def run(options: argparse.Namespace) -> str:
    """The schema as text."""
    return json.dumps(_schema(options), indent=2)


def _schema(options: argparse.Namespace) -> dict[str, Any]:
    if options.decisions:
        from pytest_mecheval.report.decisions_model import decisions_schema

        return decisions_schema()
    if options.checklist:
        from pytest_mecheval.report.checklist import checklist_schema

        return checklist_schema()
    from pytest_mecheval.checks.registry import checks
    from pytest_mecheval.claims.schema import claim_file_schema

    specs = {kind: check.spec.model_json_schema() for kind, check in checks().items()}
    return claim_file_schema(specs)
