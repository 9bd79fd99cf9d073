"""What is collected, what is not, and that pytest's own selection options work on it."""

import subprocess
import sys

import pytest
from toy_bundle import claims, write_claims

pytestmark = pytest.mark.usefixtures("toy")
TESTS = "mecheval-out/toy/tests"
ALL = ["test_attends", "test_decoy", "test_elegance", "test_needed", "test_plan_1"]


def collected(result) -> list[str]:
    return sorted(
        line.split("::")[1] for line in result.outlines if "::" in line and " " not in line
    )


def collect(pytester, *arguments):
    return pytester.runpytest(
        "-p", "no:allure_pytest", "--mecheval=toy", "--collect-only", "-q", *arguments
    )


def test_one_case_per_statement_and_nothing_else(pytester):
    pytester.makepyfile(test_mine="def test_mine(): pass")
    result = collect(pytester)
    assert collected(result) == ALL
    assert result.ret == 0
    assert not (pytester.path / ".mecheval").exists()


def test_positional_arguments_are_collected_beside_the_claims(pytester):
    pytester.makepyfile(test_mine="def test_mine(): pass")
    assert collected(collect(pytester, "test_mine.py")) == sorted([*ALL, "test_mine"])


def test_a_single_case_by_its_node_id(pytester):
    collect(pytester)
    node = f"{TESTS}/test_toy_reproducibility.py::test_needed"
    assert collected(collect(pytester, node)) == ["test_needed"]


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["-k", "needed or decoy"], ["test_decoy", "test_needed"]),
        (["-m", "attention"], ["test_attends"]),
        (["-m", "plan_step or not_testable"], ["test_elegance", "test_plan_1"]),
        (["--strict-markers", "-m", "ablation"], ["test_decoy", "test_needed"]),
    ],
    ids=["k", "m", "pseudo-kinds", "strict"],
)
def test_selection(pytester, arguments, names):
    assert collected(collect(pytester, *arguments)) == names


def test_modules_are_readable_and_the_same_bytes_each_time(pytester):
    collect(pytester)
    folder = pytester.path / TESTS
    first = {path.name: path.read_bytes() for path in folder.glob("*.py")}
    stamps = {path.name: path.stat().st_mtime_ns for path in folder.glob("*.py")}
    collect(pytester)
    assert {path.name: path.read_bytes() for path in folder.glob("*.py")} == first
    assert {path.name: path.stat().st_mtime_ns for path in folder.glob("*.py")} == stamps
    assert sorted(first) == ["test_toy_coherence.py", "test_toy_reproducibility.py"]
    text = first["test_toy_reproducibility.py"].decode()
    assert '"""Head 1.0 is needed for induction (logs/documentation.md:3)"""' in text
    assert "@pytest.mark.ablation\ndef test_needed(audit):" in text
    assert 'components=["a1.h0"],' in text


def test_cases_of_removed_claims_go_and_foreign_files_stay(pytester, toy):
    collect(pytester)
    mine = pytester.path / TESTS / "test_mine.py"
    mine.write_text("def test_mine(): pass\n")
    fewer = claims()
    fewer["claims"] = fewer["claims"][:1]
    del fewer["plan"], fewer["not_testable"]
    write_claims(toy, fewer)
    assert collected(collect(pytester)) == ["test_needed"]
    assert sorted(path.name for path in (pytester.path / TESTS).glob("*.py")) == [
        "test_mine.py",
        "test_toy_reproducibility.py",
    ]


def test_a_file_in_the_way_is_not_overwritten(pytester):
    target = pytester.path / TESTS / "test_toy_coherence.py"
    target.parent.mkdir(parents=True)
    target.write_text("# mine\n")
    result = collect(pytester)
    assert result.ret == 4
    assert target.read_text() == "# mine\n"


HOSTILE = "raise SystemExit('the bundle was imported')"


@pytest.mark.parametrize("positional", [[], ["."]], ids=["claims only", "whole directory"])
@pytest.mark.parametrize("name", ["toy", "test_toy"])
def test_nothing_of_a_bundle_is_imported(pytester, toy, name, positional):
    bundle = toy.rename(toy.with_name(name))
    (toy.with_name("toy.claims.yaml")).rename(toy.with_name(f"{name}.claims.yaml"))
    for planted in ("conftest.py", "test_evil.py", "logs/conftest.py", "pytest.py", "yaml.py"):
        (bundle / planted).write_text(HOSTILE)
    (bundle / "pytest.ini").write_text("[pytest]\naddopts = --version\n")
    done = subprocess.run(  # noqa: S603
        [
            *(sys.executable, "-m", "pytest", f"--mecheval={name}", "--collect-only", "-q"),
            *("-p", "no:allure_pytest", *positional),
        ],
        cwd=pytester.path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "imported" not in done.stdout + done.stderr
    assert "5 tests collected" in done.stdout


def test_the_users_own_conftest_still_works_for_their_own_tests(pytester):
    pytester.makeconftest("import pytest\n@pytest.fixture\ndef mine(): return 1")
    pytester.makepyfile(test_mine="def test_mine(mine): assert mine == 1")
    result = pytester.runpytest(
        "-p", "no:allure_pytest", "--mecheval=toy", "test_mine.py", "-k", "mine"
    )
    result.assert_outcomes(passed=1, deselected=5)


def test_markers_are_listed_without_bundles(pytester):
    result = pytester.runpytest("--markers")
    result.stdout.fnmatch_lines(["@pytest.mark.ablation:*", "@pytest.mark.scope:*"])
