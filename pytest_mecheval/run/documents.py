"""Facts that are read from a bundle's data file by this process, without a model and without a child."""

import json
from pathlib import Path

import numpy as np

from pytest_mecheval.bundle.reading import decoded, read_file
from pytest_mecheval.errors import BundleError, SubjectError
from pytest_mecheval.evidence.measurement import Measurement, measured
from pytest_mecheval.wire import Record, digest, dump, record_path, write_atomically

DOCUMENT_FORMAT = 1
"""Raised whenever a document's facts change meaning; part of every address."""
MAX_DOCUMENT_BYTES = 4_000_000
"""Node lists are small; anything larger is not one."""


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
        body = json.loads(text, object_pairs_hook=_unique)
    except BundleError as error:
        raise SubjectError(str(error)) from error
    except (ValueError, RecursionError) as error:
        raise SubjectError(f"{path}: not JSON: {error}") from error
    nodes = body.get("nodes") if isinstance(body, dict) else body
    if not isinstance(nodes, list) or not all(isinstance(node, str) for node in nodes):
        raise SubjectError(f"{path}: no list of node names under 'nodes'")
    return Measurement(np.empty(0), facts={"nodes": nodes}, provenance={"document": path})


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """An object in which no key is given twice: readers would disagree about which value counts.

    Raises:
        ValueError: one is.
    """
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key is given twice in one object")
    return found


def kept(measurement: Measurement, store: Path) -> Measurement:
    """The measurement with its facts in the evidence store, so that its claim can be decided again.

    A document's address is the hash of what was read from it; one that has an address is kept already.
    """
    if measurement.address:
        return measurement
    address = digest(["document", DOCUMENT_FORMAT, measurement.facts])
    record = Record(address, (), facts=measurement.facts, provenance=measurement.provenance)
    if not record_path(store, address).exists():
        write_atomically(record_path(store, address), dump(record))
    return measured(record)
