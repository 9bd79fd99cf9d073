"""What a translation did, for the terminal: counts, failed passages, the diff, what stays open."""

from collections.abc import Iterator, Sequence

from pytest_mecheval.bundle.escaping import escaped
from pytest_mecheval.translate.asks import Provider, Reply, Status
from pytest_mecheval.translate.proposals import Fate
from pytest_mecheval.translate.workflow import Translation

MAX_LISTED = 40
"""Lines of one list; the claim file holds the rest."""
LINE = 200


def summary(translation: Translation, provider: Provider) -> str:
    """Everything a person needs before reading the claim file itself."""
    return "\n".join(_lines(translation, provider))


def _lines(translation: Translation, provider: Provider) -> Iterator[str]:
    waiting = sum(each.status.waits for each in translation.proposals)
    counts = {str(fate): translation.count(fate) for fate in Fate}
    counts[str(Fate.FAILED)] -= waiting
    counts["without an answer"] = waiting
    said = ", ".join(f"{count} {fate}" for fate, count in counts.items() if count) or "none asked"
    yield f"{provider.name}: {len(translation.proposals)} passages: {said}"
    yield from _list("about the bundle's files", translation.notes)
    yield from _list("about the subject", translation.problems)
    failed = [
        f"{each.candidate.passage.file}:{each.candidate.passage.line}: {each.reason}"
        for each in translation.proposals
        if each.fate is Fate.FAILED and not each.status.waits
    ]
    title = "asked again" if translation.open else "not translated (listed as not testable)"
    yield from _list(title, failed)
    dismissed = [
        f"{each.candidate.passage.file}:{each.candidate.passage.line}: {each.candidate.passage.text}"
        for each in translation.proposals
        if each.fate is Fate.DISMISSED
    ]
    yield from _list("said to state nothing", dismissed)
    yield from _list("not visible in the rendered document, so not asked", translation.unseen)
    if not translation.open:  # else nothing is written, so nothing changes
        yield from _list("changes", tuple(translation.changes.lines()))
    survey = getattr(provider, "survey", None)
    if survey is not None:
        yield from _list("recordings", survey(translation.asks).problems)
    yield from _list("no answer yet", translation.open)


def _list(title: str, lines: Sequence[str]) -> Iterator[str]:
    if not lines:
        return
    yield f"{title}: {len(lines)}"
    yield from (f"  {escaped(line, LINE)}" for line in lines[:MAX_LISTED])
    if len(lines) > MAX_LISTED:
        yield f"  and {len(lines) - MAX_LISTED} more"


def progress_line(done: int, wanted: int, reply: Reply) -> str:
    """`12/40 documentation-41`, with the status when there is no answer."""
    ended = "" if reply.status is Status.ANSWERED else f": {reply.status}"
    return f"{done}/{wanted} {reply.ask.name}{ended}"
