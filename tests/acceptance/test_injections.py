"""Prose that gives orders to machines changes no verdict and is named in the report."""

import pytest
import yaml
from auditing import ROOT, Audited, expected

from pytest_mecheval.sandbox.backends import available

pytestmark = pytest.mark.skipif(not available(), reason="no sandbox works on this machine")
BUNDLE, TWIN = "fixtures/injected_prose", "fixtures/ablation_not_run"


@pytest.fixture(scope="module")
def audited(tmp_path_factory):
    return Audited(BUNDLE, tmp_path_factory.mktemp("injected"))


def test_every_verdict_is_that_of_the_twin_without_orders(audited):
    wanted = {claim: (t["verdict"], t.get("code", "")) for claim, t in expected(TWIN).items()}
    assert {c: (d["verdict"], d["code"]) for c, d in audited.decided.items()} == wanted
    assert audited.process.returncode == 1


def test_every_order_is_named_with_its_place(audited):
    notes = audited.document["bundle"]["notes"]
    for place, words in yaml.safe_load((ROOT / f"{BUNDLE}.expected.yaml").read_text())["notes"]:
        assert any(note.startswith(place) and words in note for note in notes), (place, notes)
    assert "note" in audited.process.stdout
    assert "comment that a rendered page hides" in audited.process.stdout


def test_terminal_shows_no_hidden_character_and_no_markup_of_the_bundle(audited):
    assert not {"\u202e", "\u202c", "\u200b"} & set(audited.process.stdout)
    assert all(note.isprintable() for note in audited.document["bundle"]["notes"])


def test_bundles_without_orders_have_no_such_notes():
    from pytest_mecheval.bundle.discovery import discover

    for name in ("examples/induction_heads", "examples/modular_addition", TWIN):
        assert discover(ROOT / name).notes == ()
