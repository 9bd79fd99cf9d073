"""Resources: bombs and floods that have to end soon and small."""

import time

from pytest_mecheval.sandbox import capabilities as can
from pytest_mecheval.sandbox.arena import USUAL, Arena, Case

END_SECONDS = 12.0
"""A bomb is over by then, on a busy machine too."""
BOMB_BOUND = 2000
"""Processes a bomb of 3000 may reach where the supervisor, not the kernel, stops it (busy machine)."""
MIB = 1 << 20


def fork_bomb(stage: Arena) -> None:
    started = time.monotonic()
    attempt = stage.run(
        """
count = open("count", "ab", buffering=0)
refused = 0
for _ in range(3000):
    try:
        pid = os.fork()
    except OSError:
        refused += 1
        time.sleep(0.002)
        if refused == 200:
            break
        continue
    if pid == 0:
        count.write(b".")
        time.sleep(60)
        os._exit(0)
"""
    )
    attempt.require(time.monotonic() - started < END_SECONDS + USUAL.wall_s, "it went on")
    started_processes = (stage.scratch / "count").stat().st_size
    counted = can.EXACT_PROCESS_LIMIT not in stage.backend.isolation.gap_names
    bound = 2 * USUAL.processes if counted else BOMB_BOUND
    attempt.require(started_processes <= bound, f"{started_processes} processes were started")


def exact_process_limit(stage: Arena) -> None:
    attempt = stage.run(
        """
started = 0
for _ in range(200):
    try:
        pid = os.fork()
    except OSError as error:
        print("refused after", started, error.errno)
        break
    if pid == 0:
        time.sleep(60)
        os._exit(0)
    started += 1
"""
    )
    attempt.require("refused after" in attempt.said, "the kernel refused no process")


def memory_of_one(stage: Arena) -> None:
    attempt = stage.run(
        """
held = []
try:
    while len(held) < 600:
        held.append(b"x" * (10 << 20))
        print(len(held) * 10)
except MemoryError:
    print("refused")
"""
    )
    most = max(int(word) for word in attempt.said.split() if word.isdigit())
    bound = USUAL.memory_mib + 1100
    attempt.require(most <= bound, f"it held {most} MiB")
    attempt.require(
        attempt.outcome.status == "limit" or "refused" in attempt.said, "nothing stopped it"
    )


def memory_of_all(stage: Arena) -> None:
    attempt = stage.run(
        """
for _ in range(8):
    if os.fork() == 0:
        held = b"x" * (60 << 20)
        time.sleep(15)
        os._exit(0)
time.sleep(15)
"""
    )
    attempt.require(attempt.outcome.status == "limit", "eight times 60 MiB went unnoticed")
    attempt.require(
        any("memory" in note for note in attempt.outcome.notes), "the reason is missing"
    )


def shared_pages(stage: Arena) -> None:
    """Children that share their parent's memory do not count it again."""
    attempt = stage.run(
        """
held = b"x" * (100 << 20)
for _ in range(5):
    if os.fork() == 0:
        time.sleep(0.8)
        os._exit(0)
for _ in range(5):
    os.wait()
"""
    )
    attempt.require(attempt.succeeded, "shared memory was counted once per process")


def cpu_of_one(stage: Arena) -> None:
    attempt = stage.run("while True: pass", cpu_s=1, wall_s=15)
    attempt.require(attempt.outcome.status == "limit", "CPU time is not bounded")
    attempt.require(any("cpu" in note for note in attempt.outcome.notes), "the reason is missing")


def cpu_of_all(stage: Arena) -> None:
    attempt = stage.run(
        """
while True:
    if os.fork() == 0:
        end = time.process_time() + 0.3
        while time.process_time() < end:
            pass
        os._exit(0)
    os.wait()
""",
        cpu_s=1,
        wall_s=15,
    )
    attempt.require(attempt.outcome.status == "limit", "CPU time of ended children is not counted")


def wall_limit(stage: Arena) -> None:
    started = time.monotonic()
    attempt = stage.run("print('waiting', flush=True); time.sleep(60)", wall_s=1)
    attempt.require(attempt.outcome.status == "timed_out", "it was not ended for its time")
    attempt.require(time.monotonic() - started < END_SECONDS, "ending it took too long")
    attempt.require("waiting" in attempt.said, "what it said before was lost")


def one_large_file(stage: Arena) -> None:
    stage.run(
        """
with open("large", "wb") as stream:
    for _ in range(64):
        stream.write(bytes(1 << 20))
"""
    )
    size = (stage.scratch / "large").stat().st_size
    assert size <= USUAL.file_mib * MIB, f"a file of {size} bytes"  # noqa: S101


def sparse_file(stage: Arena) -> None:
    attempt = stage.run(
        'attempt("sparse", lambda: os.truncate(os.open("s", os.O_CREAT | os.O_RDWR), 1 << 40))'
    )
    attempt.require("ESCAPED" not in attempt.said, "a file of 1 TiB was made")


def many_large_files(stage: Arena) -> None:
    attempt = stage.run(
        """
for number in range(500):
    with open(f"part{number}", "wb") as stream:
        stream.write(os.urandom(1 << 20) * 7)
    time.sleep(0.02)
"""
    )
    attempt.require(attempt.outcome.status == "limit", "the disk could be filled")
    attempt.require(any("disk" in note for note in attempt.outcome.notes), "the reason is missing")


def deleted_files(stage: Arena) -> None:
    attempt = stage.run(
        """
held = []
for number in range(40):
    stream = open("gone", "wb", buffering=0)
    os.unlink("gone")
    stream.write(os.urandom(1 << 20) * 7)
    held.append(stream)
    time.sleep(0.05)
"""
    )
    attempt.require(attempt.outcome.status == "limit", "deleted files fill the disk unseen")


def many_files(stage: Arena) -> None:
    attempt = stage.run(
        """
for number in range(100_000):
    open(f"f{number}", "w").close()
"""
    )
    attempt.require(attempt.outcome.status == "limit", "any number of files can be made")


def deep_folders(stage: Arena) -> None:
    attempt = stage.run(
        """
for _ in range(1500):
    os.mkdir("deeper")
    os.chdir("deeper")
"""
    )
    attempt.require(attempt.outcome.status == "limit", "folders can be nested without bound")


def open_files(stage: Arena) -> None:
    attempt = stage.run(
        """
held = []
try:
    while len(held) < 5000:
        held.append(open("/dev/null"))
except OSError as error:
    print("refused after", len(held))
"""
    )
    attempt.require("refused after" in attempt.said, "any number of files can be open")


def flood(stage: Arena) -> None:
    started = time.monotonic()
    attempt = stage.run(
        """
line = b"x" * 65535 + b"\\n"
for _ in range(1000):
    os.write(1, line)
    os.write(2, line)
"""
    )
    attempt.require(attempt.outcome.status == "finished", "a flood kept it from ending")
    for path in (attempt.outcome.stdout, attempt.outcome.stderr):
        attempt.require(path.stat().st_size <= USUAL.output_kib * 1024, f"{path.name} was not cut")
    attempt.require(any("dropped" in note for note in attempt.outcome.notes), "the cut is not told")
    attempt.require(time.monotonic() - started < END_SECONDS, "the flood took too long")


def endless_flood(stage: Arena) -> None:
    attempt = stage.run("while True: os.write(1, b'x' * 65536)", wall_s=1)
    attempt.require(attempt.outcome.status == "timed_out", "a flood hid the wall limit")
    attempt.require(attempt.outcome.stdout.stat().st_size <= USUAL.output_kib * 1024, "not cut")


CASES = (
    Case(can.PROCESS_LIMIT, "fork bomb", fork_bomb),
    Case(can.EXACT_PROCESS_LIMIT, "exact process limit", exact_process_limit),
    Case(can.MEMORY_LIMIT, "memory of one", memory_of_one),
    Case(can.MEMORY_LIMIT, "memory of all", memory_of_all),
    Case(can.MEMORY_LIMIT, "shared pages", shared_pages),
    Case(can.CPU_LIMIT, "cpu of one", cpu_of_one),
    Case(can.CPU_LIMIT, "cpu of all", cpu_of_all),
    Case(can.WALL_LIMIT, "wall limit", wall_limit),
    Case(can.FILE_LIMIT, "one large file", one_large_file),
    Case(can.FILE_LIMIT, "sparse file", sparse_file),
    Case(can.DISK_LIMIT, "many large files", many_large_files),
    Case(can.DISK_LIMIT, "deleted files", deleted_files),
    Case(can.DISK_LIMIT, "many files", many_files),
    Case(can.DISK_LIMIT, "deep folders", deep_folders),
    Case(can.OPEN_FILE_LIMIT, "open files", open_files),
    Case(can.OUTPUT_LIMIT, "flood", flood),
    Case(can.OUTPUT_LIMIT, "endless flood", endless_flood),
)
