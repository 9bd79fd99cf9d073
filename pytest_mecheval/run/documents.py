"""Facts that are read from a bundle's files by this process, without a model and without a child."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path

import numpy as np

from pytest_mecheval.bundle.code_units import Source, code_units, sources_of
from pytest_mecheval.bundle.json_hooks import unique_keys
from pytest_mecheval.bundle.notebooks import read_notebook
from pytest_mecheval.bundle.quoting import normalised
from pytest_mecheval.bundle.reading import decoded, read_file
from pytest_mecheval.errors import BundleError, SubjectError
from pytest_mecheval.evidence.measurement import Measurement, measured
from pytest_mecheval.evidence.store import DamagedRecord, EvidenceStore
from pytest_mecheval.wire import Record, digest, dump, record_path, write_atomically

DOCUMENT_FORMAT = 1
"""Raised whenever a document's facts change meaning; part of every address."""
MAX_DOCUMENT_BYTES = 4_000_000
"""Node lists are small; anything larger is not one."""
MAX_PARAGRAPHS = 50
"""Paragraphs of a document that hold the text looked for."""


def node_list(root: Path, path: str) -> Measurement:
    """The `nodes` of a JSON file of the bundle as a fact.

    Args:
        root: the bundle's folder.
        path: relative to it.

    Raises:
        SubjectError: no such file, not JSON, or no list of names in it.
    """
    try:
        text, _ = decoded(read_file(root, path, MAX_DOCUMENT_BYTES))
        body = json.loads(text, object_pairs_hook=unique_keys)
    except BundleError as error:
        raise SubjectError(str(error)) from error
    except (ValueError, RecursionError) as error:
        raise SubjectError(f"{path}: not JSON: {error}") from error
    nodes = body.get("nodes") if isinstance(body, dict) else body
    if not isinstance(nodes, list) or not all(isinstance(node, str) for node in nodes):
        raise SubjectError(f"{path}: no list of node names under 'nodes'")
    return Measurement(np.empty(0), facts={"nodes": nodes}, provenance={"document": path})


def prose(root: Path, path: str, text: str) -> Measurement:
    """The paragraphs of a document that hold a text, as `paragraphs` of {line, text}.

    Args:
        root: the bundle's folder.
        path: relative to it.
        text: looked for word for word; white space counts as one space.

    Raises:
        SubjectError: no such file, or not a text.
    """
    try:
        body, _ = decoded(read_file(root, path, MAX_DOCUMENT_BYTES))
    except BundleError as error:
        raise SubjectError(str(error)) from error
    wanted = normalised(text)
    found = [
        {"line": line, "text": paragraph}
        for line, paragraph in _paragraphs(body)
        if wanted in paragraph
    ]
    facts = {"paragraphs": found[:MAX_PARAGRAPHS]}
    return Measurement(np.empty(0), facts=facts, provenance={"document": path})


def _paragraphs(body: str) -> Iterator[tuple[int, str]]:
    """Runs of lines without an empty one between them, white space normalised."""
    lines: list[str] = []
    for number, line in enumerate([*body.split("\n"), ""], 1):
        if line.strip():
            lines.append(line)
        elif lines:
            yield number - len(lines), normalised("\n".join(lines))
            lines = []


def code(root: Path, files: Sequence[str]) -> Measurement:
    """Functions, cells and typed-in numbers of the bundle's code; see `bundle.code_units`."""
    scripts = tuple(path for path in files if path.endswith((".py", ".ipynb")))
    return _code(root, scripts, sum(_changed(root, path) for path in scripts))


def _changed(root: Path, path: str) -> int:
    try:
        return (root / path).lstat().st_mtime_ns
    except OSError:
        return 0


@lru_cache(maxsize=8)
def _code(root: Path, scripts: tuple[str, ...], _changed_at: int) -> Measurement:
    sources: list[Source] = []
    unreadable: list[str] = []
    for path in scripts:
        try:
            text, _ = decoded(read_file(root, path, MAX_DOCUMENT_BYTES))
            if path.endswith(".py"):
                sources.append(Source(path, text))
            else:
                sources += sources_of(read_notebook(path, text, ""))
        except BundleError as error:
            unreadable.append(str(error))
    units = code_units(sources)
    facts = asdict(units)
    facts["unreadable"] = [*unreadable, *units.unreadable]
    return Measurement(np.empty(0), facts=facts, provenance={"document": "code"})


def kept(measurement: Measurement, store: Path) -> Measurement:
    """The measurement with its facts in the evidence store, so that its claim can be decided again.

    A document's address is the hash of what was read from it; one that has an address is kept already.
    """
    if measurement.address:
        return measurement
    address = digest(["document", DOCUMENT_FORMAT, measurement.facts])
    record = Record(address, (), facts=measurement.facts, provenance=measurement.provenance)
    path = record_path(store, address)
    if not _whole(store, address, _stamp(path)):
        write_atomically(path, dump(record))
    return measured(record)


@lru_cache(maxsize=512)
def _whole(store: Path, address: str, _stamp: tuple[int, int]) -> bool:
    """Whether the store holds this record undamaged, looked up once as long as the file stays the same."""
    try:
        return EvidenceStore(store).read_address(address) is not None
    except DamagedRecord:
        return False


def _stamp(path: Path) -> tuple[int, int]:
    try:
        found = path.lstat()
    except OSError:
        return (0, 0)
    return (found.st_mtime_ns, found.st_size)
