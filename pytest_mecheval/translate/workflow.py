"""From a bundle to its claim file: ask, check, ask once more, merge, verify; writing is the caller's last step."""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pytest_mecheval.bundle.contents import Bundle
from pytest_mecheval.claims.candidates import Candidate, candidates
from pytest_mecheval.claims.model import ClaimFile, Entry, SubjectSection
from pytest_mecheval.claims.reading import problems_of
from pytest_mecheval.claims.staleness import staleness
from pytest_mecheval.claims.writing import claim_file_text, entry_digest, write_claim_file
from pytest_mecheval.errors import MechevalError, UsageError
from pytest_mecheval.run.subject import NOTHING_RUN, Running
from pytest_mecheval.translate.asking import Asker, again, asker, passage_asks, subject_ask
from pytest_mecheval.translate.asks import Ask, Provider, Reply, Status
from pytest_mecheval.translate.guards import Guard
from pytest_mecheval.translate.merging import Changes, OldFile, merged, read_old
from pytest_mecheval.translate.proposals import Fate, Proposal, proposal, settled, untestable
from pytest_mecheval.translate.subject import Trial, proposed_subject

OnReply = Callable[[int, int, Reply], object]
"""Called after every reply with how many are there, how many are wanted, and the reply."""
NOT_VISIBLE = "not asked about: a reader of the rendered document does not see all of it"
HEADER = (
    "Proposed by: mecheval translate --llm {provider}. Read it, correct it, commit it.",
    "Entries that you change are kept when the bundle is translated again.",
)


@dataclass(frozen=True)
class Translation:
    """What a translation would write, and how every passage fared."""

    claims: ClaimFile
    header: tuple[str, ...]
    translated: tuple[str, ...]
    """Digests of the entries that a person has not touched."""
    changes: Changes
    proposals: tuple[Proposal, ...]
    unseen: tuple[str, ...] = ()
    """Passages that a reader of the rendered document does not see."""
    problems: tuple[str, ...] = ()
    """What is wrong with the subject, one line each."""
    asks: tuple[Ask, ...] = ()
    """Everything that was asked, for a survey of recordings."""
    notes: tuple[str, ...] = ()
    """What the bundle holds that no reader sees, or that gives orders to machines; named, never obeyed."""
    open: tuple[str, ...] = ()
    """Questions without an answer; while there are any, nothing is written."""

    @property
    def text(self) -> str:
        """The claim file's text."""
        return claim_file_text(self.claims, self.header, self.translated)

    def count(self, fate: Fate) -> int:
        """How many passages ended like this."""
        return sum(each.fate is fate for each in self.proposals)


@dataclass
class _Run:
    """One translation under way."""

    bundle: Bundle
    provider: Provider
    common: Asker
    retry: bool
    on_reply: OnReply
    running: Running
    asks: list[Ask] = field(default_factory=list)
    open: list[str] = field(default_factory=list)

    def replies(self, asks: Sequence[Ask]) -> Mapping[str, Reply]:
        """Replies by ask name."""
        self.asks += asks
        found: dict[str, Reply] = {}
        for reply in self.provider.replies(asks) if asks else ():
            found[reply.ask.name] = reply
            self.on_reply(len(found), len(asks), reply)
        self.open += [
            f"{reply.ask.name}: {reply.detail}" for reply in found.values() if reply.status.waits
        ]
        return found


def why_translate(path: Path, bundle: Bundle) -> str:
    """Why a claim file has to be translated: it is missing or stale; empty when it is neither."""
    if not path.exists():
        return f"{path}: no claim file"
    claims, _ = problems_of(path, bundle)
    return staleness(path, claims, bundle) if claims is not None else ""


def first_asks(bundle: Bundle, path: Path) -> tuple[tuple[Ask, ...], Asker]:
    """What a translation would ask if every first answer were usable: for the dry run."""
    common, old = asker(bundle), read_old(path, bundle)
    subject = () if old.stated_subject else (subject_ask(common),)
    known = _plain(old.subject) if old.subject else {}
    chosen = [each for each in candidates(bundle) if not old.covers(each)]
    found = passage_asks(common, [(each.passage, each.role) for each in chosen], known)
    return (*subject, *found.asks), common


def translate(
    bundle: Bundle,
    path: Path,
    provider: Provider,
    *,
    trial: Trial | None = None,
    running: Running = NOTHING_RUN,
    retry: bool = True,
    on_reply: OnReply = lambda _done, _wanted, _reply: None,
) -> Translation:
    """Translate a bundle; nothing is written.

    Args:
        bundle: what the agent handed in.
        path: its claim file, which may exist: entries edited by a person are kept.
        provider: answers the questions.
        trial: runs a proposed model on a few prompts; None to leave that out.
        running: how code of the bundle is called in the sandbox; by default it is not.
        retry: whether an unusable answer goes back once with what is wrong; rules would only repeat it.
        on_reply: for a progress display.

    Raises:
        ClaimFileError: the existing claim file cannot be used.
        UsageError: nothing in the bundle states or promises anything.
    """
    old = read_old(path, bundle)
    run = _Run(bundle, provider, asker(bundle), retry, on_reply, running)
    subject, problems = _subject(run, old, trial)
    found: list[Proposal] = []
    unseen: tuple[str, ...] = ()
    if not run.open:  # questions about passages contain the subject
        chosen = [each for each in candidates(bundle) if not old.covers(each)]
        if not chosen and not old.edited:
            raise UsageError(
                f"{bundle.name}: no plan step and no finding in its documents (read: "
                f"{', '.join(document.path for document in bundle.documents) or 'none'})"
            )
        found, unseen = _passages(run, chosen, subject)
    settled_ones = [settled(each) for each in found]
    entries: list[Entry] = [entry for each in settled_ones for entry in each.entries]
    claims, changes = merged(bundle, old, subject, entries)
    by_hand = {entry.id for entry in old.edited}
    return Translation(
        claims=claims,
        header=tuple(line.format(provider=provider.name) for line in HEADER),
        translated=tuple(
            entry_digest(entry) for entry in claims.entries() if entry.id not in by_hand
        ),
        changes=changes,
        proposals=tuple(settled_ones),
        unseen=unseen,
        problems=problems,
        asks=tuple(run.asks),
        notes=bundle.notes,
        open=tuple(run.open),
    )


def write(translation: Translation, path: Path, bundle: Bundle) -> None:
    """Read the text back as any run would, then write it whole or not at all.

    Raises:
        UsageError: questions are still open.
        MechevalError: what would be written is no valid claim file, which is our mistake.
    """
    if translation.open:
        raise UsageError(
            f"{len(translation.open)} questions have no answer yet; nothing is written"
        )
    with tempfile.TemporaryDirectory() as folder:
        draft = Path(folder) / path.name
        write_claim_file(draft, translation.claims, translation.header, translation.translated)
        claims, problems = problems_of(draft, bundle)
    if problems or claims != translation.claims:
        raise MechevalError("\n".join(["the translation is no valid claim file:", *problems]))
    write_claim_file(path, translation.claims, translation.header, translation.translated)


def _subject(
    run: _Run, old: OldFile, trial: Trial | None
) -> tuple[SubjectSection, tuple[str, ...]]:
    """The stated subject, else a proposed one that passes every check; what was there when there is none."""
    if old.stated_subject is not None:
        return old.stated_subject, ()
    known = old.subject or SubjectSection()
    ask = subject_ask(run.common)
    reply = run.replies([ask])[ask.name]
    if reply.status.waits:
        return known, ()
    section, problems = proposed_subject(reply, run.bundle, trial, run.running)
    if problems and run.retry and reply.status is Status.ANSWERED:
        second = again(ask, reply.body, problems)
        reply = run.replies([second])[second.name]
        section, problems = proposed_subject(reply, run.bundle, trial, run.running)
    if problems or section is None:
        return known, problems
    if known.model is None or known.model == section.model:
        return section, ()
    # A person may have written it, and what a person wrote stays.
    kept = "the claim file's model was kept, the answer names another one; remove it there to take the answer's"
    return section.model_copy(update={"model": known.model}), (kept,)


def _passages(
    run: _Run, chosen: Sequence[Candidate], subject: SubjectSection
) -> tuple[list[Proposal], tuple[str, ...]]:
    guard = Guard(run.bundle, subject, run.running)
    listed = [(each.passage, each.role) for each in chosen]
    found = passage_asks(run.common, listed, _plain(subject))
    hidden = {passage.number for passage in found.unseen}
    asked = [each for each in chosen if each.passage.number not in hidden]
    by_name = dict(zip((ask.name for ask in found.asks), asked, strict=True))
    replies = run.replies(found.asks)
    proposals = {
        name: guard.checked(proposal(replies[name], candidate, run.bundle))
        for name, candidate in by_name.items()
    }
    if run.retry:
        seconds = {
            name: again(replies[name].ask, replies[name].body, each.problems)
            for name, each in proposals.items()
            if each.can_be_asked_again
        }
        answers = run.replies(tuple(seconds.values()))
        for name, ask in seconds.items():
            reply = answers[ask.name]
            if reply.status is Status.ANSWERED:
                proposals[name] = guard.checked(proposal(reply, by_name[name], run.bundle))
    unseen = tuple(f"{each.file}:{each.line}: {each.text[:100]}" for each in found.unseen)
    # A hidden word in a sentence must not take the sentence out of the coverage.
    veiled = [
        untestable(each, NOT_VISIBLE)
        for each in chosen
        if each.strong and each.passage.number in hidden
    ]
    return [*proposals.values(), *veiled], unseen


def _plain(subject: SubjectSection) -> dict[str, Any]:
    return dict(subject.model_dump(mode="json", exclude_defaults=True))
