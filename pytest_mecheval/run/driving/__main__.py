"""`python -m pytest_mecheval.run.driving BATCH.json`: measure the jobs of a batch file on the bundle's own module.

Takes the same batch file as the harness and leaves the same records and failures. Imports no torch: the
model runs in the sandbox. Exit code 0 also when single jobs failed; 2 when the batch cannot be read.
"""

import json
import os
import sys
import threading
import time
from pathlib import Path

from pytest_mecheval.batches import BatchError, parse
from pytest_mecheval.run.driving.batch import Driver

UNREADABLE = 2
ORPHAN_CHECK_S = 1.0


def main(arguments: list[str]) -> int:
    """Run the batch file named on the command line."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m pytest_mecheval.run.driving BATCH.json\n")
        return UNREADABLE
    _end_with_parent()
    try:
        batch = parse(json.loads(Path(arguments[0]).read_text(encoding="utf-8")))
    except (OSError, ValueError, BatchError) as error:
        sys.stderr.write(f"{arguments[0]}: not a readable batch: {error}\n")
        return UNREADABLE
    Driver(batch).run()
    return 0


def _end_with_parent() -> None:
    """Leave when the parent is gone; the sandbox's supervisor then sees its lifeline close and ends everything."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(ORPHAN_CHECK_S)
        os._exit(1)

    threading.Thread(target=watch, name="orphan-watch", daemon=True).start()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
