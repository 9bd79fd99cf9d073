"""Ledgers of a sequence as one: ids stay distinct and keep pointing where they pointed."""

import dataclasses
import typing

from pytest_mecheval.run.ledger_inputs import inputs_of
from pytest_mecheval.sandbox import ledger_rows
from pytest_mecheval.sandbox.joining import REFERENCES, joined
from pytest_mecheval.sandbox.ledger import Ledger
from pytest_mecheval.sandbox.ledger_rows import FileUse, Forward, Hook, Inputs, Model, Printed

COUNTS = {
    *("Start.sham_seed", "Start.seed_shift", "Model.heads", "Model.parameters", "Inputs.count"),
    *("Inputs.shape", "Forward.batch", "Forward.edits", "Hook.registered", "Hook.called"),
    *(
        "Hook.edited",
        "Hook.handed_back",
        "Edit.rows",
        "Edit.of_rows",
        "WeightChange.changed",
        "Seed.value",
        "Written.size",
    ),
    *("Cell.cell", "End.forwards", "Sham.permutations", "End.totals", "End.dropped"),
}
"""Whole numbers that are no ids."""


def ledger(rows: tuple[str, ...], **changed) -> Ledger:
    """One model called once, one hook, one printed line."""
    hook = Hook(0, "lower.output", "Linear", "run.py:3 f", "", (), 1, 1, 0)
    found = (
        Model(0, "Model", 0, 10, "m", ()),
        Inputs(0, len(rows), (len(rows), 4), rows),
        Forward(0, 0, "", 0, len(rows), "o", (0,), 0, 0.1, 0.1, "r", False, "", ()),
        Printed(("0.5",), "0.5", 0, ()),
        hook,
    )
    return dataclasses.replace(Ledger("complete", (), found, {0: hook}, (), 0), **changed)


def prompts_of(whole, forward):
    return {prompt for row in whole.of(Inputs) if row.id == forward.inputs for prompt in row.rows}


def test_prompts_hooks_and_order_stay_apart():
    whole = joined([("a.py", ledger(("p", "q"))), ("b.py", ledger(("q", "r")))])
    first, second = whole.forwards
    assert (first.id, second.id, second.model, second.reads) == (0, 1, 1, (1,))
    assert prompts_of(whole, first) | prompts_of(whole, second) == {"p", "q", "r"}
    assert sorted(whole.hooks) == [0, 1]
    assert [line.after for line in whole.printed] == [0, 1]
    assert whole.standing == "complete"


def test_the_worst_standing_counts_and_says_where():
    whole = joined(
        [
            ("a.py", ledger(("p",))),
            ("b.py", ledger(("p",), standing="forged", problems=("row 3: no",))),
            ("c.py", ledger(("p",), standing="incomplete", truncated=("edit",))),
        ]
    )
    assert whole.standing == "forged"
    assert whole.problems == ("b.py: row 3: no",)
    assert whole.truncated == ("edit",)


def test_what_a_later_run_writes_first_comes_after_the_earlier_runs_forwards():
    plan = FileUse("logs/plan.md", "write", -1, ("write_plan.py:1",))
    late = dataclasses.replace(ledger(()), rows=(plan,), hooks={})
    whole = joined([("run.py", ledger(("p",))), ("write_plan.py", late)])
    assert [use.after for use in whole.files] == [whole.forwards[0].id]
    assert inputs_of(whole)["calls"][0]["written"] == 0


def test_one_ledger_stays_itself():
    alone = ledger(("p",))
    assert joined([("a.py", alone)]) is alone


def test_every_whole_number_of_a_row_is_an_id_or_known_as_a_count():
    for kind in typing.get_args(ledger_rows.Row):
        for field in dataclasses.fields(kind):
            if "int" in str(field.type):
                name = f"{kind.__name__}.{field.name}"
                assert (field.name in REFERENCES.get(kind, {})) != (name in COUNTS), name
