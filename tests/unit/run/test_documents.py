"""Facts read from the bundle's files, kept in the evidence store."""

import os

import numpy as np
import pytest

from pytest_mecheval.evidence.measurement import Measurement
from pytest_mecheval.evidence.store import EvidenceStore
from pytest_mecheval.run.documents import kept


@pytest.mark.parametrize("damage", [b"", b'{"address": "', b"\xff\xfe\x00"])
def test_a_damaged_document_is_written_again_so_that_its_claim_can_be_decided_again(
    tmp_path, damage
):
    found = Measurement(np.empty(0), facts={"nodes": ["a0.h1"]}, provenance={"document": "n.json"})
    address = kept(found, tmp_path).address
    store = EvidenceStore(tmp_path)
    path = store.address_path(address)
    path.write_bytes(damage)
    os.utime(path, ns=(1, 1))
    assert kept(found, tmp_path).address == address
    assert store.read_address(address).facts == {"nodes": ["a0.h1"]}


def test_a_whole_document_is_not_written_again(tmp_path):
    found = Measurement(np.empty(0), facts={"nodes": ["a0.h1"]}, provenance={"document": "n.json"})
    path = EvidenceStore(tmp_path).address_path(kept(found, tmp_path).address)
    os.utime(path, ns=(1, 1))
    kept(found, tmp_path)
    assert path.stat().st_mtime_ns == 1
