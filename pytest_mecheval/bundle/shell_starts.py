"""One command of a shell script: what its words mean there, and which Python start it is."""

import posixpath
import re
from collections.abc import Collection
from dataclasses import dataclass, field, replace

from pytest_mecheval.bundle.commands import STARTED_SUFFIXES, Command
from pytest_mecheval.bundle.shell_words import Expansion, NotUnderstood, Word

ROOT = "\0"
"""Stands for the bundle's absolute folder while a script is read; no script can contain it."""
PYTHON = re.compile(r"(python|pypy)[0-9.]*")
PLAIN_OPTIONS = frozenset({"-u", "-B", "-s", "-q", "-b"})
"""Options of Python that change nothing we look at."""
VALUE_OPTIONS = frozenset({"-W", "-X"})
NOT_OURS = frozenset({"pip", "venv", "ensurepip", "virtualenv", "ipykernel"})
"""Modules that make environments."""
_ASSIGNMENT = re.compile(r"([A-Za-z_]\w*)=(.*)", re.DOTALL)
_OWN = r"(\$0|\$\{0\}|\$BASH_SOURCE|\$\{BASH_SOURCE\[0\]\})"
_FOLDER_OF_SCRIPT = re.compile(
    rf"dirname (-- )?{_OWN}|cd (-- )?\$\(dirname (-- )?{_OWN}\) ?(&&|;) ?pwd( -P)?"
)
_ABOVE_SCRIPT = re.compile(rf"cd (-- )?\$\(dirname (-- )?{_OWN}\)/((?:\.\./?)+) ?(&&|;) ?pwd( -P)?")
_PYTHON_PATH = re.compile(r"(which|command -v) (python[0-9.]*)")
_EMPTY = frozenset({"@", "*", *"123456789", "PYTHONPATH"})
"""Unset in a run without arguments."""


@dataclass
class State:
    """What a shell knows while it reads a script."""

    folder: str = ""
    """Where it stands, relative to the bundle's root."""
    script: str = ""
    """The script that is read."""
    variables: dict[str, str] = field(default_factory=dict)
    exported: set[str] = field(default_factory=lambda: {"PYTHONPATH"})

    def child(self, own: dict[str, str]) -> "State":
        """What a script that this one calls starts with."""
        exported = {name: self.variables[name] for name in self.exported & self.variables.keys()}
        return State(self.folder, self.script, exported | own, set(self.exported) | set(own))

    def place(self, text: str, line: int) -> str:
        """A path as the script writes it, relative to the bundle's root; "" is the root.

        Raises:
            NotUnderstood: it lies outside the bundle.
        """
        if text.startswith(ROOT):
            whole = text[len(ROOT) :].lstrip("/")
        elif text.startswith(("/", "~")):
            raise NotUnderstood(f"line {line}: {text} is outside the bundle")
        else:
            whole = posixpath.join(self.folder, text)
        found = posixpath.normpath(whole) if whole else "."
        if found == ".." or found.startswith("../"):
            raise NotUnderstood(f"line {line}: {text} is outside the bundle")
        return "" if found == "." else found

    def relative(self, text: str) -> str:
        """A text with the bundle's folder written relative to where the script stands."""
        up = "/".join(".." for _ in self.folder.split("/")) if self.folder else "."
        return text.replace(ROOT, up)

    def assignment(self, word: Word) -> tuple[str, str] | None:
        """Name and value when the word is `NAME=value`."""
        first = word.parts[0] if word.parts else ""
        match = _ASSIGNMENT.fullmatch(first) if isinstance(first, str) else None
        if match is None:
            return None
        rest = Word((match[2], *word.parts[1:]), word.line, word.quoted)
        return match[1], self.text(rest)

    def text(self, word: Word) -> str:
        """A word's text, its expansions replaced."""
        return "".join(
            part if isinstance(part, str) else self._value(part, word.line) for part in word.parts
        )

    def fields(self, word: Word) -> list[str]:
        """A word's texts: an unquoted variable alone is split at blanks, as a shell does."""
        text = self.text(word)
        plain = [part for part in word.parts if isinstance(part, Expansion) and not part.quoted]
        if word.quoted or not plain:
            return [text]
        if len(word.parts) == 1:
            return text.split()
        if len(text.split()) != 1:
            raise NotUnderstood(f"line {word.line}: a variable with blanks needs quotes here")
        return [text]

    def _value(self, part: Expansion, line: int) -> str:
        here = self.script.rpartition("/")[0]
        if part.command:
            if _FOLDER_OF_SCRIPT.fullmatch(part.text):
                return f"{ROOT}/{here}".rstrip("/")
            if match := _ABOVE_SCRIPT.fullmatch(part.text):
                return f"{ROOT}/{here}/{match[4]}".rstrip("/")
            if part.text in ("pwd", "pwd -P"):
                return f"{ROOT}/{self.folder}".rstrip("/")
            if part.text == "git rev-parse --show-toplevel":
                return ROOT
            if match := _PYTHON_PATH.fullmatch(part.text):
                return match[2]
            raise NotUnderstood(f"line {line}: $({part.text}) is not read")
        if part.text in self.variables:
            return self.variables[part.text]
        if part.text in ("0", "BASH_SOURCE", "BASH_SOURCE[0]"):
            return f"{ROOT}/{self.script}"
        if part.text == "PWD":
            return f"{ROOT}/{self.folder}".rstrip("/")
        if part.default is not None:
            return part.default
        if part.text in _EMPTY:
            return ""
        raise NotUnderstood(f"line {line}: ${part.text} is not set in the script")


@dataclass(frozen=True)
class Start:
    """One simple command, expanded."""

    fields: list[str]
    """Its words; the first is the program."""
    own: dict[str, str]
    """Variables set for it alone."""
    output: str
    """Where its standard output goes, as written; empty: the screen."""
    appended: bool
    line: int


def python_start(start: Start, state: State, files: Collection[str]) -> Command | None:
    """The start of a script, module or notebook; None when it only makes an environment.

    Raises:
        NotUnderstood: another program, code given with `-c`, or a file the bundle does not have.
    """
    name, *rest = start.fields
    base = name.rpartition("/")[2]
    if base.endswith(STARTED_SUFFIXES[0]):
        return _command(start, state, _script(name, state, files, start.line), rest)
    if base in ("jupyter", "jupyter-nbconvert", "papermill"):
        return _notebook([base, *rest], start, state, files)
    if not PYTHON.fullmatch(base):
        raise NotUnderstood(f"line {start.line}: `{base}` is not read")
    while rest and rest[0].startswith("-"):
        option = rest.pop(0)
        if option == "-m" and rest:
            return _module(rest.pop(0), rest, start, state, files)
        if option in VALUE_OPTIONS and rest:
            rest.pop(0)
        elif option not in PLAIN_OPTIONS:
            raise NotUnderstood(f"line {start.line}: `{base} {option}` is not read")
    if not rest:
        raise NotUnderstood(f"line {start.line}: `{base}` without a script")
    return _command(start, state, _script(rest[0], state, files, start.line), rest[1:])


def _script(text: str, state: State, files: Collection[str], line: int) -> str:
    script = state.place(text, line)
    if script not in files:
        raise NotUnderstood(f"line {line}: {script or text}: no such file in the bundle")
    if not script.endswith(STARTED_SUFFIXES):
        raise NotUnderstood(f"line {line}: {script}: neither a Python script nor a notebook")
    return script


def _module(
    name: str, arguments: list[str], start: Start, state: State, files: Collection[str]
) -> Command | None:
    if name in NOT_OURS:
        return None
    if name in ("jupyter", "papermill"):
        return _notebook([name, *arguments], start, state, files)
    path = name.replace(".", "/")
    for folder in (state.folder, *_search(start, state)):
        for ending in (".py", "/__main__.py"):
            script = posixpath.join(folder, path + ending)
            if script in files:
                whole = f"{name}.__main__" if ending != ".py" else name
                command = _command(start, state, script, arguments)
                return replace(command, package=whole.rpartition(".")[0])
    raise NotUnderstood(f"line {start.line}: `python -m {name}`: no such module in the bundle")


def _notebook(
    words: list[str], start: Start, state: State, files: Collection[str]
) -> Command | None:
    """`jupyter nbconvert --execute NOTEBOOK` or `papermill NOTEBOOK OUT`; the copy it writes is not made."""
    tool, *rest = words
    if tool == "jupyter" and rest[:1] == ["nbconvert"]:
        tool, rest = "jupyter-nbconvert", rest[1:]
    if tool == "jupyter":
        raise NotUnderstood(f"line {start.line}: `jupyter {' '.join(rest[:1])}` is not read")
    if tool == "papermill" and any(word.startswith("-") for word in rest):
        raise NotUnderstood(f"line {start.line}: `papermill` with options is not read")
    if tool == "jupyter-nbconvert" and "--execute" not in rest:
        raise NotUnderstood(f"line {start.line}: `nbconvert` without --execute runs nothing")
    named = [word for word in rest if word.endswith(STARTED_SUFFIXES[1])]
    if not named:
        raise NotUnderstood(f"line {start.line}: `{tool}` without a notebook")
    return _command(start, state, _script(named[0], state, files, start.line), [])


def _search(start: Start, state: State) -> tuple[str, ...]:
    """Folders of the bundle that PYTHONPATH names."""
    text = start.own.get("PYTHONPATH", state.variables.get("PYTHONPATH", ""))
    places = [state.place(part, start.line) for part in text.split(":") if part]
    return tuple(dict.fromkeys(places))


def _command(start: Start, state: State, script: str, arguments: list[str]) -> Command:
    exported = {n: state.variables[n] for n in state.exported if n in state.variables}
    variables = {**exported, **start.own}
    variables.pop("PYTHONPATH", None)
    return Command(
        script=script,
        arguments=tuple(state.relative(one) for one in arguments),
        folder=state.folder,
        variables=tuple(sorted((name, state.relative(v)) for name, v in variables.items())),
        search=_search(start, state),
        output=state.relative(start.output),
        appended=start.appended,
        place=f"{state.script}:{start.line}",
    )
