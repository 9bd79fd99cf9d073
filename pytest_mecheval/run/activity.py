"""What a process is doing right now, as a small file in the session folder that the controller shows."""

import contextlib
import json
import os
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

from pytest_mecheval.wire import write_atomically

ACTIVITY_SUFFIX = ".activity.json"


@contextlib.contextmanager
def announced(folder: Path | None, what: str) -> Iterator[None]:
    """Say what is being done for as long as it is done.

    Args:
        folder: the session folder of the run; None says nothing.
        what: such as `running run.py in the sandbox`.
    """
    if folder is None:
        yield
        return
    path = folder / f"{os.getpid()}-{uuid.uuid4().hex[:8]}{ACTIVITY_SUFFIX}"
    write_atomically(path, json.dumps({"what": what, "started": time.time(), "pid": os.getpid()}))
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
