"""A spec must be about what its sentence speaks of: its kind, metric, components, and the figure's own quantity."""

import re
from collections.abc import Iterator, Mapping

from pytest_mecheval.bundle.naming import components_named, heads_numbered
from pytest_mecheval.checks.stated_numbers import figure_matches
from pytest_mecheval.checks.wording.view import Mismatch, Rule, View
from pytest_mecheval.stats.rounding import Stated
from pytest_mecheval.vocabulary import Component


def _words(pattern: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![A-Za-z])(?:{pattern})", re.IGNORECASE)


METRIC_WORDS: Mapping[str, re.Pattern[str]] = {
    "logit_diff": _words(
        r"logit[- _]?diff\w*|logit difference|nats\b|margin|gap\b|LD\b|logits?\b(?! lens)"
    ),
    "accuracy": _words(r"accura\w+|right\b|correct\w*|success rate|solves?\b|error rate"),
    "loss": _words(r"loss\b|losses\b|cross[- ]entrop\w+|nats\b|perplexity"),
    "prob": _words(r"probabilit\w+|prob\b|confidence"),
    "logprob": _words(r"log[- ]?prob\w*|nats\b|log likelihood"),
    "kl": _words(r"KL\b|divergence|nats\b"),
}
"""How sentences name a metric; "nats" fits every one in that unit."""
_UNIT_WORD = "nats"

_ATTENTION = _words(r"attention|attends?\b|mass\b|looks?\b|pays\b|of it goes")
_SET_WORDS = _words(
    r"(?:all|every|each|any|other)(?: [\w-]+){0,3} (?:heads?|mlps?|components?|layers?|parts?|nodes?)\b|(?:any|every|all|the) others?\b(?! \w)"
    r"|both\b|pair\b|remaining|others\b|the rest\b|circuit|everything|these|those|them\b|none\b"
)
_BACK_REFERENCE = _words(
    r"it\b|its\b|itself\b|this\b|that\b|these\b|those\b|they\b|their\b|them\b|the same|the (?:\w+ )?(?:head|mlp|pair|circuit|layer|component)s?\b|both\b"
)
_MLP = _words(r"mlps?\b|feed[- ]?forward")
_LAYER = re.compile(r"(?<!\w)layers?[\s-]+(\d{1,3})(?![\d.]*\d)", re.IGNORECASE)
_INPUT = _words(r"input|embedding")
_BEYOND = _words(
    r"new\b|regardless|any\b|longer|shorter|unseen|behind|prefix|periods?\b|lengths?\b|different|beyond|outside|distract|templates?\b|names?\b|entit|generali|elsewhere|there\b|other\b"
)
_DAMAGE = re.compile(
    r"(?:\bby(?: (?:about|around|some|more than|at least|roughly))?|\b(?:costs?|loses?|loss of|drop of|damage of|reduction of|takes away)(?: (?:about|around|more than|at least))?)\s*[~≈]?\s*$",
    re.IGNORECASE,
)
_SCORE = re.compile(
    r"(?:\bto|\bat|\bleaves(?: an?)?(?: \w+)?(?: of)?|\bis|\breaches(?: \w+)?)\s*[~≈]?\s*$",
    re.IGNORECASE,
)
LOOK_BACK = 40
"""Characters before a figure that can say what it is."""


def binding_mismatches(view: View) -> Iterator[Mismatch]:
    """Where the spec speaks of something else than the sentence."""
    yield from _kind(view)
    yield from _metric(view)
    yield from _components(view)
    yield from _stratum(view)
    if view.check.kind == "reported_number":
        yield from _figure(view)


def _bad(says: str, tests: str) -> Mismatch:
    return Mismatch(Rule.BINDING, says, tests)


def _kind(view: View) -> Iterator[Mismatch]:
    cues = view.check.cues
    if cues and not _words(cues).search(view.quote):
        yield _bad("no word of such a claim", f"kind {view.check.kind}")


def _metric(view: View) -> Iterator[Mismatch]:
    """The metric's name, in the quote or around it; another metric's name in the quote is a contradiction."""
    metric = str(view.fields.get("metric"))
    if metric not in METRIC_WORDS or view.check.kind == "reported_number":
        return
    if METRIC_WORDS[metric].search(view.quote):
        return
    others = {
        name: match[0]
        for name, words in METRIC_WORDS.items()
        if name != metric and (match := words.search(view.quote))
    }
    if others:
        yield _bad(f"'{next(iter(others.values()))}'", f"metric: {metric}")
    elif "metric" not in view.operationalised and not METRIC_WORDS[metric].search(view.context):
        yield _bad("no such metric", f"metric: {metric} (or list it under operationalised)")


def _components(view: View) -> Iterator[Mismatch]:
    """Every component is named in the quote, pointed back to by it, or one of a set it speaks of."""
    if "components" in view.operationalised or view.outer.kind == "plan_step":
        return
    named = {each.component for each in components_named(view.sentence)}
    around = named | {each.component for each in components_named(view.context)}
    numbers = heads_numbered(view.sentence)
    points_back = _BACK_REFERENCE.search(view.quote) is not None
    is_set = _SET_WORDS.search(view.quote) is not None
    for component in view.components:
        if component in named or is_set or (points_back and component in around):
            continue
        if _named_by_class(component, view.quote, numbers):
            continue
        shown = ", ".join(sorted({str(each) for each in named})) or "no component"
        yield _bad(shown, str(component))


def _named_by_class(component: Component, quote: str, numbers: tuple[int, ...]) -> bool:
    """`the MLP` in a model of one block, `head 2` without its layer, `the input`."""
    if component.kind == "mlp":
        return _MLP.search(quote) is not None and not any(
            each.component.kind == "mlp" for each in components_named(quote)
        )
    if component.kind in ("attn", "resid"):
        return any(int(number) == component.layer for number in _LAYER.findall(quote))
    if component.kind == "input":
        return _INPUT.search(quote) is not None
    return component.kind == "head" and component.head in numbers


def _stratum(view: View) -> Iterator[Mismatch]:
    stratum = view.fields.get("stratum", "fresh")
    if (
        stratum != "fresh"
        and "stratum" not in view.operationalised
        and not _BEYOND.search(view.quote)
    ):
        yield _bad("nothing about other data", f"stratum: {stratum}")


def _figure(view: View) -> Iterator[Mismatch]:
    """The number belongs to the metric whose name stands nearest to it in the sentence."""
    number, quantity = view.fields["number"], view.fields["quantity"]
    metric = str(view.fields.get("metric"))
    places = [match for match in figure_matches(view.quote) if _same(match[0], number)]
    if not places:
        return  # the number rule says so
    if quantity == "attention":
        if not _ATTENTION.search(f"{view.context} {view.quote}"):
            yield _bad("nothing about attention", "quantity: attention")
        return
    readings = [_nearest_metrics(view.quote, place) for place in places]
    if not any(readings):
        if "metric" not in view.operationalised and not METRIC_WORDS[metric].search(view.context):
            yield _bad("no such metric", f"metric: {metric} (or list it under operationalised)")
    elif not any(metric in names for names in readings):
        yield _bad(f"{number} as {' or '.join(sorted(readings[0]))}", f"metric: {metric}")
    yield from _quantity(view, places, str(quantity))


def _quantity(view: View, places: list[re.Match[str]], quantity: str) -> Iterator[Mismatch]:
    """`by 14.1` is a difference, `to 0.018` a level."""
    said = set()
    for place in places:
        before = view.quote[max(0, place.start() - LOOK_BACK) : place.start()]
        said |= (
            {"damage"} if _DAMAGE.search(before) else {"score"} if _SCORE.search(before) else set()
        )
    if len(said) == 1 and quantity not in said and view.fields.get("components"):
        yield _bad(f"a {said.pop()}", f"quantity: {quantity}")


def _same(figure: str, number: str) -> bool:
    return abs(Stated(figure).exact) == abs(Stated(number).exact)


def _nearest_metrics(quote: str, place: re.Match[str]) -> set[str]:
    """Metrics whose word is nearest to a figure; a bare unit yields to a name in the same clause."""
    distances: dict[str, int] = {}
    for name, words in METRIC_WORDS.items():
        for match in words.finditer(quote):
            gap = max(place.start() - match.end(), match.start() - place.end(), 0)
            distances[name] = min(gap, distances.get(name, gap))
    if not distances:
        return set()
    nearest = min(distances.values())
    return {name for name, gap in distances.items() if gap == nearest}
