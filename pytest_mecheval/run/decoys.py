"""Writes a decoy: a file of a scratch copy with component names exchanged for others, all else as it was."""

import re
from pathlib import Path

from pytest_mecheval.bundle.reading import read_file
from pytest_mecheval.errors import BundleError, SubjectError
from pytest_mecheval.wire import Decoy

MAX_DECOY_BYTES = 4_000_000


def write_decoy(copy: Path, decoy: Decoy) -> None:
    """Exchange names in a text file of the copy.

    Args:
        copy: the scratch copy of the bundle, written by us alone so far.
        decoy: file and names.

    Raises:
        SubjectError: no such file there, not UTF-8, or none of the names occurs in it.
    """
    try:
        text = read_file(copy, decoy.file, MAX_DECOY_BYTES).decode("utf-8")
    except (BundleError, UnicodeDecodeError) as error:
        raise SubjectError(f"{decoy.file}: cannot be read for a decoy: {error}") from error
    changed = exchanged(text, decoy.names)
    if changed == text:
        names = ", ".join(old for old, _ in decoy.names)
        raise SubjectError(f"{decoy.file}: none of the names {names} occurs in it")
    (copy / decoy.file).write_text(changed, encoding="utf-8")


def exchanged(text: str, names: tuple[tuple[str, str], ...]) -> str:
    """The text with whole names exchanged, all at once.

    >>> exchanged('["a0.h1", "a0.h12"]', (("a0.h1", "a0.h3"),))
    '["a0.h3", "a0.h12"]'
    """
    new = dict(names)
    wanted = "|".join(re.escape(old) for old in sorted(new, key=len, reverse=True))
    return re.sub(rf"(?<![\w.])(?:{wanted})(?![\w])", lambda match: new[match[0]], text)
