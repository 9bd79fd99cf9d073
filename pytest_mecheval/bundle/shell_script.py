"""Reads a bundle's `run_all.sh` for the Python starts in it; the script itself is never executed.

Understood: `set`, `cd`, assignments, `export`, `mkdir`, output to the screen or to a file, `&&`, `||`
with an obvious end, loops over literal words, other scripts of the bundle, and starts of Python scripts,
modules and notebooks. Anything else ends the reading with its line, because guessing would run something
the script does not say.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace

from pytest_mecheval.bundle.commands import SHELL_SUFFIX, Command
from pytest_mecheval.bundle.escaping import escaped
from pytest_mecheval.bundle.shell_grammar import (
    Simple,
    end_of_loop,
    read_tokens,
    simple_command,
    skipped,
    text_of,
)
from pytest_mecheval.bundle.shell_starts import Start, State, python_start
from pytest_mecheval.bundle.shell_words import NotUnderstood, Operator, Token, Word
from pytest_mecheval.errors import BundleError

MAX_STARTS = 100
"""Starts of one script, loops unrolled."""
MAX_DEPTH = 3
"""Scripts that call scripts."""
MAX_STEPS = 10_000
"""Commands read, loops unrolled: one that only prints must not keep us busy."""
MAX_LOOPS = 20
"""Loops within loops."""
SCREEN_ONLY = frozenset(
    {
        *("echo", "printf", "date", "true", ":", "sleep", "ls", "pwd", "cat", "head", "tail"),
        *("wait", "which", "type", "hash", "clear", "nvidia-smi", "trap", "umask", "ulimit"),
    }
)
"""Commands that compute nothing; what they show is no result."""
INSTALLERS = frozenset({"pip", "pip3", "conda", "mamba", "micromamba", "module", "virtualenv"})
PREFIXES = frozenset({"time", "exec", "nohup", "command", "env"})
RUNNERS = frozenset({"uv", "poetry", "pdm", "hatch", "rye"})
SHELLS = frozenset({"bash", "sh", "zsh", "dash"})
KEYWORDS = frozenset(
    {*("if", "while", "until", "case", "select", "function", "{", "}", "[[", "[", "((", "!")}
)
RESULTS = "results"
"""Stored results are not there in a rerun, so removing them first changes nothing."""
DEVNULL = "/dev/null"


@dataclass(frozen=True, slots=True)
class ShellScript:
    """The starts a shell script makes, in order."""

    commands: tuple[Command, ...]
    folders: tuple[str, ...] = ()
    """Folders it makes, relative to the bundle's root."""
    notes: tuple[str, ...] = ()
    """Lines that are passed over, with the reason."""


def read_shell_script(path: str, texts: Mapping[str, str], files: Collection[str]) -> ShellScript:
    """What a shell script of the bundle starts.

    Args:
        path: the script, relative to the bundle's root; started there, or else in its own folder.
        texts: the bundle's shell scripts by relative path.
        files: relative paths of all the bundle's files.

    Raises:
        BundleError: a line that is not understood, or nothing is started; names file and line.
    """
    folder = path.rpartition("/")[0]
    try:
        return _read(path, texts, files, "")
    except BundleError:
        if not folder:
            raise
        try:
            return _read(path, texts, files, folder)
        except BundleError:
            pass
        raise


def _read(path: str, texts: Mapping[str, str], files: Collection[str], folder: str) -> ShellScript:
    reader = _Reader(texts, frozenset(files), State(folder=folder, script=path))
    reader.script(path)
    if not reader.commands:
        raise BundleError(f"{escaped(path)}: starts no Python script and no notebook")
    return ShellScript(tuple(reader.commands), tuple(reader.folders), tuple(reader.notes))


class _Reader:
    def __init__(self, texts: Mapping[str, str], files: frozenset[str], state: State) -> None:
        self._texts = texts
        self._files = files
        self._state = state
        self._depth = 0
        self._steps = 0
        self._loops = 0
        self._errexit = False
        self._ended = False
        self.commands: list[Command] = []
        self.folders: list[str] = []
        self.notes: list[str] = []

    def script(self, path: str) -> None:
        """Read one script of the bundle to its end."""
        text = self._texts.get(path)
        if text is None:
            raise BundleError(f"{escaped(path)}: no such shell script in the bundle")
        if self._depth >= MAX_DEPTH:
            raise BundleError(
                f"{escaped(path)}: scripts call each other more than {MAX_DEPTH} deep"
            )
        caller, self._state.script = self._state.script, path
        self._depth += 1
        try:
            self._block(read_tokens(text))
        except NotUnderstood as error:
            where, _, why = str(error).removeprefix("line ").partition(": ")
            raise BundleError(f"{escaped(path)}:{where}: {escaped(why, 300)}") from error
        finally:
            self._depth -= 1
            self._state.script = caller
        self._ended = False

    def _block(self, found: list[Token]) -> None:
        at = 0
        while at < len(found) and not self._ended:
            token = found[at]
            if isinstance(token, Operator):
                if token.text not in (";", "\n", "&"):
                    raise NotUnderstood(f"line {token.line}: `{token.text}` is not read")
                at += 1
            elif token.literal == "for" and not token.quoted:
                at = self._loop(found, at)
            elif token.literal in KEYWORDS and not token.quoted:
                raise NotUnderstood(f"line {token.line}: `{token.literal}` is not read")
            else:
                at = self._chain(found, at)

    def _loop(self, found: list[Token], at: int) -> int:
        """`for NAME in WORDS; do ...; done`, unrolled."""
        line = found[at].line
        words: list[Word] = []
        at += 1
        while at < len(found) and isinstance(token := found[at], Word):
            words.append(token)
            at += 1
        texts = [word.literal for word in words]
        if len(texts) < 2 or texts[1] != "in" or not (texts[0] or "").isidentifier():
            raise NotUnderstood(f"line {line}: `for` is read as `for NAME in WORDS; do` only")
        at = skipped(found, at, (";", "\n"))
        if at >= len(found) or text_of(found[at]) != "do":
            raise NotUnderstood(f"line {line}: `for` without `do`")
        end = end_of_loop(found, at, line)
        values = [value for word in words[2:] for value in self._state.fields(word)]
        if any(character in value for value in values for character in "*?[{"):
            raise NotUnderstood(f"line {line}: a loop over file patterns or ranges is not read")
        if self._loops >= MAX_LOOPS:
            raise NotUnderstood(f"line {line}: more than {MAX_LOOPS} loops within each other")
        self._loops += 1
        for value in values:
            self._step(line)
            self._state.variables[texts[0] or ""] = value
            self._block(found[at + 1 : end])
        self._loops -= 1
        return end + 1

    def _chain(self, found: list[Token], at: int) -> int:
        """Commands joined by `&&` and `||`; returns where the next one starts."""
        joint = ""
        before = len(self.commands)
        while True:
            simple, at = self._pipeline(found, at)
            if joint == "||":
                self._otherwise(simple, before)
            else:
                if joint == "&&":
                    self.commands[before:] = [
                        replace(one, stops=True) for one in self.commands[before:]
                    ]
                self._command(simple)
            operator = found[at] if at < len(found) else None
            if not isinstance(operator, Operator) or operator.text not in ("&&", "||"):
                return at
            joint = operator.text
            at = skipped(found, at + 1, ("\n",))

    def _otherwise(self, simple: Simple, before: int) -> None:
        """What follows `||` decides whether a failure ends everything; it is never run."""
        name = simple.words[0].literal if simple.words else None
        if name != "exit" and name not in SCREEN_ONLY:
            raise NotUnderstood(f"line {simple.line}: `|| {name or '...'}` is not read")
        self.commands[before:] = [
            replace(one, stops=name == "exit") for one in self.commands[before:]
        ]

    def _pipeline(self, found: list[Token], at: int) -> tuple[Simple, int]:
        first, at = simple_command(found, at)
        while at < len(found) and text_of(found[at]) == "|" and isinstance(found[at], Operator):
            receiver, at = simple_command(found, skipped(found, at + 1, ("\n",)))
            words = receiver.words
            name = words[0].literal if words else None
            if name != "tee":
                raise NotUnderstood(f"line {receiver.line}: `| {name or '...'}` is not read")
            appended = len(words) > 1 and words[1].literal == "-a"
            targets = words[2:] if appended else words[1:]
            if len(targets) > 1:
                raise NotUnderstood(f"line {receiver.line}: `tee` into several files is not read")
            if targets:
                first.output, first.appended = targets[0], appended
        return first, at

    def _command(self, simple: Simple) -> None:
        state, line = self._state, simple.line
        self._step(line)
        own: dict[str, str] = {}
        words = list(simple.words)
        while words and (assigned := state.assignment(words[0])):
            own[assigned[0]] = assigned[1]
            words.pop(0)
        fields = [field for word in words for field in state.fields(word)]
        if not fields:
            state.variables.update(own)
            return
        output = state.text(simple.output) if simple.output else ""
        start = Start(fields, own, output if output != DEVNULL else "", simple.appended, line)
        self._dispatch(start)

    def _step(self, line: int) -> None:
        self._steps += 1
        if self._steps > MAX_STEPS:
            raise NotUnderstood(f"line {line}: more than {MAX_STEPS} commands")

    def _dispatch(self, start: Start) -> None:
        name, *rest = start.fields
        base = name.rpartition("/")[2]
        if base in PREFIXES or (base in RUNNERS and rest[:1] == ["run"]):
            left = rest[1:] if base in RUNNERS else rest
            while base == "env" and left and "=" in left[0]:
                variable, _, value = left.pop(0).partition("=")
                start.own[variable] = value
            if not left:
                raise NotUnderstood(f"line {start.line}: `{base}` with nothing to run")
            self._dispatch(replace(start, fields=left))
        elif base in INSTALLERS or base in RUNNERS or self._activates(start.fields):
            self._note(start, "not run: the environment is made from what the bundle declares")
        elif name in _BUILT_IN:
            _BUILT_IN[name](self, rest, start)
        elif base in SCREEN_ONLY:
            if start.output:
                raise NotUnderstood(f"line {start.line}: `{base}` into a file is not read")
        elif base in SHELLS or name.endswith(SHELL_SUFFIX):
            self._called(rest if base in SHELLS else start.fields, start)
        else:
            self._started(start)

    def _started(self, start: Start) -> None:
        command = python_start(start, self._state, self._files)
        if command is None:
            self._note(start, "not run: the environment is made from what the bundle declares")
            return
        if len(self.commands) >= MAX_STARTS:
            raise NotUnderstood(f"line {start.line}: more than {MAX_STARTS} starts")
        self.commands.append(replace(command, stops=self._errexit))

    @staticmethod
    def _activates(fields: list[str]) -> bool:
        return (
            fields[0] in ("source", ".") and fields[1:2] != [] and fields[1].endswith("/activate")
        )

    def _note(self, start: Start, why: str) -> None:
        self.notes.append(
            f"{self._state.script}:{start.line}: {escaped(' '.join(start.fields))}: {why}"
        )

    def _called(self, words: list[str], start: Start) -> None:
        """Another shell script of the bundle, with its own folder and variables."""
        if not words or words[0].startswith("-") or len(words) > 1 or start.output:
            raise NotUnderstood(
                f"line {start.line}: a shell is read with one script of the bundle and no options"
            )
        kept, errexit = self._state, self._errexit
        self._state = kept.child(start.own)
        self._errexit = False
        self.script(kept.place(words[0], start.line))
        self._state, self._errexit = kept, errexit

    def _set(self, words: list[str], start: Start) -> None:
        for word in words:
            if word in ("+e", "-e") or (
                word[:1] in "+-" and "e" in word[1:] and word[1:].isalpha()
            ):
                self._errexit = word[0] == "-"
            elif word == "errexit":
                self._errexit = True
            elif word[:1] not in ("+", "-") and word not in ("pipefail", "nounset", "xtrace"):
                raise NotUnderstood(f"line {start.line}: `set {word}` is not read")

    def _cd(self, words: list[str], start: Start) -> None:
        words = [word for word in words if word not in ("--", "-P")]
        if len(words) != 1 or words[0] == "-":
            raise NotUnderstood(f"line {start.line}: `cd` is read with one folder of the bundle")
        folder = self._state.place(words[0], start.line)
        known = not folder or folder in self.folders
        if not known and not any(file.startswith(f"{folder}/") for file in self._files):
            raise NotUnderstood(f"line {start.line}: no folder {folder} in the bundle")
        self._state.folder = folder

    def _export(self, words: list[str], start: Start) -> None:
        for word in words:
            name, given, value = word.partition("=")
            if not name.isidentifier():
                raise NotUnderstood(f"line {start.line}: `export {word}` is not read")
            self._state.exported.add(name)
            if given:
                self._state.variables[name] = value

    def _mkdir(self, words: list[str], start: Start) -> None:
        self.folders += [
            folder
            for word in words
            if not word.startswith("-") and (folder := self._state.place(word, start.line))
        ]

    def _rm(self, words: list[str], start: Start) -> None:
        places = [self._state.place(w, start.line) for w in words if not w.startswith("-")]
        if self.commands or any(place.split("/")[0] != RESULTS for place in places):
            raise NotUnderstood(f"line {start.line}: `rm` is read for stored results only")

    def _exit(self, words: list[str], start: Start) -> None:
        if words not in ([], ["0"]):
            raise NotUnderstood(f"line {start.line}: `exit {words[0]}` is not read")
        self._ended = True

    def _source(self, words: list[str], start: Start) -> None:
        if len(words) != 1:
            raise NotUnderstood(f"line {start.line}: `source` is read with one script")
        self.script(self._state.place(words[0], start.line))

    def _unset(self, words: list[str], _start: Start) -> None:
        for word in words:
            self._state.variables.pop(word, None)
            self._state.exported.discard(word)


_BUILT_IN: dict[str, Callable[[_Reader, list[str], Start], None]] = {
    "set": _Reader._set,
    "cd": _Reader._cd,
    "export": _Reader._export,
    "mkdir": _Reader._mkdir,
    "rm": _Reader._rm,
    "exit": _Reader._exit,
    "source": _Reader._source,
    ".": _Reader._source,
    "unset": _Reader._unset,
}
