"""Whether documents changed after their claims were written, and the stamp that says they were reviewed."""

import json
import re
import shlex
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_mecheval.bundle.contents import Bundle
from pytest_mecheval.bundle.escaping import escaped
from pytest_mecheval.bundle.strict_yaml import Place, YamlText, read_yaml
from pytest_mecheval.claims.model import HASH_PREFIX, ClaimFile
from pytest_mecheval.claims.source import claim_text
from pytest_mecheval.errors import ClaimFileError

LISTS = ("claims", "plan", "not_testable")

_LINE_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
"""What YAML 1.1 counts as one."""
_PLAIN_KEY = re.compile(r"[A-Za-z_][\w./-]*", re.ASCII)


@dataclass(frozen=True, slots=True)
class _Edit:
    """Text that replaces the characters from `start` up to `end`."""

    start: int
    end: int
    text: str


def content_hash(bundle: Bundle, path: str) -> str | None:
    """`sha256:…` of a file of the bundle, or None when there is no such file."""
    sha256 = bundle.sha256_of(path)
    return None if sha256 is None else f"{HASH_PREFIX}{sha256}"


def staleness(path: Path, claims: ClaimFile, bundle: Bundle) -> str:
    """One line naming every document that changed and the command to run; empty when claims are fresh.

    New plans and reports count as changes: their statements would otherwise be missing unnoticed.
    """
    quoted = {entry.quote.file for entry in claims.entries()}
    expected = expected_documents(bundle, quoted)
    listed = claims.documents
    changes = {
        "changed": [
            name
            for name in listed
            if (found := content_hash(bundle, name)) is not None and found != listed[name]
        ],
        "gone": [name for name in listed if content_hash(bundle, name) is None],
        "not listed": [name for name in expected if name not in listed],
    }
    parts = [
        f"{', '.join(escaped(name) for name in sorted(names))} {what}"
        for what, names in changes.items()
        if names
    ]
    if not parts:
        return ""
    return (
        f"{escaped(path.name)}: stale: {'; '.join(parts)} since the claims were written; "
        f"review the claims, then run: mecheval restamp {shlex.quote(escaped(str(path), 1000))}"
    )


def restamp(path: Path, bundle: Bundle) -> tuple[str, ...]:
    """Write current hashes into a claim file after a person reviewed it; every other byte stays.

    Plans, reports and quoted files that `documents` does not list yet are added to it.

    Args:
        path: the claim file.
        bundle: as it is now.

    Returns:
        The documents whose entry changed, sorted; empty when the file was already fresh.

    Raises:
        ClaimFileError: unreadable, not YAML, no `documents`, or a listed document is gone.
    """
    text = claim_text(path)
    name = escaped(path.name)
    parsed = read_yaml(text)
    if parsed.problems:
        raise ClaimFileError([escaped(f"{name}: {problem}", 400) for problem in parsed.problems])
    if not isinstance(parsed.data, dict) or "documents" not in parsed.data:
        raise ClaimFileError([f"{name}: missing field 'documents' (add the line: documents: {{}})"])
    listed = parsed.data["documents"]
    if listed is not None and not isinstance(listed, dict):
        raise ClaimFileError([f"{name}: field 'documents': must be a mapping (path: hash)"])
    gone = [document for document in listed or {} if content_hash(bundle, document) is None]
    if gone:
        raise ClaimFileError(
            [
                f"{name}: documents: {escaped(document)} is not in the bundle any more "
                "(remove its line, and the claims that quote it)"
                for document in gone
            ]
        )
    wanted = {
        document: str(content_hash(bundle, document))
        for document in [
            *(listed or {}),
            *expected_documents(bundle, set(_quoted_files(parsed.data))),
        ]
    }
    changed = {key: value for key, value in wanted.items() if (listed or {}).get(key) != value}
    if not changed:
        return ()
    stamped = _apply(text, _edits(text, parsed, listed or {}, changed))
    again = read_yaml(stamped)
    if again.problems or again.data != {**parsed.data, "documents": wanted}:
        raise ClaimFileError(
            [f"{name}: documents: too unusual to be rewritten; write it as 'path: hash' lines"]
        )
    _replace(path, stamped)
    return tuple(sorted(changed))


def expected_documents(bundle: Bundle, quoted: set[str]) -> list[str]:
    """Documents whose change must be noticed: plans, reports, and whatever is quoted."""
    read = [document.path for document in bundle.documents if document.role in ("plan", "report")]
    further = sorted(name for name in quoted if name not in read and bundle.find(name))
    return read + further


def _quoted_files(data: Mapping[str, Any]) -> Iterator[str]:
    """Files quoted anywhere in an unchecked claim file."""
    for key in LISTS:
        entries = data.get(key)
        for entry in entries if isinstance(entries, list) else []:
            quote = entry.get("quote") if isinstance(entry, dict) else None
            file = quote.get("file") if isinstance(quote, dict) else None
            if isinstance(file, str):
                yield file


def _edits(
    text: str, parsed: YamlText, listed: Mapping[str, Any], changed: Mapping[str, str]
) -> list[_Edit]:
    # The parser may place an end on the line after the last one.
    starts = [0, *(match.end() for match in _LINE_BREAK.finditer(text)), len(text)]
    edits: list[_Edit] = []
    for key in listed:
        if key in changed:
            start, end = _span(starts, parsed.places["documents", key])
            edits.append(_Edit(start, end, changed[key] if end > start else f" {changed[key]}"))
    new = [f"{_key(key)}: {value}" for key, value in changed.items() if key not in listed]
    if not new:
        return edits
    place = parsed.places["documents",]
    start, end = _span(starts, place)
    if not listed:
        edits.append(_Edit(start, end, f"{'' if end > start else ' '}{{{', '.join(new)}}}"))
    elif ("documents",) in parsed.flow:
        comma = "" if text[: end - 1].rstrip().endswith(",") else ","
        edits.append(_Edit(end - 1, end - 1, f"{comma} {', '.join(new)}"))
    else:
        last = max(parsed.places["documents", key].end_line for key in listed)
        line_end = _LINE_BREAK.search(text, starts[last])
        position = line_end.start() if line_end else len(text)
        line_break = line_end[0] if line_end else "\n"
        lines = (f"{line_break}{' ' * place.column}{line}" for line in new)
        edits.append(_Edit(position, position, "".join(lines)))
    return edits


def _span(starts: list[int], place: Place) -> tuple[int, int]:
    """Character offsets of a value."""
    return starts[place.line] + place.column, starts[place.end_line] + place.end_column


def _apply(text: str, edits: list[_Edit]) -> str:
    for edit in sorted(edits, key=lambda edit: edit.start, reverse=True):
        text = text[: edit.start] + edit.text + text[edit.end :]
    return text


def _key(path: str) -> str:
    return path if _PLAIN_KEY.fullmatch(path) else json.dumps(path, ensure_ascii=False)


def _replace(path: Path, text: str) -> None:
    """Write whole or not at all, keeping byte order mark, permissions and a link to the file.

    Raises:
        ClaimFileError: the folder cannot be written.
    """
    try:
        real = path.resolve(strict=True)
        had_mark = real.read_bytes().startswith(b"\xef\xbb\xbf")
        with tempfile.NamedTemporaryFile(dir=real.parent, prefix=".", delete=False) as stream:
            temporary = Path(stream.name)
            try:
                stream.write(text.encode("utf-8-sig" if had_mark else "utf-8"))
                stream.close()
                shutil.copymode(real, temporary)
                temporary.replace(real)
            except BaseException:
                temporary.unlink(missing_ok=True)
                raise
    except OSError as error:
        raise ClaimFileError(
            [f"{escaped(path.name)}: cannot be written ({escaped(str(error.strerror))})"]
        ) from None
