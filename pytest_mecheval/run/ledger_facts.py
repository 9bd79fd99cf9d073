"""A runtime ledger as the few plain facts that decisions read: what was changed, read, printed, and how it ended."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from pytest_mecheval.sandbox.ledger import Ledger
from pytest_mecheval.sandbox.ledger_rows import Edit, Forward

MAX_NUMBERS = 20_000
"""Different printed or written numbers kept."""
MAX_ATTEMPTS = 20
"""Different attempts kept."""
MAX_DETAIL = 80
MAX_PLACES = 3
"""Places kept per site and kind of change."""


def facts_of(ledger: Ledger) -> Mapping[str, Any]:
    """Plain JSON facts of a run.

    Returns:
        `standing` and `problems` of the ledger; `edits`: per site, kind and heads how many distinct
        prompts were changed and from where; `reads`: per site how many prompts were only looked at;
        `idle_hooks`: sites of hooks that never ran; `numbers`: printed or written; `forwards`, `seeds`.
    """
    forwards = {forward.id: forward for forward in ledger.forwards}
    return {
        "standing": ledger.standing,
        "problems": list(ledger.problems),
        "truncated": list(ledger.truncated),
        "forwards": len(forwards),
        "prompts": _prompts(ledger, forwards.values()),
        "sham_applied": ledger.sham_applied,
        "seeds": sum(seed.given for seed in ledger.seeds),
        "edits": _edits(ledger, forwards),
        "reads": _reads(ledger),
        "idle_hooks": sorted({hook.site for hook in ledger.hooks_never_called}),
        "numbers": _numbers(ledger),
        "attempts": _attempts(ledger),
        "failed_cells": [
            f"{cell.notebook}:cell{cell.cell}: {cell.error}" for cell in ledger.cells if cell.error
        ],
    }


def _attempts(ledger: Ledger) -> list[str]:
    """What the bundle's code asked for beyond its own process, each with the line that asked."""
    found = [
        f"{attempt.event} {attempt.detail[:MAX_DETAIL]} ({attempt.calls[0]})"
        for attempt in ledger.attempts
        if attempt.calls
    ]
    return list(dict.fromkeys(found))[:MAX_ATTEMPTS]


def _prompts(ledger: Ledger, forwards: Iterable[Forward]) -> int:
    rows: set[str] = set()
    for forward in forwards:
        rows |= ledger.input_rows(forward)
    return len(rows)


def _edits(ledger: Ledger, forwards: Mapping[int, Forward]) -> list[dict[str, Any]]:
    grouped: dict[tuple[str, str, str], list[Edit]] = defaultdict(list)
    for edit in ledger.edits:
        grouped[edit.site, edit.kind, edit.heads or edit.blocks].append(edit)
    return [
        {
            "site": site,
            "kind": kind,
            "heads": heads,
            "prompts": _prompts(
                ledger, (forwards[e.forward] for e in edits if e.forward in forwards)
            ),
            "calls": len(edits),
            "places": list(dict.fromkeys(_place(ledger, edit) for edit in edits))[:MAX_PLACES],
        }
        for (site, kind, heads), edits in sorted(grouped.items())
    ]


def _place(ledger: Ledger, edit: Edit) -> str:
    """Where the hook is defined, else where the bundle's code was when it ran."""
    hook = ledger.hooks.get(edit.hook)
    defined = hook.function if hook is not None else ""
    return defined or (edit.calls[0] if edit.calls else "")


def _reads(ledger: Ledger) -> list[dict[str, Any]]:
    seen: dict[str, list[Forward]] = defaultdict(list)
    places: dict[str, str] = {}
    for forward in ledger.forwards:
        for number in forward.reads:
            hook = ledger.hooks.get(number)
            if hook is not None:
                seen[hook.site].append(forward)
                places.setdefault(hook.site, hook.function or "".join(hook.calls[:1]))
    return [
        {"site": site, "prompts": _prompts(ledger, forwards), "place": places[site]}
        for site, forwards in sorted(seen.items())
    ]


def _numbers(ledger: Ledger) -> list[str]:
    printed = [number for line in ledger.printed for number in line.numbers]
    written = [number for file in ledger.written for number in file.numbers]
    return list(dict.fromkeys(printed + written))[:MAX_NUMBERS]
