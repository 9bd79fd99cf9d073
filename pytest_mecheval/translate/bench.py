"""How well a provider translates: its claim file against one written by hand, statement by statement."""

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from pytest_mecheval.bundle.contents import Bundle
from pytest_mecheval.bundle.discovery import discover
from pytest_mecheval.bundle.quoting import normalised
from pytest_mecheval.claims.candidates import candidates
from pytest_mecheval.claims.location import SUFFIX
from pytest_mecheval.claims.model import Claim, ClaimFile, Entry
from pytest_mecheval.claims.reading import read_claims
from pytest_mecheval.errors import UsageError
from pytest_mecheval.translate.asks import Provider
from pytest_mecheval.translate.workflow import translate

BY_HAND = "by hand"
"""Who answered, in recordings that a person wrote from the claim files they are compared with."""
NOTE_BY_HAND = (
    "The recorded answers were written by hand, from the very files they are compared with: every share of the\n"
    "hand-written statements is 1.00 by construction (where the stated model can be loaded), and says nothing\n"
    "about any model."
)
MAX_OPEN_SHOWN = 3
NEAR_LINES = 3
"""Quotes of one sentence may begin on neighbouring lines."""
_COMPONENTS = ("components", "component", "head", "order", "receivers", "sites", "heads")
_DIRECTIONS = ("direction", "special", "value", "among", "quantity", "event")


@dataclass(frozen=True)
class Tally:
    """Counts of one bundle, or of several together; every share is of the row above it it depends on."""

    candidates: int = 0
    """Passages the rules take for statements."""
    quoted: int = 0
    """Of these, passages that the hand-written file quotes."""
    statements: int = 0
    """Entries of the hand-written file."""
    covered: int = 0
    """Of these, those whose passage is a candidate."""
    findings: int = 0
    """Hand-written claims."""
    found: int = 0
    """Of these, those with a proposed claim on the same words."""
    kind: int = 0
    """... of the same kind."""
    components: int = 0
    """... about the same components."""
    numbers: int = 0
    """... with the same numbers."""
    direction: int = 0
    """... in the same direction."""
    exact: int = 0
    """... with the same spec."""
    steps: int = 0
    """Hand-written plan steps."""
    steps_found: int = 0
    """Of these, those proposed as a plan step, whatever it requires."""

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(
            *(getattr(self, each.name) + getattr(other, each.name) for each in fields(Tally))
        )


ROWS: tuple[tuple[str, str, str], ...] = (
    ("statements that are candidates", "covered", "statements"),
    ("candidates that are statements", "quoted", "candidates"),
    ("findings claimed", "found", "findings"),
    ("  same kind", "kind", "findings"),
    ("  same components", "components", "findings"),
    ("  same numbers", "numbers", "findings"),
    ("  same direction", "direction", "findings"),
    ("  same spec", "exact", "findings"),
    ("plan steps proposed", "steps_found", "steps"),
)
"""Name, part and whole of each line."""


def bench(
    files: Sequence[Path], provider_of: Callable[[Bundle, Path], Provider], *, retry: bool
) -> Mapping[str, Tally]:
    """Translate every bundle from its prose alone and compare.

    Args:
        files: claim files written by hand, beside their bundles.
        provider_of: the provider for a bundle and its hand-written claim file.
        retry: as for a translation.

    Raises:
        UsageError: a bundle, claim file or provider cannot be used, or questions have no answer.
    """
    found = {}
    for path in files:
        bundle = discover(path.with_name(path.name.removesuffix(SUFFIX)))
        hand = read_claims(path, bundle)
        with tempfile.TemporaryDirectory() as folder:
            nowhere = Path(folder) / path.name
            result = translate(bundle, nowhere, provider_of(bundle, nowhere), retry=retry)
        if result.open:
            first = "; ".join(result.open[:MAX_OPEN_SHOWN])
            raise UsageError(f"{path}: {len(result.open)} questions have no answer ({first})")
        found[bundle.name] = _tally(bundle, hand, result.claims)
    return found


def markdown(tallies: Mapping[str, Tally], provider: str) -> str:
    """The measures over all bundles as a Markdown table, one line each."""
    total = sum(tallies.values(), Tally())
    rows = [f"| {name.strip()} | {_share(total, part, whole)} |" for name, part, whole in ROWS]
    return "\n".join([f"| over {len(tallies)} bundles | `{provider}` |", "|---|---|", *rows])


def table(tallies: Mapping[str, Tally]) -> str:
    """One line per measure over all bundles, then findings and steps per bundle."""
    total = sum(tallies.values(), Tally())
    lines = [f"{name:<34} {_share(total, part, whole)}" for name, part, whole in ROWS]
    lines += ["", f"{'bundle':<26} {'found':>9} {'kind':>9} {'spec':>9} {'steps':>9}"]
    for name, tally in sorted(tallies.items()):
        cells = (
            f"{tally.found}/{tally.findings}",
            f"{tally.kind}/{tally.findings}",
            f"{tally.exact}/{tally.findings}",
            f"{tally.steps_found}/{tally.steps}",
        )
        lines.append(f"{name:<26} " + " ".join(f"{cell:>9}" for cell in cells))
    return "\n".join(lines)


def _share(tally: Tally, part: str, whole: str) -> str:
    count, of = getattr(tally, part), getattr(tally, whole)
    return f"{count / of:.2f} ({count} of {of})" if of else "none"


def _tally(bundle: Bundle, hand: ClaimFile, proposed: ClaimFile) -> Tally:
    listed = candidates(bundle)
    entries = list(hand.entries())
    quoted = [
        each
        for each in listed
        if any(_overlap_text(e, each.passage.file, each.passage.text) for e in entries)
    ]
    covered = [
        e
        for e in entries
        if any(_overlap_text(e, each.passage.file, each.passage.text) for each in listed)
    ]
    matches = [_matches(claim, proposed.claims) for claim in hand.claims]
    kinds = [
        (claim, [each for each in found if each.kind == claim.kind])
        for claim, found in zip(hand.claims, matches, strict=True)
    ]
    return Tally(
        candidates=len(listed),
        quoted=len(quoted),
        statements=len(entries),
        covered=len(covered),
        findings=len(hand.claims),
        found=sum(bool(found) for found in matches),
        kind=sum(bool(found) for _, found in kinds),
        components=_agreeing(kinds, lambda claim: _picked(claim.spec, _COMPONENTS)),
        numbers=_agreeing(kinds, lambda claim: sorted(map(str, _numbers(claim.spec)))),
        direction=_agreeing(kinds, lambda claim: _picked(claim.spec, _DIRECTIONS)),
        exact=_agreeing(kinds, lambda claim: claim.spec),
        steps=len(hand.plan),
        steps_found=sum(bool(_matches(item, proposed.plan)) for item in hand.plan),
    )


def _agreeing(kinds: Sequence[tuple[Claim, list[Claim]]], part: Callable[[Claim], Any]) -> int:
    return sum(any(part(each) == part(claim) for each in found) for claim, found in kinds)


def _matches(entry: Entry, proposed: Sequence[Any]) -> list[Any]:
    return [
        each
        for each in proposed
        if abs(each.quote.line - entry.quote.line) <= NEAR_LINES
        and _overlap_text(entry, each.quote.file, normalised(each.quote.text))
    ]


def _overlap_text(entry: Entry, file: str, text: str) -> bool:
    quote = normalised(entry.quote.text)
    return entry.quote.file == file and (quote in text or text in quote)


def _picked(spec: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    """Values of these fields wherever they stand, canonical enough to compare."""
    found = [f"{name}={value}" for name, value in _flat(spec) if name in names]
    return sorted(found)


def _numbers(spec: Mapping[str, Any]) -> list[Any]:
    return [
        value
        for name, value in _flat(spec)
        if (isinstance(value, int | float) and not isinstance(value, bool)) or name == "number"
    ]


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _flat(inner, str(key))
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _flat(inner, name)
    else:
        yield name, value
