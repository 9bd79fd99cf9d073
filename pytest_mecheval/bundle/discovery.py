"""Finds what an agent left in a folder, by the names agents use; no manifest is needed (BUNDLES.md)."""

import dataclasses
import hashlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pytest_mecheval.bundle.commands import entry_file
from pytest_mecheval.bundle.contents import Bundle, Document, File, Notebook, Role, digest_of
from pytest_mecheval.bundle.escaping import escaped
from pytest_mecheval.bundle.manifest import MAX_MANIFEST_BYTES, Manifest, parse_manifest
from pytest_mecheval.bundle.notebooks import MAX_NOTEBOOK_BYTES, read_notebook
from pytest_mecheval.bundle.reading import (
    TooLarge,
    decoded,
    hash_file,
    list_files,
    read_file,
    real_root,
)
from pytest_mecheval.bundle.roles import (
    MANIFEST,
    Kind,
    ignored,
    kind_of,
    prose_role,
    reading_order,
)
from pytest_mecheval.bundle.suspicious import suspicious
from pytest_mecheval.errors import BundleError

MAX_TEXT_BYTES = 4 * 2**20
"""Largest prose or script that is read; a longer one is hashed and noted, not quoted."""
MAX_RESULT_BYTES = 16 * 2**20
MAX_TOTAL_TEXT_BYTES = 256 * 2**20
"""All texts of a bundle together, so that many allowed files cannot fill the memory."""

_LIMITS: dict[Kind, int] = {
    "prose": MAX_TEXT_BYTES,
    "script": MAX_TEXT_BYTES,
    "result": MAX_RESULT_BYTES,
    "notebook": MAX_NOTEBOOK_BYTES,
}


@dataclass
class _Reading:
    """What has been read so far."""

    root: Path
    documents: list[Document] = field(default_factory=list)
    notebooks: list[Notebook] = field(default_factory=list)
    scripts: list[Document] = field(default_factory=list)
    results: list[Document] = field(default_factory=list)
    files: list[File] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    total: int = 0
    """Bytes of text kept."""


def discover(path: Path) -> Bundle:
    """Read a bundle: documents, notebooks, scripts, results and the hash over everything considered.

    Nothing is imported or run, links are not followed, and whatever cannot be read safely is
    skipped with a note.

    Args:
        path: the folder the agent left; absolute or relative to the working directory.

    Raises:
        BundleError: no such folder, nothing in it, too many files, or an unusable `mecheval.yaml`.
    """
    root = real_root(path)
    listing = list_files(root, ignored)
    manifest = _manifest(root, listing.files)
    stated = _stated_roles(manifest)
    reading = _Reading(root, notes=list(listing.notes))
    for relative in listing.files:
        kind = kind_of(relative)
        # A manifest may name prose of any suffix; a notebook it names stays a notebook.
        _take(reading, relative, "prose" if relative in stated and kind != "notebook" else kind)
    if not reading.files:
        raise BundleError(
            f"{escaped(str(path))}: no files a bundle has (plan, report, notebook, script, result)"
        )
    documents = _with_roles(reading.documents, stated)
    files = tuple(reading.files)
    notebooks = tuple(_without_duplicates(reading, documents))
    for document in (*documents, *(notebook.document for notebook in notebooks)):
        reading.notes += suspicious(document)
    return Bundle(
        root=root,
        name=_name(path, root),
        documents=_sorted(documents),
        notebooks=notebooks,
        scripts=tuple(reading.scripts),
        results=tuple(reading.results),
        files=files,
        digest=digest_of(files),
        manifest=manifest,
        notes=tuple(reading.notes),
    )


def _name(path: Path, root: Path) -> str:
    """The folder's own name, as the user wrote it where that is a name."""
    written = Path(os.path.abspath(path)).name  # noqa: PTH100 - links must stay unresolved
    return written or root.name or "bundle"


def _take(reading: _Reading, path: str, kind: Kind) -> None:
    """Read or hash one file; a file that cannot be read becomes a note."""
    shown = escaped(path)
    try:
        if kind == "data":
            reading.files.append(File(path, *hash_file(reading.root, path)))
            return
        try:
            content = read_file(reading.root, path, _LIMITS[kind])
        except TooLarge as error:
            reading.files.append(File(path, *hash_file(reading.root, path)))
            reading.notes.append(f"{error}; hashed, its text is not considered")
            return
    except BundleError as error:
        reading.notes.append(f"{error}, skipped")
        return
    sha256 = hashlib.sha256(content).hexdigest()
    reading.files.append(File(path, len(content), sha256))
    reading.total += len(content)
    if reading.total > MAX_TOTAL_TEXT_BYTES:
        reading.notes.append(f"{shown}: texts exceed {MAX_TOTAL_TEXT_BYTES} bytes; hashed only")
        return
    text, replaced = decoded(content)
    if replaced:
        reading.notes.append(f"{shown}: not UTF-8, undecodable bytes are shown as \ufffd")
    match kind:
        case "prose":
            reading.documents.append(Document(path, prose_role(path), text, sha256))
        case "script":
            reading.scripts.append(Document(path, "script", text, sha256))
        case "result":
            reading.results.append(Document(path, "result", text, sha256))
        case "notebook":
            try:
                reading.notebooks.append(read_notebook(path, text, sha256))
            except BundleError as error:
                reading.notes.append(f"{error}; hashed, its text is not considered")


def _manifest(root: Path, files: Iterable[str]) -> Manifest | None:
    """What `mecheval.yaml` states.

    Raises:
        BundleError: it is malformed, or names files that are not there.
    """
    present = set(files)
    if MANIFEST not in present:
        return None
    text, _ = decoded(read_file(root, MANIFEST, MAX_MANIFEST_BYTES))
    manifest = parse_manifest(text)
    entries = (entry_file(entry, present) for entry in manifest.entry_points)
    environment = manifest.environment.requirements if manifest.environment else None
    named = [*manifest.plan, *manifest.findings, *entries, *([environment] if environment else [])]
    missing = [name for name in named if name not in present]
    if missing:
        raise BundleError(
            "\n".join(
                f"{MANIFEST}: {escaped(name)}: no such file in the bundle" for name in missing
            )
        )
    return manifest


def _stated_roles(manifest: Manifest | None) -> dict[str, Role]:
    """The roles a manifest gives to files, by path."""
    roles: dict[str, Role] = {}
    if manifest is not None:
        for path in manifest.plan:
            roles[path] = "plan"
        for path in manifest.findings:
            roles[path] = "report"
    return roles


def _with_roles(documents: list[Document], stated: Mapping[str, Role]) -> list[Document]:
    """Documents with the roles the manifest states; README becomes the report if there is no other."""
    roles = [stated.get(document.path, document.role) for document in documents]
    if "report" not in roles:
        roles = [
            "report" if role == "readme" and "/" not in document.path else role
            for role, document in zip(roles, documents, strict=True)
        ]
    return [
        dataclasses.replace(document, role=role)
        for role, document in zip(roles, documents, strict=True)
    ]


def _sorted(documents: Iterable[Document]) -> tuple[Document, ...]:
    return tuple(sorted(documents, key=lambda d: reading_order(d.role, d.path)))


def _without_duplicates(reading: _Reading, documents: list[Document]) -> Iterable[Notebook]:
    """Notebooks in order of name (agents put the time there), without copies of the logs.

    `plan_Md.ipynb` and the like repeat a log in one markdown cell; equal ones add nothing, a
    differing one is kept because its statements stand nowhere else.
    """
    known = {" ".join(document.text.split()): document.path for document in documents}
    for notebook in reading.notebooks:
        is_prose = all(cell.kind == "markdown" for cell in notebook.cells)
        original = known.get(" ".join(notebook.document.text.split()))
        if is_prose and notebook.cells and original is not None:
            reading.notes.append(
                f"{escaped(notebook.path)}: copy of {escaped(original)}, not considered twice"
            )
        else:
            yield notebook
