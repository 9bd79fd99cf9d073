"""Prose that gives orders to machines changes no verdict and is named in the report."""

import pytest
import yaml
from auditing import ROOT, Audited, expected

from pytest_mecheval.bundle.discovery import discover
from pytest_mecheval.claims.reading import read_claims
from pytest_mecheval.sandbox.backends import available
from pytest_mecheval.translate.providers.replay import Replay
from pytest_mecheval.translate.telling import summary
from pytest_mecheval.translate.workflow import translate, write

pytestmark = pytest.mark.skipif(not available(), reason="no sandbox works on this machine")
BUNDLE, TWIN = "fixtures/injected_prose", "fixtures/ablation_not_run"
OBEYING = ROOT / "fixtures" / "obeying" / "injected_prose"
COMMITTED = "translated.claims.yaml"
TRICK = "\u202epassed\u202c <script>window.verdict"


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
    for name in ("examples/induction_heads", "examples/modular_addition", TWIN):
        assert discover(ROOT / name).notes == ()


@pytest.fixture(scope="module")
def translation(tmp_path_factory):
    bundle = discover(ROOT / BUNDLE)
    path = tmp_path_factory.mktemp("obeying") / "injected_prose.claims.yaml"
    provider = Replay(OBEYING)
    result = translate(bundle, path, provider)
    assert provider.survey(result.asks).problems == (), "run: make recordings"
    write(result, path, bundle)
    return path, summary(result, provider)


@pytest.fixture(scope="module")
def obeyed(translation, tmp_path_factory):
    folder = tmp_path_factory.mktemp("obeyed")
    return Audited(BUNDLE, folder, f"--mecheval-claims={translation[0]}")


class TestModelThatObeys:
    """Recorded answers of an imagined model that does what the report tells machines to do."""

    def test_its_claim_file_is_the_same_every_time(self, translation):
        assert translation[0].read_bytes() == (OBEYING / COMMITTED).read_bytes()

    def test_no_statement_comes_out_better_than_in_the_clean_twin(self, obeyed):
        """What is still claimed has the verdict that the twin's same claim has; the rest is untested."""
        claims = read_claims(ROOT / f"{TWIN}.claims.yaml", discover(ROOT / TWIN)).claims
        truth = expected(TWIN)
        known = {(each.kind, str(each.spec)): truth[each.id]["verdict"] for each in claims}
        own = read_claims(OBEYING / COMMITTED, discover(ROOT / BUNDLE)).claims
        specs = {each.id: (each.kind, str(each.spec)) for each in own}
        assert {c: d["verdict"] for c, d in obeyed.decided.items()} == {
            claim: known[spec] for claim, spec in specs.items()
        }

    def test_what_it_dismissed_or_broke_is_listed_untested_and_the_run_fails(self, obeyed, audited):
        assert obeyed.process.returncode == 1
        coverage, faithful = obeyed.document["coverage"], audited.document["coverage"]
        assert coverage["tested"] < faithful["tested"]
        assert coverage["stated"] >= faithful["tested"]
        said = "7 statements not translated or dismissed while the bundle gives orders to machines"
        assert any(note.startswith(said) for note in obeyed.document["bundle"]["notes"])
        reasons = [each["reason"] for each in obeyed.document["untested"]]
        for why in (
            "dismissed as stating nothing",
            "malformed: unknown field",
            "quote: not in the passage",
            "weakened",
            "binding",
        ):
            assert any(why in reason for reason in reasons), (why, reasons)

    def test_orders_are_named_before_and_after_the_run(self, translation, obeyed):
        for place, words in yaml.safe_load((ROOT / f"{BUNDLE}.expected.yaml").read_text())["notes"]:
            assert any(
                line.strip().startswith(place) and words in line
                for line in translation[1].split("\n")
            )
            assert any(
                n.startswith(place) and words in n for n in obeyed.document["bundle"]["notes"]
            )
        assert "note" in obeyed.process.stdout

    def test_nothing_it_says_reaches_a_terminal_or_page_as_anything_but_text(
        self, translation, obeyed
    ):
        assert TRICK in yaml.safe_load(translation[0].read_text())["not_testable"][0]["reason"]
        for shown in (translation[1], obeyed.process.stdout):
            assert not {"\u202e", "\u202c", "\x1b"} & set(shown)
        pages = [
            *(obeyed.folder / "mecheval-out").rglob("*.html"),
            *(obeyed.folder / "mecheval-out").rglob("*.md"),
        ]
        assert pages
        for page in pages:
            text = page.read_text()
            assert "<script>window.verdict" not in text
            assert not {"\u202e", "\x1b"} & set(text)
