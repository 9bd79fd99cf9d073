"""A runtime ledger as the few plain facts that decisions read: what was changed, read, printed, and how it ended."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from pytest_mecheval.run.ledger_inputs import inputs_of
from pytest_mecheval.sandbox.differential import unobserved_share
from pytest_mecheval.sandbox.ledger import Ledger
from pytest_mecheval.sandbox.ledger_rows import Edit, End, Forward, Hook, Inputs
from pytest_mecheval.wire import digest

MAX_NUMBERS = 20_000
"""Different printed or written numbers kept."""
MAX_ATTEMPTS = 20
"""Different attempts kept."""
MAX_DETAIL = 80
MAX_LOADS = 200
"""Loads of weights kept."""
MAX_PLACES = 3
"""Places kept per site and kind of change."""
MAX_POSITIONS = 8
"""Different sets of positions kept per site and kind of change."""
MOST_ROWS = 0.5
"""Share of a batch above which all its prompts count as changed: a shuffled batch leaves some as they were."""
MAX_FILES = 1_000
"""Uses of files kept."""
CHILDREN_CPU_SECONDS = 1.0
"""Other processes that used less did not run a model."""
MAX_SHOWN_PROGRAM = 120
_FORKS = {"os.fork": "a copy of the process itself", "os.forkpty": "a copy of the process itself"}
_STARTS = frozenset({"subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "pty.spawn"})
_PYTHON = re.compile(
    r"(^|[\s'\"/])(python[0-9.]*|i?pypy3?|ipython3?|jupyter[\w-]*|papermill)(?=[\s'\"]|$)"
    r"|\.(py|ipynb|sh)(?=[\s'\"]|$)"
)
"""A program, or an argument, that runs Python code; a folder named so (`/lib/python3.11/`) is none."""


def facts_of(ledger: Ledger) -> Mapping[str, Any]:
    """Plain JSON facts of a run.

    Returns:
        `standing` and `problems` of the ledger; `edits`: per site, kind and heads how many distinct
        prompts were changed, at which positions and from where, and whether no output differed from the unedited one's; `reads`: per site how many prompts were only looked at;
        `loads`: where weights came from;
        `idle_hooks`: sites of hooks that never ran; `numbers`: printed or written, once each, and
        `sequence`: all of them in order; `forwards`, `seeds`, `unseeded`: places, `seed_values`; `inputs`: see `ledger_inputs`,
        `inputs_digest`: one hash over all prompts; `files`: of the bundle, in the order of their first use;
        `edited_outputs`: one hash over the outputs of edited forwards; `poisoned`: values replaced;
        `other_edits`: interventions without hooks; `unobserved_share` of CPU time, None when unknown.
    """
    forwards = {forward.id: forward for forward in ledger.forwards}
    sequence = _numbers(ledger)
    return {
        "standing": ledger.standing,
        "problems": list(ledger.problems),
        "truncated": list(ledger.truncated),
        "faults": ledger.faults,
        "forwards": len(forwards),
        "prompts": _prompts(ledger, forwards.values()),
        "inputs_digest": digest(sorted(_rows(ledger, forwards.values()))),
        "sham_applied": ledger.sham_applied,
        "sham_reasons": _sham_reasons(ledger),
        "poisoned": ledger.end.totals.get("poisoned", 0) if ledger.end else 0,
        "edited_outputs": digest([f.output for f in ledger.forwards if f.edits]),
        "other_edits": _other_edits(ledger),
        "unobserved_share": unobserved_share(ledger),
        "seeds": sum(seed.given for seed in ledger.seeds),
        "unseeded": list(
            dict.fromkeys("".join(seed.calls[:1]) for seed in ledger.seeds if not seed.given)
        )[:MAX_PLACES],
        "seed_values": _seed_values(ledger),
        "inputs": inputs_of(ledger),
        "files": [[use.path, use.mode] for use in ledger.files[:MAX_FILES]],
        "edits": _edits(ledger, forwards),
        "reads": _reads(ledger),
        "loads": [
            {"source": load.source, "place": "".join(load.calls[:1])}
            for load in ledger.loads[:MAX_LOADS]
        ],
        "idle_hooks": sorted({hook.site for hook in ledger.hooks_never_called}),
        "numbers": list(dict.fromkeys(sequence))[:MAX_NUMBERS],
        "sequence": sequence[:MAX_NUMBERS],
        "attempts": _attempts(ledger),
        "unseen": unseen(ledger),
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


def unseen(ledger: Ledger) -> list[str]:
    """Work of other processes that the ledger cannot show, one line each; empty when there was none.

    Only the process that was started is observed. Programs without Python in them (a compiler a library
    looks for) run no model.
    """
    found = [
        f"{_FORKS.get(attempt.event, attempt.detail)[:MAX_SHOWN_PROGRAM]}"
        + (f" ({attempt.calls[0]})" if attempt.calls else "")
        for attempt in ledger.attempts
        if attempt.event in _FORKS or (attempt.event in _STARTS and _PYTHON.search(attempt.detail))
    ]
    spent = sum(end.children_cpu for end in ledger.of(End))
    if not found and spent > CHILDREN_CPU_SECONDS:
        found = [f"processes that used {spent:.0f} s of CPU time"]
    return list(dict.fromkeys(found))


def _prompts(ledger: Ledger, forwards: Iterable[Forward]) -> int:
    return len(_rows(ledger, forwards))


def _rows(ledger: Ledger, forwards: Iterable[Forward]) -> set[str]:
    wanted = {forward.inputs for forward in forwards}
    return {row for batch in ledger.of(Inputs) if batch.id in wanted for row in batch.rows}


def _sham_reasons(ledger: Ledger) -> list[str]:
    return list(dict.fromkeys(sham.reason for sham in ledger.shams if sham.reason))[:MAX_PLACES]


def _other_edits(ledger: Ledger) -> list[str]:
    """Interventions without hooks: weights written outside training, and replaced `forward`s."""
    written = [
        f"weights {tensor.name}"
        for change in ledger.weight_changes
        if not change.optimizer
        for tensor in change.tensors
    ]
    replaced = [f"forward of {row.site}" for row in ledger.replaced if row.function]
    return list(dict.fromkeys(written + replaced))[:MAX_PLACES]


def _seed_values(ledger: Ledger) -> int:
    """Different seeds of one generator, the most: three generators seeded once are no repetition."""
    values: dict[str, set[int | None]] = defaultdict(set)
    for seed in ledger.seeds:
        if seed.given:
            values[seed.generator].add(seed.value)
    return max(map(len, values.values()), default=0)


def _edits(ledger: Ledger, forwards: Mapping[int, Forward]) -> list[dict[str, Any]]:
    grouped: dict[tuple[str, str, str], list[Edit]] = defaultdict(list)
    unedited = {_of(one) for one in ledger.forwards if one.output and not one.edits}
    for edit in ledger.edits:
        grouped[edit.site, edit.kind, edit.heads or edit.blocks].append(edit)
    return [
        {
            "site": site,
            "kind": kind,
            "heads": heads,
            "prompts": _changed_prompts(ledger, forwards, edits),
            "unreached": all(
                (forward := forwards.get(edit.forward)) and _of(forward) in unedited
                for edit in edits
            ),
            "calls": len(edits),
            "positions": _positions(edits),
            "places": list(dict.fromkeys(_place(ledger, edit) for edit in edits))[:MAX_PLACES],
        }
        for (site, kind, heads), edits in sorted(grouped.items())
    ]


def _of(forward: Forward) -> tuple[int, str, int, str]:
    """What a forward computed: equal when the same model gave the same output for the same inputs."""
    return forward.model, forward.part, forward.inputs, forward.output


def _changed_prompts(ledger: Ledger, forwards: Mapping[int, Forward], edits: Iterable[Edit]) -> int:
    """Different prompts whose activation changed; of a batch in which only few did, as many as did."""
    whole: list[Forward] = []
    few: dict[int, int] = {}
    for edit in edits:
        forward = forwards.get(edit.forward)
        if forward is None:
            continue
        # Only where rows of the activation are prompts: positions alone have rows of their own.
        if edit.of_rows == forward.batch and 0 < edit.rows < MOST_ROWS * forward.batch:
            few[forward.inputs] = max(few.get(forward.inputs, 0), edit.rows)
        else:
            whole.append(forward)
    batches = {forward.inputs for forward in whole}
    return _prompts(ledger, whole) + sum(n for inputs, n in few.items() if inputs not in batches)


def _positions(edits: Iterable[Edit]) -> list[str]:
    """Different sets of positions; the last one is empty, which says unknown, when there are more."""
    found = list(dict.fromkeys(edit.positions for edit in edits))
    return found if len(found) <= MAX_POSITIONS else [*found[:MAX_POSITIONS], ""]


def _place(ledger: Ledger, edit: Edit) -> str:
    """Where the hook is defined, else where the bundle's code was when it ran."""
    hook = ledger.hooks.get(edit.hook)
    defined = hook.function if hook is not None else ""
    return defined or (edit.calls[0] if edit.calls else "")


def _reads(ledger: Ledger) -> list[dict[str, Any]]:
    """Per site; a hook that handed a value back comes before plain readers, and is placed first."""
    seen: dict[str, list[Forward]] = defaultdict(list)
    hooks: dict[str, list[Hook]] = defaultdict(list)
    for forward in ledger.forwards:
        for number in forward.reads:
            hook = ledger.hooks.get(number)
            if hook is not None:
                seen[hook.site].append(forward)
                if hook not in hooks[hook.site]:
                    hooks[hook.site].append(hook)
    rows = []
    for site, forwards in sorted(seen.items()):
        first = max(hooks[site], key=lambda hook: hook.handed_back > 0)
        rows.append(
            {
                "site": site,
                "prompts": _prompts(ledger, forwards),
                "place": first.function or "".join(first.calls[:1]),
                "handed_back": first.handed_back > 0,
            }
        )
    return sorted(rows, key=lambda row: not row["handed_back"])


def _numbers(ledger: Ledger) -> list[str]:
    printed = [number for line in ledger.printed for number in line.numbers]
    written = [number for file in ledger.written for number in file.numbers]
    return printed + written
