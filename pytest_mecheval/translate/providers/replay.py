"""Recorded answers: one small readable file per ask, committed; found by the ask's key, never by its name.

The recordings are ours, so no release of any SDK changes them, and none is imported to read them.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_mecheval.bundle.reading import decoded, list_files, read_file, real_root
from pytest_mecheval.errors import BundleError, UsageError
from pytest_mecheval.translate.asks import Ask, Provider, Reply, Status, Usage
from pytest_mecheval.translate.strict_json import NotJson, json_object
from pytest_mecheval.wire import digest, write_atomically

FORMAT = 1
SUFFIX = ".json"
MAX_BYTES = 1_000_000
WORTH_RECORDING = (Status.ANSWERED, Status.REFUSED, Status.TRUNCATED, Status.MALFORMED)
"""What would come again; a lost connection would not."""
_PARTS = {
    "schema": "the answer's schema",
    "shared": "the bundle or the instructions",
    "prompt_version": "the prompts' version",
    "question": "the question",
}


@dataclass(frozen=True, slots=True)
class Recording:
    """One recorded answer."""

    path: Path
    key: str
    name: str
    prints: Mapping[str, str]
    """Hash of each part of the ask, to tell which one changed."""
    status: Status
    body: Mapping[str, Any]
    detail: str
    usage: Usage
    answered_by: str
    """Name of the provider that gave the answer; empty in recordings that do not say."""


@dataclass(frozen=True, slots=True)
class Survey:
    """How recordings and asks fit together."""

    missing: tuple[Ask, ...]
    """Asks that nobody recorded an answer to."""
    stale: tuple[tuple[Ask, Path, str], ...]
    """Of these, those recorded under the same name for another question, and what changed."""
    orphans: tuple[Path, ...]
    """Recordings that no ask belongs to, stale ones included."""

    @property
    def problems(self) -> tuple[str, ...]:
        """One line each; none when recordings and asks fit exactly."""
        stale = {ask.name: (path, why) for ask, path, why in self.stale}
        lines = []
        for ask in self.missing:
            path, why = stale.get(ask.name, (None, ""))
            lines.append(
                f"{path}: stale, {why} changed" if path else f"{ask.name}: no recorded answer"
            )
        named = {path for _, path, _ in self.stale}
        lines += [
            f"{path}: no question belongs to it" for path in self.orphans if path not in named
        ]
        return tuple(lines)


class Replay:
    """Answers from a folder of recordings."""

    name = "replay"

    def __init__(self, folder: Path) -> None:
        """Reads all recordings.

        Raises:
            UsageError: no such folder, or a file in it is no recording; every problem, one line each.
        """
        self.folder = folder
        self._by_key = {recording.key: recording for recording in recordings(folder)}

    def replies(self, asks: Sequence[Ask]) -> Iterator[Reply]:
        """One reply per ask, in their order; MISSING says whether a stale recording is there."""
        stale = {ask.name: (path, why) for ask, path, why in self.survey(asks).stale}
        for ask in asks:
            found = self._by_key.get(ask.key)
            if found is not None:
                yield Reply(ask, found.status, found.body, found.detail, found.usage)
                continue
            path, why = stale.get(ask.name, (None, ""))
            said = f"recorded, but {why} changed since: {path}" if path else "no recorded answer"
            yield Reply(ask, Status.MISSING, detail=said)

    @property
    def answered_by(self) -> frozenset[str]:
        """Who gave the recorded answers: a person's answers say nothing about any model."""
        return frozenset(recording.answered_by for recording in self._by_key.values())

    def survey(self, asks: Iterable[Ask]) -> Survey:
        """Which asks lack a recording, and which recordings lack an ask."""
        asked = {ask.key: ask for ask in asks}
        missing = tuple(ask for key, ask in asked.items() if key not in self._by_key)
        orphans = [found for key, found in self._by_key.items() if key not in asked]
        by_name = {found.name: found for found in orphans}
        stale = tuple(
            (ask, by_name[ask.name].path, _changed(by_name[ask.name], ask))
            for ask in missing
            if ask.name in by_name
        )
        return Survey(missing, stale, tuple(sorted(found.path for found in orphans)))


class Record:
    """Asks another provider what is not recorded yet, and records what it answers."""

    name = "record"

    def __init__(self, provider: Provider, folder: Path) -> None:
        """Raises UsageError when a file in the folder is no recording."""
        self.provider = provider
        self.folder = folder

    def replies(self, asks: Sequence[Ask]) -> Iterator[Reply]:
        """Recorded answers first, then the others as they come in."""
        known = {found.key: found for found in recordings(self.folder)} if self._exists() else {}
        open_asks = [ask for ask in asks if ask.key not in known]
        for ask in asks:
            if found := known.get(ask.key):
                yield Reply(ask, found.status, found.body, found.detail, found.usage)
        for reply in self.provider.replies(open_asks) if open_asks else ():
            if reply.status in WORTH_RECORDING:
                record(self.folder, reply, self.provider.name)
            yield reply

    def _exists(self) -> bool:
        return self.folder.is_dir()


def record(folder: Path, reply: Reply, answered_by: str = "") -> Path:
    """Write one answer down, over an older one of the same name.

    The shared block is kept as hash and length only: it is the bundle itself.
    """
    ask = reply.ask
    prints = _prints(ask)
    document = {
        "format": FORMAT,
        "key": ask.key,
        "name": ask.name,
        "role": ask.role,
        "passage": {"file": ask.file, "line": ask.line, "text": ask.text},
        "prompt_version": ask.prompt_version,
        "shared": {"characters": len(ask.shared), "sha256": prints["shared"]},
        "schema_sha256": prints["schema"],
        "question_sha256": prints["question"],
        "answered_by": answered_by,
        "status": reply.status.value,
        "answer": dict(reply.body),
        "detail": reply.detail,
        "usage": {
            "input": reply.usage.input,
            "output": reply.usage.output,
            "cache_read": reply.usage.cache_read,
            "cache_write": reply.usage.cache_write,
        },
    }
    path = folder / f"{ask.name}{SUFFIX}"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, json.dumps(document, indent=2, ensure_ascii=False) + "\n")
    return path


def recordings(folder: Path) -> tuple[Recording, ...]:
    """All recordings of a folder, by file name.

    Raises:
        UsageError: no such folder, or files that are no recordings; every problem, one line each.
    """
    if not folder.is_dir():
        what = "is a file; recordings are kept in a folder" if folder.exists() else "no such folder"
        raise UsageError(f"recorded answers: {folder}: {what}")
    try:
        root = real_root(folder)
        files = list_files(root, lambda _parts, is_folder: is_folder).files
    except BundleError as error:
        raise UsageError(f"recorded answers: {error}") from None
    found: list[Recording] = []
    problems: list[str] = []
    for name in files:
        if not name.endswith(SUFFIX):
            continue
        try:
            text, _ = decoded(read_file(root, name, MAX_BYTES))
            found.append(_recording(folder / name, json_object(text)))
        except (BundleError, NotJson) as error:
            problems.append(f"{folder / name}: {error}")
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            problems.append(f"{folder / name}: no recorded answer of format {FORMAT} ({error!r})")
    keys = [recording.key for recording in found]
    problems += [
        f"{recording.path}: records the same question as another file"
        for index, recording in enumerate(found)
        if recording.key in keys[:index]
    ]
    if problems:
        raise UsageError("\n".join(problems))
    return tuple(found)


def _recording(path: Path, document: Mapping[str, Any]) -> Recording:
    if document["format"] != FORMAT:
        raise ValueError(f"format {document['format']!r}")
    answer, usage = document["answer"], document["usage"]
    if not isinstance(answer, Mapping):
        raise TypeError("answer is no object")
    return Recording(
        path=path,
        key=str(document["key"]),
        name=str(document["name"]),
        prints={
            "schema": str(document["schema_sha256"]),
            "shared": str(document["shared"]["sha256"]),
            "prompt_version": str(document["prompt_version"]),
            "question": str(document["question_sha256"]),
        },
        status=Status(document["status"]),
        body=answer,
        detail=str(document["detail"]),
        usage=Usage(**{name: int(count) for name, count in usage.items()}),
        answered_by=str(document.get("answered_by", "")),
    )


def _prints(ask: Ask) -> dict[str, str]:
    return {
        "schema": digest(dict(ask.schema)),
        "shared": digest(ask.shared),
        "prompt_version": ask.prompt_version,
        "question": digest(ask.question),
    }


def _changed(recording: Recording, ask: Ask) -> str:
    """Which parts of an ask differ from what was recorded, in words."""
    now = _prints(ask)
    return " and ".join(
        words for part, words in _PARTS.items() if recording.prints[part] != now[part]
    )
