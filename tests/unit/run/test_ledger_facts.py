"""Facts taken from a ledger: what is counted, and what is said when not all is kept."""

from pytest_mecheval.checks import ran
from pytest_mecheval.checks.worked import ran_facts
from pytest_mecheval.run.ledger_facts import MAX_POSITIONS, facts_of
from pytest_mecheval.sandbox.ledger import Ledger
from pytest_mecheval.sandbox.ledger_rows import Edit, Hook, Seed


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
