"""Facts taken from a ledger: what is counted, and what is said when not all is kept."""

from pytest_mecheval.checks import ran
from pytest_mecheval.checks.worked import ran_facts
from pytest_mecheval.run.ledger_facts import MAX_POSITIONS, facts_of
from pytest_mecheval.sandbox.ledger import Ledger
from pytest_mecheval.sandbox.ledger_rows import Edit, Forward, Hook, Inputs, Seed


def ledger(*rows, hooks=(), faults=0):
    return Ledger("complete", (), rows, {hook.id: hook for hook in hooks}, (), faults)


def seed(generator, value):
    return Seed(generator, value, True, ())


def test_one_seed_for_each_of_three_generators_repeats_nothing():
    once = ledger(seed("torch", 0), seed("numpy", 1), seed("random", 42))
    assert facts_of(once)["seed_values"] == 1
    repeated = ledger(seed("torch", 0), seed("torch", 1), seed("torch", 1), seed("numpy", 0))
    assert facts_of(repeated)["seed_values"] == 2


def edit(positions):
    return Edit(
        *(-1, 0, "attn.o", "zero", 0.5, 1.0, 1.0, "2", "", positions, "", 4, None, None, None),
        *(True, False, ()),
    )


def test_positions_beyond_those_kept_leave_a_mark():
    hook = Hook(0, "attn.o", "Linear", "run.py:3", "", ())
    few = ledger(*(edit(str(n)) for n in range(MAX_POSITIONS)), hooks=[hook])
    assert "" not in facts_of(few)["edits"][0]["positions"]
    many = ledger(*(edit(str(n)) for n in range(MAX_POSITIONS + 1)), hooks=[hook])
    assert facts_of(many)["edits"][0]["positions"][-1] == ""


def test_absence_proves_nothing_where_the_tracer_failed_to_look():
    assert ran.blind(ran_facts(), "forward") == ""
    assert facts_of(ledger(faults=1))["faults"] == 1
    assert "failed to observe" in ran.blind(ran_facts(faults=1), "forward")


def forward(number, output, edits=0, inputs=0, batch=8):
    return Forward(*(number, 0, "", inputs, batch, output, (), edits, 0.1, 0.1, "", False, "", ()))


def batch(number, first, count=8):
    rows = tuple(f"{row:012x}" for row in range(first, first + count))
    return Inputs(number, count, (count, 5), rows)


def silenced(number, rows, of_rows=8):
    return Edit(
        *(number, 0, "attn.o", "zero", 0.5, 1.0, 1.0, "2", "", "all", "", rows, None, None, None),
        *(True, False, (), of_rows),
    )


def edited(*rows):
    hook = Hook(0, "attn.o", "Linear", "run.py:3", "", ())
    (row,) = facts_of(ledger(*rows, hooks=[hook]))["edits"]
    return row


def test_prompts_of_a_batch_that_an_edit_left_alone_do_not_count():
    one = (batch(0, 0), forward(0, "b", edits=1))
    assert edited(*one, silenced(0, rows=1))["prompts"] == 1
    again = (*one, forward(1, "b", edits=1), silenced(0, rows=1), silenced(1, rows=1))
    assert edited(*again)["prompts"] == 1
    elsewhere = (batch(1, 100), forward(1, "c", edits=1, inputs=1), silenced(1, rows=8))
    assert edited(*one, silenced(0, rows=1), *elsewhere)["prompts"] == 9


def test_a_shuffled_batch_may_leave_some_prompts_as_they_were():
    assert edited(batch(0, 0), forward(0, "b", edits=1), silenced(0, rows=6))["prompts"] == 8


def test_rows_that_are_positions_say_nothing_about_prompts():
    rows = (batch(0, 0), forward(0, "b", edits=1), silenced(0, rows=1, of_rows=5))
    assert edited(*rows)["prompts"] == 8


def test_edits_that_leave_every_output_as_it_was_are_told():
    clean, undone = forward(0, "a"), forward(1, "a", edits=2)
    real = forward(2, "b", edits=1)
    assert edited(batch(0, 0), clean, undone, silenced(1, rows=8))["unreached"]
    both = (clean, undone, real, silenced(1, rows=8), silenced(2, rows=8))
    assert not edited(batch(0, 0), *both)["unreached"]
    assert not edited(batch(0, 0), undone, silenced(1, rows=8))["unreached"], "nothing to compare"
    other = (batch(1, 50), forward(0, "a", inputs=1), undone, silenced(1, rows=8))
    assert not edited(batch(0, 0), *other)["unreached"], "the same output for other prompts"
