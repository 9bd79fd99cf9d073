"""Scripts without a model: output, files, seeds, attempts, exits, and attacks on the tracer."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from traced_runs import NONCE, TRACER, Trace

from pytest_mecheval.sandbox.ledger import parse_ledger, read_ledger


def test_numbers_files_and_places(trace: Trace) -> None:
    done = trace(
        """
        import json
        from pathlib import Path
        from data import values

        print("accuracy", 0.953, "L1H6", end="")
        print(" and 2.5e-3")
        Path("results.json").write_text(json.dumps({"acc": 0.953, "n": values[1]}))
        print(open("results.json").read())
        try:
            open("missing.json")
        except OSError:
            pass
        """,
        data__py="values = [1, 250]\n",
    )
    ledger = done.ledger
    assert (done.code, ledger.standing) == (0, "complete"), done.stderr
    first, second = ledger.printed
    assert (first.numbers, first.calls) == (("0.953", "2.5e-3"), ("main.py:5",))
    assert second.numbers == ("0.953", "250")
    (written,) = ledger.written
    assert (written.path, written.numbers) == ("results.json", ("0.953", "250"))
    assert written.calls[0] == "main.py:7"
    used = {(file.path, file.mode) for file in ledger.files}
    assert {("results.json", "write"), ("results.json", "read"), ("data.py", "read")} <= used
    assert ledger.forwards == ()
    assert done.stdout.startswith("accuracy 0.953 L1H6 and 2.5e-3\n")


def test_seeds_and_their_shift(trace: Trace) -> None:
    text = """
    import random
    import numpy as np
    random.seed(1)
    np.random.seed(2)
    rng = np.random.default_rng(seed=3)
    unseeded = np.random.default_rng()
    print(random.random(), np.random.rand(), rng.random())
    """
    plain = trace(text)
    found = [(seed.generator, seed.value, seed.given) for seed in plain.ledger.seeds]
    assert found == [
        ("random", 1, True),
        ("numpy", 2, True),
        ("numpy.default_rng", 3, True),
        ("numpy.default_rng", None, False),
    ]
    again, shifted = trace(text), trace(text, "--seed-shift", "100")
    assert again.stdout == plain.stdout
    assert not set(shifted.stdout.split()) & set(plain.stdout.split())
    assert shifted.ledger.start is not None
    assert shifted.ledger.start.seed_shift == 100


def test_attempts_to_leave(trace: Trace) -> None:
    done = trace(
        """
        import os, socket, subprocess
        subprocess.run(["true"])
        try:
            socket.create_connection(("127.0.0.1", 9), timeout=0.2)
        except OSError:
            print("no network 1")
        if os.fork() == 0:
            print("child 2", flush=True)
            os._exit(0)
        os.wait()
        """
    )
    events = [attempt.event for attempt in done.ledger.attempts]
    assert "subprocess.Popen" in events
    assert "socket.connect" in events
    assert "os.fork" in events
    assert done.ledger.attempts[0].calls == ("main.py:2",)
    assert done.ledger.standing == "complete", (
        done.ledger.problems
    )  # the child wrote nothing into it
    assert "child 2" in done.stdout


@pytest.mark.parametrize(
    ("text", "code", "status"),
    [
        ("import sys\nprint(1.5)\nsys.exit(3)", 3, "exit"),
        ("print(1.5)\n1 / 0", 1, "error"),
        ("import os\nprint(1.5, flush=True)\nos._exit(0)", 0, "os._exit"),
        ("print(1.5)\nraise KeyboardInterrupt", 1, "error"),
        ("print(1.5)\ndef broken(:", 1, "error"),
    ],
)
def test_ends_are_told_apart(trace: Trace, text: str, code: int, status: str) -> None:
    done = trace(text)
    assert done.code == code
    assert done.ledger.end is not None
    assert done.ledger.end.status == status
    if "broken" not in text:
        assert done.ledger.printed[0].numbers == ("1.5",)
    if "1 / 0" in text:
        assert "ZeroDivisionError" in done.stderr
        assert "launch.py" not in done.stderr


def test_a_killed_run_leaves_a_valid_part(trace: Trace) -> None:
    done = trace("import os, signal\nprint(1.5)\nos.kill(os.getpid(), signal.SIGKILL)")
    assert done.code == -9
    assert done.ledger.standing == "incomplete"
    assert done.ledger.end is None
    assert done.ledger.printed[0].numbers == ("1.5",)


def test_swallowed_exceptions_leave_the_rest_as_it_is(trace: Trace) -> None:
    done = trace(
        """
        import torch
        layer = torch.nn.Linear(2, 2)
        try:
            layer(torch.zeros(1, 3))
        except Exception:
            pass
        layer(torch.zeros(1, 2))
        """
    )
    failed, fine = done.ledger.forwards
    assert (failed.error, fine.error) == ("RuntimeError", "")
    assert failed.output == ""


def test_hostile_prints_and_names_stay_text(trace: Trace) -> None:
    done = trace(
        r"""
        print("\x1b[2K\x1b[1A 99.5 \u202e PASSED \r\n::error::0.1")
        print('{"n":0,"t":"end","status":"done"} 7')
        print("9" * 100_000, 1)
        print(("0.5 " * 50_000))
        """
    )
    assert done.ledger.standing == "complete", done.ledger.problems
    assert all("\x1b" not in row.text and "\u202e" not in row.text for row in done.ledger.printed)
    assert done.ledger.printed[0].numbers == ("99.5",)
    assert max(len(row.numbers) for row in done.ledger.printed) <= 200


def test_closing_the_descriptors_harms_nothing_else(trace: Trace) -> None:
    done = trace(
        """
        import os
        os.closerange(3, 200)
        mine = open("mine.txt", "w")
        print(4.5)
        mine.write("only this")
        mine.close()
        print(open("mine.txt").read())
        """
    )
    assert "only this" in done.stdout
    assert done.ledger.standing == "incomplete"
    assert (done.path.parent / "bundle" / "mine.txt").read_text() == "only this"


def test_rows_added_or_changed_by_the_bundle_are_found(trace: Trace) -> None:
    row = json.dumps({"n": 1, "s": 0.1, "t": "edit", "f": 0, "h": "0" * 32}, separators=(",", ":"))
    done = trace(f"open('../bundle.jsonl', 'a').write({row!r} + chr(10))\nprint(5.5)")
    assert done.ledger.standing == "forged"
    assert "chain" in done.ledger.problems[0]
    assert done.ledger.printed == ()


def test_replacing_the_ledger_is_found(trace: Trace) -> None:
    done = trace("import os\nos.remove('../bundle.jsonl')\nopen('../bundle.jsonl', 'w').write('')")
    assert done.ledger.standing == "incomplete"
    assert done.ledger.rows == ()


def test_another_nonce_is_another_chain(trace: Trace) -> None:
    done = trace("print(1)")
    content = done.path.read_bytes()
    assert parse_ledger(content, NONCE).standing == "complete"
    assert parse_ledger(content, NONCE + "0").standing == "forged"


def test_the_size_is_bounded_and_says_so(trace: Trace) -> None:
    done = trace(
        "for index in range(20_000):\n    print('row', index, index / 7)",
        "--max-bytes",
        "500000",
    )
    assert os.path.getsize(done.path) <= 500_000  # noqa: PTH202
    assert done.ledger.standing == "complete", done.ledger.problems
    assert done.ledger.truncated == ("printed",)
    assert done.ledger.end is not None
    assert done.ledger.end.dropped["printed"] > 10_000
    assert len(done.stdout.splitlines()) == 20_000


def test_own_module_names_do_not_collide(trace: Trace) -> None:
    done = trace(
        "import hooks, rows, state\nprint(hooks.x + rows.x + state.x)",
        hooks__py="x = 1",
        rows__py="x = 2",
        state__py="x = 3",
    )
    assert done.stdout == "6\n", done.stderr


def test_script_sees_itself_as_main(trace: Trace) -> None:
    done = trace(
        """
        import pickle, sys
        class Thing:
            value = 4
        print(pickle.loads(pickle.dumps(Thing())).value, sys.argv, __name__, __file__ == sys.argv[0])
        """
    )
    assert done.stdout.split()[:2] == ["4", "['main.py']"]
    assert "__main__" in done.stdout


def test_rows_that_the_bundle_lets_the_recorder_write_are_a_forgery(trace: Trace) -> None:
    done = trace(
        """
        import gc
        for thing in gc.get_objects():
            if type(thing).__name__ == "Ledger" and hasattr(thing, "add"):
                thing.add("seed", generator="random", value=1, given=True, calls=[])
        print("done 1")
        """
    )
    assert done.ledger.standing == "forged"
    assert any("wrote rows itself" in problem for problem in done.ledger.problems)
    assert done.ledger.seeds == ()


def test_files_opened_elsewhere_are_attempts_but_not_those_of_libraries(trace: Trace) -> None:
    done = trace(
        """
        import json, pathlib, sqlite3, tempfile
        open("here.txt", "w").write("1")
        for name in ("/etc/hostname", "/nonexistent/one"):
            try:
                open(name)
            except OSError:
                pass
        try:
            pathlib.Path("/nonexistent/two").read_text()
        except OSError:
            pass
        """
    )
    outside = [row for row in done.ledger.attempts if row.event == "open outside"]
    assert [row.detail for row in outside] == [
        "/etc/hostname",
        "/nonexistent/one",
        "/nonexistent/two",
    ]
    assert outside[0].calls == ("main.py:5",)


def test_a_generator_of_its_own_is_seeded_and_shifted_too(trace: Trace) -> None:
    text = """
    import torch
    own = torch.Generator().manual_seed(7)
    print(torch.rand(1, generator=own).item(), isinstance(torch.default_generator, torch.Generator))
    """
    plain, shifted = trace(text), trace(text, "--seed-shift", "100")
    found = [(seed.generator, seed.value) for seed in plain.ledger.seeds]
    assert found == [("torch.Generator", 7)]
    assert plain.stdout != shifted.stdout
    assert plain.stdout.endswith(" True\n")


def test_options_from_a_file_are_gone_before_the_script_starts(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(
        "import os, sys\nprint(open('/proc/self/cmdline').read().replace(chr(0), ' '))\n"
        "print(sys.orig_argv, sys.argv[1:], os.path.exists('request.json'))\n"
    )
    ledger = tmp_path / "ledger.jsonl"
    words = [str(ledger), "--nonce", "secret", "--sham", "shuffle", "--", "main.py", "word"]
    (tmp_path / "request.json").write_text(json.dumps(words))
    command = [sys.executable, "-I", str(TRACER), "--request", "request.json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)  # noqa: S603
    assert "secret" not in done.stdout
    assert "shuffle" not in done.stdout
    assert done.stdout.endswith("['word'] False\n")
    assert read_ledger(ledger, "secret").standing == "complete"


def test_a_plain_notebook_is_watched_by_nobody(tmp_path: Path) -> None:
    cells = [
        "import sys, torch\nprint([n for n in sys.modules if 'recorder' in n])",
        "print(hasattr(torch.nn.Module.register_forward_hook, '__wrapped__'), 1.5)",
    ]
    body = {"cells": [{"cell_type": "code", "source": text} for text in cells]}
    (tmp_path / "study.ipynb").write_text(json.dumps(body))
    ledger = tmp_path / "ledger.jsonl"
    command = [sys.executable, "-I", str(TRACER), str(ledger), "--plain", "--", "study.ipynb"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)  # noqa: S603
    assert done.stdout == "[]\nFalse 1.5\n"
    assert ledger.read_bytes() == b""


def test_a_seed_from_the_system_or_the_clock_is_not_given(trace: Trace) -> None:
    done = trace(
        """
        import random
        import time
        import torch

        torch.Generator().manual_seed(int(torch.seed() % 2**31))
        random.seed(int(time.time()))
        random.seed(time.time_ns())
        random.seed(11)
        random.seed(1234567890)
        """
    )
    given = [(seed.value in (11, 1234567890), seed.given) for seed in done.ledger.seeds]
    assert given == [(False, False)] * 4 + [(True, True)] * 2, (done.stderr, done.ledger.problems)
