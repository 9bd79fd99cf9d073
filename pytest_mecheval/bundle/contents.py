"""What a bundle holds, as frozen records: documents with text, notebooks as cells, files with hashes."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from pytest_mecheval.bundle.manifest import Manifest

Role = Literal[
    "plan", "report", "walkthrough", "readme", "log", "notes", "notebook", "script", "result"
]
"""Why a file was read. `notes` is any other prose; README is the report when there is no other."""

CellKind = Literal["markdown", "code", "raw"]


@dataclass(frozen=True, slots=True)
class File:
    """One considered file, read or only hashed."""

    path: str
    """Relative to the bundle's root, `/` between folders."""
    size: int
    """Bytes."""
    sha256: str
    """Hex digest of the content."""


@dataclass(frozen=True, slots=True)
class Document:
    """One text of the bundle that can be quoted."""

    path: str
    """Relative to the bundle's root, `/` between folders."""
    role: Role
    text: str
    """Decoded text with `\\n` line ends; for a notebook the sources of its cells."""
    sha256: str
    """Hex digest of the file's bytes."""
    line_numbers: tuple[int, ...] | None = None
    """Line of the file on which each line of `text` lies; None when they simply count from 1."""

    def line_number(self, index: int) -> int:
        """Line of the file (from 1) that holds line `index` (from 0) of the text."""
        return index + 1 if self.line_numbers is None else self.line_numbers[index]


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of a notebook, or one `# %%` section of a script."""

    kind: CellKind
    source: str
    first: int
    """Index of its first line in the document's text."""


@dataclass(frozen=True, slots=True)
class Notebook:
    """A notebook's sources; stored outputs are not kept, they are no evidence."""

    document: Document
    cells: tuple[Cell, ...]

    @property
    def path(self) -> str:
        """Relative to the bundle's root."""
        return self.document.path


@dataclass(frozen=True)
class Bundle:
    """What the agent handed in; nothing of it was imported or run."""

    root: Path
    """Absolute, symbolic links resolved."""
    name: str
    documents: tuple[Document, ...]
    """Prose: plans by version, then reports, walkthroughs, read-mes, logs, other notes."""
    notebooks: tuple[Notebook, ...]
    scripts: tuple[Document, ...]
    results: tuple[Document, ...]
    """JSON files the bundle says are its results."""
    files: tuple[File, ...]
    """Everything considered, sorted by path: the basis of `digest`."""
    digest: str
    """Hex SHA-256 over relative paths and contents of `files`."""
    manifest: "Manifest | None" = None
    """What `mecheval.yaml` states, when there is one: stated, not trusted."""
    notes: tuple[str, ...] = field(default=())
    """What was skipped or repaired while reading, one line each."""

    def texts(self) -> Iterator[Document]:
        """Every text that can be quoted."""
        yield from self.documents
        yield from (notebook.document for notebook in self.notebooks)
        yield from self.scripts
        yield from self.results

    @cached_property
    def _by_path(self) -> dict[str, Document]:
        return {document.path: document for document in self.texts()}

    def find(self, path: str) -> Document | None:
        """The text at this relative path, or None."""
        return self._by_path.get(path)

    @cached_property
    def _hashes(self) -> dict[str, str]:
        return {file.path: file.sha256 for file in self.files}

    def sha256_of(self, path: str) -> str | None:
        """Hex digest of any considered file, text or not; None when there is none at this path."""
        return self._hashes.get(path)

    @property
    def findings(self) -> tuple[Document, ...]:
        """The reports: where findings are stated."""
        return tuple(document for document in self.documents if document.role == "report")


def digest_of(files: tuple[File, ...]) -> str:
    """Hex SHA-256 over sorted relative paths and content hashes."""
    state = hashlib.sha256()
    for file in sorted(files, key=lambda file: file.path):
        state.update(f"{file.path}\0{file.sha256}\n".encode())
    return state.hexdigest()
