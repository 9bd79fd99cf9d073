"""A batch end to end: records, what is unavailable, failures, resuming; in process and as a child process."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import handmade_model as handmade
import numpy as np
import pytest

from pytest_mecheval import wire
from pytest_mecheval.batches import Batch, BatchError, parse
from pytest_mecheval.errors import HarnessError, SubjectError
from pytest_mecheval.harness import batch as batch_module
from pytest_mecheval.harness.batch import Runner
from pytest_mecheval.harness.controls import RELATIVE_TAU
from pytest_mecheval.harness.fast import FastRunner
from pytest_mecheval.harness.group import Group, Loaded, Prompts
from pytest_mecheval.harness.subjects import draw_prompts, load_tested
from pytest_mecheval.wire import (
    Attention,
    Attribution,
    DataRef,
    Document,
    Intervention,
    Job,
    ModelRef,
    PlanStep,
    Run,
    Slice,
)

CLEAN = handmade.GAIN * (1 + handmade.NEGATIVE + handmade.HALF)
DATA = DataRef("handmade")


def run(*components, metric="logit_diff", **how):
    return Run(Intervention(components, **how), metric)


def job_of(model, probe, data=DATA, **slice_):
    return Job(PlanStep(Slice("t", "evaluation", **slice_), probe), model, data, "salt")


def drawn(job):
    """The hand-made prompts, whatever generator a job names."""
    n = job.step.slice.n
    return Prompts(handmade.prompts(n), lambda: handmade.prompts(64, 1))


def measured(jobs, folder, load=load_tested, draw=drawn):
    """Records by job, and failures by address."""
    batch = Batch(tuple(jobs), folder / "store", folder / "failures", 1, folder / "progress.json")
    runner = Runner(batch, load, draw)
    runner.run()
    runner.finish()
    records = []
    for job in jobs:
        path = wire.record_path(batch.store, job.address)
        records.append(wire.load_record(json.loads(path.read_text())) if path.exists() else None)
    failures = {p.stem: json.loads(p.read_text()) for p in batch.failures.glob("*.json")}
    return records, failures


def test_a_batch_end_to_end(handmade_reference, tmp_path):
    probes = [
        run(),
        run("a1.h0", source="zero"),
        run("a1.h0", "a1.h3", "a1.h4", source="zero", metric="accuracy"),
        run("a1.h3", source="zero", joint="with_partners"),
        Attention("a1.h1", "END", "MATCH"),
        Attribution("a1.h2"),
    ]
    jobs = [job_of(handmade_reference, probe, n=30) for probe in probes]
    records, failures = measured(jobs, tmp_path)
    assert failures == {}
    g = handmade.GAIN
    for record, value in zip(records, [CLEAN, CLEAN - g, 0.0, None, 1.0, -0.3 * g], strict=True):
        assert len(record.values) == 30
        assert not record.unavailable
        if value is not None:
            np.testing.assert_allclose(record.values, value, atol=1e-4)
    assert records[3].facts["partners"] == ["a1.h0", "a1.h1", "a1.h2"]
    provenance = records[1].provenance
    assert provenance["path"] == "fast"
    assert provenance["controls"]["placebo"] <= provenance["controls"]["tau"]
    assert provenance["controls"]["positive"] == pytest.approx(2 * CLEAN, abs=1e-3)
    assert 0 < records[1].tolerance < 1e-3
    progress = json.loads((tmp_path / "progress.json").read_text())
    assert progress["done"] == progress["total"] == len(jobs)


def test_what_exists_is_not_measured_again(handmade_reference, tmp_path):
    jobs = [job_of(handmade_reference, run(f"a1.h{h}", source="zero"), n=8) for h in range(3)]
    measured(jobs[:2], tmp_path)
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "store").rglob("*.json")}
    loads = []

    def counting(job, device):
        loads.append(job)
        return load_tested(job, device)

    measured(jobs, tmp_path, load=counting)
    assert len(loads) == 1
    after = {p: p.stat().st_mtime_ns for p in (tmp_path / "store").rglob("*.json")}
    assert len(after) == 3
    assert all(after[path] == when for path, when in before.items())
    measured(jobs, tmp_path, load=counting)
    assert len(loads) == 1


def test_records_are_written_wave_by_wave_in_order(handmade_reference, tmp_path, monkeypatch):
    monkeypatch.setattr(batch_module, "WAVE", 2)
    jobs = [job_of(handmade_reference, run(f"a1.h{h}", source="zero"), n=8) for h in range(5)]
    honest, waves = Group.records, []

    def stopping(group, wave):
        waves.append(len(wave))
        if len(waves) == 2:
            raise MemoryError("no room")
        return honest(group, wave)

    monkeypatch.setattr(Group, "records", stopping)
    records, failures = measured(jobs, tmp_path)
    assert [record is not None for record in records] == [True, True, False, False, False]
    assert failures.keys() == {job.address for job in jobs[2:]}
    assert all("MemoryError: no room" in failure["error"] for failure in failures.values())


@pytest.mark.parametrize(
    ("probe", "text"),
    [
        (run("m7", source="zero"), "no component m7"),
        (run("a1.h0", source="zero", positions="S2"), "no position 'S2' (it has: COPIED, END"),
        (run("a1.h0", source="zero", receivers=("a1.h0.o",)), "unknown receiver 'a1.h0.o'"),
        (Attention("a1.h0", "END", "NOWHERE"), "no position 'NOWHERE'"),
        (Attribution("a5.h0"), "no component a5.h0"),
    ],
)
def test_what_the_subject_lacks_is_unavailable_and_others_go_on(
    handmade_reference, tmp_path, probe, text
):
    jobs = [job_of(handmade_reference, p, n=8) for p in (probe, run("a1.h0", source="zero"))]
    (missing, fine), failures = measured(jobs, tmp_path)
    assert failures == {}
    assert text in missing.unavailable
    assert missing.values == ()
    assert len(fine.values) == 8


def test_one_broken_group_leaves_the_others(handmade_reference, tmp_path):
    jobs = [
        job_of(handmade_reference, run("a1.h0", source="zero"), n=8),
        job_of(handmade_reference, run("a1.h0", source="zero"), n=9),
        job_of(handmade_reference, run("a1.h0", source="zero"), n=10),
    ]

    def draw(job):
        if job.step.slice.n == 8:
            raise RuntimeError("engine trouble")
        if job.step.slice.n == 9:
            raise SubjectError("empty task")
        return drawn(job)

    records, failures = measured(jobs, tmp_path, draw=draw)
    assert records[0] is None
    assert "engine trouble" in failures[jobs[0].address]["error"]
    assert records[1].unavailable == "empty task"
    assert len(records[2].values) == 10


def test_unusable_weights_are_unavailable_for_every_job(handmade_files, tmp_path):
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(handmade_files.weights.read_bytes()[:200])
    model = ModelRef("transformer_lens", "", str(handmade_files.config), str(broken), "other")
    jobs = [job_of(model, run(f"a1.h{h}", source="zero"), n=8) for h in range(2)]
    records, failures = measured(jobs, tmp_path)
    assert failures == {}
    assert all("broken.safetensors: cannot be read" in record.unavailable for record in records)


def test_prompts_that_do_not_fit_the_model(handmade_reference, tmp_path):
    def too_many_tokens(_job):
        examples = handmade.prompts(8)
        high = dataclasses.replace(examples, tokens=examples.tokens + handmade.VOCAB)
        return Prompts(high, lambda: examples)

    def all_alike(_job):
        examples = handmade.prompts(8)
        return Prompts(
            dataclasses.replace(examples, counterfactual=examples.tokens), lambda: examples
        )

    job = job_of(handmade_reference, run("a1.h0", source="zero"), n=8)
    (record,), _ = measured([job], tmp_path / "a", draw=too_many_tokens)
    assert "the model knows 0 to 15" in record.unavailable
    (record,), _ = measured([job], tmp_path / "b", draw=all_alike)
    assert "are the same" in record.unavailable


def test_a_harness_that_changes_what_it_should_not_is_an_error(handmade_subject):
    """CTL-11: a placebo that moves the metric stops the group."""

    class Leaky(FastRunner):
        def measure(self, base, batch, readout, metrics):
            found = super().measure(base, batch, readout, metrics)
            return {name: value + 1e-2 for name, value in found.items()}

    loaded = Loaded(handmade_subject, Leaky(handmade_subject.kernel))
    with pytest.raises(HarnessError, match="placebo"):
        Group(loaded, Prompts(handmade.prompts(8), lambda: handmade.prompts(8)), [])


def test_a_dead_harness_is_an_error(handmade_subject):
    """CTL-12: resampling everything must show."""

    class Dead(FastRunner):
        def measure(self, base, batch, readout, metrics):
            own = self.base_logits(base, readout.read)
            alone = super().read_out(base.resid_pre[-1][:, -1].unsqueeze(0), readout, metrics)
            assert own.isfinite().all()
            return {name: value.expand(len(batch), -1) for name, value in alone.items()}

    loaded = Loaded(handmade_subject, Dead(handmade_subject.kernel))
    with pytest.raises(HarnessError, match="positive control"):
        Group(loaded, Prompts(handmade.prompts(8), lambda: handmade.prompts(8)), [])


def test_prompts_that_differ_in_nothing_the_model_uses_are_the_datas_fault(handmade_subject):
    prompts = handmade.prompts(8)
    other = prompts.tokens.copy()
    for row, foil in enumerate(prompts.foils):
        # The first token is never copied; another one there changes no answer.
        other[row, 0] = min(set(range(handmade.VOCAB)) - {foil, *prompts.tokens[row]})
    same = dataclasses.replace(prompts, counterfactual=other)
    loaded = Loaded(handmade_subject, FastRunner(handmade_subject.kernel))
    with pytest.raises(SubjectError, match="clean and counterfactual prompts alike"):
        Group(loaded, Prompts(same, lambda: same), [])


def test_a_fast_path_that_differs_from_plain_hooks_is_an_error(
    handmade_reference, handmade_subject
):
    """The cross-check notices an error that placebo and positive control do not."""

    class Exaggerating(FastRunner):
        def measure(self, base, batch, readout, metrics):
            own = self.read_out(base.resid_pre[-1][:, -1].unsqueeze(0), readout, metrics)
            found = super().measure(base, batch, readout, metrics)
            return {name: own[name] + 1.01 * (found[name] - own[name]) for name in found}

    jobs = [job_of(handmade_reference, run("a1.h0", source="zero"), n=8)]
    loaded = Loaded(handmade_subject, Exaggerating(handmade_subject.kernel))
    with pytest.raises(HarnessError, match="cross-check"):
        Group(loaded, Prompts(handmade.prompts(8), lambda: handmade.prompts(8)), jobs)


def test_a_document_is_not_for_the_harness(handmade_reference, tmp_path):
    job = job_of(handmade_reference, Document("nodes.json"), n=8)
    (record,), failures = measured([job], tmp_path)
    assert record is None
    assert "documents and reruns belong where the bundle is read" in failures[job.address]["error"]


@pytest.mark.parametrize(
    "body", [{}, [], {"jobs": [{}], "store": "s", "failures": "f"}, {"jobs": 3}]
)
def test_a_malformed_batch_is_refused(body):
    with pytest.raises(BatchError, match="not a batch of this version"):
        parse(body)


def child(*arguments, **how):
    command = [sys.executable, "-m", "pytest_mecheval.harness", *map(str, arguments)]
    return subprocess.run(  # noqa: S603 - our own interpreter
        command, capture_output=True, text=True, timeout=120, **how
    )


def batch_file(jobs, folder, **more):
    body = {
        "jobs": [dataclasses.asdict(job) for job in jobs],
        "store": str(folder / "store"),
        "failures": str(folder / "failures"),
    }
    path = folder / "batch.json"
    path.write_text(json.dumps(body | more))
    return path


def test_the_child_process_measures_a_generated_task(handmade_files, tmp_path):
    """Real generator, real process; the same job in process gives the same numbers."""
    model = ModelRef(
        "transformer_lens", "", str(handmade_files.config), str(handmade_files.weights), "x"
    )
    data = DataRef("induction", {"vocab": 16, "length": 12, "periods": [4, 6]})
    probes = [run(), run("a1.h0", source="counterfactual"), Attention("a1.h0", "END", "START")]
    jobs = [job_of(model, probe, data, n=16) for probe in probes]
    done = child(batch_file(jobs, tmp_path, threads=1, progress=str(tmp_path / "p.json")))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert not (tmp_path / "failures").exists()
    here, _ = measured(jobs, tmp_path / "here", draw=draw_prompts)
    for job, ours in zip(jobs, here, strict=True):
        text = wire.record_path(tmp_path / "store", job.address).read_text()
        record = wire.load_record(json.loads(text))
        np.testing.assert_allclose(record.values, ours.values, atol=RELATIVE_TAU)
        assert record.provenance["threads"] == 1
    clean, ablated = (np.array(record.values) for record in here[:2])
    assert clean.mean() > handmade.GAIN / 2
    assert (clean - ablated).mean() > handmade.GAIN / 2


@pytest.mark.parametrize("content", ["{", '{"jobs": 3}', "[]", None])
def test_an_unreadable_batch_ends_with_2_and_one_line(tmp_path, content):
    path = tmp_path / "batch.json"
    if content is not None:
        path.write_text(content)
    done = child(path)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a POSIX process tree")
def test_the_child_ends_with_its_parent():
    """A parent killed outright takes the child with it."""
    waiting = (
        "import os, sys, time\n"
        "from pytest_mecheval.harness.__main__ import die_with_parent\n"
        "die_with_parent()\n"
        "print(os.getpid(), flush=True)\n"
        "time.sleep(60)\n"
    )
    parent_code = (
        "import subprocess, sys, time\n"
        f"subprocess.Popen([sys.executable, '-c', {waiting!r}])\n"
        "time.sleep(60)\n"
    )
    parent = subprocess.Popen(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", parent_code], stdout=subprocess.PIPE, text=True
    )
    with parent:
        pid = int(parent.stdout.readline())
        parent.kill()
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if not alive(pid):
            return
        time.sleep(0.05)
    os.kill(pid, signal.SIGKILL)
    pytest.fail("the child outlived its parent")


def alive(pid):
    """Whether a process still runs; one that waits to be reaped does not."""
    try:
        os.kill(pid, 0)
        stat = Path(f"/proc/{pid}/stat")
        return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False
