"""Indirect object identification on a toy vocabulary: two names, one comes again, the other is the answer.

A template is a row of word ids with the slots FIRST, SECOND and REPEAT. In order ABBA the indirect object
IO comes first and the subject S second and again; in BABA the subject comes first. Half of the prompts each.
The foil is always S, as in Wang et al. 2022 (arXiv:2211.00593): logit_diff is IO minus S.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_mecheval.tasks.examples import Tokens
from pytest_mecheval.tasks.parameters import (
    as_tuple,
    choice,
    interval,
    optional_token,
    refuse,
    whole,
)
from pytest_mecheval.tasks.registry import Generator
from pytest_mecheval.tasks.sampling import Candidates, distinct_draws, sampler, with_bos

SLOTS = ("FIRST", "SECOND", "REPEAT")
SHAPES = (
    "w 1 & 2 w w w w r w w >",
    "w w 1 & 2 w w r w w w >",
    "1 & 2 w w w r w w w w >",
    "w w w 1 & 2 w r w w w >",
    "w 1 & 2 w w r w w w w >",
)
"""Default templates, read at `>` (`to`): own words, names 1 and 2, `&` (`and`), the repeated name r."""
NEW_SHAPES = ("w w 1 & 2 w w w r w w >", "1 & 2 w w w w r w w w >")
"""Default new templates: known words in new places, so a trained model knows every embedding."""
WORDS_PER_SHAPE = 7
NAMES_NEEDED = 4
"""Two names in the prompt and two others for counterfactual `fresh`."""
MIN_CLUSTERS = 10
"""With fewer templates a claim is about these templates and prompts are independent (METHODS 2.1)."""

Template = tuple[int | str, ...]


@dataclass(frozen=True)
class IoiParameters:
    """Names, templates and what is held out."""

    names: tuple[int, int] = (0, 23)
    """First and last token id of the names, both inclusive."""
    templates: tuple[Template, ...] = ()
    """Rows of word ids and the slots FIRST, SECOND, REPEAT, all of one length; by default five of 12
    tokens whose words have the ids after the names: `and`, `to`, then seven per template."""
    new_templates: tuple[Template, ...] = ()
    """The same for stratum new_templates; by default two new arrangements of known words, unless
    `templates` is given: then none."""
    held_out_every: int = 5
    """Pairs of names whose places in `names` (from 0) add up to a multiple of this are left to stratum
    new_entities; 0 holds out none."""
    new_names: tuple[int, int] | None = None
    """First and last token id of names that only stratum new_entities uses, instead of held-out pairs."""
    counterfactual: str = "exchange"
    """`exchange`: the two names change roles, so its answer is the foil. `fresh`: two other names.
    Both keep template and order, so what a head knows of the order alone stays the same."""
    bos: int | None = None
    """Token id put first, or none."""

    def __post_init__(self) -> None:
        """Refuse templates and names that cannot work.

        Raises:
            ValueError: names every parameter that cannot work.
        """
        for name in ("names", "templates", "new_templates", "new_names"):
            object.__setattr__(self, name, as_tuple(getattr(self, name)))
        refuse(
            interval("names", self.names, low=0),
            "" if self.new_names is None else interval("new_names", self.new_names, low=0),
            whole("held_out_every", self.held_out_every, low=0),
            choice("counterfactual", self.counterfactual, ("exchange", "fresh")),
            optional_token("bos", self.bos),
            *_misshapen("templates", self.templates),
            *_misshapen("new_templates", self.new_templates),
        )
        words = {
            word
            for template in (*self.used_templates, *self.used_new_templates)
            for word in template
            if isinstance(word, int)
        } | ({self.bos} if self.bos is not None else set())
        refuse(
            *(
                problem
                for name, span in (("names", self.names), ("new_names", self.new_names))
                if span is not None
                for problem in _bad_span(name, span, words)
            ),
            "new_names: overlaps names"
            if self.new_names is not None
            and self.new_names[0] <= self.names[1]
            and self.names[0] <= self.new_names[1]
            else "",
        )

    @cached_property
    def used_templates(self) -> tuple[Template, ...]:
        """The given templates or the default ones."""
        return self.templates or tuple(
            _fill(shape, self.names[1] + 1, number, number) for number, shape in enumerate(SHAPES)
        )

    @cached_property
    def used_new_templates(self) -> tuple[Template, ...]:
        """The given new templates, or the default ones beside default templates."""
        if self.new_templates or self.templates:
            return self.new_templates
        return tuple(
            _fill(shape, self.names[1] + 1, number, number + 1)
            for number, shape in enumerate(NEW_SHAPES)
        )


def _fill(shape: str, first_word: int, even: int, odd: int) -> Template:
    """A default template: even-numbered words of one word list, odd-numbered ones of another."""
    fixed: dict[str, int | str] = {"&": first_word, ">": first_word + 1}
    fixed |= dict(zip("12r", SLOTS, strict=True))
    template: list[int | str] = []
    used = 0
    for mark in shape.split():
        if mark in fixed:
            template.append(fixed[mark])
            continue
        owner = odd if used % 2 else even
        template.append(first_word + 2 + owner * WORDS_PER_SHAPE + used)
        used += 1
    return tuple(template)


def _misshapen(name: str, templates: Any) -> list[str]:
    """Problems of a list of templates as given."""
    if not isinstance(templates, tuple) or not all(isinstance(t, tuple) for t in templates):
        return [f"{name}: must be a list of lists of word ids and {', '.join(SLOTS)}"]
    problems = []
    for number, template in enumerate(templates, start=1):
        place = f"{name}, number {number}"
        slots = [word for word in template if isinstance(word, str)]
        if slots != list(SLOTS):
            problems.append(f"{place}: slots are {slots}, must be {', '.join(SLOTS)} in this order")
        elif template[-1] == SLOTS[-1]:
            problems.append(f"{place}: ends with REPEAT, the answer is read at a word after it")
        problems.extend(
            filter(None, (whole(place, w, low=0) for w in template if not isinstance(w, str)))
        )
        if len(template) != len(templates[0]):
            problems.append(
                f"{place}: {len(template)} tokens, number 1 has {len(templates[0])} "
                "(all need one length)"
            )
    return problems


def _bad_span(name: str, span: tuple[int, int], words: set[int]) -> list[str]:
    """Problems of a range of names beside the words of the templates."""
    problems = []
    if span[1] - span[0] + 1 < NAMES_NEEDED:
        problems.append(f"{name}: {list(span)} holds fewer than {NAMES_NEEDED} names")
    if taken := sorted(word for word in words if span[0] <= word <= span[1]):
        problems.append(f"{name}: token ids {taken} are words of the templates")
    return problems


def _missing(parameters: IoiParameters, stratum: str) -> str:
    if stratum == "new_templates" and not parameters.used_new_templates:
        return "no new templates are given, set new_templates"
    if (
        stratum == "new_entities"
        and parameters.new_names is None
        and parameters.held_out_every == 0
    ):
        return "neither pairs nor names are held out, set held_out_every or new_names"
    return ""


def held_out(parameters: IoiParameters, first: Tokens, second: Tokens) -> NDArray[np.bool_]:
    """Which pairs of names are left to stratum new_entities; the order within a pair does not count.

    Args:
        parameters: `held_out_every` and `names` decide.
        first: places of names within `names`, from 0, shape (n,).
        second: the same for the other name, shape (n,).
    """
    if parameters.held_out_every == 0:
        return np.zeros(first.shape, dtype=np.bool_)
    return np.asarray((first + second) % parameters.held_out_every == 0)


def _propose(
    parameters: IoiParameters, stratum: str, rng: np.random.Generator, rows: int
) -> Candidates:
    new_names = parameters.new_names if stratum == "new_entities" else None
    low, high = new_names or parameters.names
    people = distinct_draws(rng, rows, NAMES_NEEDED, high - low + 1)
    usable = np.ones(rows, dtype=np.bool_)
    if new_names is None:
        usable = held_out(parameters, people[:, 0], people[:, 1]) == (stratum == "new_entities")
    people = people + low
    io, subject = people[:, 0], people[:, 1]
    if parameters.counterfactual == "exchange":
        other_io, other_subject = subject, io
    else:
        other_io, other_subject = people[:, 2], people[:, 3]
    templates = (
        parameters.used_new_templates if stratum == "new_templates" else parameters.used_templates
    )
    chosen = rng.integers(len(templates), size=rows)
    io_first = rng.integers(2, size=rows) == 0
    words = np.array([[w if isinstance(w, int) else 0 for w in t] for t in templates])
    slots = np.array([[t.index(slot) for slot in SLOTS] for t in templates])
    first, second, repeat = (slots[chosen, column] for column in range(len(SLOTS)))
    io_at, s1_at = np.where(io_first, first, second), np.where(io_first, second, first)
    row = np.arange(rows)

    def write(indirect: Tokens, giver: Tokens) -> Tokens:
        tokens = words[chosen].astype(np.int64)
        tokens[row, io_at] = indirect
        tokens[row, s1_at] = giver
        tokens[row, repeat] = giver
        return with_bos(tokens, parameters.bos)

    shift = int(parameters.bos is not None)
    end = np.full(rows, words.shape[1] - 1 + shift, dtype=np.int64)
    return Candidates(
        tokens=write(io, subject),
        counterfactual=write(other_io, other_subject),
        answers=io,
        foils=subject,
        read=end,
        positions={
            "IO": io_at + shift,
            "S1": s1_at + shift,
            "S1+1": s1_at + 1 + shift,
            "S2": repeat + shift,
            "END": end,
        },
        clusters=chosen if len(templates) >= MIN_CLUSTERS else None,
        usable=usable,
    )


GENERATOR = Generator(
    name="ioi",
    parameters=IoiParameters,
    strata=("fresh", "new_entities", "new_templates"),
    positions=("IO", "S1", "S1+1", "S2", "END"),
    draw=sampler("ioi", _propose, _missing),
    missing=_missing,
    doc=__doc__,
)
