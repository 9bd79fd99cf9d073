"""Compares every claim of a file with its quote: for proposals a condition, for hand-written claims a note."""

from collections.abc import Iterator, Mapping, Sequence

from pytest_mecheval.bundle.contents import Bundle
from pytest_mecheval.bundle.passages import passages
from pytest_mecheval.checks.binding import BoundClaim
from pytest_mecheval.checks.wording.binding import binding_mismatches
from pytest_mecheval.checks.wording.numbers import number_mismatches
from pytest_mecheval.checks.wording.strength import weaknesses
from pytest_mecheval.checks.wording.view import Mismatch, View, overlapping, view_of


def wording_of(claims: Sequence[BoundClaim], bundle: Bundle) -> Mapping[str, tuple[Mismatch, ...]]:
    """Where claims and quotes differ, by claim id; claims without a difference are left out.

    Args:
        claims: all claims of a file together, since one sentence may be shared out over several.
        bundle: for the lines around the quotes.
    """
    prose = passages(bundle)
    views = [view_of(each.claim, each.check, each.spec, bundle, prose) for each in claims]
    found = {view.claim.id: tuple(_mismatches(view, views)) for view in views}
    return {name: mismatches for name, mismatches in found.items() if mismatches}


def _mismatches(view: View, views: Sequence[View]) -> Iterator[Mismatch]:
    group = [other for other in views if other is view or overlapping(view, other)]
    yield from number_mismatches(view)
    yield from binding_mismatches(view)
    yield from weaknesses(view, group)
