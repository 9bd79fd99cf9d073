"""One run from the caller's side: what it reports, what it refuses, and that it ends when the caller does."""

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from pytest_mecheval.errors import HarnessError, UsageError
from pytest_mecheval.sandbox.backend import remove_tree
from pytest_mecheval.sandbox.backends import choose
from pytest_mecheval.sandbox.confinement import Confinement, Limits
from pytest_mecheval.sandbox.variables import scrubbed
from pytest_mecheval.sandbox.view import interpreter_paths

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the backends need Linux")

ROOT = Path(__file__).parents[3]


def confinement(folder, source, **changes):
    scratch = folder / "scratch"
    fields = {
        "argv": (sys.executable, "-I", "-S", "-c", source),
        "scratch": scratch,
        "read_only": interpreter_paths(),
        "environment": scrubbed(scratch),
        "limits": Limits(wall_s=20, memory_mib=256, processes=64),
    }
    return Confinement(**(fields | changes))


def running(marker):
    found = []
    for place in Path("/proc").iterdir():
        with suppress(OSError):
            if place.name.isdigit() and marker in (place / "cmdline").read_bytes():
                found.append(int(place.name))
    return found


def test_reports_time_memory_output_and_files(tmp_path):
    source = "import sys; held = b'x' * (60 << 20); open('made', 'w').write('1'); print('out'); sys.stderr.write('err')"
    outcome = choose("none").run(confinement(tmp_path, source), tmp_path / "logs")
    assert outcome.succeeded
    assert (outcome.status, outcome.exit_code, outcome.signal) == ("finished", 0, None)
    assert outcome.stdout.read_text() == "out\n"
    assert outcome.stderr.read_text() == "err"
    assert 60 <= outcome.max_rss_mib < 120
    assert 0 < outcome.cpu_s < 5
    assert 0 < outcome.wall_s < 20
    assert outcome.notes == ()
    assert (tmp_path / "scratch" / "made").read_text() == "1"
    assert not outcome.isolation.confined


def test_starts_in_the_folder_asked_for(tmp_path):
    (tmp_path / "bundle").mkdir()
    run = confinement(tmp_path, "import os; print(os.getcwd())", cwd=tmp_path / "bundle")
    outcome = choose("none").run(run, tmp_path / "logs")
    assert outcome.stdout.read_text().strip() == str(tmp_path / "bundle")


def test_a_program_that_is_not_there_is_our_failure(tmp_path):
    run = confinement(tmp_path, "", argv=("/nonexistent/python",))
    with pytest.raises(HarnessError, match="could not start: FileNotFoundError"):
        choose("none").run(run, tmp_path / "logs")


def test_a_path_to_show_that_is_not_there_is_refused(tmp_path):
    run = confinement(tmp_path, "", read_only=(tmp_path / "missing",))
    with pytest.raises(UsageError, match="missing: to be shown inside, but it does not exist"):
        choose("none").run(run, tmp_path / "logs")


def test_logs_may_not_lie_where_the_program_writes(tmp_path):
    with pytest.raises(UsageError, match="outside the scratch folder"):
        choose("none").run(confinement(tmp_path, ""), tmp_path / "scratch" / "logs")


@pytest.mark.parametrize("name", ["home", "tmp"])
def test_what_stands_in_the_way_of_its_folders_is_told(tmp_path, name):
    (tmp_path / "scratch").mkdir()
    (tmp_path / "scratch" / name).symlink_to("/etc")
    with pytest.raises(UsageError, match=f"{name}: in the way"):
        choose("none").run(confinement(tmp_path, ""), tmp_path / "logs")


def test_several_runs_at_once_do_not_mix(tmp_path):
    said = {}

    def one(number):
        folder = tmp_path / str(number)
        folder.mkdir()
        outcome = choose("none").run(confinement(folder, f"print({number})"), folder / "logs")
        said[number] = outcome.stdout.read_text().strip()

    threads = [threading.Thread(target=one, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert said == {number: str(number) for number in range(6)}


_CALLER = """
import signal, sys
sys.path.insert(0, {root!r})
sys.path.insert(0, {here!r})
from pathlib import Path
from test_backend import confinement
from pytest_mecheval.sandbox.backends import choose
# Ignored in what a shell without job control starts in the background, and inherited from there.
signal.signal(signal.SIGINT, signal.default_int_handler)
folder = Path(sys.argv[1])
source = "import os, time; os.fork(); print('up', flush=True); time.sleep(60) # " + sys.argv[2]
choose("none").run(confinement(folder, source), folder / "logs")
"""


@pytest.mark.parametrize("kind", [signal.SIGKILL, signal.SIGINT])
def test_everything_ends_when_the_caller_is_gone(tmp_path, kind):
    marker = f"marker-{os.getpid()}-{kind}"
    code = _CALLER.format(root=str(ROOT), here=str(Path(__file__).parent))
    caller = subprocess.Popen(  # noqa: S603 - our own interpreter and module
        [sys.executable, "-c", code, str(tmp_path), marker], stderr=subprocess.DEVNULL
    )
    log = tmp_path / "logs" / "stdout"
    deadline = time.monotonic() + 30
    while not (log.exists() and log.read_text().count("up") == 2) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len([pid for pid in running(marker.encode()) if pid != caller.pid]) >= 2
    caller.send_signal(kind)
    caller.wait(20)
    while running(marker.encode()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert running(marker.encode()) == []


def test_removes_what_a_hostile_program_left(tmp_path):
    place = tmp_path / "left"
    place.mkdir()
    (place / "outside").symlink_to(tmp_path / "kept")
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "file").touch()
    start = Path.cwd()
    os.chdir(place)
    try:
        for _ in range(1200):
            Path("deep").mkdir()
            os.chdir("deep")
        Path("file").touch()
    finally:
        os.chdir(start)
    (place / "closed").mkdir()
    (place / "closed" / "file").touch()
    (place / "closed").chmod(0)
    assert remove_tree(place)
    assert not place.exists()
    assert (tmp_path / "kept" / "file").exists()


def test_a_link_in_place_of_a_folder_is_removed_and_not_followed(tmp_path):
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "kept")
    assert remove_tree(tmp_path / "link")
    assert (tmp_path / "kept" / "file").exists()
