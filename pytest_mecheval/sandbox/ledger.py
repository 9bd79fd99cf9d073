"""Reads the runtime ledger a traced run left behind, checks its chain, and answers questions about it.

The child is never believed about itself. The hash chain starts from a nonce the parent chose and shows
rows changed, removed or added afterwards by someone who did not keep the tracer's state; code inside the
traced process can still forge whole chains. So a ledger is evidence, not security: a row may support
that something happened, a missing row counts as "did not happen", and `differential` compares a traced
run with a plain one, where code that behaves differently when watched gives itself away.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeVar

from pytest_mecheval.bundle.json_hooks import no_constant, unique_keys
from pytest_mecheval.sandbox.ledger_fields import PARSERS, Fields, RowError
from pytest_mecheval.sandbox.ledger_rows import (
    Attempt,
    Cell,
    Edit,
    End,
    FileUse,
    Forward,
    Hook,
    Load,
    Model,
    Printed,
    Replaced,
    Row,
    Seed,
    Sham,
    Start,
    WeightChange,
    Written,
)

LEDGER_FORMAT = 1
MAX_FILE_BYTES = 64 * 2**20
MAX_LINE_BYTES = 64 * 2**10
MAX_ROWS = 400_000
MAX_PROBLEMS = 20
MAX_DEPTH_OPENERS = 20_000
"""Opening brackets in one row; deeper or wider nesting than any row of ours is refused unparsed."""
HASH_DIGITS = 32
_TAIL = len(',"h":""}') + HASH_DIGITS

Standing = Literal["complete", "incomplete", "forged"]
"""complete: chain intact and closed. incomplete: intact but cut off (killed, `os._exit`, ledger removed).
forged: something in it was not written by the tracer; rows from there on are dropped."""

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Ledger:
    """A checked ledger; rows of each type in the order they were written."""

    standing: Standing
    problems: tuple[str, ...]
    """Why it is not complete, and what was dropped; one line each."""
    rows: tuple[Row, ...]
    hooks: Mapping[int, Hook]
    """By id, with final counts where the run was closed."""
    truncated: tuple[str, ...]
    """Row types that reached a limit: absence of such rows proves nothing."""
    faults: int
    """Times the tracer itself failed to observe something."""

    def of(self, kind: type[_T]) -> tuple[_T, ...]:
        """All rows of one type."""
        return tuple(row for row in self.rows if isinstance(row, kind))

    @property
    def start(self) -> Start | None:
        """The first row."""
        return next(iter(self.of(Start)), None)

    @property
    def end(self) -> End | None:
        """The last row; None when the run was cut off."""
        return next(iter(self.of(End)), None)

    @property
    def forwards(self) -> tuple[Forward, ...]:
        """Root calls of models."""
        return self.of(Forward)

    @property
    def loads(self) -> tuple[Load, ...]:
        """Weights that were read; empty also means a sham could not be handed out."""
        return self.of(Load)

    @property
    def models(self) -> tuple[Model, ...]:
        """Models that ran."""
        return self.of(Model)

    @property
    def edits(self) -> tuple[Edit, ...]:
        """Hook calls that changed an activation."""
        return self.of(Edit)

    @property
    def weight_changes(self) -> tuple[WeightChange, ...]:
        """Parameter values that changed between forwards, training steps included."""
        return self.of(WeightChange)

    @property
    def replaced(self) -> tuple[Replaced, ...]:
        """Replaced `forward`s."""
        return self.of(Replaced)

    @property
    def seeds(self) -> tuple[Seed, ...]:
        """Seeds the bundle set."""
        return self.of(Seed)

    @property
    def files(self) -> tuple[FileUse, ...]:
        """Files of the bundle the run touched."""
        return self.of(FileUse)

    @property
    def written(self) -> tuple[Written, ...]:
        """Files it wrote, as they stood at its end."""
        return self.of(Written)

    @property
    def printed(self) -> tuple[Printed, ...]:
        """Printed lines with numbers."""
        return self.of(Printed)

    @property
    def attempts(self) -> tuple[Attempt, ...]:
        """Processes, sockets and signals."""
        return self.of(Attempt)

    @property
    def cells(self) -> tuple[Cell, ...]:
        """Notebook cells."""
        return self.of(Cell)

    @property
    def shams(self) -> tuple[Sham, ...]:
        """Sham weights that were handed out, or why not."""
        return self.of(Sham)

    @property
    def sham_applied(self) -> bool:
        """True when at least one load was answered with sham weights, and they lasted."""
        undone = any(row.kind == "undone" for row in self.shams)
        return not undone and any(row.applied for row in self.shams)

    @property
    def hooks_never_called(self) -> tuple[Hook, ...]:
        """Hooks of the bundle that were registered and never ran."""
        if self.end is None:
            return ()
        return tuple(
            hook
            for hook in self.hooks.values()
            if hook.called == 0 and (hook.function or hook.calls)
        )

    def edited(self, forward: Forward) -> tuple[Edit, ...]:
        """The edits made while a forward ran."""
        return tuple(edit for edit in self.edits if edit.forward == forward.id)


def read_ledger(path: Path, nonce: str) -> Ledger:
    """The ledger in a file that untrusted code could reach; never raises for its content.

    Args:
        path: the file; links and special files are not opened.
        nonce: as given to the tracer.
    """
    if path.is_symlink() or not path.is_file():
        return _nothing("incomplete", "no ledger was written")
    with path.open("rb") as stream:
        content = stream.read(MAX_FILE_BYTES + 1)
    return parse_ledger(content, nonce)


def parse_ledger(content: bytes, nonce: str) -> Ledger:
    """The ledger in these bytes; never raises for its content."""
    if len(content) > MAX_FILE_BYTES:
        return _nothing(
            "forged", f"larger than {MAX_FILE_BYTES} bytes, which the tracer never writes"
        )
    return _Reader(nonce).read(content)


def _nothing(standing: Standing, problem: str) -> Ledger:
    return Ledger(standing, (problem,), (), {}, (), 0)


def chain_start(nonce: str) -> str:
    """The hash before the first row; the tracer's `rows.chain_start`."""
    text = f"ledger {LEDGER_FORMAT} {nonce}"
    return hashlib.blake2b(text.encode(), digest_size=HASH_DIGITS // 2).hexdigest()


def chain_next(previous: str, body: bytes) -> str:
    """The hash of a row over its predecessor's and its own text; the tracer's `rows.chain_next`."""
    return hashlib.blake2b(previous.encode() + body, digest_size=HASH_DIGITS // 2).hexdigest()


class _Reader:
    def __init__(self, nonce: str) -> None:
        self._previous = chain_start(nonce)
        self._count = 0
        self._seconds = 0.0
        self._seen: set[int] = set()
        self._rows: list[Row] = []
        self._hooks: dict[int, Hook] = {}
        self._truncated: set[str] = set()
        self._problems: list[str] = []
        self._faults = 0
        self._forged = False
        self._ended = False

    def read(self, content: bytes) -> Ledger:
        *lines, rest = content.split(b"\n", MAX_ROWS)
        for number, line in enumerate(lines, 1):
            try:
                self._line(line)
            except (RowError, ValueError, RecursionError) as error:
                self._forged = True
                self._problem(f"row {number}: {error}")
                break
        if rest and not self._forged:
            self._problem(
                "the last row is cut off" if not self._ended else "bytes after the end row"
            )
            self._forged = self._ended
        if not self._ended and not self._forged:
            self._problem("no end row: the process was killed or left without closing")
        standing: Standing = "complete" if self._ended else "incomplete"
        if self._forged:
            standing = "forged"
        self._cross_check()
        return Ledger(
            standing if not self._forged else "forged",
            tuple(self._problems[:MAX_PROBLEMS]),
            tuple(self._rows),
            self._hooks,
            tuple(sorted(self._truncated)),
            self._faults,
        )

    def _problem(self, text: str) -> None:
        if len(self._problems) < MAX_PROBLEMS:
            self._problems.append(text)

    def _line(self, line: bytes) -> None:
        if self._ended:
            raise RowError("written after the end row")
        body = self._verified(line)
        fields = Fields(body)
        if fields.integer("n") != self._count:
            raise RowError(f"counter is not {self._count}")
        seconds = fields.number("s")
        if seconds < self._seconds:
            raise RowError("clock runs backwards")
        self._seconds = seconds
        kind = fields.text("t")
        if self._count == 0 and (kind != "start" or fields.integer("format") != LEDGER_FORMAT):
            raise RowError(f"not a start row of format {LEDGER_FORMAT}")
        self._count += 1
        self._take(kind, fields)

    def _verified(self, line: bytes) -> Mapping[str, Any]:
        """The row's object, its hash checked before anything in it is parsed."""
        if not _TAIL < len(line) <= MAX_LINE_BYTES or line[-_TAIL : -HASH_DIGITS - 2] != b',"h":"':
            raise RowError("not a ledger row")
        body = line[:-_TAIL] + b"}"
        digest = chain_next(self._previous, body)
        if line[-HASH_DIGITS - 2 :] != digest.encode() + b'"}':
            raise RowError("hash does not continue the chain")
        self._previous = digest
        if body.count(b"[") + body.count(b"{") > MAX_DEPTH_OPENERS:
            raise RowError("nested too widely")
        found = json.loads(body, parse_constant=no_constant, object_pairs_hook=unique_keys)
        if type(found) is not dict:
            raise RowError("not an object")
        return found

    def _take(self, kind: str, fields: Fields) -> None:
        if kind == "site":
            self._rename(fields)
        elif kind == "totals":
            self._counts(fields)
        elif kind == "truncated":
            self._truncated.add(fields.text("of"))
        elif kind == "intruder":
            self._contradiction(f"{fields.text('by')[:200]} wrote rows itself")
        elif kind == "fault":
            self._faults += 1
            self._problem(f"not observed: {fields.text('error')[:200]}")
        parser = PARSERS.get(kind)
        if parser is None:
            return
        row = parser(fields)
        if isinstance(row, Hook):
            if row.id in self._hooks:
                raise RowError(f"hook {row.id} is declared twice")
            self._hooks[row.id] = row
        elif isinstance(row, Forward):
            # A forward's row is written when it ends, so a nested model may come first, but never twice.
            if row.id in self._seen:
                raise RowError(f"forward {row.id} is written twice")
            self._seen.add(row.id)
        elif isinstance(row, End):
            self._ended = True
            self._truncated |= {name for name, count in row.dropped.items() if count}
        self._rows.append(row)

    def _rename(self, fields: Fields) -> None:
        number = fields.count("hook")
        if number in self._hooks:
            self._hooks[number] = replace(self._hooks[number], site=fields.text("site"))

    def _counts(self, fields: Fields) -> None:
        for entry in fields.lists("hooks", 5):
            number, registered, called, edited, back = (Fields({"i": n}).count("i") for n in entry)
            if number in self._hooks:
                self._hooks[number] = replace(
                    self._hooks[number],
                    registered=registered,
                    called=called,
                    edited=edited,
                    handed_back=back,
                )

    def _cross_check(self) -> None:
        """Rows that contradict each other were not written by the tracer."""
        forwards = {row.id: row for row in self._rows if isinstance(row, Forward)}
        end = next((row for row in self._rows if isinstance(row, End)), None)
        if end is not None and "forward" not in end.dropped and len(forwards) != end.forwards:
            self._contradiction(
                f"{len(forwards)} forward rows, but the end row counts {end.forwards}"
            )
        if end is not None and end.forward_cpu > end.cpu * 1.01 + 0.1:
            self._contradiction("more CPU time inside forwards than in the process")
        counted: dict[int, int] = {}
        for row in self._rows:
            if isinstance(row, Edit):
                counted[row.forward] = counted.get(row.forward, 0) + 1
                if row.hook not in self._hooks:
                    self._contradiction(f"an edit by hook {row.hook}, which was never declared")
        if "edit" not in self._truncated:
            for number, forward in forwards.items():
                if counted.get(number, 0) != forward.edits:
                    self._contradiction(
                        f"forward {number} counts {forward.edits} edits, "
                        f"the ledger has {counted.get(number, 0)}"
                    )
                    break

    def _contradiction(self, text: str) -> None:
        self._forged = True
        self._problem(text)


def rows_of(content: bytes) -> Iterator[dict[str, Any]]:
    """The rows of a ledger as plain objects, unchecked; for looking at, not for judging."""
    for line in content.splitlines():
        try:
            yield json.loads(line)
        except ValueError:
            return
