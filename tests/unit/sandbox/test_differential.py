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
    plain, again = output("loss 1.25 acc 0.5"), output("loss 1.75 acc 0.5")
    found = differential(output("loss 3.0 acc 0.5"), plain, again=again)
    assert (found.same, found.unstable, found.compared) == (True, 1, 3)
    assert found.unstable_numbers == ("3.0",)
    assert "1.25, then 1.75" in found.unstable_places[0]


def test_plain_runs_of_a_script_that_never_repeats_may_agree_in_a_coarse_number_by_chance() -> None:
    traced = Output(0, "accuracy 0.953, margin 0.41", {})
    plain = Output(0, "accuracy 0.938, margin 0.39", {})
    again = Output(0, "accuracy 0.938, margin 0.44", {})
    found = differential(traced, plain, again=again)
    assert (found.differences, found.unstable_numbers) == ((), ("0.41",))
    assert any("0.953 traced" in place for place in found.unstable_places)
    assert differential(traced, plain, again=plain).differences


def test_more_lines_in_one_of_two_plain_runs_say_nothing_about_the_traced_one() -> None:
    plain, again = output("loss 1.25"), output("loss 1.75 and 2.5")
    found = differential(output("loss 3.0 acc 0.5 end"), plain, again=again)
    assert not found.differences
    assert found.unstable_numbers == ("3.0", "0.5")
    assert not differential(output("loss 3.0 acc 0.5 end"), plain, again=plain).same


@pytest.mark.parametrize(
    "text", ["done in {} s", "elapsed_s: {}", '{{"seconds": {}}}', "wall time {}", "peak {} MiB"]
)
def test_running_costs_may_differ_when_watched(text: str) -> None:
    assert differential(output(text.format("7.5")), output(text.format("2.5"))).same


@pytest.mark.parametrize("text", ["drop {}", "time 3.0 acc {}", "timesteps {}", '{{"s": {}}}'])
def test_results_may_not(text: str) -> None:
    assert not differential(output(text.format("7.5")), output(text.format("2.5"))).same


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
