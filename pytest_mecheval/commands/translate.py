"""`mecheval translate`: turn a bundle's prose into a claim file that a person can read and correct."""

import argparse
import sys
from pathlib import Path

from pytest_mecheval.commands.given import path

HELP = "turn a bundle's prose into a claim file"
INCOMPLETE_STATUS = 1
"""Questions are still open, so nothing was written."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this command."""
    parser.add_argument("bundle", type=path, metavar="BUNDLE")
    parser.add_argument(
        "--llm",
        choices=("anthropic", "replay", "exchange", "outline"),
        required=True,
        help="who answers: the model service (needs a key), recorded answers, files in a folder, rules alone",
    )
    parser.add_argument(
        "--dir",
        type=path,
        metavar="DIR",
        help="replay: the recordings; exchange: questions and answers; anthropic: record answers here",
    )
    parser.add_argument(
        "--claims", type=path, metavar="FILE", help="claim file instead of BUNDLE.claims.yaml"
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="show what would be sent and what it may cost"
    )
    parser.add_argument(
        "--max-cost", type=float, metavar="USD", help="stop before this could be exceeded"
    )
    parser.add_argument("--model", metavar="NAME", help="model of the service")
    parser.add_argument(
        "--no-trial",
        action="store_true",
        help="run no proposed model, and no data function in the sandbox, before it is written down",
    )
    parser.add_argument(
        "--evidence",
        type=path,
        default=Path(".mecheval/evidence"),
        metavar="DIR",
        help="where the trial's measurements are kept (default: .mecheval/evidence)",
    )


def run(options: argparse.Namespace) -> str | tuple[str, int]:
    """What was translated, and where it was written.

    Raises:
        UsageError: bundle, claim file, folder, key or model cannot be used.
    """
    from pytest_mecheval.bundle.discovery import discover
    from pytest_mecheval.claims.location import claim_file_for
    from pytest_mecheval.run.subject import Running
    from pytest_mecheval.translate.choosing import Choice, provider_for
    from pytest_mecheval.translate.preview import preview
    from pytest_mecheval.translate.providers.exchange import GUIDE, Exchange
    from pytest_mecheval.translate.request import Settings
    from pytest_mecheval.translate.telling import progress_line, summary
    from pytest_mecheval.translate.trial import Trial
    from pytest_mecheval.translate.workflow import first_asks, translate, write

    bundle = discover(options.bundle)
    path = options.claims or claim_file_for(options.bundle)
    settings = Settings(model=options.model) if options.model else Settings()
    if options.dry_run:
        asks, common = first_asks(bundle, path)
        return preview(asks, settings, common.kept_back)
    choice = Choice(options.llm, options.dir, options.max_cost, settings)
    provider = provider_for(choice, bundle, path)
    translation = translate(
        bundle,
        path,
        provider,
        trial=None if options.no_trial else Trial(options.evidence.absolute()),
        running=Running(store=None if options.no_trial else options.evidence.absolute()),
        retry=choice.retry,
        on_reply=lambda done, wanted, reply: _show(progress_line(done, wanted, reply)),
    )
    _show("")
    text = summary(translation, provider)
    if translation.open:
        how = "these have no recorded answer; --llm anthropic --dir DIR records, --llm exchange asks in files"
        if options.llm == Exchange.name:
            how = f"answer these ({options.dir / GUIDE} says how), then run this again"
        return f"{text}\nnothing was written: {how}", INCOMPLETE_STATUS
    write(translation, path, bundle)
    return f"{text}\nwritten: {path}"


def _show(line: str) -> None:
    """Progress for people at a terminal, nothing for files."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{line}")
        sys.stderr.flush()
