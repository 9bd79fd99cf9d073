"""How a bundle's own code is started: one script or notebook with arguments, or several in order; plain data."""

import posixpath
import shlex
from collections.abc import Collection
from dataclasses import dataclass

from pytest_mecheval.bundle.escaping import escaped
from pytest_mecheval.bundle.reading import relative_parts
from pytest_mecheval.errors import BundleError

STARTED_SUFFIXES = (".py", ".ipynb")
"""What the tracer runs."""
SHELL_SUFFIX = ".sh"
"""What is read for the starts in it."""
ALLOWED = (*STARTED_SUFFIXES, SHELL_SUFFIX)
MAX_WORDS = 100
MAX_WORD = 2000
"""Characters of one argument."""


@dataclass(frozen=True, slots=True)
class Command:
    """One start of Python on a script or a notebook."""

    script: str
    """Relative to the bundle's root."""
    arguments: tuple[str, ...] = ()
    folder: str = ""
    """Where it is started, relative to the bundle's root; empty is the root."""
    variables: tuple[tuple[str, str], ...] = ()
    """Environment variables that its shell script sets."""
    search: tuple[str, ...] = ()
    """Folders of the bundle on its PYTHONPATH."""
    package: str | None = None
    """Started with `-m`: the package its module belongs to, "" for a top-level one."""
    output: str = ""
    """File its standard output goes to, relative to the folder; empty: it is only printed."""
    appended: bool = False
    """The output file is continued."""
    stops: bool = True
    """When it fails, the commands after it are not started."""
    place: str = ""
    """`run_all.sh:7`; empty when no shell script says so."""

    @property
    def words(self) -> str:
        """As one would type it in the bundle's root."""
        return shlex.join((self.script, *self.arguments))


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry point as a claim states it: a file of the bundle and arguments."""

    file: str
    arguments: tuple[str, ...] = ()


def entry_file(text: str, files: Collection[str]) -> str:
    """The file that an entry point is in, for a command as for a function `src/data.py:make`.

    Raises:
        BundleError: see `parse_entry`.

    >>> entry_file("src/data.py:make", ()), entry_file("run.py --n 4", ())
    ('src/data.py', 'run.py')
    """
    file, _, function = text.rpartition(":")
    if file.endswith(STARTED_SUFFIXES[0]) and function.isidentifier():
        return file
    return parse_entry(text, files).file


def parse_entry(text: str, files: Collection[str]) -> Entry:
    """The file and arguments of an entry such as `experiments/run.py --n 64`, quoted as in a shell.

    A text that is the whole name of a file in the bundle is that file, blanks and all.

    Args:
        text: as written in a claim file or manifest.
        files: relative paths of the bundle's files.

    Raises:
        BundleError: no such file, a kind of file that cannot be run, or quotes that are not closed.
    """
    shown = escaped(text)
    if text in files:
        words = [text]
    else:
        try:
            words = shlex.split(text)
        except ValueError as error:
            raise BundleError(f"{shown}: not readable as a command: {error}") from error
    if not words or len(words) > MAX_WORDS or any(len(word) > MAX_WORD for word in words):
        raise BundleError(f"{shown}: must be a file of the bundle and at most {MAX_WORDS} words")
    name, *arguments = words
    file = "/".join(relative_parts(name))
    if posixpath.splitext(file)[1] not in ALLOWED:
        raise BundleError(f"{escaped(name)}: cannot be run (allowed: {', '.join(ALLOWED)})")
    if file.endswith(SHELL_SUFFIX) and arguments:
        raise BundleError(f"{shown}: a shell script takes no arguments here")
    return Entry(file, tuple(arguments))
