"""What counts as a stated uncertainty, and what only looks like one."""

import pytest

from pytest_mecheval.checks.stated_uncertainty import uncertainty_in


@pytest.mark.parametrize(
    ("text", "number", "form", "figures"),
    [
        ("Accuracy is 0.91 (95% CI [0.86, 0.95]).", "0.91", "interval", ("0.86", "0.95")),
        ("Accuracy is 0.91 [0.86, 0.95] here.", "0.91", "interval", ("0.86", "0.95")),
        ("We get 91.4% (95% CI 85.9\u201395.3%).", "91.4%", "interval", ("85.9%", "95.3%")),
        ("It is 0.91; the interval is 0.86 to 0.95.", "0.91", "interval", ("0.86", "0.95")),
        ("A drop of 2.49 \u00b1 0.12 nats.", "2.49", "plus_minus", ("0.12",)),
        ("A drop of 2.49 nats (SE 0.12, n = 128).", "2.49", "standard_error", ("0.12",)),
        ("A drop of 2.49 (p < 0.001).", "2.49", "p_value", ("0.001",)),
        (
            "The effect is \u22122.49, interval [\u22122.7, \u22122.3].",
            "-2.49",
            "interval",
            ("\u22122.7", "\u22122.3"),
        ),
    ],
)
def test_usual_ways_of_writing_it_are_found(text, number, form, figures):
    found = uncertainty_in(text, number)
    assert found is not None
    assert (found.form, found.figures) == (form, figures)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("Accuracy is 0.91 on 128 prompts.", "0.91"),
        ("It rises from 1.48 to 3.97, by 2.49.", "2.49"),
        ("The drop is 2.49 at positions [0, 7].", "2.49"),
        ("Accuracy is 0.91. Another number has 0.5 \u00b1 0.1.", "0.91"),
        ("Accuracy is 0.91, beside a drop of 2.5 \u00b1 0.1.", "0.91"),
        ("Accuracy is 0.910 (95% CI [0.86, 0.95]).", "0.91"),
        ("Accuracy is 0.99 (95% CI [0.86, 0.95]).", "0.99"),
    ],
)
def test_what_only_looks_like_one_is_not(text, number):
    assert uncertainty_in(text, number) is None
