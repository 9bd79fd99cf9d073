"""YAML as plain data, strictly: no tags, anchors, aliases or repeated keys; bounded size and depth.

Built on the parser's event stream with an explicit stack, so deep nesting cannot exhaust the
interpreter's. Plain scalars follow the YAML 1.2 core schema: `no` is text, `1e9` is a number.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

MAX_CHARACTERS = 2**20
"""A claim file with a thousand claims is a third of this."""
MAX_NODES = 100_000
MAX_DEPTH = 40
MAX_INTEGER_DIGITS = 18
"""Every such integer fits in 64 bits."""

Path = tuple[str | int, ...]
"""Keys and indices from the top of the document down to a value."""

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_TRUE = frozenset({"true", "True", "TRUE"})
_FALSE = frozenset({"false", "False", "FALSE"})
_INTEGER = re.compile(r"[-+]?[0-9]+")
_HEXADECIMAL = re.compile(r"0x[0-9a-fA-F]{1,16}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]{1,4})?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value stands in the text; lines and columns count from 0, the end is exclusive."""

    line: int
    column: int
    end_line: int
    end_column: int

    @property
    def shown(self) -> str:
        """`line 3, column 5`, counting from 1 as editors do."""
        return f"line {self.line + 1}, column {self.column + 1}"


@dataclass(frozen=True)
class YamlText:
    """A parsed document: data, where every value stands, and every problem found on the way."""

    data: Any
    """None when the text could not be parsed to its end."""
    places: dict[Path, Place]
    flow: frozenset[Path]
    """Mappings and lists written in braces or brackets."""
    problems: tuple[str, ...]
    """One line each, place first; data is usable beside them unless `broken`."""
    broken: bool = False
    """Parsing stopped early."""


def read_yaml(text: str) -> YamlText:
    r"""Parse one YAML document; problems are returned, never raised.

    >>> read_yaml("a: {b: no, c: 1e3}").data
    {'a': {'b': 'no', 'c': 1000.0}}
    >>> read_yaml("a: 1\na: 2").problems
    ("line 2, column 1: key 'a' is given twice",)
    """
    if len(text) > MAX_CHARACTERS:
        problem = f"{len(text)} characters, at most {MAX_CHARACTERS} are read"
        return YamlText(None, {}, frozenset(), (problem,), broken=True)
    builder = _Builder()
    try:
        for event in _events(text):
            builder.take(event)
    except yaml.MarkedYAMLError as error:
        builder.problems.append(_syntax_problem(error))
    except yaml.reader.ReaderError as error:
        builder.problems.append(
            f"character {error.position + 1}: {_code(error.character)} is not allowed in YAML"
        )
    except _TooComplex as error:
        builder.problems.append(str(error))
    else:
        return builder.finished(broken=False)
    return builder.finished(broken=True)


class _TooComplex(Exception):
    """A limit on depth or number of values was passed."""


@dataclass
class _Frame:
    """A mapping or list whose end has not come yet."""

    container: dict[str, Any] | list[Any]
    path: Path
    start: Any
    key: str | None = None
    """The mapping key whose value comes next; None when a key comes next."""
    skipping: bool = False
    """The value that comes next belongs to a key that cannot be used."""


@dataclass
class _Builder:
    problems: list[str] = field(default_factory=list)
    places: dict[Path, Place] = field(default_factory=dict)
    flow: set[Path] = field(default_factory=set)
    stack: list[_Frame] = field(default_factory=list)
    data: Any = None
    documents: int = 0
    nodes: int = 0

    def take(self, event: Any) -> None:
        """Consume the next event."""
        if isinstance(event, yaml.DocumentStartEvent):
            self.documents += 1
            if self.documents > 1:
                raise _TooComplex(f"{_at(event)}: only one YAML document per file ('---' again)")
        elif isinstance(event, yaml.AliasEvent):
            self.problems.append(f"{_at(event)}: aliases (*{event.anchor}) are not allowed")
            self._add(None, event, event)
        elif isinstance(event, yaml.ScalarEvent):
            self._refuse_extras(event)
            self._scalar(event)
        elif isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
            self._refuse_extras(event)
            self._open(event)
        elif isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
            self._close(event)

    def finished(self, *, broken: bool) -> YamlText:
        """What was read so far."""
        data = None if broken else self.data
        return YamlText(data, self.places, frozenset(self.flow), tuple(self.problems), broken)

    def _refuse_extras(self, event: Any) -> None:
        self.nodes += 1
        if self.nodes > MAX_NODES:
            raise _TooComplex(f"{_at(event)}: more than {MAX_NODES} values")
        if event.anchor is not None:
            self.problems.append(f"{_at(event)}: anchors (&{event.anchor}) are not allowed")
        if event.tag is not None and event.tag != "!":
            self.problems.append(f"{_at(event)}: tags ({event.tag}) are not allowed")

    def _scalar(self, event: Any) -> None:
        frame = self.stack[-1] if self.stack else None
        if frame and isinstance(frame.container, dict) and frame.key is None:
            self._key(frame, event)
            return
        value: Any = event.value
        if event.implicit[0]:
            try:
                value = _typed(event.value)
            except ValueError as error:
                self.problems.append(f"{_at(event)}: {error}")
        self._add(value, event, event)

    def _key(self, frame: _Frame, event: Any) -> None:
        assert isinstance(frame.container, dict)  # noqa: S101 - for the type checker; _scalar checked
        frame.key = event.value
        # The first value of a repeated key stays; the problem reported makes the file unusable anyway.
        frame.skipping = event.value in frame.container
        if frame.skipping:
            self.problems.append(f"{_at(event)}: key {event.value!r} is given twice")

    def _open(self, event: Any) -> None:
        if len(self.stack) >= MAX_DEPTH:
            raise _TooComplex(f"{_at(event)}: nested deeper than {MAX_DEPTH} levels")
        frame = self.stack[-1] if self.stack else None
        if frame and isinstance(frame.container, dict) and frame.key is None:
            raise _TooComplex(f"{_at(event)}: a key must be plain text")
        is_mapping = isinstance(event, yaml.MappingStartEvent)
        container: dict[str, Any] | list[Any] = {} if is_mapping else []
        path = self._next_path()
        if event.flow_style:
            self.flow.add(path)
        self.stack.append(_Frame(container, path, event))

    def _close(self, event: Any) -> None:
        frame = self.stack.pop()
        self._add(frame.container, frame.start, event)

    def _next_path(self) -> Path:
        if not self.stack:
            return ()
        frame = self.stack[-1]
        step = len(frame.container) if isinstance(frame.container, list) else frame.key
        return (*frame.path, "" if step is None else step)

    def _add(self, value: Any, start: Any, end: Any) -> None:
        """Put a finished value where it belongs."""
        path = self._next_path()
        frame = self.stack[-1] if self.stack else None
        if frame is None:
            self.data = value
        elif isinstance(frame.container, list):
            frame.container.append(value)
        else:
            if frame.key is None:  # an alias used as a key, already reported
                frame.key, frame.skipping = "", True
                return
            if not frame.skipping:
                frame.container[frame.key] = value
            skipped, frame.key, frame.skipping = frame.skipping, None, False
            if skipped:
                return
        first, last = start.start_mark, end.end_mark
        self.places[path] = Place(first.line, first.column, last.line, last.column)


def _events(text: str) -> Iterator[Any]:
    return iter(yaml.parse(text, Loader=_LOADER))


def _typed(text: str) -> Any:
    """The value of a plain (unquoted) scalar.

    Raises:
        ValueError: a number nobody can state: infinite, not a number, or absurdly long.
    """
    if text in _NULL:
        return None
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    if _INTEGER.fullmatch(text):
        if len(text.lstrip("+-")) > MAX_INTEGER_DIGITS:
            raise ValueError(f"integer with more than {MAX_INTEGER_DIGITS} digits")
        return int(text)
    if _HEXADECIMAL.fullmatch(text):
        return int(text, 16)
    if _NOT_FINITE.fullmatch(text):
        raise ValueError(f"{text} is no finite number (put it in quotes if it is text)")
    if _FLOAT.fullmatch(text):
        number = float(text)
        if number in (float("inf"), float("-inf")):
            raise ValueError(f"{text[:40]} is no finite number")
        return number
    return text


def _at(event: Any) -> str:
    return f"line {event.start_mark.line + 1}, column {event.start_mark.column + 1}"


def _code(character: Any) -> str:
    number = character if isinstance(character, int) else ord(str(character)[:1] or "\0")
    return f"U+{number:04X}"


def _syntax_problem(error: yaml.MarkedYAMLError) -> str:
    """`line 3, column 5: could not find expected ':'`, with what was being read."""
    mark = error.problem_mark or error.context_mark
    place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
    what = error.problem or "not YAML"
    context = f" ({error.context})" if error.context else ""
    return f"{place}{what}{context}"
