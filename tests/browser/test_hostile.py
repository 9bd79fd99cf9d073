"""Hostile claim texts in a browser: nothing runs, nothing opens, nothing is asked for, on the page and in Allure's."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hostile_texts import SENTENCES

from pytest_mecheval.cli import main
from pytest_mecheval.evidence.decision import Control, Decision, Estimate
from pytest_mecheval.report.allure_results import write_metrics
from pytest_mecheval.report.artefacts import write_artefacts
from pytest_mecheval.report.outcome import BundleReport, Outcome
from pytest_mecheval.report.reading import read_report
from pytest_mecheval.vocabulary import Dimension, Rung, Tier, Verdict

pytestmark = pytest.mark.browser
ALLURE = os.environ.get("MECHEVAL_TEST_ALLURE") or shutil.which("allure")
CASES = """
import pytest
from hostile_texts import SENTENCES
from pytest_mecheval.claims.model import Claim, Quote
from pytest_mecheval.errors import ClaimNotSupported
from pytest_mecheval.report import allure_case
from pytest_mecheval.report.failure import outcome_text
from pytest_mecheval.report.reading import read_report
from pytest_mecheval.vocabulary import Dimension
from test_hostile import hostile

TEXTS = list(SENTENCES.values())

def number(item):
    return int(item.name.rsplit("_", 1)[1])

def pytest_itemcollected(item):
    made = hostile(number(item), TEXTS[number(item)])
    claim = Claim.model_construct(id=made.claim, kind=made.kind, headline=False, spec={}, operationalised=(),
        quote=Quote.model_construct(file=made.file, line=1, text=made.quote))
    allure_case.mark_item(item, claim, kind=made.kind, dimension=Dimension.COHERENCE, bundle="hostile")

@pytest.fixture
def audit(request):
    made = hostile(number(request.node), TEXTS[number(request.node)])
    def fail():
        allure_case.attach(request.config, made)
        raise ClaimNotSupported(outcome_text(made))
    return fail
"""
MODULE = "\n".join(f"def test_{i}(audit):\n    audit()\n" for i in range(len(SENTENCES)))


def hostile(number: int, text: str) -> Outcome:
    """A refuted claim in which everything a bundle can write is the text."""
    decision = Decision(
        Verdict.REFUTED, text, text, text, Rung.L2, Estimate(1.0, 0.5, 1.5, 0.01, 9, text, text), 2.0,
        (Control(text, 0.5),), tier=Tier.T3, notes=(text,),
    )  # fmt: skip
    return Outcome(
        f"claim-{number}", "ablation", Dimension.COHERENCE, text, 1, text, {"number": text},
        decision=decision, operationalised=(text,),
    )  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    outcomes = tuple(hostile(number, text) for number, text in enumerate(SENTENCES.values()))
    report = BundleReport(
        "hostile", "ab" * 32, "c", "cd" * 32, "s", outcomes, versions={"x": "<b>"}
    )
    write_artefacts(tmp_path / "hostile", report)
    return tmp_path / "hostile"


def test_the_front_page_shows_them_as_text(folder: Path, watched) -> None:
    page = watched(f"file://{folder}/summary.html").page
    assert page.locator("article.claim").count() == len(SENTENCES)
    assert (
        page.evaluate("document.querySelectorAll('img, iframe, object, embed, base').length") == 0
    )
    assert page.evaluate("document.scripts.length") == 1
    hrefs = page.evaluate("[...document.links].map(a => a.getAttribute('href'))")
    assert all(href.startswith("#") for href in hrefs)
    assert page.evaluate("document.documentElement.scrollWidth") <= 1280
    assert "alert(1)" in page.locator("article.claim blockquote").first.inner_text()


def test_pages_of_allure_show_them_as_text(folder: Path, watched, serve, tmp_path: Path) -> None:
    if not ALLURE:
        pytest.skip("no allure on PATH and none named in MECHEVAL_TEST_ALLURE")
    (tmp_path / "conftest.py").write_text(CASES)
    (tmp_path / "test_texts.py").write_text(MODULE)
    subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", os.devnull),
            *("--rootdir", str(tmp_path), "--alluredir", str(folder / "allure-results"), str(tmp_path)),
        ],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (Path(__file__).parent, Path(__file__).parents[1])))},
        check=False,
        capture_output=True,
        timeout=300,
        cwd=tmp_path,
    )  # fmt: skip
    assert len(list((folder / "allure-results").glob("*-result.json"))) == len(SENTENCES)
    write_metrics(folder / "allure-results", [read_report(folder / "decisions.json")])
    assert main(["report", str(folder), "--allure", ALLURE]) == 0
    address = serve(folder / "allure-report")
    front = (
        "mecheval/index.html" if (folder / "allure-report/mecheval").is_dir() else "summary.html"
    )
    links = watched(f"{address}/{front}").page.evaluate(
        "[...document.querySelectorAll('article a.al')].map(a => a.href)"
    )
    assert len(links) == len(SENTENCES)
    for link in links:
        found = watched(link)
        found.page.wait_for_timeout(300)
        assert "REFUTED claim-" in found.page.inner_text("body")
        foreign = found.page.evaluate(
            "[...document.querySelectorAll('a[href]')].map(a => a.href).filter(h => /^(javascript|data):|evil/.test(h))"
        )
        assert foreign == []
