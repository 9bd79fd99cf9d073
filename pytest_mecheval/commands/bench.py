"""`mecheval bench`: how good a part of the evaluator is, measured against what people wrote by hand."""

import argparse
from pathlib import Path

from pytest_mecheval.commands.given import path

HELP = "measure a provider against claim files written by hand"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this command."""
    parser.add_argument("what", choices=("translate",))
    parser.add_argument(
        "files", type=path, nargs="+", metavar="FILE", help="BUNDLE.claims.yaml written by hand"
    )
    parser.add_argument(
        "--llm", choices=("anthropic", "replay", "exchange", "outline"), required=True
    )
    parser.add_argument(
        "--dir", type=path, metavar="DIR", help="as for translate; one folder per bundle below it"
    )
    parser.add_argument(
        "--markdown", action="store_true", help="totals as a Markdown table instead"
    )
    parser.add_argument("--max-cost", type=float, metavar="USD", help="per bundle")


def run(options: argparse.Namespace) -> str:
    """The table.

    Raises:
        UsageError: a bundle, claim file or provider cannot be used.
    """
    from pytest_mecheval.bundle.contents import Bundle
    from pytest_mecheval.translate.asks import Provider
    from pytest_mecheval.translate.bench import BY_HAND, NOTE_BY_HAND, bench, markdown, table
    from pytest_mecheval.translate.choosing import Choice, provider_for

    who: set[str] = set()

    def provider_of(bundle: Bundle, path: Path) -> Provider:
        folder = options.dir / bundle.name if options.dir else None
        provider = provider_for(Choice(options.llm, folder, options.max_cost), bundle, path)
        who.update(getattr(provider, "answered_by", ()))
        return provider

    found = bench(options.files, provider_of, retry=Choice(options.llm).retry)
    shown = markdown(found, options.llm) if options.markdown else table(found)
    return f"{NOTE_BY_HAND}\n\n{shown}" if BY_HAND in who else shown
