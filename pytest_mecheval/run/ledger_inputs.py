"""Which inputs reached a model from which place of the bundle's code, and between which written files.

Compact and comparable between runs: hashes of input rows once, and per call site the ranges of them.
"""

from bisect import bisect_left
from collections.abc import Mapping
from typing import Any

from pytest_mecheval.checks.ran import ranges
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
        before it, the `rows` as index ranges such as `0-127,130` and how many `edits` were made; `writes`: files in the order they
        were first written; `complete`: False when some inputs are not on record.
    """
    batches = {row.id: row for row in ledger.of(Inputs)}
    writes = sorted({(use.after, use.path) for use in ledger.files if use.mode == "write"})
    ends = [after for after, _ in writes]
    index: dict[str, int] = {}
    sites: dict[tuple[tuple[str, ...], int], set[int]] = {}
    edits: dict[tuple[tuple[str, ...], int], int] = {}
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
        edits[key] = edits.get(key, 0) + forward.edits
        for row in batch.rows if batch is not None else ():
            number = index.setdefault(row, len(index))
            if number < MAX_ROWS:
                held.add(number)
    return {
        "rows": list(index)[:MAX_ROWS],
        "complete": complete and len(index) <= MAX_ROWS,
        "writes": [path for _, path in writes],
        "calls": [
            {
                "stack": list(stack),
                "written": written,
                "rows": ranges(held),
                "edits": edits[stack, written],
            }
            for (stack, written), held in sites.items()
        ],
    }
