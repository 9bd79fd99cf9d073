"""Before a test run, on its controller only: bundles without a fresh claim file are translated, or outlined.

With a provider asked for, or a key in the environment, missing and stale claim files are translated. Without
either, a bundle that has no claim file is read by rules alone into the output folder; such a run cannot pass.
"""

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pytest_mecheval.bundle.discovery import discover
from pytest_mecheval.claims.location import claim_file_for
from pytest_mecheval.errors import BundleError, UsageError
from pytest_mecheval.run.subject import Running
from pytest_mecheval.translate.choosing import Choice, automatic, provider_for
from pytest_mecheval.translate.outline import Outline
from pytest_mecheval.translate.preview import preview
from pytest_mecheval.translate.telling import progress_line, summary
from pytest_mecheval.translate.trial import Trial
from pytest_mecheval.translate.workflow import first_asks, translate, why_translate, write

AUTOMATIC = "auto"
OUTLINE_FILE = "outline.claims.yaml"


@dataclass(frozen=True)
class Wanted:
    """One bundle of a run."""

    bundle: Path
    claims: Path | None
    """Its claim file; None for the usual place."""
    out: Path
    """Its output folder."""

    @property
    def path(self) -> Path:
        """Where its claim file is expected."""
        return self.claims or claim_file_for(self.bundle)


def claim_files(
    wanted: tuple[Wanted, ...], choice: Choice, running: Running, say: Callable[[str], object]
) -> tuple[tuple[Path, ...], frozenset[Path]]:
    """The claim file of every bundle, written now where that is needed and possible.

    Args:
        wanted: the bundles of the run.
        choice: the provider; `auto` takes the model service when there is a key, else the rules.
        running: how code of the bundle is called; its store also keeps the trial's measurements.
        say: shows a line to the user.

    Returns:
        One path per bundle, and those of them that rules alone wrote.

    Raises:
        UsageError: a bundle or claim file cannot be used, or questions are still open.
    """
    paths = [_claim_file(each, choice, running, say) for each in wanted]
    by_rule = {path for each, path in zip(wanted, paths, strict=True) if path != each.path}
    return tuple(paths), frozenset(by_rule)


def dry_run(wanted: tuple[Wanted, ...], choice: Choice) -> str:
    """What would be sent for the bundles that need it."""
    shown = []
    for each in wanted:
        bundle = discover(each.bundle)
        if why := why_translate(each.path, bundle):
            asks, common = first_asks(bundle, each.path)
            shown.append(f"{why}\n{preview(asks, choice.settings, common.kept_back)}")
    return "\n\n".join(shown) or "every claim file is fresh: nothing would be sent"


def _claim_file(
    each: Wanted, choice: Choice, running: Running, say: Callable[[str], object]
) -> Path:
    name = automatic() if choice.name == AUTOMATIC else choice.name
    by_rule = choice.name == AUTOMATIC and name == Outline.name
    # Without a provider a stale file stays the user's business, and a fresh one costs no second look.
    if by_rule and each.path.exists():
        return each.path
    if by_rule and each.claims is not None:
        return each.path  # a file asked for by name is missing: no stand-in, loading says so
    try:
        bundle = discover(each.bundle)
    except BundleError:
        return each.path  # reported with everything else that is wrong when the bundles are loaded
    why = why_translate(each.path, bundle)
    if not why:
        return each.path
    say(f"mecheval: {why}; {_asking(name, by_rule)}")
    path = each.out / OUTLINE_FILE if by_rule else each.path
    chosen = Choice(name, choice.folder, choice.max_cost, choice.settings)
    provider = provider_for(chosen, bundle, each.path)
    translation = translate(
        bundle,
        each.path,
        provider,
        trial=Trial(running.store) if running.store else None,
        running=running,
        retry=chosen.retry,
        on_reply=lambda done, total, reply: _progress(
            say, done, total, progress_line(done, total, reply)
        ),
    )
    say(summary(translation, provider))
    if translation.open:
        raise UsageError(
            f"{each.path}: not written, {len(translation.open)} questions have no answer yet "
            f"({translation.open[0]}); run: {_command(each, chosen)}"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    write(translation, path, bundle)
    return path


def _asking(name: str, by_rule: bool) -> str:
    """Who is asked; without a choice and without a key, what that means."""
    return f"asking {name}" + (" (rules alone: no key is set)" if by_rule else "")


def _command(each: Wanted, choice: Choice) -> str:
    """What translates this bundle in the same way, ready to paste."""
    options = [str(each.bundle), "--llm", choice.name]
    for option, value in (("--dir", choice.folder), ("--claims", each.claims)):
        options += [option, str(value)] if value else []
    return f"mecheval translate {shlex.join(options)}"


def _progress(say: Callable[[str], object], done: int, total: int, line: str) -> None:
    """Every tenth part, and the end: a log is no place for a bar."""
    if done == total or done % max(total // 10, 1) == 0:
        say(f"  {line}")
