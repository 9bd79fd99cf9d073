"""Takes one request, lets the right part answer it, and turns every failure into one short line."""

import os
import sys
from typing import Any

from .frames import Listed, Request, Unanswerable, send

FAILED = 1


def main(arguments: list[str]) -> None:
    """Answer the request behind the first descriptor into the block behind the second."""
    source, target = (int(one) for one in arguments)
    request = Request(source)
    header = request.header
    os.close(source)
    sys.argv = [header["task"]["entry"].partition(":")[0]]
    try:
        send(target, header, _answer(header["task"], request))
    except Unanswerable as error:
        send(target, header, [], str(error))
    except BaseException as error:  # noqa: BLE001 - also SystemExit: leaving is no answer
        send(target, header, [], _words(error))
    # Exit handlers of the bundle have nothing more to say.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def _answer(task: dict[str, Any], request: Request) -> Listed:
    match task["do"]:
        case "call":
            from .calls import call

            return call(task)
        case "draw":
            from .drawing import draw

            return draw(task)
        case "drive":
            from .driving import drive

            return drive(task, request)
        case other:
            raise Unanswerable(f"nothing here does {other}")


def _words(error: BaseException) -> str:
    text = " ".join(str(error).split())
    place = _place(error)
    return f"{type(error).__name__}: {text}"[:150] + (f" ({place})" if place else "")


def _place(error: BaseException) -> str:
    """File and line of the bundle's innermost frame, or an empty text."""
    found, trace = "", error.__traceback__
    root = os.getcwd()  # noqa: PTH109
    while trace is not None:
        name = trace.tb_frame.f_code.co_filename
        if name.startswith(root + os.sep):
            found = f"{name[len(root) + 1 :]}:{trace.tb_lineno}"
        trace = trace.tb_next
    return found[-45:]
