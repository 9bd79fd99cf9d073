"""A bundle and its claim file made ready to be tested, or everything that is wrong with them at once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from pytest_mecheval.bundle.contents import Bundle
from pytest_mecheval.bundle.discovery import discover
from pytest_mecheval.cases.rendering import Case
from pytest_mecheval.checks.binding import BoundClaim
from pytest_mecheval.checks.wording.crosscheck import wording_of
from pytest_mecheval.checks.wording.view import Mismatch
from pytest_mecheval.claims.location import claim_file_for
from pytest_mecheval.claims.model import Claim, ClaimFile, NotTestable, PlanItem
from pytest_mecheval.claims.reading import problems_of
from pytest_mecheval.errors import BundleError
from pytest_mecheval.run.request import request_for
from pytest_mecheval.run.runner import Request
from pytest_mecheval.run.sources import Sources
from pytest_mecheval.run.subject import NOTHING_RUN, PLAN_STEP, Running, bound_claims, sources_of
from pytest_mecheval.vocabulary import Dimension

NOT_TESTABLE = "not_testable"
PLAN_REASON = "the plan step has no `requires`, so nothing says what a run of the bundle's code would have to show"


@dataclass(frozen=True)
class Entry:
    """One case and what decides it."""

    case: Case
    claim: Claim
    """For plan steps and untestable statements a claim of that pseudo-kind, for reports."""
    bound: BoundClaim | None = None
    """None for plan steps and untestable statements."""
    request: Request = field(default_factory=lambda: Request(""))
    reason: str = ""
    """Why there is no verdict, when there is no check."""
    notes: tuple[str, ...] = ()
    """Where quote and spec differ; for the reader, no verdict depends on it."""


@dataclass(frozen=True)
class LoadedBundle:
    """Everything the cases of one bundle need; plain reading, nothing of the bundle was run."""

    name: str
    """Name of its folder below the output folder, also part of module names."""
    bundle: Bundle
    claims_path: Path
    claims_sha256: str
    claim_file: ClaimFile
    sources: Sources
    entries: Mapping[str, Entry]
    """By function name, in claim file order."""

    @property
    def cases(self) -> tuple[Case, ...]:
        """The test cases in claim file order."""
        return tuple(entry.case for entry in self.entries.values())


def load(
    path: Path, claims_path: Path | None, name: str, salt: str, running: Running = NOTHING_RUN
) -> tuple[LoadedBundle | None, list[str]]:
    """Read a bundle and its claim file.

    Args:
        path: the bundle's folder.
        claims_path: its claim file; None means beside the bundle.
        name: for folders and modules.
        salt: changes which fresh prompts are drawn.
        running: how the bundle's own code is run.

    Returns:
        The loaded bundle and no problems, or None and every problem found.
    """
    try:
        bundle = discover(path)
    except BundleError as error:
        return None, str(error).splitlines()
    where = claims_path or claim_file_for(path)
    if not where.exists():
        return None, [
            f"{where}: no claim file for bundle {path}; run: mecheval translate {path} --llm anthropic "
            "(without a key: --llm exchange --dir DIR), write it by hand (mecheval schema), "
            "or name another one with --mecheval-claims"
        ]
    claim_file, problems = problems_of(where, bundle)
    if claim_file is None:
        return None, problems
    sources, found = sources_of(bundle, claim_file, salt, running)
    bound, unbound = bound_claims(claim_file, sources)
    problems += [f"{where.name}: {text}" for text in (*found, *unbound)]
    if problems:
        return None, problems
    wording = wording_of(bound, bundle)
    entries = [_claim_entry(each, sources, wording.get(each.claim.id, ())) for each in bound]
    entries += [_plan_entry(item) for item in claim_file.plan if not item.spec]
    entries += [_untestable_entry(item) for item in claim_file.not_testable]
    return LoadedBundle(
        name=name,
        bundle=bundle,
        claims_path=where,
        claims_sha256=sha256(where.read_bytes()).hexdigest(),
        claim_file=claim_file,
        sources=sources,
        entries={entry.case.function: entry for entry in entries},
    ), []


def _claim_entry(bound: BoundClaim, sources: Sources, wording: Sequence[Mismatch]) -> Entry:
    claim = bound.claim
    case = Case(
        id=claim.id,
        kind=bound.check.kind,
        dimension=bound.check.dimension,
        quote=claim.quote.text,
        place=f"{claim.quote.file}:{claim.quote.line}",
        arguments=bound.spec.model_dump(mode="json", exclude_unset=True),
    )
    return Entry(
        case,
        claim,
        bound=bound,
        request=request_for(claim.id, bound.steps, sources),
        notes=tuple(map(str, wording)),
    )


def _plan_entry(item: PlanItem) -> Entry:
    return _stated_entry(item, PLAN_STEP, dict(item.spec), PLAN_REASON)


def _untestable_entry(item: NotTestable) -> Entry:
    return _stated_entry(item, NOT_TESTABLE, {"reason": item.reason}, item.reason)


def _stated_entry(
    item: PlanItem | NotTestable, kind: str, arguments: dict[str, Any], reason: str
) -> Entry:
    claim = Claim(id=item.id, kind=kind, quote=item.quote, spec=arguments)
    place = f"{item.quote.file}:{item.quote.line}"
    case = Case(item.id, kind, Dimension.COHERENCE, item.quote.text, place, arguments)
    return Entry(case, claim, reason=reason)
