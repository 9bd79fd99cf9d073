"""A claim may not be weaker than its quote: special, causal, sufficient, general, signed, bounded.

What a whole sentence says may be shared out over several claims that quote it, so the first group of rules
asks whether any of them tests it; direction, written value and bounds are each claim's own.
"""

import re
from collections.abc import Iterator, Sequence

from pytest_mecheval.bundle.naming import components_named
from pytest_mecheval.checks.stated_numbers import figure_matches
from pytest_mecheval.checks.wording.numbers import numbers_in, sizes_in
from pytest_mecheval.checks.wording.view import Mismatch, Rule, View
from pytest_mecheval.stats.rounding import Stated
from pytest_mecheval.vocabulary import Component, Rung

SMALLEST_PART = 0.5
"""A threshold the evaluator chose must be at least this part of the share that the quote states."""

LOWER_BOUNDS = ("min_drop", "min_mass", "min_share", "min_faithfulness")
UPPER_BOUNDS = ("margin",)
SHARES = ("min_mass", "min_share", "min_faithfulness")
"""Thresholds between 0 and 1."""


SET_KINDS = frozenset({"ablation", "negative", "patching", "faithfulness"})
"""Kinds about a set of components at once."""
FEWEST_OFMANY = 2
"""What "all heads" means at least."""
EDITS = frozenset({"ablate", "patch", "steer"})
EVENTS_ON_PROMPTS = frozenset({"ablate", "patch", "steer", "read", "forward"})


def _words(pattern: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![A-Za-z-])(?:{pattern})(?![A-Za-z])", re.IGNORECASE)


SPECIAL = _words(
    r"key (?:attention )?(?:heads?|components?|mlps?|layers?|neurons?|parts?|nodes?|elements?|circuit)|most (?:important|critical|crucial|influential)"
    r"|specifically|exclusively|uniquely?|solely?|(?:the )?only (?:heads?|components?|mlps?|layers?|ones?|parts?)"
    r"|than (?:\w+ing )?(?:any|every|all) others?|(?:the )?(?:largest|strongest|biggest|greatest|dominant)|dominates?|exceptional(?:ly)?|primary"
)
CAUSAL = _words(
    r"necessary|needed|needs|essential|crucial|causal(?:ly)?|causes?|caused|responsible|drives?|relies on|rely on|depends? on|requires?|required|indispensable"
)
SUFFICIENT = _words(
    r"sufficient|suffices?|is enough|are enough|alone|on (?:its|their) own|by (?:itself|themselves)"
)
GENERAL = _words(
    r"generali[sz]es?|regardless of|always|in general|for any|for all (?:inputs|prompts|names|lengths|templates)"
    r"|(?:holds?|transfers?|carries over) (?:to|on|for|across)|outside (?:of )?the training|out[- ]of[- ]distribution|never occurred|behind (?:a|an|some|random)|still\b.{0,80}\bthere|on unseen|on new|on longer|on shorter|longer than|shorter than|across (?:all|every|different)"
)
NEGATED = _words(
    r"hardly|barely|scarcely|almost nothing|less than|at most|no|not|never|nothing|none|neither|nor|without|does ?n[o']t|do ?n[o']t|is ?n[o']t|are ?n[o']t|cannot|can't|unchanged|inert|negligible|irrelevant|redundant|as it is|where it was"
)
NO_EFFECT = _words(
    r"(?:has|have|had) (?:no|little|almost no) (?:causal )?(?:effect|impact|influence|role)|(?:does|do) not matter|(?:hardly|barely|scarcely) matters?|inert|irrelevant|redundant"
    r"|(?:does|do) not (?:change|affect|alter|influence)|unchanged|leaves? .{0,60}as (?:it is|they are)|no (?:measurable |causal )?(?:effect|impact|influence)"
)
_SUPPRESS = _words(
    r"suppress(?:es|ed|ing)?|inhibits?|inhibited|against the (?:answer|correct|right)|counteracts?|opposes?|hinders?|negative (?:name mover|head|contribution)"
    r"|(?:improves?|raises|increases|helps?) (?:the )?(?:accuracy|logit|performance|probability)"
)
_SERVE = _words(
    r"necessary|needed|essential|destroys?|lowers?|drops?|promotes?|costs?|hurts?|harms?|damages?|impairs?|falls?|reduces?|degrades?|writes (?:the|for)|breaks?"
)
_DENOISE = _words(
    r"restores?|restored|recovers?|recovered|sufficient|clean .{0,40}into (?:the|a) (?:counterfactual|corrupt\w*)"
)
_NOISE = _words(
    r"destroys?|destroyed|breaks?|necessary|(?:counterfactual|corrupt\w*) .{0,40}into (?:the|a) clean"
)
MANY = _words(
    r"(?:all|both|each of the|every)(?! other)(?: (?!other)[\w-]+){0,2} (?:heads?|mlps?|layers?|components?)"
)
SAME = _words(r"same (?:prompts|inputs|examples|sequences|data)")
_WRITTEN = {
    "zero": _words(
        r"zero(?:ed|ing)?(?:-ablat\w+)?|(?:with|to|by|of|writing) zeros|zero ablat\w+|knock\w* out"
    ),
    "mean": _words(r"mean[- ]ablat\w+|by (?:its|their|the) mean|mean ablation"),
    "resample": _words(r"resampl\w+|interchang\w+|counterfactual (?:output|activation)s?"),
}
_MORE = re.compile(
    r"(?:more than|at least|above|over|exceed(?:s|ing)?|greater than|larger than|no less than|not less than|upwards of|>=?|≥)\s*[~≈]?\s*$",
    re.IGNORECASE,
)
_LESS = re.compile(
    r"(?:less than|at most|below|under|no more than|not more than|smaller than|fewer than|up to|within|<=?|≤)\s*[~≈±]?\s*$",
    re.IGNORECASE,
)
_COUNTED = re.compile(
    r"\s*(?:[\w-]+ )?(?:prompts?|inputs?|examples?|heads?|layers?|samples?|tokens?|seeds?|pairs?|runs?|of (?:the )?\d+)\b",
    re.IGNORECASE,
)
_SHARE_UNIT = re.compile(r"%|\s*(?:per\s?cent)")


def weaknesses(view: View, group: Sequence[View]) -> Iterator[Mismatch]:
    """Where the spec tests less than the quote says.

    Args:
        view: the claim.
        group: all claims that quote the same words, this one included.
    """
    if view.outer.kind == "plan_step":
        yield from _prompts(view)
    else:
        yield from _shared(view, group)
    yield from _polarity(view)
    yield from _direction(view)
    yield from _written_value(view)
    yield from _bounds(view)


def _weak(said: str, tests: str) -> Mismatch:
    return Mismatch(Rule.WEAKENED, f"'{said}'", tests)


def _shared(view: View, group: Sequence[View]) -> Iterator[Mismatch]:
    kind = view.check.kind
    if view.check.needs_model and view.check.functional:
        if (said := SPECIAL.search(view.quote)) and not any(map(_is_special, group)):
            yield _weak(said[0], "no comparison with other components (special: false)")
        if (said := GENERAL.search(view.quote)) and not any(each.general for each in group):
            yield _weak(said[0], "the stated distribution alone (kind scope tests more)")
        if (said := SUFFICIENT.search(view.quote)) and not any(map(_is_sufficiency, group)):
            yield _weak(said[0], f"kind {kind} (sufficiency: faithfulness or denoising patching)")
        yield from _left_out(view, group)
    if not view.check.functional:
        return
    if (bound := _lower_bound(view.quote)) and not any(map(_tests_size, group)):
        yield _weak(bound, f"kind {kind}, which tests no size")
    said = CAUSAL.search(view.quote)
    if said and not NO_EFFECT.search(view.quote) and not any(map(_is_causal, group)):
        yield _weak(said[0], f"kind {kind}, which intervenes on nothing")


def _left_out(view: View, group: Sequence[View]) -> Iterator[Mismatch]:
    """A claim about a0.h1 alone does not test that a0.h1 and a1.h3 are necessary."""
    tested = {component for each in group for component in each.components}
    named = [str(each.component) for each in components_named(view.quote)]
    many = MANY.search(view.quote)
    if many and not named and view.check.kind in SET_KINDS:
        wanted = max((int(each) for each in numbers_in(many[0])), default=FEWEST_OFMANY)
        if len(tested) < wanted:
            yield _weak(many[0], f"{len(tested)} of them")
    missing = [name for name in named if Component.parse(name) not in tested]
    if tested and missing:
        yield _weak(", ".join(missing), f"only {', '.join(map(str, sorted(tested)))}")


def _prompts(view: View) -> Iterator[Mismatch]:
    """The number of prompts that a plan step states is part of the promise."""
    stated = sizes_in(view.document if SAME.search(view.quote) else view.quote)
    asked = [each for each in view.fields.get("requires", ()) if each["event"] in EVENTS_ON_PROMPTS]
    if stated and asked and max(each["min_prompts"] for each in asked) < min(stated):
        found = max(each["min_prompts"] for each in asked)
        yield _weak(f"{min(stated):g} prompts", f"min_prompts: {found}")
    edits = [each for each in view.fields.get("requires", ()) if each["event"] in EDITS]
    if (said := MANY.search(view.quote)) and edits and not any(each["heads"] for each in edits):
        yield _weak(said[0], "any head")
    written = {
        name: match for name, words in _WRITTEN.items() if (match := words.search(view.quote))
    }
    tested = {each["value"] for each in edits}
    if edits and not set(written) <= tested:
        missing = sorted(set(written) - tested)
        yield _weak(written[missing[0]][0], f"value: {', '.join(sorted(tested))}")


def _lower_bound(quote: str) -> str:
    """`more than 2.5`, when the quote bounds something that is no count."""
    for match in figure_matches(quote):
        before = quote[: match.start()].rstrip() + " "
        if (said := _MORE.search(before)) and not _COUNTED.match(quote[match.end() :]):
            return f"{said[0].strip()} {match[0]}"
    return ""


def _tests_size(view: View) -> bool:
    return any(name in view.fields for name in (*LOWER_BOUNDS, *UPPER_BOUNDS, "number", "write"))


def _is_special(view: View) -> bool:
    if view.check.kind == "ranking":
        return view.fields.get("among") != "listed"
    return view.fields.get("special") is True


def _is_causal(view: View) -> bool:
    return view.check.rung in (Rung.L2, Rung.L3) or view.check.kind in (
        "evidence_level",
        "plan_step",
    )


def _is_sufficiency(view: View) -> bool:
    kind = view.check.kind
    return kind in ("faithfulness", "evidence_level") or view.fields.get("direction") == "denoising"


def _polarity(view: View) -> Iterator[Mismatch]:
    """No effect claimed is no effect tested, whatever the numbers."""
    effect = {"ablation", "patching", "attribution", "ranking"}
    if view.check.kind == "negative" and not NEGATED.search(view.quote):
        yield Mismatch(Rule.BINDING, "nothing about no effect", "kind negative")
    said = NO_EFFECT.search(view.quote)
    if view.check.kind in effect and said:
        yield Mismatch(
            Rule.BINDING, f"'{said[0]}'", f"kind {view.check.kind}, which claims an effect"
        )


def _direction(view: View) -> Iterator[Mismatch]:
    """The sign of an effect, or which way a patch goes."""
    direction = view.fields.get("direction")
    pairs = {
        "harms": (_SUPPRESS, _SERVE),
        "promotes": (_SUPPRESS, _SERVE),
        "helps": (_SERVE, _SUPPRESS),
        "suppresses": (_SERVE, _SUPPRESS),
        "denoising": (_NOISE, _DENOISE),
        "noising": (_DENOISE, _NOISE),
    }
    if direction not in pairs:
        return
    against, agreeing = pairs[direction]
    said = against.search(view.quote)
    if said and not agreeing.search(view.quote):
        yield _weak(said[0], f"direction: {direction}")


def _written_value(view: View) -> Iterator[Mismatch]:
    value = view.fields.get("value")
    if value not in _WRITTEN:
        return
    said = {name: match for name, words in _WRITTEN.items() if (match := words.search(view.quote))}
    if said and value not in said:
        yield _weak(next(iter(said.values()))[0], f"value: {value}")


def _bounds(view: View) -> Iterator[Mismatch]:
    for name in LOWER_BOUNDS:
        if name in view.fields:
            yield from _bound(view, name, sign=1)
    for name in UPPER_BOUNDS:
        if name in view.fields:
            yield from _bound(view, name, sign=-1)


def _bound(view: View, name: str, sign: int) -> Iterator[Mismatch]:
    """Stated bounds must be tested; of several the mildest, since which one is meant is not ours to say."""
    share = name in SHARES
    threshold = view.fields[name]
    bounds, plain = [], []
    for match in figure_matches(view.quote):
        size = abs(Stated(match[0]).value)
        after = view.quote[match.end() :]
        explicit = bool(_SHARE_UNIT.search(match[0]) or _SHARE_UNIT.match(after))
        fits = (explicit or size <= 1) if share else not explicit
        if _COUNTED.match(after) or not fits:
            continue
        before = view.quote[: match.start()].rstrip() + " "
        if (_MORE if sign > 0 else _LESS).search(before):
            bounds.append((size, match[0]))
        elif not (_LESS if sign > 0 else _MORE).search(before):
            plain.append((size, match[0]))
    if bounds:
        size, text = min(bounds) if sign > 0 else max(bounds)
        if threshold is None or sign * threshold < sign * size - abs(size) * 1e-9:
            word = "more than" if sign > 0 else "less than"
            yield _weak(
                f"{word} {text}", f"{name}: {'not set' if threshold is None else threshold}"
            )
    elif plain and sign > 0 and share and threshold < SMALLEST_PART * min(plain)[0]:
        yield _weak(min(plain)[1], f"{name}: {threshold}, less than half of it")
