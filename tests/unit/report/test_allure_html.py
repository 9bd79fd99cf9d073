"""`mecheval report`: which Allure is used, what is refused, what is taken out of its pages."""

import stat
from pathlib import Path

import pytest

from pytest_mecheval.cli import main
from pytest_mecheval.errors import UsageError
from pytest_mecheval.report.allure_html import find_allure, find_run, strip_trackers
from pytest_mecheval.report.artefacts import write_artefacts
from pytest_mecheval.report.outcome import BundleReport

GTAG = (
    '<script async src="https://www.googletagmanager.com/gtag/js?id=G-1"></script>\n'
    "<script>window.dataLayer=[];function gtag(){dataLayer.push(arguments)}gtag('js')</script>"
)
FAKE = """#!/bin/sh
if [ "$1" = --version ]; then echo {version}; exit 0; fi
if [ "$4" = {fails} ]; then echo "it broke" >&2; exit 3; fi
mkdir -p "$4/data/test-cases"
printf '%s' '<html>{page}' > "$4/index.html"
printf '%s' '{{"uid": "u1", "labels": [{{"name": "epic", "value": "toy"}}, {{"name": "claim", "value": "a"}}]}}' \\
  > "$4/data/test-cases/1.json"
"""


def fake(path: Path, version: str, page: str = GTAG, fails: str = "no") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(FAKE.format(version=version, page=page.replace("'", '"'), fails=fails))
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


@pytest.fixture
def out(tmp_path: Path, made, decision, monkeypatch) -> Path:
    """What a run left, with nothing called Allure on PATH."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    folder = tmp_path / "mecheval-out" / "toy"
    report = BundleReport(
        "toy", "ab" * 32, "c", "cd" * 32, "s", (made("a", decision()),), path="toy"
    )
    write_artefacts(folder, report)
    (folder / "allure-results").mkdir()
    return folder.parent


@pytest.mark.usefixtures("out")
def test_it_says_how_to_install_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report"]) == 4
    said = capsys.readouterr().err
    assert "npm install allure " in said
    assert "npm install allure-commandline" in said


def test_allure_2_gets_a_linked_front_page_and_loses_its_tracker(
    out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fake(tmp_path / "node_modules/.bin/allure", "2.46.1")
    for _ in range(2):  # the second time over the first report
        assert main(["report", "--open", "never"]) == 0
    assert "(Allure 2)" in capsys.readouterr().out
    made = out / "toy" / "allure-report"
    assert (made / "index.html").read_text() == "<html>"
    assert 'href="index.html#testresult/u1"' in (made / "summary.html").read_text()


def test_a_failing_allure_is_an_error(
    out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program = fake(tmp_path / "bad", "2.46.1", fails=str(out / "x"))
    assert main(["report", "--allure", str(program), "--out", str(out / "x")]) == 4
    assert "Allure wrote no report: it broke" in capsys.readouterr().err


def test_nothing_of_a_bundle_is_run(out: Path, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    program = fake(tmp_path / "toy/node_modules/.bin/allure", "3.0.0")
    program.write_text(f"#!/bin/sh\ntouch {ran}\necho 3.0.0\n")
    place = tmp_path / "node_modules/.bin/allure"
    place.parent.mkdir(parents=True)
    place.symlink_to(program)
    with pytest.raises(UsageError, match="no Allure found"):
        find_allure(None, find_run(out), tmp_path)
    assert not ran.exists()


@pytest.mark.usefixtures("out")
def test_a_folder_that_is_no_report_is_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program = fake(tmp_path / "allure", "2.46.1")
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "thesis.tex").write_text("x")
    assert main(["report", "--allure", str(program), "--out", str(precious)]) == 4
    assert "holds something that is no report" in capsys.readouterr().err
    assert (precious / "thesis.tex").read_text() == "x"


def test_more_than_one_run_or_none_is_said(out: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no allure-results"):
        find_run(tmp_path / "toy")
    (out / "other" / "allure-results").mkdir(parents=True)
    with pytest.raises(UsageError, match="more than one run"):
        find_run(out)


def test_trackers_go_and_other_scripts_stay(tmp_path: Path) -> None:
    page = f"<head><script>own()</script>{GTAG}<script src='app.js'></script></head>"
    (tmp_path / "index.html").write_text(page)
    assert strip_trackers(tmp_path) == 1
    left = (tmp_path / "index.html").read_text()
    assert left == "<head><script>own()</script><script src='app.js'></script></head>"
    (tmp_path / "index.html").write_text("<img src=https://www.google-analytics.com/collect>")
    with pytest.raises(UsageError, match="third-party analytics"):
        strip_trackers(tmp_path)


def test_the_shipped_configuration_lies_beside_the_code() -> None:
    from pytest_mecheval.report import allure_html

    assert allure_html.CONFIG.is_file()
    assert (allure_html.CONFIG.parent / "front-page.mjs").is_file()
