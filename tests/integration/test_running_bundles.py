"""A run of the product on bundles whose own code needs an environment, a shell script or a data function."""

import json

import pytest
from toy_bundle import claims, verdicts, write_claims

from pytest_mecheval.sandbox.backends import available

pytestmark = pytest.mark.skipif(not available(), reason="no sandbox works on this machine")


@pytest.fixture
def rerun_toy(toy):
    """The small bundle with one claim: that an entry point runs."""

    def write(entry: str, **files: str):
        for name, text in files.items():
            (toy / name.replace("_DOT_", ".")).write_text(text)
        content = claims()
        content["claims"] = [
            {
                "id": "runs",
                "kind": "runnable",
                "quote": content["claims"][0]["quote"],
                "spec": {"entry": entry},
            }
        ]
        write_claims(toy, content)

    return write


def decision(pytester, claim: str) -> dict:
    return json.loads((pytester.path / f"mecheval-out/toy/decisions/{claim}.json").read_text())


def test_run_all_is_read_and_its_scripts_run_in_order(pytester, rerun_toy, run, plugin_args):
    rerun_toy(
        "run_all.sh",
        run_all_DOT_sh="set -e\nmkdir -p results\npython one.py --n 3\npython two.py\n",
        one_DOT_py="import sys, pathlib\npathlib.Path('results/n.txt').write_text(sys.argv[2])\n",
        two_DOT_py="import pathlib\nassert pathlib.Path('results/n.txt').read_text() == '3'\n",
    )
    run("--mecheval=toy", *plugin_args)
    assert verdicts(pytester)["runs"] == "SUPPORTED"


def test_a_line_that_is_not_understood_is_the_reason(pytester, rerun_toy, run):
    rerun_toy("run_all.sh", run_all_DOT_sh="make all\n")
    run("--mecheval=toy")
    found = decision(pytester, "runs")
    assert found["verdict"] == "NOT_TESTABLE"
    assert "run_all.sh:1: `make` is not read" in found["measured"]


def test_an_environment_that_cannot_be_restored_is_no_verdict(
    pytester, rerun_toy, run, monkeypatch
):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("UV_NO_INDEX", "1")
    rerun_toy("a.py", a_DOT_py="print(1)\n", requirements_DOT_txt="no-such-package==1\n")
    run("--mecheval=toy")
    found = decision(pytester, "runs")
    assert found["verdict"] == "NOT_TESTABLE"
    assert (
        "environment cannot be restored: requirements.txt: no-such-package==1" in found["measured"]
    )


def test_the_current_environment_on_request(pytester, rerun_toy, run):
    rerun_toy("b.py", b_DOT_py="print(1)\n", requirements_DOT_txt="no-such-package==1\n")
    run("--mecheval=toy", "--mecheval-environment=current")
    found = decision(pytester, "runs")
    assert found["verdict"] == "SUPPORTED"
    assert any("no-such-package==1 (not installed)" in note for note in found["notes"])


def test_workers_call_no_data_function(pytester, toy, run):
    """The function tells how often it was called: its prompts differ from call to call."""
    (toy / "data.py").write_text(
        "import random, time\n"
        "def make(n, seed):\n"
        "    rng = random.Random(time.time_ns())\n"
        "    rows = []\n"
        "    for _ in range(n):\n"
        "        drawn = rng.sample(range(16), 12)\n"
        "        rows.append({'tokens': [*drawn[:6], *drawn[:6]], 'answer': drawn[0], 'foil': drawn[6],\n"
        "                     'counterfactual': [*drawn[6:], *drawn[6:]], 'positions': {'END': 11}})\n"
        "    return rows\n"
    )
    content = claims()
    content["subject"]["tasks"]["repeated"] = {"entry": "data.py:make"}
    content["claims"] = content["claims"][:1]
    write_claims(toy, content)
    run("--mecheval=toy", "-n", "2", "--mecheval-evidence=own")
    assert verdicts(pytester)["needed"] in ("SUPPORTED", "REFUTED", "INCONCLUSIVE")
    assert len(list((pytester.path / "own" / "prompts").glob("*.jsonl"))) == 1
