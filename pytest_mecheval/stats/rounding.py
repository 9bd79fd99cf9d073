"""Numbers as they are written in prose: their value, their precision, and what they can stem from."""

import math
import re
import sys
from dataclasses import dataclass, field
from decimal import Decimal

_SPACES = dict.fromkeys(map(ord, "\u0020\u00a0\u2007\u2009\u200a\u202f\t"), None)
_SIGNS = str.maketrans(
    {"\u2212": "-", "\u2010": "-", "\u2011": "-", "\u2012": "-", "\u2013": "-", "\uff0b": "+"}
)
_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺", "0123456789-+")

_NUMBER = re.compile(
    r"""(?P<about>[~\u2248\u223c\u2243])?
        (?P<sign>[+-])?
        (?P<digits>(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)(?:\.[0-9]*)?|\.[0-9]+)
        (?:[eE](?P<power>[+-]?[0-9]{1,3})
          |[x\u00d7\u00b7*]10(?:\^\{?(?P<caret>[+-]?[0-9]{1,3})\}?|(?P<raised>[⁻⁺]?[⁰¹²³⁴⁵⁶⁷⁸⁹]{1,3})))?
        (?P<percent>%)?""",
    re.VERBOSE,
)

PERCENT_DECIMALS = 2
"""Decimals that a percent sign adds: 98.5 % is 0.985."""

COMPARISON_SLACK = 4 * sys.float_info.epsilon
"""Relative rounding error of comparing two binary numbers whose decimal texts lie exactly u apart."""


@dataclass(frozen=True, slots=True)
class Stated:
    """A number as a text states it; trailing zeros count.

    Accepts signs and minus signs of any dash, a leading `~`, exponents (`1.2e-3`, `1.2x10^-3`), percent,
    and group separators (thin spaces, or commas before exactly three digits). A text in percent has its
    value as a fraction. Digits before the point all count as stated: `1200` is 1200 +- 0.5.

    >>> number = Stated("0.7190")
    >>> number.value, number.half_unit, number.decimals
    (0.719, 5e-05, 4)
    >>> Stated("98.5%").interval
    (0.9845, 0.9855)
    """

    text: str
    value: float = field(init=False)
    half_unit: float = field(init=False)
    """Half of the last stated digit, u = 0.5 * 10^-decimals, in the value's unit."""
    decimals: int = field(init=False)
    """Decimals k of the value; negative when the last stated digit is worth 10 or more."""
    percent: bool = field(init=False)
    approximate: bool = field(init=False)
    """Written with `~` or a like sign."""
    exact: Decimal = field(init=False, repr=False, compare=False)
    """The value as the text has it, without binary rounding."""

    def __post_init__(self) -> None:
        """Read the text.

        Raises:
            ValueError: the text is not one decimal number.
        """
        match = _NUMBER.fullmatch(self.text.translate(_SPACES).translate(_SIGNS))
        if match is None:
            raise ValueError(
                f"{self.text!r} is not a number as prose states it "
                "(allowed: 0.7190, -1.2e-3, 98.5%, ~0.72, 1,200)"
            )
        raised = (match["raised"] or "").translate(_SUPERSCRIPTS)
        power = int(match["power"] or match["caret"] or raised or "0")
        power -= PERCENT_DECIMALS if match["percent"] else 0
        digits = match["digits"].replace(",", "")
        decimals = len(digits.partition(".")[2]) - power
        exact = Decimal((match["sign"] or "") + digits).scaleb(power)
        for name, found in (
            ("value", float(exact)),
            ("half_unit", float(_half_unit(decimals))),
            ("decimals", decimals),
            ("percent", match["percent"] is not None),
            ("approximate", match["about"] is not None),
            ("exact", exact),
        ):
            object.__setattr__(self, name, found)

    @property
    def interval(self) -> tuple[float, float]:
        """[value - u, value + u]; both ends belong to it, for the rounding mode is unknown."""
        half = _half_unit(self.decimals)
        return float(self.exact - half), float(self.exact + half)

    def matches(self, measured: float, *, tolerance: float = 0.0) -> bool:
        """Whether a measured number rounds to the stated one: |measured - value| <= u + tolerance.

        Args:
            measured: in the value's unit; a fraction when the text is in percent.
            tolerance: numeric or sampling deviation to allow, value's unit.

        Raises:
            ValueError: `tolerance` is negative or not a number.

        >>> Stated("0.72").matches(0.715), Stated("0.72").matches(0.7149)
        (True, False)
        """
        if not tolerance >= 0:
            raise ValueError(f"tolerance {tolerance:g}: need a number that is not negative")
        slack = COMPARISON_SLACK * max(abs(self.value), abs(measured))
        return abs(measured - self.value) <= self.half_unit + tolerance + slack


def grim_possible(text: str, n: int) -> bool:
    """Whether the mean of n whole numbers can round to the stated number (METHODS R03).

    Some integer m with |m / n - v| <= u must exist. With n >= 10^k, k the stated decimals, one always
    does, so the test says nothing there. Computed in exact decimal arithmetic.

    Args:
        text: the number as stated, such as `0.857` or `85.7%`.
        n: how many whole numbers the mean is taken over, such as the examples of an accuracy.

    Raises:
        ValueError: the text is not a number, or `n` is not positive.

    Source: Brown & Heathers 2017, The GRIM test, doi:10.1177/1948550616673876.

    >>> grim_possible("0.73", 50), grim_possible("0.74", 50)
    (False, True)
    """
    if n < 1:
        raise ValueError(f"n {n}: need at least one number to take a mean of")
    stated = Stated(text)
    half = _half_unit(stated.decimals)
    return math.floor((stated.exact + half) * n) >= math.ceil((stated.exact - half) * n)


def _half_unit(decimals: int) -> Decimal:
    return Decimal(5).scaleb(-decimals - 1)
