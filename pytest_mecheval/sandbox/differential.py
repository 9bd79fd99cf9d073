"""Compares a traced run with a plain one: code that behaves differently when watched gives itself away.

Pure. What it cannot see: code that computes outside any model call and prints the same either way; for
that, `unobserved_share` sets the CPU time inside observed forwards against the whole run's.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pytest_mecheval.sandbox.ledger import Ledger
from pytest_mecheval.sandbox.ledger_fields import clean

MAX_DIFFERENCES = 20
MAX_TOKENS = 200_000
SHOWN = 80
START_UP_CPU_S = 10.0
"""CPU seconds that importing torch and a model library may take without any forward."""
_TOKEN = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|[A-Za-z_]\w*|[^\s\w]", re.ASCII)
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Output:
    """What one run left: exit code, standard output, text files by path."""

    exit_code: int
    stdout: str
    files: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Differential:
    """The comparison of two runs."""

    same: bool
    differences: tuple[str, ...]
    """Place, traced value, plain value; at most 20."""
    compared: int
    """Tokens compared."""
    unstable: int
    """Tokens left out because two plain runs already differ there."""
    reason: str = ""
    """Why nothing could be compared; `same` is then False."""


def differential(
    traced: Output, plain: Output, *, again: Output | None = None, tolerance: float = 1e-6
) -> Differential:
    """Whether a run gave the same output with and without the tracer.

    Args:
        traced: the run with the tracer.
        plain: the same entry point without it, same seeds.
        again: a second plain run; where the plain runs differ, the traced run may too.
        tolerance: relative, for numbers; words and structure must agree exactly.

    Returns:
        `same` only if something was compared and nothing differed.
    """
    found: list[str] = []
    compared = unstable = 0
    if traced.exit_code != plain.exit_code and (
        again is None or again.exit_code == plain.exit_code
    ):
        found.append(f"exit code: {traced.exit_code} traced, {plain.exit_code} plain")
    repeated = _texts(again) if again is not None else {}
    ours, theirs = _texts(traced), _texts(plain)
    for place in sorted(ours.keys() | theirs.keys()):
        if place not in ours or place not in theirs:
            if again is None or (place in repeated) == (place in theirs):
                side = "plain" if place not in ours else "traced"
                found.append(f"{clean(place)}: only in the {side} run")
            continue
        one = _compare(place, ours[place], theirs[place], repeated.get(place), tolerance)
        compared += one.compared
        unstable += one.unstable
        found += one.differences
    if not compared and not found:
        return Differential(
            False, (), 0, unstable, "neither run printed or wrote anything comparable"
        )
    return Differential(not found, tuple(found[:MAX_DIFFERENCES]), compared, unstable)


def _texts(output: Output) -> dict[str, str]:
    return {"stdout": output.stdout, **{f"file {p}": t for p, t in output.files.items()}}


def _compare(
    place: str, traced: str, plain: str, again: str | None, tolerance: float
) -> Differential:
    ours, theirs = _TOKEN.findall(traced)[:MAX_TOKENS], _TOKEN.findall(plain)[:MAX_TOKENS]
    third = _TOKEN.findall(again)[:MAX_TOKENS] if again is not None else None
    if len(ours) != len(theirs):
        if third is not None and len(third) != len(theirs):
            return Differential(True, (), 0, max(len(theirs), len(third)))
        text = f"{clean(place)}: {len(ours)} words and numbers traced, {len(theirs)} plain"
        return Differential(False, (text,), len(ours), 0)
    found: list[str] = []
    unstable = 0
    for index, (mine, other) in enumerate(zip(ours, theirs, strict=True)):
        if _agree(mine, other, tolerance):
            continue
        if third is not None and (
            index >= len(third) or not _agree(third[index], other, tolerance)
        ):
            unstable += 1
            continue
        if len(found) < MAX_DIFFERENCES:
            found.append(
                f"{clean(place)}, token {index + 1}: {clean(mine[:SHOWN])} traced, "
                f"{clean(other[:SHOWN])} plain"
            )
    return Differential(not found, tuple(found), len(ours) - unstable, unstable)


def _agree(a: str, b: str, tolerance: float) -> bool:
    if a == b:
        return True
    if not (_NUMBER.fullmatch(a) and _NUMBER.fullmatch(b)):
        return False
    x, y = float(a), float(b)
    if not (math.isfinite(x) and math.isfinite(y)):
        return False
    return abs(x - y) <= tolerance * max(abs(x), abs(y))


def unobserved_share(ledger: Ledger, *, start_up_s: float = START_UP_CPU_S) -> float | None:
    """Share of a run's CPU time spent outside observed forwards, start-up deducted; None when unknown.

    Near 1 for a run with forwards on record means that the computing happened elsewhere (functional code,
    child processes): the ledger then says little. The end row is testimony like the rest.
    """
    end = ledger.end
    if end is None:
        return None
    total = end.cpu + end.children_cpu - start_up_s
    if total <= 0:
        return None
    return min(1.0, max(0.0, 1.0 - end.forward_cpu / total))


def repeated_numbers(first: Sequence[str], second: Sequence[str]) -> tuple[str, ...]:
    """Numbers of a real run that a sham run repeats digit for digit, in order; sorted, once each.

    >>> repeated_numbers(["0.953", "12", "0.1"], ["0.953", "12", "0.4"])
    ('0.953', '12')
    """
    return tuple(sorted(set(first) & set(second)))
