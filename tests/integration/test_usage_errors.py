"""Input that cannot be used: one message with every problem, status 4, nothing run, no traceback."""

import subprocess
import sys

import pytest
from toy_bundle import claims, write_claims


def refuse(pytester, *arguments):
    result = pytester.runpytest("-p", "no:allure_pytest", *(arguments or ["--mecheval=toy"]))
    text = result.stdout.str() + result.stderr.str()
    assert result.ret == 4, text
    assert "Traceback" not in text
    assert not (pytester.path / ".mecheval").exists()
    return text


def test_missing_bundle(pytester):
    assert "nowhere" in refuse(pytester, "--mecheval=nowhere")


def test_empty_bundle(pytester):
    (pytester.path / "toy").mkdir()
    assert "no files a bundle has" in refuse(pytester)


def test_missing_claim_file(pytester, toy):
    toy.with_name("toy.claims.yaml").unlink()
    text = refuse(pytester, "--mecheval=toy", "--mecheval-frozen")
    assert "toy.claims.yaml: no claim file for bundle" in text
    assert "mecheval schema" in text


def test_malformed_yaml(pytester, toy):
    toy.with_name("toy.claims.yaml").write_text("format: 1\nclaims: [{id: a\n")
    assert "toy.claims.yaml" in refuse(pytester)


def test_all_problems_at_once(pytester, toy):
    content = claims()
    needed, decoy, attends = content["claims"]
    needed["kind"] = "ablate"
    decoy["quote"]["text"] = "Head 1.1 is not needed"
    attends["spec"]["qury"] = attends["spec"].pop("query")
    content["subject"]["tasks"]["repeated"]["generator"] = "inducton"
    write_claims(toy, content)
    text = refuse(pytester)
    for part in (
        "problems, nothing was run",
        "claim 'needed': unknown kind 'ablate' (closest: ablation",
        "claim 'decoy': quote 'Head 1.1 is not needed'",
        "claim 'attends': unknown field 'qury' (closest: query",
        "task 'repeated': unknown generator 'inducton', did you mean 'induction'",
    ):
        assert part in text


@pytest.mark.usefixtures("toy")
def test_problems_of_all_bundles_at_once(pytester):
    text = refuse(pytester, "--mecheval=nowhere", "--mecheval=toy", "--mecheval=nothing")
    assert "nowhere" in text
    assert "nothing" in text


@pytest.mark.parametrize("ci", [True, False], ids=["CI", "--mecheval-frozen"])
def test_stale_claims(pytester, toy, monkeypatch, ci):
    with (toy / "logs/documentation.md").open("a") as document:
        document.write("One more finding.\n")
    if ci:
        monkeypatch.setenv("CI", "true")
    text = refuse(pytester, "--mecheval=toy", *([] if ci else ["--mecheval-frozen"]))
    assert "logs/documentation.md" in text
    assert "mecheval restamp" in text


@pytest.mark.usefixtures("toy")
def test_a_claim_file_asked_for_by_name_has_no_stand_in(pytester):
    text = refuse(pytester, "--mecheval=toy", "--mecheval-claims=typo.yaml")
    assert "typo.yaml: no claim file for bundle" in text


@pytest.mark.usefixtures("toy")
def test_number_of_claim_files(pytester):
    text = refuse(
        pytester, "--mecheval=toy", "--mecheval-claims=a.yaml", "--mecheval-claims=b.yaml"
    )
    assert "2 given for 1 bundles" in text


@pytest.mark.usefixtures("toy")
@pytest.mark.parametrize("option", ["--mecheval-jobs", "--mecheval-threads"])
@pytest.mark.parametrize("value", ["0", "two"])
def test_numbers(pytester, option, value):
    assert "is not a whole number of at least 1" in refuse(
        pytester, "--mecheval=toy", f"{option}={value}"
    )


@pytest.mark.parametrize("name", ["pytest.ini", "tox.ini", "pyproject.toml", "setup.cfg"])
def test_the_space_form_with_a_planted_configuration_is_refused(pytester, toy, name):
    section = "tool.pytest.ini_options" if name.endswith("toml") else "tool:pytest"
    section = "pytest" if name in ("pytest.ini", "tox.ini") else section
    (toy / name).write_text(f"[{section}]\n")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--mecheval", "toy", "--collect-only"],
        cwd=pytester.path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 4, done.stdout + done.stderr
    assert f"pytest --mecheval={toy}" in done.stderr + done.stdout
    assert "Traceback" not in done.stderr


def test_the_space_form_with_a_planted_setup_py_is_refused(pytester, toy):
    (toy / "setup.py").write_text("raise SystemExit(0)\n")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--mecheval", "toy", "--collect-only"],
        cwd=pytester.path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 4, done.stdout + done.stderr


@pytest.mark.usefixtures("toy")
def test_the_space_form_without_planted_files_works(pytester):
    result = pytester.runpytest("-p", "no:allure_pytest", "--mecheval", "toy", "--collect-only")
    assert result.ret == 0


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("--mecheval-out=file", "--mecheval-out"),
        ("--mecheval-out=file/below", "--mecheval-out"),
        ("--mecheval-evidence=file", "--mecheval-evidence"),
        ("--mecheval-out=toy/reports", "lies inside the bundle"),
        ("--mecheval-evidence=toy/.mecheval", "could have been prepared by its author"),
        ("--mecheval-evidence=linked", "could have been prepared by its author"),
        ("--mecheval=", "is empty"),
        ("--mecheval-max-cost=nan", "no amount of money"),
        ("--mecheval-max-cost=-1", "no amount of money"),
        ("--mecheval-script-seconds=99999999999999999999", "more than a day"),
    ],
)
def test_folders_and_amounts_that_cannot_be_used(pytester, toy, option, said):
    (pytester.path / "file").write_text("kept")
    (pytester.path / "linked").symlink_to(toy)
    text = refuse(pytester, "--mecheval=toy", option)
    assert said in text
    assert (pytester.path / "file").read_text() == "kept"
    assert not (toy / "reports").exists()


def test_a_list_whose_entries_are_wrong_is_not_called_too_short_as_well(pytester, toy):
    content = claims()
    requires = [{"event": "forward", "min_prompts": -5}]
    content["plan"][0]["spec"] = {"entry": "run.py", "requires": requires}
    write_claims(toy, content)
    text = refuse(pytester)
    assert "min_prompts" in text
    assert "at least 1 item" not in text
