"""What commands are given on the command line, read strictly: an empty or impossible value is a mistake."""

import argparse
from pathlib import Path


def path(text: str) -> Path:
    """A path that was really given.

    Raises:
        argparse.ArgumentTypeError: it is empty, as after an unset shell variable; `Path` would read the
            current directory into that.
    """
    if not text.strip():
        raise argparse.ArgumentTypeError("is empty; name a path, or . for the current directory")
    return Path(text)


def count(text: str) -> int:
    """A whole number of at least 0.

    Raises:
        argparse.ArgumentTypeError: it is not.
    """
    if not (text.isascii() and text.isdigit()):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 0")
    return int(text)


def seconds(text: str) -> int:
    """How long a script may run, from one second to a day.

    Raises:
        argparse.ArgumentTypeError: it is not.
    """
    from pytest_mecheval.sandbox.confinement import MAX_SECONDS

    if not 1 <= count(text) <= MAX_SECONDS:
        raise argparse.ArgumentTypeError(f"{text!r} is not from 1 to {MAX_SECONDS}")
    return int(text)
