"""Stands in for the harness in scheduling tests: same batch file in, same records out, no model.

The stratum of a job says how it behaves: `fails` writes a failure, `crashes` ends the process, `slow` takes
its time, anything else is measured at once. Every measured address is appended to `measured.log`.
"""

import json
import os
import sys
import threading
import time
from pathlib import Path

from pytest_mecheval.wire import Record, dump, load_job, record_path, write_atomically

SLOW_SECONDS = 0.4


def end_with_parent() -> None:
    """Like the harness: a killed parent takes its child with it."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.05)
        os._exit(75)

    threading.Thread(target=watch, daemon=True).start()


def main() -> None:
    end_with_parent()
    batch = json.loads(Path(sys.argv[1]).read_text())
    store, failures = Path(batch["store"]), Path(batch["failures"])
    for body in batch["jobs"]:
        job = load_job(body)
        target = record_path(store, job.address)
        if target.exists():
            continue
        stratum = job.step.slice.stratum
        if stratum == "crashes":
            sys.stderr.write("the stand-in crashed on purpose\n")
            os._exit(11)
        if stratum == "fails":
            failure = json.dumps({"address": job.address, "error": "positive control failed"})
            write_atomically(failures / f"{job.address}.json", failure)
            continue
        if stratum == "slow":
            time.sleep(SLOW_SECONDS)
        with (store / "measured.log").open("a") as log:
            log.write(f"{job.address} {os.getpid()}\n")
        unavailable = "no weights" if stratum == "unavailable" else ""
        values = () if unavailable else tuple(float(i) for i in range(job.step.slice.n))
        write_atomically(target, dump(Record(job.address, values, unavailable=unavailable)))


if __name__ == "__main__":
    main()
