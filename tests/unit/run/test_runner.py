"""The runner measures what is missing, once, resumes, and tells a broken engine from a verdict."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from filelock import FileLock

from pytest_mecheval.errors import HarnessError
from pytest_mecheval.evidence.measurement import Measurement
from pytest_mecheval.run.runner import Request, Runner
from pytest_mecheval.wire import record_path

sys.path.insert(0, str(Path(__file__).parent))
import work
from engine_stand_in import SLOW_SECONDS


@pytest.fixture
def runner(tmp_path):
    runner = Runner(work.workplace(tmp_path))
    yield runner
    runner.close(wait=False)


def test_measures_every_step_of_a_claim(runner):
    request = work.request("a", 3, 5)
    evidence = runner.evidence(request)
    assert evidence.values(work.step(3)).tolist() == [0.0, 1.0, 2.0]
    assert evidence.values(work.step(5)).shape == (5,)


def test_one_child_measures_all_selected_claims_the_asking_one_first(runner, tmp_path):
    first, second = work.request("a", 1, 2), work.request("b", 3, 4)
    runner.select([first, second])
    runner.evidence(second)
    runner.evidence(first)
    addresses = work.measured(tmp_path)
    own = {work.job(3).address, work.job(4).address}
    assert set(addresses[:2]) == own
    assert len(addresses) == 4
    batches = list((tmp_path / "evidence/sessions/s1").glob("batch-*.json"))
    assert len([path for path in batches if "progress" not in path.name]) == 1


def test_shared_steps_are_measured_once(runner, tmp_path):
    first, second = work.request("a", 1, 2), work.request("b", 2, 3)
    runner.select([first, second])
    runner.evidence(first)
    runner.evidence(second)
    assert sorted(work.measured(tmp_path)) == sorted(work.job(n).address for n in (1, 2, 3))


def test_a_second_run_measures_nothing(tmp_path):
    for session in ("s1", "s2"):
        runner = Runner(work.workplace(tmp_path, session=session))
        runner.evidence(work.request("a", 1, 2))
        runner.close(wait=True)
    assert len(work.measured(tmp_path)) == 2
    assert not (tmp_path / "evidence/sessions/s2").exists()


def test_a_damaged_record_is_measured_again_and_noted(runner, tmp_path):
    request = work.request("a", 1, 2)
    runner.evidence(request)
    path = record_path(tmp_path / "evidence", work.job(2).address)
    path.write_text(path.read_text()[:20])
    again = Runner(work.workplace(tmp_path, session="s2"))
    assert again.evidence(request).values(work.step(2)).tolist() == [0.0, 1.0]
    again.close(wait=True)
    assert work.measured(tmp_path).count(work.job(2).address) == 2
    assert work.measured(tmp_path).count(work.job(1).address) == 1
    (note,) = again.repaired(request)
    assert "damaged" in note


def test_a_failed_job_is_an_error_and_not_tried_twice_in_one_session(runner, tmp_path):
    bad, good = work.request("bad", 1, stratum="fails"), work.request("good", 2)
    runner.select([bad, good])
    with pytest.raises(HarnessError, match="bad: positive control failed"):
        runner.evidence(bad)
    assert runner.evidence(good).values(work.step(2)).size == 2
    other_worker = Runner(work.workplace(tmp_path))
    other_worker.select([bad, good])
    with pytest.raises(HarnessError, match="positive control failed"):
        other_worker.evidence(bad)
    batches = (tmp_path / "evidence/sessions/s1").glob("batch-*.log")
    assert len(list(batches)) == 1


def test_a_failure_is_tried_again_in_the_next_session(runner, tmp_path):
    bad = work.request("bad", 1, stratum="fails")
    with pytest.raises(HarnessError):
        runner.evidence(bad)
    later = Runner(work.workplace(tmp_path, session="s2"))
    with pytest.raises(HarnessError):
        later.evidence(bad)
    later.close(wait=True)
    assert list((tmp_path / "evidence/sessions/s2").glob("batch-*.log"))


def test_a_crash_costs_only_the_claim_that_causes_it(runner):
    crashing, good = work.request("bad", 1, stratum="crashes"), work.request("good", 2, 3)
    runner.select([crashing, good])
    with pytest.raises(HarnessError, match="ended with status 11: the stand-in crashed on purpose"):
        runner.evidence(crashing)
    assert runner.evidence(good).values(work.step(3)).size == 3


def test_an_unavailable_subject_is_no_error(runner):
    evidence = runner.evidence(work.request("a", 1, stratum="unavailable"))
    assert evidence.unavailable == "no weights"
    assert not evidence.measurements


def test_an_unavailable_request_starts_nothing(runner, tmp_path):
    assert runner.evidence(Request("a", unavailable="waits")).unavailable == "waits"
    assert not (tmp_path / "evidence").exists()


def test_documents_come_with_the_request(runner):
    facts = Measurement(values=work.np_empty(), facts={"nodes": ["a0.h1"]})
    evidence = runner.evidence(Request("a", known={work.step(1): facts}))
    assert evidence[work.step(1)].facts["nodes"] == ["a0.h1"]


def _measure(folder: Path, name: str, numbers: tuple[int, ...]) -> None:
    requests = [work.request(f"c{n}", n, stratum="slow") for n in numbers]
    runner = Runner(work.workplace(folder))
    runner.select([*requests])
    for request in requests if name == "forward" else reversed(requests):
        runner.evidence(request)
    runner.close(wait=True)


def test_two_workers_share_the_work_and_measure_nothing_twice(tmp_path):
    context = multiprocessing.get_context("spawn")
    workers = [
        context.Process(target=_measure, args=(tmp_path, name, (1, 2, 3)))
        for name in ("forward", "backward")
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0, 0]
    assert sorted(work.measured(tmp_path)) == sorted(work.job(n, "slow").address for n in (1, 2, 3))


def test_no_more_children_than_slots(tmp_path, runner):
    locks = tmp_path / "evidence/locks"
    locks.mkdir(parents=True)
    with FileLock(locks / "slot-0.lock"):
        waited = []
        runner._on_wait = lambda: (
            waited.append(1)
            or (
                (tmp_path / "evidence/sessions/s1").mkdir(parents=True, exist_ok=True),
                len(waited) == 3 and runner.stop(),
            )
        )
        with pytest.raises(HarnessError, match="stopped"):
            runner.evidence(work.request("a", 1))
    assert work.measured(tmp_path) == []


def test_the_lock_is_free_again_when_the_child_has_ended(runner, tmp_path):
    runner.select([work.request("a", 1), work.request("b", 2, stratum="slow")])
    runner.evidence(work.request("a", 1))
    deadline = time.monotonic() + 20
    lock = FileLock(tmp_path / "evidence/locks/slot-0.lock")
    lock.acquire(timeout=max(0.1, deadline - time.monotonic()))
    lock.release()
    assert len(work.measured(tmp_path)) == 2


KILLED = """
import sys
sys.path.insert(0, {tests!r})
import work
from pathlib import Path
from pytest_mecheval.run.runner import Runner
requests = [work.request(f"c{{n}}", n, stratum="slow") for n in range(1, 6)]
runner = Runner(work.workplace(Path({folder!r})))
runner.select(requests)
for request in requests:
    runner.evidence(request)
"""


def test_killed_halfway_and_run_again_nothing_is_measured_twice(tmp_path):
    tests = str(Path(__file__).parent)
    script = KILLED.format(tests=tests, folder=str(tmp_path))
    process = subprocess.Popen([sys.executable, "-c", script])  # noqa: S603
    deadline = time.monotonic() + 30
    while len(work.measured(tmp_path)) < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait(10)
    time.sleep(2 * SLOW_SECONDS)  # the child notices, and writes nothing more
    runner = Runner(work.workplace(tmp_path, session="s2"))
    requests = [work.request(f"c{n}", n, stratum="slow") for n in range(1, 6)]
    runner.select(requests)
    for request in requests:
        runner.evidence(request)
    runner.close(wait=True)
    assert sorted(work.measured(tmp_path)) == sorted(
        work.job(n, "slow").address for n in range(1, 6)
    )
