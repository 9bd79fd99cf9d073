"""Greater-than: `NOUN from CENTURY YEAR to CENTURY` must go on with a later year of that century.

Many years are right, so each prompt compares one right with one wrong one: the foil is at most YEAR.
The counterfactual has an earlier YEAR below the foil, so the foil is right there; the answer is too, hence
an ideal model's logit_diff falls to about zero on the counterfactual, not below.
Token ids in order: years, centuries, nouns, new nouns, `from`, `to`.
"""

from dataclasses import dataclass

import numpy as np

from pytest_mecheval.tasks.parameters import optional_token, refuse, whole
from pytest_mecheval.tasks.registry import Generator
from pytest_mecheval.tasks.sampling import Candidates, sampler, with_bos

TEMPLATES = {
    "fresh": ("NOUN", "FROM", "CENTURY", "YEAR", "TO", "END"),
    "new_templates": ("FROM", "CENTURY", "YEAR", "NOUN", "TO", "END"),
}
"""Word order per stratum; END is the century once more. new_entities uses the first."""


@dataclass(frozen=True)
class GreaterThanParameters:
    """How many years, centuries and nouns there are."""

    years: int = 50
    """Two-digit years 0 to years - 1 are their own token ids."""
    centuries: int = 8
    """Centuries; ids from `years` on."""
    nouns: int = 12
    """Nouns of strata fresh and new_templates; ids after the centuries."""
    new_nouns: int = 4
    """Nouns of stratum new_entities, held out of all others; ids after the nouns; 0 for none."""
    bos: int | None = None
    """Token id put first, or none."""

    def __post_init__(self) -> None:
        """Refuse layouts that cannot exist.

        Raises:
            ValueError: names every parameter that cannot work.
        """
        refuse(
            whole("years", self.years, low=4),
            whole("centuries", self.centuries, low=1),
            whole("nouns", self.nouns, low=1),
            whole("new_nouns", self.new_nouns, low=0),
            optional_token("bos", self.bos),
        )
        taken = self.to_token + 1
        refuse(
            f"bos: token id {self.bos} is a word, ids below {taken} are taken"
            if self.bos is not None and self.bos < taken
            else ""
        )

    @property
    def first_noun(self) -> int:
        """Token id of the first noun."""
        return self.years + self.centuries

    @property
    def from_token(self) -> int:
        """Token id of `from`."""
        return self.first_noun + self.nouns + self.new_nouns

    @property
    def to_token(self) -> int:
        """Token id of `to`, the largest id but for `bos`."""
        return self.from_token + 1


def _missing(parameters: GreaterThanParameters, stratum: str) -> str:
    if stratum == "new_entities" and parameters.new_nouns == 0:
        return "there are no held-out nouns, set new_nouns"
    return ""


def _propose(
    parameters: GreaterThanParameters, stratum: str, rng: np.random.Generator, rows: int
) -> Candidates:
    if stratum == "new_entities":
        low, high = parameters.first_noun + parameters.nouns, parameters.from_token
    else:
        low, high = parameters.first_noun, parameters.first_noun + parameters.nouns
    noun = rng.integers(low, high, size=rows)
    century = rng.integers(parameters.years, parameters.first_noun, size=rows)
    # a right year must lie above, and below it a wrong one with room for an even earlier start
    year = rng.integers(1, parameters.years - 1, size=rows)
    answers = rng.integers(year + 1, parameters.years)
    foils = rng.integers(1, year, endpoint=True)
    earlier = rng.integers(0, foils)
    template = TEMPLATES.get(stratum, TEMPLATES["fresh"])
    words = {
        "NOUN": noun,
        "FROM": np.full(rows, parameters.from_token),
        "CENTURY": century,
        "YEAR": year,
        "TO": np.full(rows, parameters.to_token),
        "END": century,
    }
    clean = np.stack([words[slot] for slot in template], axis=1)
    other = clean.copy()
    other[:, template.index("YEAR")] = earlier
    shift = int(parameters.bos is not None)
    positions = {
        slot: np.full(rows, template.index(slot) + shift, dtype=np.int64)
        for slot in ("NOUN", "CENTURY", "YEAR", "TO", "END")
    }
    return Candidates(
        tokens=with_bos(clean, parameters.bos),
        counterfactual=with_bos(other, parameters.bos),
        answers=answers,
        foils=foils,
        read=positions["END"],
        positions=positions,
    )


GENERATOR = Generator(
    name="greater_than",
    parameters=GreaterThanParameters,
    strata=("fresh", "new_entities", "new_templates"),
    positions=("NOUN", "CENTURY", "YEAR", "TO", "END"),
    draw=sampler("greater_than", _propose, _missing),
    missing=_missing,
    doc=__doc__,
)
