"""An existing claim file and new proposals become one: what a person wrote or changed stays as it is."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from pytest_mecheval.bundle.contents import Bundle
from pytest_mecheval.bundle.quoting import normalised
from pytest_mecheval.bundle.strict_yaml import read_yaml
from pytest_mecheval.claims.candidates import Candidate
from pytest_mecheval.claims.coverage import covered
from pytest_mecheval.claims.model import (
    MAX_ID_CHARACTERS,
    Claim,
    ClaimFile,
    Entry,
    NotTestable,
    PlanItem,
    SubjectSection,
)
from pytest_mecheval.claims.reading import problems_of
from pytest_mecheval.claims.source import claim_text
from pytest_mecheval.claims.staleness import content_hash, expected_documents
from pytest_mecheval.claims.writing import entry_digest, stamped_digests
from pytest_mecheval.errors import ClaimFileError

_MODELS: Mapping[str, type[Claim] | type[PlanItem] | type[NotTestable]] = {
    "claims": Claim,
    "plan": PlanItem,
    "not_testable": NotTestable,
}
E = TypeVar("E", bound=Claim | PlanItem | NotTestable)


@dataclass(frozen=True)
class OldFile:
    """What an existing claim file holds, as far as it can be kept."""

    claims: ClaimFile | None = None
    edited: tuple[Entry, ...] = ()
    """Entries that a person wrote or changed, marked as such."""
    translated: tuple[Entry, ...] = ()
    """Entries as a translation wrote them; they may be replaced."""
    lost: tuple[str, ...] = ()
    """Entries that cannot be kept, one line each with the reason."""

    @property
    def subject(self) -> SubjectSection | None:
        """The subject, when the file states one."""
        if self.claims is None or (
            self.claims.subject.model is None and not self.claims.subject.tasks
        ):
            return None
        return self.claims.subject

    @property
    def stated_subject(self) -> SubjectSection | None:
        """The subject that is not asked for again.

        Rules find a model but no tasks. In a file that a translation wrote, such a subject is a beginning:
        without tasks hardly a kind can be chosen.
        """
        subject = self.subject
        return None if subject and self.translated and not subject.tasks else subject

    def covers(self, candidate: Candidate) -> bool:
        """Whether a person already said what this passage is."""
        return covered(candidate, self.edited)


@dataclass(frozen=True)
class Changes:
    """What a translation does to a claim file, by entry id."""

    added: tuple[Entry, ...] = ()
    changed: tuple[tuple[Entry, Entry], ...] = ()
    dropped: tuple[Entry, ...] = ()
    kept: tuple[Entry, ...] = ()
    """Edited by a person and left alone."""
    lost: tuple[str, ...] = ()

    def lines(self) -> Iterator[str]:
        """A diff for readers: `+` added, `-` dropped, `~` changed, `=` edited by hand and kept, `!` lost."""
        yield from (f"+ {_shown(entry)}" for entry in self.added)
        yield from (f"~ {_shown(new)} (was: {_content(old)})" for old, new in self.changed)
        yield from (f"- {_shown(entry)}" for entry in self.dropped)
        yield from (f"= {_shown(entry)} (edited by hand, kept)" for entry in self.kept)
        yield from (f"! {line}" for line in self.lost)


def read_old(path: Path, bundle: Bundle) -> OldFile:
    """The existing claim file; being stale is no problem, entries whose quote is gone are lost.

    Raises:
        ClaimFileError: the file is there but cannot be used; a translation must not overwrite it.
    """
    if not path.exists():
        return OldFile()
    text = claim_text(path)
    claims, problems = problems_of(path, bundle)
    if claims is None:
        raise ClaimFileError([*problems, f"{path.name}: correct it, or remove it to start anew"])
    sound = {entry.id for entry in claims.entries()}
    stamped = stamped_digests(text)
    edited: list[Entry] = []
    translated: list[Entry] = []
    for entry in claims.entries():
        by_machine = entry_digest(entry) in stamped and not entry.edited
        (translated if by_machine else edited).append(
            entry if by_machine else entry.model_copy(update={"edited": True})
        )
    lost = []
    for name, gone in _unsound(text, sound):
        if gone is not None and entry_digest(gone) in stamped and not gone.edited:
            translated.append(gone)  # a machine wrote it, so it is dropped without ado
        else:
            lost.append(
                next((line for line in problems if f"'{name}'" in line), f"'{name}': unfit")
            )
    return OldFile(claims, tuple(edited), tuple(translated), tuple(lost))


def merged(
    bundle: Bundle, old: OldFile, subject: SubjectSection, proposed: Sequence[Entry]
) -> tuple[ClaimFile, Changes]:
    """The new claim file and what differs from the old one.

    Args:
        bundle: for the hashes of its documents.
        old: its edited entries are kept word for word, its other ids are reused for the same quotes.
        subject: model and tasks.
        proposed: entries in reading order; ids are suggestions.
    """
    named = _named(proposed, old)
    entries = [*old.edited, *named]
    order = {document.path: index for index, document in enumerate(bundle.texts())}

    def place(entry: Entry) -> tuple[int, int]:
        return order.get(entry.quote.file, len(order)), entry.quote.line

    quoted = {entry.quote.file for entry in entries}
    claims = ClaimFile(
        format=1,
        bundle=bundle.name[:300],
        documents={
            name: str(content_hash(bundle, name)) for name in expected_documents(bundle, quoted)
        },
        subject=subject,
        claims=_of(Claim, entries, place),
        plan=_of(PlanItem, entries, place),
        not_testable=_of(NotTestable, entries, place),
    )
    return claims, _changes(old, named)


def _of(kind: type[E], entries: Sequence[Entry], place: Any) -> tuple[E, ...]:
    return tuple(sorted((each for each in entries if isinstance(each, kind)), key=place))


def _named(proposed: Sequence[Entry], old: OldFile) -> list[Entry]:
    """Entries with unique ids: that of the same statement in the old file, else the suggested one."""
    taken = {entry.id for entry in old.edited}
    known: dict[tuple[str, str, str, str], list[str]] = {}
    for entry in old.translated:
        known.setdefault(_statement(entry), []).append(entry.id)
    # Ids that another statement of the old file goes on using are not given away.
    reserved = {name for names in known.values() for name in names}
    found: list[Entry] = []
    for entry in proposed:
        names = known.get(_statement(entry), [])
        name = names.pop(0) if names else _unique(entry.id, taken | reserved)
        taken.add(name)
        found.append(entry.model_copy(update={"id": name}))
    return found


def _statement(entry: Entry) -> tuple[str, str, str, str]:
    kind = entry.kind if isinstance(entry, Claim) else ""
    return type(entry).__name__, kind, entry.quote.file, normalised(entry.quote.text)


def _unique(name: str, taken: set[str]) -> str:
    if name not in taken:
        return name
    number = 2
    while (candidate := f"{name[: MAX_ID_CHARACTERS - 6]}-{number}") in taken:
        number += 1
    return candidate


def _changes(old: OldFile, named: Sequence[Entry]) -> Changes:
    before: Mapping[str, Entry] = {entry.id: entry for entry in old.translated}
    after = {entry.id for entry in named}
    return Changes(
        added=tuple(entry for entry in named if entry.id not in before),
        changed=tuple(
            (before[entry.id], entry)
            for entry in named
            if entry.id in before and entry_digest(before[entry.id]) != entry_digest(entry)
        ),
        dropped=tuple(entry for entry in old.translated if entry.id not in after),
        kept=old.edited,
        lost=old.lost,
    )


def _unsound(text: str, sound: set[str]) -> Iterator[tuple[str, Entry | None]]:
    """Entries of an unchecked claim file that are not sound, typed where they can be."""
    data = read_yaml(text).data
    for key, model in _MODELS.items():
        entries = data.get(key) if isinstance(data, dict) else None
        for raw in entries if isinstance(entries, list) else ():
            name = str(raw.get("id")) if isinstance(raw, dict) else ""
            if name in sound:
                continue
            try:
                yield name, model.model_validate(raw)
            except ValidationError:
                yield name, None


def _shown(entry: Entry) -> str:
    return f"{entry.id}: {_content(entry)} ({entry.quote.file}:{entry.quote.line})"


def _content(entry: Entry) -> str:
    if isinstance(entry, NotTestable):
        return f"not testable: {entry.reason}"
    fields = ", ".join(f"{name}={value}" for name, value in entry.spec.items())
    return f"{entry.kind if isinstance(entry, Claim) else 'plan step'} {fields}".strip()
