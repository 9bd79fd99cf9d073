"""Entry points that start several scripts, take arguments or start other processes; and what they ran with."""

import importlib.util
import textwrap
from pathlib import Path
from types import SimpleNamespace

import pytest
from wheels import wheel

from pytest_mecheval.bundle.commands import Command
from pytest_mecheval.checks import ran
from pytest_mecheval.errors import SubjectError
from pytest_mecheval.run.execution import Execution
from pytest_mecheval.run.rerun import ANY_ENVIRONMENT, Environment, Script, rerun
from pytest_mecheval.run.starting import Starts
from pytest_mecheval.sandbox import environment
from pytest_mecheval.sandbox.backends import available
from pytest_mecheval.sandbox.confinement import Isolation, Limits, Outcome
from pytest_mecheval.wire import Rerun

pytestmark = pytest.mark.skipif(not available(), reason="no sandbox works on this machine")


@pytest.fixture
def run(tmp_path):
    """Writes a bundle and runs one of its entry points: facts, or why there are none."""
    root = tmp_path / "work" / "bundle"

    def start(entry: str, *, where: Environment = ANY_ENVIRONMENT, digest: str = "d", **files: str):
        for name, text in files.items():
            path = root / name.replace("__", "/").replace("_DOT_", ".")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(text))
        known = tuple(p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file())
        script = Script(root, digest, known, Rerun(entry), environment=where)
        return rerun(script, tmp_path / "work" / "evidence").facts

    return start


def test_later_scripts_find_what_earlier_ones_wrote(run):
    facts = run(
        "run_all.sh",
        run_all_DOT_sh="""
            set -e
            export PYTHONPATH=$PWD/lib:$PYTHONPATH FACTOR=3
            mkdir -p results/sub
            python first.py --n 7
            cd steps && python -m inner.second > ../results/said.txt
            python third.py
            """,
        first_DOT_py="""
            import sys, pathlib
            pathlib.Path("results/sub/n.txt").write_text(sys.argv[2])
            print("first", int(sys.argv[2]) + 0.25)
            """,
        lib__factor_DOT_py="import os\nfactor = int(os.environ['FACTOR'])\n",
        steps__inner____init___DOT_py="",
        steps__inner__second_DOT_py="""
            import pathlib
            from factor import factor
            from . import __name__ as package
            assert package == "inner" and __name__ == "__main__"
            print("second", int(pathlib.Path("../results/sub/n.txt").read_text()) * factor + 0.5)
            """,
        steps__third_DOT_py="""
            import pathlib
            print("third", float(pathlib.Path("../results/said.txt").read_text().split()[1]) + 100)
            """,
    )
    assert (facts["status"], facts["exit_code"], facts["standing"]) == ("finished", 0, "complete")
    assert [one["command"] for one in facts["started"]] == [
        *("first.py --n 7", "steps/inner/second.py", "steps/third.py")
    ]
    assert {"7.25", "21.5", "121.5"} <= set(facts["numbers"])


def test_the_shell_script_itself_never_runs(run):
    facts = run(
        "run_all.sh",
        run_all_DOT_sh="echo 0.777 $(pwd)\npython a.py\n",
        a_DOT_py="print(0.5)\n",
    )
    assert facts["numbers"] == ["0.5"]
    with pytest.raises(SubjectError, match=r"run_all\.sh:2: `touch` is not read"):
        run("run_all.sh", digest="e", run_all_DOT_sh="python a.py\ntouch /tmp/planted\n")


@pytest.mark.parametrize(("head", "started"), [("set -e", 1), ("", 2)])
def test_a_failing_step_is_a_failed_run_whatever_comes_after(run, head, started):
    facts = run(
        "run_all.sh",
        run_all_DOT_sh=f"{head}\npython a.py\npython b.py\n",
        a_DOT_py="raise ValueError('halfway')\n",
        b_DOT_py="print(1.5)\n",
    )
    assert len(facts["started"]) == started
    assert ("1.5" in facts["numbers"]) == (started == 2)
    assert ran.crashed(facts)
    assert "a.py (run_all.sh:2): ValueError: halfway" in ran.ending(facts)
    assert ("1 further start(s) did not happen" in facts["notes"]) == (started == 1)


def test_arguments_reach_the_script(run):
    facts = run(
        "a.py --n 64 'two words'", a_DOT_py="import sys\nprint(len(sys.argv), *sys.argv[1:])\n"
    )
    assert facts["numbers"] == ["4", "64"]


def test_secrets_and_our_own_settings_are_not_handed_in(run):
    facts = run(
        "run_all.sh",
        run_all_DOT_sh="export HF_TOKEN=abc OMP_NUM_THREADS=8 LEVEL=6\npython a.py\n",
        a_DOT_py="import os\nprint(*map(os.environ.get, ('HF_TOKEN', 'OMP_NUM_THREADS', 'LEVEL')))\n",
    )
    assert facts["numbers"] == ["1", "6"]
    assert [note for note in facts["notes"] if "HF_TOKEN" in note]


def test_an_output_file_cannot_lead_out_of_the_sandbox(run, tmp_path):
    target = tmp_path / "outside.txt"
    target.write_text("untouched")
    facts = run(
        "run_all.sh",
        run_all_DOT_sh="python a.py\npython b.py > results/x.txt\n",
        a_DOT_py=f"import os\nos.symlink({str(target)!r}, 'results/x.txt')\n",
        b_DOT_py="print(1.5)\n",
    )
    assert target.read_text() == "untouched"
    assert facts["exit_code"] != 0


OTHERS = {
    "subprocess": "import subprocess, sys\nsubprocess.run([sys.executable, 'b.py'], check=True)\n",
    "os.system": "import os\nos.system('python3 b.py')\n",
    "fork": "import os\nif not (pid := os.fork()):\n    os._exit(0)\nos.waitpid(pid, 0)\n",
    "multiprocessing": "import multiprocessing\n"
    "if __name__ == '__main__':\n"
    "    with multiprocessing.get_context('fork').Pool(1) as pool:\n        pool.map(abs, [1])\n",
}


@pytest.mark.parametrize("code", OTHERS.values(), ids=OTHERS.keys())
def test_work_of_other_processes_is_no_absence(run, code):
    facts = run("a.py", a_DOT_py=code, b_DOT_py="print(0.125)\n")
    assert facts["exit_code"] == 0, facts["last_words"]
    assert "0.125" not in facts["numbers"]
    assert "does not see" in ran.blind(facts, "edit")


def test_programs_that_run_no_python_are_no_reason_to_doubt(run):
    facts = run(
        "a.py",
        a_DOT_py="import subprocess\nsubprocess.run(['ls', '/usr/lib/python3/dist-packages'])\n",
    )
    assert facts["unseen"] == []
    assert ran.blind(facts, "edit") == ""


@pytest.fixture
def offline(tmp_path, monkeypatch):
    """An installer that finds packages in one folder only."""
    if importlib.util.find_spec("pip") is None:
        pytest.skip("pip is not installed here")
    monkeypatch.setattr(environment.shutil, "which", lambda _: None)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    return tmp_path / "wheels"


USES = "import tinything\nprint(tinything.version)\n"


def test_declared_packages_are_there_and_on_record(run, offline, tmp_path):
    wheel(offline)
    facts = run("a.py", requirements_DOT_txt="tinything==1.2\n", a_DOT_py=USES)
    assert (facts["exit_code"], facts["numbers"]) == (0, ["1.2"])
    assert facts["environment"]["origin"] == "a private environment from requirements.txt"
    assert facts["environment"]["packages"] == {"tinything": "1.2"}
    assert (tmp_path / "work" / "environments").is_dir()


def test_another_version_is_another_run(run, offline):
    wheel(offline, version="1.2")
    wheel(offline, version="1.3")
    first = run("a.py", requirements_DOT_txt="tinything==1.2\n", a_DOT_py=USES)
    second = run("a.py", requirements_DOT_txt="tinything==1.3\n")
    assert (first["numbers"], second["numbers"]) == (["1.2"], ["1.3"])


def test_what_cannot_be_restored_is_said_in_one_sentence(run, offline):
    offline.mkdir()
    with pytest.raises(SubjectError) as raised:
        run("a.py", requirements_DOT_txt="tinything==9\n", a_DOT_py="print(1)\n")
    assert str(raised.value).startswith(
        "environment cannot be restored: requirements.txt: tinything==9 (not installed): "
    )
    assert "\n" not in str(raised.value)


def test_current_installs_nothing_and_says_what_differs(run, monkeypatch):
    monkeypatch.setattr(environment, "_build", lambda *_: pytest.fail("built"))
    facts = run(
        "a.py",
        where=Environment("current"),
        requirements_DOT_txt="tinything==9\n",
        a_DOT_py="print(1)\n",
    )
    assert facts["environment"]["origin"] == "the interpreter of this run"
    assert facts["environment"]["notes"] == [
        "requirements.txt is not satisfied: tinything==9 (not installed)"
    ]
    assert "numpy" in facts["environment"]["packages"]


def test_a_manifest_names_requirements_and_python(run, offline):
    wheel(offline)
    (Path(offline).parent / "work").mkdir(exist_ok=True)
    named = Environment(requirements="env/list.in")
    facts = run(
        "a.py",
        where=named,
        env__list_DOT_in="tinything\n",
        requirements_DOT_txt="never==1\n",
        a_DOT_py=USES,
    )
    assert facts["numbers"] == ["1.2"]
    with pytest.raises(SubjectError, match=r"needs Python ==3\.5\.\*"):
        run("a.py", where=Environment(requirements="env/list.in", python="3.5"))


def test_what_one_script_leaves_cannot_lead_us_out_of_the_scratch_folder(run, tmp_path):
    victim, secret = tmp_path / "victim.txt", tmp_path / "secret"
    victim.write_text("untouched")
    secret.mkdir()
    (secret / "private.txt").write_text("12345.678")
    facts = run(
        "run_all.sh",
        run_all_DOT_sh="python first.py\npython second.py\n",
        first_DOT_py=f"""
            import os, shutil, pathlib
            scratch = pathlib.Path(__file__).resolve().parent.parent
            (scratch / "request.json").symlink_to({str(victim)!r})
            shutil.rmtree(scratch / "tmp")
            (scratch / "tmp").write_text("in the way")
            """,
        second_DOT_py=f"""
            import os, pathlib, tempfile
            print("second", 7.5)
            scratch = pathlib.Path(__file__).resolve().parent.parent
            os.chdir(scratch)
            os.rename("bundle", "moved")
            os.symlink({str(secret)!r}, "bundle")
            """,
    )
    assert victim.read_text() == "untouched"
    assert facts["exit_code"] == 0
    assert "7.5" in facts["numbers"]
    assert "private.txt" not in str(facts)
    assert facts["watched"]["differences"] == []


def outcome(folder, wall_s):
    for name in ("stdout", "stderr"):
        (folder / name).write_bytes(b"")
    isolation = Isolation("stand-in", (), ())
    return Outcome(
        "finished", 0, None, wall_s, 1.0, 1.0, folder / "stdout", folder / "stderr", isolation
    )


@pytest.mark.parametrize(("wall_s", "status", "starts"), [(1.0, "finished", 2), (99.0, "limit", 1)])
def test_a_sequence_that_ran_out_of_time_has_not_ended_well(tmp_path, wall_s, status, starts):
    (tmp_path / "bundle").mkdir()
    backend = SimpleNamespace(run=lambda _confinement, _logs: outcome(tmp_path, wall_s))
    python = SimpleNamespace(python=Path("/usr/bin/python3"), read_only=(), facts={})
    commands = (Command("a.py", ()), Command("b.py", ()))
    names = iter(range(9))
    facts = Execution(
        *(tmp_path / "bundle", (), Rerun("run_all.sh"), Starts(commands), backend, python),
        lambda: tmp_path / str(next(names)),
        Limits(wall_s=60.0),
    ).facts()
    assert (facts["status"], len(facts["started"])) == (status, starts)


def test_a_folder_that_an_earlier_script_removed_ends_the_sequence(run):
    facts = run(
        "run_all.sh",
        run_all_DOT_sh="python first.py\ncd steps\npython second.py\n",
        first_DOT_py="import shutil\nshutil.rmtree('steps')\nprint(1.5)\n",
        steps__second_DOT_py="print(2.5)\n",
    )
    assert ran.crashed(facts)
    assert "1.5" in facts["numbers"]
    assert any("steps is no folder any more" in note for note in facts["notes"])


def test_a_folder_of_stored_results_is_there_to_work_in(run):
    facts = run(
        "run_all.sh",
        run_all_DOT_sh="cd results/figures\npython ../../draw.py\n",
        draw_DOT_py="import os\nprint(len(os.listdir()) + 0.5)\n",
        results__figures__old_DOT_txt="stored",
    )
    assert not ran.crashed(facts), facts["last_words"]
    assert "0.5" in facts["numbers"]


@pytest.mark.parametrize("gpu", [True, False])
def test_the_gpu_is_handed_in_only_when_asked_for(tmp_path, monkeypatch, gpu):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    (tmp_path / "bundle").mkdir()
    seen = []
    backend = SimpleNamespace(run=lambda asked, _: seen.append(asked) or outcome(tmp_path, 1.0))
    python = SimpleNamespace(python=Path("/usr/bin/python3"), read_only=(), facts={})
    names = iter(range(9))
    facts = Execution(
        *(tmp_path / "bundle", (), Rerun("a.py"), Starts((Command("a.py", ()),)), backend, python),
        lambda: tmp_path / str(next(names)),
        gpu=gpu,
    ).facts()
    assert {asked.gpu for asked in seen} == {gpu}
    assert {asked.environment.get("CUDA_VISIBLE_DEVICES") for asked in seen} == {
        "1" if gpu else None
    }
    assert facts["isolation"]["gpu"] == ("granted" if gpu else "off")
