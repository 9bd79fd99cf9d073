"""Several ledgers of one sequence of runs as one: ids renumbered, the worst standing counts."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from pytest_mecheval.sandbox.ledger import Ledger, Standing
from pytest_mecheval.sandbox.ledger_rows import (
    Cell,
    Edit,
    FileUse,
    Forward,
    Hook,
    Inputs,
    Model,
    Printed,
    Replaced,
    Row,
    WeightChange,
)

Space = str
"""What an id counts: forwards, hooks, models or inputs of one run."""
REFERENCES: Mapping[type, Mapping[str, Space]] = {
    Model: {"id": "model"},
    Inputs: {"id": "inputs"},
    Forward: {"id": "forward", "model": "model", "inputs": "inputs", "reads": "hook"},
    Hook: {"id": "hook"},
    Edit: {"forward": "forward", "hook": "hook", "source": "forward"},
    WeightChange: {"model": "model", "before": "forward", "after": "forward"},
    Replaced: {"model": "model"},
    FileUse: {"after": "forward"},
    Printed: {"after": "forward"},
    Cell: {"after": "forward"},
}
"""Fields that hold ids, by row type; -1 and None stay, they mean none."""
MOMENTS = frozenset({(FileUse, "after"), (Printed, "after"), (Cell, "after")})
"""Fields that say after which forward something was; -1 is the start of its own run, not of all of them."""
_STANDINGS: tuple[Standing, ...] = ("complete", "incomplete", "forged")


def joined(parts: Sequence[tuple[str, Ledger]]) -> Ledger:
    """One ledger of everything that several runs did, in order.

    Args:
        parts: what was run, for problems, and its ledger; at least one.
    """
    if len(parts) == 1:
        return parts[0][1]
    rows: list[Row] = []
    hooks: dict[int, Hook] = {}
    problems: list[str] = []
    offsets = {"forward": 0, "hook": 0, "model": 0, "inputs": 0}
    for name, ledger in parts:
        rows += [_moved(row, offsets) for row in ledger.rows]
        for hook in ledger.hooks.values():
            moved = _moved(hook, offsets)
            hooks[moved.id] = moved
        problems += [f"{name}: {problem}" for problem in ledger.problems]
        offsets = _after(ledger, offsets)
    ledgers = [ledger for _, ledger in parts]
    return Ledger(
        standing=max((ledger.standing for ledger in ledgers), key=_STANDINGS.index),
        problems=tuple(problems),
        rows=tuple(rows),
        hooks=hooks,
        truncated=tuple(sorted({name for ledger in ledgers for name in ledger.truncated})),
        faults=sum(ledger.faults for ledger in ledgers),
    )


def _moved(row: Any, offsets: Mapping[Space, int]) -> Any:
    references = REFERENCES.get(type(row))
    if references is None:
        return row
    return replace(
        row,
        **{
            name: getattr(row, name) + offsets[at]
            if (type(row), name) in MOMENTS
            else _shifted(getattr(row, name), offsets[at])
            for name, at in references.items()
        },
    )


def _shifted(value: Any, offset: int) -> Any:
    if isinstance(value, tuple):
        return tuple(_shifted(one, offset) for one in value)
    return value if value is None or value < 0 else value + offset


def _after(ledger: Ledger, offsets: Mapping[Space, int]) -> dict[Space, int]:
    """The first free id of each space, past whatever this ledger mentions."""
    used = dict.fromkeys(offsets, 0)
    for row in (*ledger.rows, *ledger.hooks.values()):
        for name, space in REFERENCES.get(type(row), {}).items():
            value = getattr(row, name)
            for one in value if isinstance(value, tuple) else (value,):
                if one is not None:
                    used[space] = max(used[space], one + 1)
    return {space: offsets[space] + count for space, count in used.items()}
