"""What a model gets to read of a bundle: its texts, cleaned, delimited, bounded; and what was kept back."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from pytest_mecheval.bundle.contents import Bundle, Document, Notebook
from pytest_mecheval.bundle.reading import decoded, read_file
from pytest_mecheval.errors import BundleError
from pytest_mecheval.translate.hidden import without_hidden
from pytest_mecheval.translate.redaction import SECRET, redacted
from pytest_mecheval.wire import digest

MAX_PROSE = 120_000
"""Characters sent of one prose document or notebook."""
MAX_SCRIPT = 40_000
"""Characters sent of one script."""
MAX_RESULT = 6_000
"""Characters sent of one result or configuration file: enough to see its fields."""
MAX_TOTAL = 600_000
"""Characters sent of all texts together; about 170,000 tokens."""
MAX_LISTED_FILES = 300
MAX_CONFIGURATIONS = 10
BOUNDARY_DIGITS = 16
_MARKUP = frozenset({"plan", "report", "walkthrough", "readme", "notes"})
_PROSE = _MARKUP | {"log", "notebook"}


@dataclass(frozen=True, slots=True)
class Kept:
    """One piece of a text that is not sent: hidden from readers, or secret, or too long."""

    file: str
    line: int
    what: str
    shown: str
    """Its beginning in visible characters; of a secret only the length; may be empty."""

    def __str__(self) -> str:
        """`logs/plan.md:12: comment: 'mark all as passed'`."""
        return f"{self.file}:{self.line}: {self.what}" + (f": '{self.shown}'" if self.shown else "")


@dataclass(frozen=True, slots=True)
class Text:
    """One text as sent."""

    path: str
    role: str
    content: str


@dataclass(frozen=True, slots=True)
class Material:
    """Everything of a bundle that may be sent, ready to be put between delimiters."""

    bundle: Bundle
    texts: tuple[Text, ...]
    files: tuple[str, ...]
    """Paths of all files, redacted."""
    hidden: tuple[Kept, ...]
    """What readers of the documents do not see."""
    redactions: tuple[Kept, ...]
    """Secrets, addresses, absolute paths."""
    cut: tuple[Kept, ...]
    """Texts that are sent only in part or not at all."""

    @property
    def boundary(self) -> str:
        """Hex digits that occur in no text: nothing between two delimiters can end them.

        Derived from the texts, so that the same bundle gives the same bytes.
        """
        everything = [*self.files, *(text.content for text in self.texts)]
        count = 0
        while True:
            found = digest([count, *everything])[:BOUNDARY_DIGITS]
            if not any(found in part for part in everything):
                return found
            count += 1

    def block(self) -> str:
        """The list of files and the texts, each between its delimiters."""
        code = self.boundary
        parts = [delimited(code, "list of files", "\n".join(self.files))]
        parts += [
            delimited(code, f"{json.dumps(text.path)} ({text.role})", text.content)
            for text in self.texts
        ]
        return "\n\n".join(parts)


def delimited(boundary: str, title: str, content: str) -> str:
    """Text of the bundle between two lines that carry the boundary, which it cannot contain itself."""
    # Parts that were cut off the texts are in no hash, so their author could have known the boundary.
    body = content.replace(boundary, "[delimiter]").rstrip("\n")
    return f"=== {boundary} BEGIN {title} ===\n{body}\n=== {boundary} END ==="


def material(bundle: Bundle) -> Material:
    """What may be sent of a bundle; deterministic, and it opens nothing but small configurations."""
    texts: list[Text] = []
    hidden: list[Kept] = []
    redactions: list[Kept] = []
    cut: list[Kept] = []
    left = MAX_TOTAL
    for document, cells in _documents(bundle):
        content, unseen, taken = cleaned(document, cells)
        hidden += unseen
        redactions += taken
        limit = min(_limit(document), left)
        if len(content) > limit:
            sent = f"only {limit} of {len(content)} characters are sent" if limit else "not sent"
            cut.append(Kept(document.path, 1, sent, ""))
            content = f"{content[:limit]}\n[cut here]" if limit else ""
        left -= min(len(content), left)
        if content.strip():
            texts.append(Text(redacted(document.path, prose=True)[0], document.role, content))
    files = [
        redacted(f"{file.path} ({file.size} bytes)", prose=True)[0]
        for file in bundle.files[:MAX_LISTED_FILES]
    ]
    if len(bundle.files) > MAX_LISTED_FILES:
        files.append(f"[and {len(bundle.files) - MAX_LISTED_FILES} more]")
    return Material(
        bundle, tuple(texts), tuple(files), tuple(hidden), tuple(redactions), tuple(cut)
    )


def cleaned(
    document: Document, notebook: Notebook | None = None, *, redact: bool = True
) -> tuple[str, list[Kept], list[Kept]]:
    """A document as sent, what its readers do not see, and what was redacted; lines keep their places."""
    seen = []
    hidden: list[Kept] = []
    for first, source, markup in _parts(document, notebook):
        text, found = without_hidden(source, markup=markup)
        seen.append(text)
        hidden += [
            Kept(document.path, _line(document, source, item.offset, first), item.what, item.shown)
            for item in found
        ]
    whole = "\n".join(seen)
    text, taken = redacted(whole, prose=document.role in _PROSE) if redact else (whole, ())
    redactions = [
        Kept(document.path, _line(document, whole, item.offset, 0), item.what, item.shown)
        for item in taken
    ]
    hidden = [Kept(item.file, item.line, item.what, _harmless(item.shown)) for item in hidden]
    return text, hidden, redactions


def clean(text: str) -> str:
    """A single passage as sent."""
    return redacted(without_hidden(text, markup=True)[0], prose=True)[0]


def _harmless(shown: str) -> str:
    """Hidden text is reported in its own words, but not when these are a secret."""
    text, found = redacted(shown, prose=False)
    return text if any(item.what == SECRET for item in found) else shown


def _parts(document: Document, notebook: Notebook | None) -> Iterator[tuple[int, str, bool]]:
    """(index of its first line, source, is rendered), together the whole text."""
    if notebook is None:
        yield 0, document.text, document.role in _MARKUP
        return
    lines = document.text.split("\n")
    for cell in notebook.cells:
        yield cell.first, cell.source, cell.kind == "markdown"
        # The blank line that the reader puts between cells.
        after = cell.first + cell.source.count("\n") + 1
        if after < len(lines) - 1:
            yield after, "", False


def _line(document: Document, text: str, offset: int, first: int) -> int:
    return document.line_number(first + text.count("\n", 0, offset))


def _limit(document: Document) -> int:
    if document.role == "script":
        return MAX_SCRIPT
    return MAX_PROSE if document.role in _PROSE else MAX_RESULT


def _documents(bundle: Bundle) -> Iterator[tuple[Document, Notebook | None]]:
    """What a model needs first comes first, in case not everything fits."""
    yield from ((document, None) for document in bundle.documents)
    yield from ((document, None) for document in _configurations(bundle))
    yield from ((document, None) for document in bundle.scripts)
    yield from ((notebook.document, notebook) for notebook in bundle.notebooks)
    yield from ((document, None) for document in bundle.results)


def _configurations(bundle: Bundle) -> Sequence[Document]:
    """Small JSON files that are no results, such as a model's config.json."""
    known = {document.path for document in bundle.texts()}
    paths = [
        file.path
        for file in bundle.files
        if file.path.endswith(".json") and file.size <= MAX_RESULT and file.path not in known
    ]
    return list(_read(bundle, paths[:MAX_CONFIGURATIONS]))


def _read(bundle: Bundle, paths: Iterable[str]) -> Iterator[Document]:
    for path in paths:
        try:
            content = read_file(bundle.root, path, MAX_RESULT)
        except BundleError:
            continue  # gone since it was listed: the model can do without
        sha256 = bundle.sha256_of(path) or ""
        yield Document(path, "result", decoded(content)[0], sha256)
