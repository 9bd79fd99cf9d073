"""Which inputs reached a model from which place of the bundle's code, and between which written files.

Compact and comparable between runs: hashes of input rows once, and per call site the ranges of them.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from typing import Any

from pytest_mecheval.sandbox.ledger import Ledger
from pytest_mecheval.sandbox.ledger_rows import Inputs

MAX_ROWS = 50_000
"""Different input rows listed; beyond it `complete` is False and absence of overlap proves nothing."""
MAX_SITES = 5_000
"""Different call sites listed."""


def inputs_of(ledger: Ledger) -> Mapping[str, Any]:
    """Input rows by call site.

    Returns:
        `rows`: hashes in order of first use; `calls`: per call stack and number of files written
        before it, the `rows` as index ranges such as `0-127,130`; `writes`: files in the order they
        were first written; `complete`: False when some inputs are not on record.
    """
    batches = {row.id: row for row in ledger.of(Inputs)}
    writes = sorted({(use.after, use.path) for use in ledger.files if use.mode == "write"})
    ends = [after for after, _ in writes]
    index: dict[str, int] = {}
    sites: dict[tuple[tuple[str, ...], int], set[int]] = {}
    complete = not {"inputs", "forward", "file"} & set(ledger.truncated)
    for forward in ledger.forwards:
        batch = batches.get(forward.inputs)
        if batch is None or batch.count > len(batch.rows):
            complete = False
        key = (forward.calls, bisect_left(ends, forward.id))
        if key not in sites and len(sites) >= MAX_SITES:
            complete = False
            continue
        held = sites.setdefault(key, set())
        for row in batch.rows if batch is not None else ():
            number = index.setdefault(row, len(index))
            if number < MAX_ROWS:
                held.add(number)
    return {
        "rows": list(index)[:MAX_ROWS],
        "complete": complete and len(index) <= MAX_ROWS,
        "writes": [path for _, path in writes],
        "calls": [
            {"stack": list(stack), "written": written, "rows": ranges(held)}
            for (stack, written), held in sites.items()
        ],
    }


def ranges(numbers: Iterable[int]) -> str:
    """Whole numbers as ranges.

    >>> ranges({0, 1, 2, 7})
    '0-2,7'
    """
    parts: list[list[int]] = []
    for number in sorted(numbers):
        if parts and parts[-1][1] == number - 1:
            parts[-1][1] = number
        else:
            parts.append([number, number])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in parts)
