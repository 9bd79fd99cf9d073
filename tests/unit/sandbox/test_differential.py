"""Runs with and without the tracer must agree; where plain runs differ, nothing can be said."""

import pytest

from pytest_mecheval.sandbox.differential import Output, differential, unobserved_share
from pytest_mecheval.sandbox.ledger import Ledger
from pytest_mecheval.sandbox.ledger_rows import End


def output(stdout: str = "", code: int = 0, **files: str) -> Output:
    return Output(code, stdout, files)


def test_equal_runs_are_the_same() -> None:
    found = differential(output("acc 0.95\n", r="{}"), output("acc 0.95\n", r="{}"))
    assert found.same
    assert found.compared == 4


@pytest.mark.parametrize(
    ("traced", "plain"),
    [
        (output("acc 0.95"), output("acc 0.99")),
        (output("acc 0.95"), output("loss 0.95")),
        (output("acc 0.95"), output("acc 0.95 more")),
        (output("acc 0.95", code=1), output("acc 0.95")),
        (output("a", r="1"), output("a")),
        (output("a", r="1"), output("a", r="2")),
        (output("nan 1"), output("inf 1")),
        (output("1e999"), output("2e999")),
    ],
)
def test_differences_are_named(traced: Output, plain: Output) -> None:
    found = differential(traced, plain)
    assert not found.same
    assert found.differences


def test_rounding_is_no_difference_but_more_is() -> None:
    assert differential(output("x 1.0000001"), output("x 1.0")).same
    assert not differential(output("x 1.0001"), output("x 1.0")).same


def test_unstable_tokens_are_left_out_and_counted() -> None:
    plain, again = output("time 1.25 acc 0.5"), output("time 1.75 acc 0.5")
    found = differential(output("time 3.0 acc 0.5"), plain, again=again)
    assert (found.same, found.unstable, found.compared) == (True, 1, 3)
    assert not differential(output("time 3.0 acc 0.6"), plain, again=again).same


def test_nothing_to_compare_is_not_the_same() -> None:
    found = differential(output(), output())
    assert not found.same
    assert found.reason


def test_share_of_time_outside_forwards() -> None:
    def ledger(cpu: float, forward_cpu: float) -> Ledger:
        end = End("done", "", 1, cpu, forward_cpu, 0.0, {}, {})
        return Ledger("complete", (), (end,), {}, (), 0)

    assert unobserved_share(ledger(110.0, 99.0)) == pytest.approx(0.01)
    assert unobserved_share(ledger(110.0, 1.0)) == pytest.approx(0.99)
    assert unobserved_share(ledger(5.0, 1.0)) is None
    assert unobserved_share(Ledger("incomplete", (), (), {}, (), 0)) is None
