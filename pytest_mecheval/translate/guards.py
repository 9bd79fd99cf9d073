"""Proposals against the text: nothing gets into a claim file that the quoted passage does not carry.

A spec must be valid for its kind and bind to the subject, take its numbers from the quote, speak of what
the sentence speaks of, and test no less than the passage says. What fails goes back once; what fails again
is listed as not testable with the reason, never as a milder claim.
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

from pytest_mecheval.bundle.contents import Bundle
from pytest_mecheval.bundle.passages import Passage
from pytest_mecheval.checks.binding import BoundClaim
from pytest_mecheval.checks.kinds.reported_number import UNSTATED_N
from pytest_mecheval.checks.registry import checks
from pytest_mecheval.checks.wording.crosscheck import wording_of
from pytest_mecheval.checks.wording.numbers import numbers_in
from pytest_mecheval.checks.wording.strength import CAUSAL, SPECIAL
from pytest_mecheval.checks.wording.view import Mismatch, Rule
from pytest_mecheval.claims.model import Claim, ClaimFile, Entry, PlanItem, SubjectSection
from pytest_mecheval.run.subject import NOTHING_RUN, PLAN_STEP, Running, bound_claims, sources_of
from pytest_mecheval.translate.proposals import Fate, Proposal, failed

NEVER_FILLED_IN = frozenset(
    {
        *("number", "count", "write", "max_write", "min_drop", "margin", "order"),
        *("components", "component", "head", "receivers", "special", "direction", "quantity"),
    }
)
"""What a sentence must say itself: a proposal that owns up to inventing these tests something else."""
SMALLEST_CHOSEN: Mapping[str, float] = {"min_mass": 0.5, "min_share": 0.1, "min_faithfulness": 0.5}
"""Least threshold a proposal may choose where the sentence states no figure (the kinds' own defaults)."""
SALT = "translate"
"""Claims are bound here only to see whether they can be; nothing is drawn with it."""


class Guard:
    """Checks proposals of one bundle against a subject."""

    def __init__(
        self, bundle: Bundle, subject: SubjectSection, running: Running = NOTHING_RUN
    ) -> None:
        """`running` says how a data function of the bundle is called for its positions."""
        self.bundle = bundle
        self.subject = subject
        self.sources, self.problems = sources_of(bundle, self._file(()), SALT, running)

    def _file(self, entries: Sequence[Entry]) -> ClaimFile:
        return ClaimFile(
            format=1,
            bundle=self.bundle.name[:300],
            documents={},
            subject=self.subject,
            claims=tuple(entry for entry in entries if isinstance(entry, Claim)),
            plan=tuple(entry for entry in entries if isinstance(entry, PlanItem)),
        )

    def checked(self, given: Proposal) -> Proposal:
        """The proposal unchanged when every rule is kept, else what is wrong with it."""
        if given.fate is not Fate.CLAIMED:
            return given
        entries = tuple(
            entry.model_copy(update={"id": f"claim-{number}"})
            for number, entry in enumerate(given.entries, start=1)
        )
        claims = [entry for entry in entries if isinstance(entry, Claim)]
        problems = [*self._unmeasurable(claims), *self._filled_in(claims)]
        bound, unbound = bound_claims(self._file(entries), self.sources)
        if problems or unbound:
            return failed(given.candidate, "invalid", (*problems, *unbound))
        found = self._wording(bound, given.candidate.passage)
        found += self._only_testimony(bound, given.candidate.passage)
        if not found:
            return given
        weak = all(mismatch.rule is Rule.WEAKENED for _, mismatch in found)
        texts = tuple(dict.fromkeys(f"{name}: {mismatch}" for name, mismatch in found))
        return failed(given.candidate, "weakened" if weak else "ungrounded", texts)

    def _unmeasurable(self, claims: Sequence[Claim]) -> Iterator[str]:
        known = checks()
        for claim in claims:
            needs_model = claim.kind in known and known[claim.kind].needs_model
            if needs_model and self.subject.model is None:
                yield f"{claim.id}: kind {claim.kind} needs a model and none is known (subject.model)"

    def _wording(self, bound: Sequence[BoundClaim], passage: Passage) -> list[tuple[str, Mismatch]]:
        """Quotes against specs, and the whole passage against all of its claims together."""
        whole = [_requoted(each, passage.text, passage.line) for each in bound]
        own = wording_of(bound, self.bundle)
        together = wording_of(whole, self.bundle)
        return [(name, each) for name, found in own.items() for each in found] + [
            (name, each)
            for name, found in together.items()
            for each in found
            if each.rule is Rule.WEAKENED
        ]

    def _only_testimony(
        self, bound: Sequence[BoundClaim], passage: Passage
    ) -> list[tuple[str, Mismatch]]:
        """What the bundle's own run shows is less than what a model that can be measured shows."""
        said = CAUSAL.search(passage.text) or SPECIAL.search(passage.text)
        if self.sources.model.ref is None or said is None:
            return []
        stands = (each.check.needs_model or not each.check.functional for each in bound)
        if any(stands) or any(each.claim.kind == PLAN_STEP for each in bound):
            return []
        tests = "no measurement of the model, which can be measured"
        return [(bound[0].claim.id, Mismatch(Rule.WEAKENED, f"'{said[0]}'", tests))]

    def _filled_in(self, claims: Sequence[Claim]) -> Iterator[str]:
        for claim in claims:
            inner = claim.spec.get("spec") if isinstance(claim.spec.get("spec"), Mapping) else {}
            fields = {**dict(claim.spec), **dict(inner or {})}
            for name in (name.rpartition(".")[2] for name in claim.operationalised):
                if name in NEVER_FILLED_IN:
                    yield f"{claim.id}: '{name}' must be said by the sentence, not filled in"
                elif name not in fields:
                    yield f"{claim.id}: operationalised names '{name}', which the spec does not have"
            if "n" in claim.operationalised and int(fields.get("n") or 0) < UNSTATED_N:
                yield f"{claim.id}: n: below {UNSTATED_N}, which is assumed when the text gives none"
            if numbers_in(claim.quote.text):
                continue
            for name, smallest in SMALLEST_CHOSEN.items():
                value = fields.get(name)
                if isinstance(value, int | float) and value < smallest:
                    yield f"{claim.id}: {name}: {value} is below {smallest}, the least that may be chosen"


def _requoted(bound: BoundClaim, text: str, line: int) -> BoundClaim:
    quote = bound.claim.quote.model_copy(update={"text": text, "line": line})
    return dataclasses.replace(bound, claim=bound.claim.model_copy(update={"quote": quote}))
