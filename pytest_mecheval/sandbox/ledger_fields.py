"""From a ledger row's JSON object to its record: every field typed, bounded and cleaned.

Rows come from a process that ran untrusted code. Unknown row types and unknown fields are ignored,
wrong types make the row invalid, texts lose their control characters.
"""

import math
import re
from collections.abc import Callable, Mapping
from typing import Any, get_args

from pytest_mecheval.sandbox.ledger_rows import (
    Attempt,
    Cell,
    CellStatus,
    Edit,
    EditKind,
    End,
    FileMode,
    FileUse,
    Forward,
    Hook,
    Inputs,
    Load,
    Model,
    Printed,
    Replaced,
    Row,
    Seed,
    Sham,
    Start,
    Tensor,
    TensorChange,
    WeightChange,
    Written,
)

MAX_TEXT = 20_000
MAX_ITEMS = 5_000
MAX_INT = 2**53
"""Larger integers do not survive JSON readers unharmed."""
_PLAIN = re.compile(r"[^\n\t\x20-\x7e]")
"""JSON rows are ASCII; whatever escapes decode to is replaced unless it can be shown as it is."""


class RowError(ValueError):
    """A row whose fields are not what they should be; the text names field and problem."""


def clean(text: str) -> str:
    r"""Printable ASCII with line breaks and tabs; anything else as an escape.

    >>> clean("a\x1b[2K\u202eb")
    'a\\x1b[2K\\u202eb'
    """
    return _PLAIN.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


class Fields:
    """Typed access to one row's JSON object.

    Raises:
        RowError: from every method, when the field is missing or not of that type and size.
    """

    def __init__(self, body: Mapping[str, Any]) -> None:
        self._body = body

    def text(self, name: str, default: str | None = None) -> str:
        value = self._body.get(name, default)
        if type(value) is not str or len(value) > MAX_TEXT:
            raise RowError(f"{name}: not a text of at most {MAX_TEXT} characters")
        return clean(value)

    def integer(self, name: str, default: int | None = None) -> int:
        value = self._body.get(name, default)
        if type(value) is not int or abs(value) > MAX_INT:
            raise RowError(f"{name}: not an integer within {MAX_INT}")
        return value

    def count(self, name: str, default: int | None = None) -> int:
        value = self.integer(name, default)
        if value < 0:
            raise RowError(f"{name}: negative")
        return value

    def number(self, name: str, default: float | None = None) -> float:
        value = self._body.get(name, default)
        if type(value) not in (int, float) or not math.isfinite(value):
            raise RowError(f"{name}: not a finite number")
        return float(value)

    def maybe_number(self, name: str) -> float | None:
        return None if self._body.get(name) is None else self.number(name)

    def maybe_integer(self, name: str) -> int | None:
        return None if self._body.get(name) is None else self.integer(name)

    def flag(self, name: str, default: bool | None = None) -> bool:
        value = self._body.get(name, default)
        if type(value) is not bool:
            raise RowError(f"{name}: not true or false")
        return value

    def texts(self, name: str) -> tuple[str, ...]:
        return tuple(Fields({"item": item}).text("item") for item in self._list(name))

    def integers(self, name: str, default: tuple[int, ...] | None = None) -> tuple[int, ...]:
        if default is not None and name not in self._body:
            return default
        return tuple(Fields({"item": item}).integer("item") for item in self._list(name))

    def rows(self, name: str) -> tuple["Fields", ...]:
        found = self._list(name)
        if any(type(item) is not dict for item in found):
            raise RowError(f"{name}: not a list of objects")
        return tuple(Fields(item) for item in found)

    def lists(self, name: str, width: int) -> tuple[tuple[Any, ...], ...]:
        found = self._list(name)
        if any(type(item) is not list or len(item) != width for item in found):
            raise RowError(f"{name}: not a list of lists of {width}")
        return tuple(tuple(item) for item in found)

    def part(self, name: str) -> "Fields":
        value = self._body.get(name, {})
        if type(value) is not dict or len(value) > MAX_ITEMS:
            raise RowError(f"{name}: not an object of at most {MAX_ITEMS} fields")
        return Fields(value)

    def names(self) -> tuple[str, ...]:
        return tuple(self._body)

    def one_of(self, name: str, allowed: tuple[str, ...]) -> str:
        value = self._body.get(name)
        if type(value) is not str or value not in allowed:
            raise RowError(f"{name}: none of {', '.join(allowed)}")
        return value

    def _list(self, name: str) -> list[Any]:
        value = self._body.get(name, [])
        if type(value) is not list or len(value) > MAX_ITEMS:
            raise RowError(f"{name}: not a list of at most {MAX_ITEMS}")
        return value


def _tensors(body: Fields) -> tuple[Tensor, ...]:
    found = []
    for name, shape, content in body.lists("tensors", 3):
        item = Fields({"name": name, "shape": shape, "content": content})
        found.append(Tensor(item.text("name"), item.text("shape"), item.text("content")))
    return tuple(found)


def _counts(body: Fields, name: str) -> dict[str, int]:
    part = body.part(name)
    return {clean(key[:100]): part.count(key) for key in part.names()}


def _start(body: Fields) -> Start:
    return Start(
        body.text("entry"),
        body.text("python"),
        body.one_of("sham", ("none", "headperm", "shuffle")),
        body.integer("sham_seed"),
        body.integer("seed_shift"),
    )


def _load(body: Fields) -> Load:
    return Load(
        body.text("how"),
        body.text("source"),
        body.text("content"),
        _tensors(body),
        body.texts("calls"),
    )


def _sham(body: Fields) -> Sham:
    part = body.part("permutations")
    return Sham(
        body.text("kind"),
        body.text("source"),
        body.flag("applied"),
        body.text("reason"),
        body.text("layout"),
        {clean(layer[:40]): part.integers(layer) for layer in part.names()},
    )


def _model(body: Fields) -> Model:
    return Model(
        body.count("id"),
        body.text("of"),
        body.count("heads"),
        body.count("parameters"),
        body.text("content"),
        _tensors(body),
    )


def _inputs(body: Fields) -> Inputs:
    return Inputs(body.count("id"), body.count("count"), body.integers("shape"), body.texts("rows"))


def _forward(body: Fields) -> Forward:
    out = body.part("out")
    shape = "x".join(str(size) for size in out.integers("shape"))
    return Forward(
        id=body.count("id"),
        model=body.count("model"),
        part=body.text("part", ""),
        inputs=body.integer("inputs", -1),
        batch=body.count("batch", 0),
        output=f"{shape} {out.text('sum', '')} {out.text('sample', '')}".strip(),
        reads=body.integers("reads"),
        edits=body.count("edits", 0),
        wall=body.number("wall"),
        cpu=body.number("cpu"),
        rng=body.text("rng", ""),
        train=body.flag("train", False),
        error=body.text("error", ""),
        calls=body.texts("calls"),
    )


def _hook(body: Fields) -> Hook:
    return Hook(
        body.count("id"),
        body.text("site"),
        body.text("of"),
        body.text("function"),
        body.text("by"),
        body.texts("calls"),
    )


def _edit(body: Fields) -> Edit:
    body.one_of("kind", get_args(EditKind))
    share = body.number("share")
    if not 0 < share <= 1:
        raise RowError("share: not within 0 to 1")
    return Edit(
        forward=body.integer("f"),
        hook=body.count("hook"),
        site=body.text("site"),
        kind=body.text("kind"),  # type: ignore[arg-type]
        share=share,
        delta_max=body.maybe_number("delta_max"),
        delta_rel=body.maybe_number("delta_rel"),
        heads=body.text("heads", ""),
        blocks=body.text("blocks", ""),
        positions=body.text("positions", ""),
        columns=body.text("columns", ""),
        rows=body.count("rows", 0),
        source=body.maybe_integer("source"),
        value=body.maybe_number("value"),
        factor=body.maybe_number("factor"),
        returned=body.flag("returned"),
        approximate=body.flag("approximate", False),
        calls=body.texts("calls"),
        of_rows=next(iter(body.integers("shape", ())), 0),
    )


def _weights(body: Fields) -> WeightChange:
    tensors = tuple(
        TensorChange(
            item.text("name"),
            item.number("share"),
            item.flag("zero", False),
            item.flag("restored", False),
            item.texts("axes"),
        )
        for item in body.rows("tensors")
    )
    return WeightChange(
        body.count("model"),
        body.integer("before"),
        body.integer("after"),
        body.count("changed"),
        body.flag("optimizer"),
        body.texts("causes"),
        tensors,
    )


def _replaced(body: Fields) -> Replaced:
    return Replaced(
        body.count("model"),
        body.text("what"),
        body.text("site"),
        body.text("function"),
        body.text("by"),
    )


def _seed(body: Fields) -> Seed:
    return Seed(
        body.text("generator"),
        body.maybe_integer("value"),
        body.flag("given"),
        body.texts("calls"),
    )


def _file(body: Fields) -> FileUse:
    body.one_of("mode", get_args(FileMode))
    return FileUse(
        body.text("path"),
        body.text("mode"),  # type: ignore[arg-type]
        body.integer("after"),
        body.texts("calls"),
    )


def _written(body: Fields) -> Written:
    return Written(
        body.text("path"),
        body.count("size"),
        body.text("sha256", ""),
        body.texts("numbers"),
        body.texts("calls"),
    )


def _printed(body: Fields) -> Printed:
    return Printed(
        body.texts("numbers"), body.text("text"), body.integer("after"), body.texts("calls")
    )


def _attempt(body: Fields) -> Attempt:
    return Attempt(body.text("event"), body.text("detail"), body.texts("calls"))


def _cell(body: Fields) -> Cell:
    body.one_of("status", get_args(CellStatus))
    return Cell(
        notebook=body.text("notebook"),
        cell=body.count("cell"),
        status=body.text("status"),  # type: ignore[arg-type]
        error=body.text("error", ""),
        trace=body.texts("trace"),
        stdout=body.text("stdout"),
        stderr=body.text("stderr"),
        outputs=body.texts("outputs"),
        wall=body.number("wall"),
        after=body.integer("after"),
    )


def _end(body: Fields) -> End:
    return End(
        body.text("status"),
        body.text("detail"),
        body.count("forwards"),
        body.number("cpu"),
        body.number("forward_cpu"),
        body.number("children_cpu"),
        _counts(body, "totals"),
        _counts(body, "dropped"),
    )


PARSERS: Mapping[str, Callable[[Fields], Row]] = {
    "start": _start,
    "load": _load,
    "sham": _sham,
    "model": _model,
    "inputs": _inputs,
    "forward": _forward,
    "hook": _hook,
    "edit": _edit,
    "weights": _weights,
    "replaced": _replaced,
    "seed": _seed,
    "file": _file,
    "written": _written,
    "printed": _printed,
    "attempt": _attempt,
    "cell": _cell,
    "end": _end,
}
"""Row type to reader; other types (`torch`, `build`, `site`, `totals`, ...) are read by `ledger`."""
