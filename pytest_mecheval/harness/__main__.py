"""`python -m pytest_mecheval.harness BATCH.json`: measure the jobs of a batch file, then exit.

Exit code 0 also when single jobs failed (each has a file in `failures`); 2 when the batch cannot be read.
"""

import contextlib
import ctypes
import json
import os
import signal
import sys
import threading
import time
import warnings
from pathlib import Path
from typing import Any

UNREADABLE = 2
ORPHAN_CHECK_S = 1.0
_PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> int:
    """Run the batch file named on the command line."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m pytest_mecheval.harness BATCH.json\n")
        return UNREADABLE
    try:
        body = json.loads(Path(arguments[0]).read_text(encoding="utf-8"))
        threads = int(body.get("threads", 1))
    except (OSError, ValueError, AttributeError, TypeError) as error:
        sys.stderr.write(f"{arguments[0]}: not a readable batch: {error}\n")
        return UNREADABLE
    die_with_parent()
    prepare_environment(threads)
    return _run(arguments[0], body, threads)


def prepare_environment(threads: int) -> None:
    """Settings that only count before torch is imported."""
    os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = str(threads)
    os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
    os.environ["HF_HUB_OFFLINE"] = os.environ["TRANSFORMERS_OFFLINE"] = "1"
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")


def die_with_parent() -> None:
    """End this process when its parent ends, however that happens."""
    parent = os.getppid()
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)

    def watch() -> None:
        # Also where prctl is missing, and for a parent that died before it was called.
        while os.getppid() == parent:
            time.sleep(ORPHAN_CHECK_S)
        os._exit(1)

    threading.Thread(target=watch, name="orphan-watch", daemon=True).start()


def _run(name: str, body: Any, threads: int) -> int:
    import torch

    from pytest_mecheval.batches import BatchError, parse
    from pytest_mecheval.harness.batch import Runner
    from pytest_mecheval.harness.subjects import draw_prompts, load_tested

    torch.set_num_threads(threads)
    # numpy 1 notices flushed subnormals when libraries ask for float limits; nothing here depends on them.
    warnings.filterwarnings("ignore", message="The value of the smallest subnormal")
    torch.set_flush_denormal(True)
    torch.use_deterministic_algorithms(True)
    torch.backends.cuda.matmul.allow_tf32 = False
    try:
        batch = parse(body)
    except BatchError as error:
        sys.stderr.write(f"{name}: {error}\n")
        return UNREADABLE
    runner = Runner(batch, load_tested, draw_prompts)
    runner.run()
    runner.finish()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
