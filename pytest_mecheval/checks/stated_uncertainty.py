"""What a text says about the uncertainty of a number, by fixed patterns: interval, plus-minus, standard error, p-value.

Rules, in this order, on the paragraphs that state the number:

1. an interval that holds the number: `[A, B]`, `(A, B)`, `between A and B`, `from A to B`, in a sentence
   that says interval, CI, confidence, bootstrap or percentile, or `[A, B]` right after the number
   (a rise "from 1.48 to 3.97" is no interval);
2. `± x` (also `+/- x`, `+- x`) right after the number, a unit or percent sign between them at most;
3. `SE`, `SEM`, `standard error`, `SD`, `std` followed by a number;
4. `p = x`, `p < x`.

An interval or plus-minus must stand in the number's own sentence; the words for 3 and 4 likewise.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from pytest_mecheval.checks.stated_numbers import states
from pytest_mecheval.stats.rounding import Stated

Form = Literal["interval", "plus_minus", "standard_error", "p_value"]

_N = r"[-+\u2212]?(?:\d+(?:,\d{3})*(?:\.\d+)?|\.\d+)(?:[eE][-+]?\d+)?\s?%?"
_INTERVALS = (
    re.compile(
        rf"[\[(]\s*(?:9\d(?:\.\d)?\s?%\s*(?:CI|interval)?[:,]?\s*)?[\[(]?\s*({_N})\s*(?:,|;|to|\u2013|-|\.\.)\s*({_N})\s*[\])]"
    ),
    re.compile(rf"\bbetween\s+({_N})\s+and\s+({_N})", re.IGNORECASE),
    re.compile(rf"({_N})\s*(?:to|\u2013)\s*({_N})"),
)
_CALLED_INTERVAL = re.compile(
    r"\b(?:intervals?|CIs?|confidence|bootstrap\w*|percentiles?|credible)\b", re.IGNORECASE
)
_PLUS_MINUS = re.compile(rf"({_N})\s*(?:nats?|bits?|points?|pp)?\s*(?:\u00b1|\+/-|\+-)\s*({_N})")
_ERROR = re.compile(
    rf"\b(?:SE|SEM|SD|std\.?|s\.e\.(?:m\.)?|standard (?:error|deviation))\b\s*(?:of|is|=|:)?\s*({_N})",
    re.IGNORECASE,
)
_P_VALUE = re.compile(rf"\bp\s*(?:-?value)?\s*(=|<|\u2264|of)\s*({_N})", re.IGNORECASE)
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z(\[*_`])")


@dataclass(frozen=True, slots=True)
class Uncertainty:
    """One statement of how uncertain a number is."""

    form: Form
    figures: tuple[str, ...]
    """Lower and upper bound, or the half-width, error or p-value, as written."""
    sentence: str
    below: bool = False
    """For p: stated as smaller than its figure."""

    @property
    def words(self) -> str:
        """As a report shows it."""
        match self.form:
            case "interval":
                return f"[{', '.join(self.figures)}]"
            case "plus_minus":
                return f"± {self.figures[0]}"
            case "standard_error":
                return f"standard error {self.figures[0]}"
            case "p_value":
                return f"p {'<' if self.below else '='} {self.figures[0]}"


def uncertainty_in(paragraph: str, number: str) -> Uncertainty | None:
    """The first statement of uncertainty in a sentence that states the number.

    >>> uncertainty_in("Accuracy is 0.91 (95% CI [0.86, 0.95]) on 128 prompts.", "0.91").figures
    ('0.86', '0.95')
    >>> uncertainty_in("Accuracy is 0.91. The drop is 2.5 ± 0.1.", "0.91") is None
    True
    """
    for sentence in _SENTENCE_END.split(paragraph):
        if states(sentence, number):
            for found in _found(sentence, number):
                return found
    return None


def _found(sentence: str, number: str) -> Iterator[Uncertainty]:
    stated = Stated(number)
    for pattern in _INTERVALS:
        for match in pattern.finditer(sentence):
            low, high = _read(match[1]), _read(match[2])
            if not (_CALLED_INTERVAL.search(sentence) or _follows(sentence, match, stated)):
                continue
            if low and high and _holds(low, high, stated):
                sign = "%" if high.percent and not low.percent else ""
                yield Uncertainty("interval", (match[1].strip() + sign, match[2].strip()), sentence)
    for match in _PLUS_MINUS.finditer(sentence):
        centre = _read(match[1])
        if centre and centre.exact.copy_abs() == stated.exact.copy_abs():
            yield Uncertainty("plus_minus", (match[2].strip(),), sentence)
    for match in _ERROR.finditer(sentence):
        if _read(match[1]):
            yield Uncertainty("standard_error", (match[1].strip(),), sentence)
    for match in _P_VALUE.finditer(sentence):
        if _read(match[2]):
            yield Uncertainty("p_value", (match[2].strip(),), sentence, match[1] in "<\u2264")


def _follows(sentence: str, match: re.Match[str], number: Stated) -> bool:
    """Whether a pair in square brackets stands right after the number itself."""
    before = re.search(rf"({_N})\s*$", sentence[: match.start()])
    centre = _read(before[1]) if before else None
    return match[0].startswith("[") and centre is not None and centre.exact == number.exact


def _read(text: str) -> Stated | None:
    try:
        return Stated(text.strip())
    except ValueError:
        return None


def _holds(low: Stated, high: Stated, number: Stated) -> bool:
    """Whether a pair of numbers is an interval around this one, and not a list or a range of something else.

    A percent sign may stand on one of them only.
    """
    scale = 100.0 if high.percent and not low.percent else 1.0
    bottom, top = low.value / scale, high.value
    inside = bottom - low.half_unit <= number.value <= top + high.half_unit
    return bottom < top and inside
