"""Modular addition: tokens a, b, `=`; the answer is (a + b) mod p. The evaluation split is every input.

Layout: [bos] a b =. Numbers are their own token ids. Because evaluation enumerates all p * p inputs,
calibration is necessarily a subset of it: a seeded one, used only for scales, never for verdicts.
"""

from dataclasses import dataclass

import numpy as np

from pytest_mecheval.errors import SubjectError
from pytest_mecheval.tasks.examples import Examples, Tokens
from pytest_mecheval.tasks.parameters import optional_token, refuse, whole
from pytest_mecheval.tasks.registry import Generator
from pytest_mecheval.tasks.sampling import with_bos
from pytest_mecheval.wire import Split

MAX_MODULUS = 256
"""Largest p: 65,536 inputs, beyond which enumeration is no longer a matter of seconds."""


@dataclass(frozen=True)
class ModularAdditionParameters:
    """Which addition table, and its special tokens."""

    p: int = 31
    """Modulus; numbers 0 to p - 1 are their own token ids."""
    equals: int | None = None
    """Token id of `=`; by default p."""
    bos: int | None = None
    """Token id put first, or none."""

    def __post_init__(self) -> None:
        """Refuse tables that cannot exist.

        Raises:
            ValueError: names every parameter that cannot work.
        """
        refuse(
            whole("p", self.p, low=3, high=MAX_MODULUS),
            optional_token("equals", self.equals),
            optional_token("bos", self.bos),
        )
        refuse(
            *(
                f"{name}: token id {token} is a number, ids below p = {self.p} are taken"
                for name, token in (("equals", self.equals), ("bos", self.bos))
                if token is not None and token < self.p
            ),
            f"bos: token id {self.bos} is already `=`" if self.bos == self.equals_token else "",
        )

    @property
    def equals_token(self) -> int:
        """Token id of `=`."""
        return self.p if self.equals is None else self.equals


def _partners(sums: Tokens, candidates: Tokens, p: int, rng: np.random.Generator) -> Tokens:
    """A permutation of inputs that gives every row a partner with another sum.

    Permuting, rather than drawing each partner, makes every input a partner equally often.
    """
    partner = rng.permutation(candidates)
    while True:
        clash = np.flatnonzero(sums == (partner // p + partner % p) % p)
        if clash.size == 0:
            return partner
        for row in clash:
            other = int(rng.integers(partner.size))
            partner[row], partner[other] = partner[other], partner[row]


def _draw(
    parameters: ModularAdditionParameters,
    stratum: str,
    split: Split,
    n: int,
    rng: np.random.Generator,
) -> Examples:
    p = parameters.p
    everything = np.arange(p * p, dtype=np.int64)
    exhaustive = split == "evaluation"
    if not exhaustive and not 1 <= n <= p * p:
        raise SubjectError(
            f"modular_addition, stratum {stratum}: {n} {split} prompts requested, "
            f"p = {p} allows 1 to {p * p}"
        )
    inputs = everything if exhaustive else rng.permutation(everything)[:n]
    a, b = inputs // p, inputs % p
    answers = (a + b) % p
    # a small calibration subset may share one sum, so partners come from the whole table
    partner = _partners((everything // p + everything % p) % p, everything, p, rng)[inputs]
    other_a, other_b = partner // p, partner % p
    rows = inputs.size
    equals = np.full(rows, parameters.equals_token, dtype=np.int64)
    shift = int(parameters.bos is not None)
    place = np.arange(shift, shift + 3, dtype=np.int64)
    where = {
        name: np.full(rows, index) for name, index in zip(("A", "B", "END"), place, strict=True)
    }
    return Examples(
        tokens=with_bos(np.stack([a, b, equals], axis=1), parameters.bos),
        counterfactual=with_bos(np.stack([other_a, other_b, equals], axis=1), parameters.bos),
        answers=answers,
        foils=(other_a + other_b) % p,
        read=where["END"],
        positions=where,
        exhaustive=exhaustive,
    )


GENERATOR = Generator(
    name="modular_addition",
    parameters=ModularAdditionParameters,
    strata=("fresh",),
    positions=("A", "B", "END"),
    draw=_draw,
    population=lambda parameters: parameters.p**2,
    doc=__doc__,
)
