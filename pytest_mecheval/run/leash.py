"""Runs a module or script as `__main__` and ends with it when the process that started it is gone.

Used as `python -m pytest_mecheval.run.leash PARENT_PID MODULE ARGUMENTS...`. A killed pytest cannot clean up
after itself, so the measuring child watches its parent instead. Standard library only.
"""

import os
import runpy
import sys
import threading
import time

WATCH_SECONDS = 0.25
ORPHANED = 75
"""Exit status when the parent went away (EX_TEMPFAIL)."""


def main(arguments: list[str]) -> None:
    """Watch the parent from a thread and run the module in the main thread."""
    parent, module, *rest = arguments
    threading.Thread(target=_watch, args=(int(parent),), daemon=True).start()
    sys.argv = [module, *rest]
    if module.endswith(".py"):
        runpy.run_path(module, run_name="__main__")
    else:
        runpy.run_module(module, run_name="__main__", alter_sys=True)


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(WATCH_SECONDS)
    os._exit(ORPHANED)


if __name__ == "__main__":
    main(sys.argv[1:])
