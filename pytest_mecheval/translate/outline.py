"""The keyless baseline: rules find numbers, components and verbs, and propose what rules can propose.

It knows kinds that need no reading between the lines (provenance, structure, runnable, evidence_level, plan
steps, an accuracy). Everything else it lists as not testable and says so: a floor, not a translation.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from pytest_mecheval.bundle.contents import Bundle
from pytest_mecheval.bundle.naming import components_named, heads_numbered
from pytest_mecheval.checks.stated_numbers import figures_in
from pytest_mecheval.checks.wording.numbers import numbers_in, sizes_in
from pytest_mecheval.checks.wording.strength import (
    CAUSAL,
    GENERAL,
    MANY,
    NO_EFFECT,
    SAME,
    SPECIAL,
    SUFFICIENT,
)
from pytest_mecheval.stats.rounding import Stated
from pytest_mecheval.translate.asks import Ask, Reply, Status
from pytest_mecheval.translate.proposals import identifier

NAME = "outline"
LIMITS = "found by rule, not understood (translate it with mecheval translate --llm anthropic or exchange)"
FEWEST_DIGITS = 3
"""A figure with fewer decimals (2 heads, 50 prompts) is printed by chance."""
MOST_FIGURES = 5
"""A sentence with more is a table."""

_USUAL_ENTRIES = ("run.py", "main.py", "run_all.py", "experiment.py", "analysis.py")
_LIST_FILE = re.compile(r"[\w./-]{1,200}\.json\b")
_NODE_COUNT = re.compile(r"([\w,]+) (?:nodes?|components?)\b", re.IGNORECASE)
_WRITES = re.compile(r"writ\w+ (?:a total of )?([\d,]+) (?:dimensions?|dims?)\b", re.IGNORECASE)
_RUNS = re.compile(
    r"([\w./-]{1,200}\.(?:py|ipynb))\b[^.]{0,60}\b(?:reproduces?|runs?)\b", re.IGNORECASE
)
_ACCURACY = re.compile(
    r"accuracy (?:is |of |: )?(?P<number>\d?\.\d+|\d+(?:\.\d+)?\s?%)", re.IGNORECASE
)
_ZERO = re.compile(r"\bzero|\bknock", re.IGNORECASE)
_MEAN = re.compile(r"\bmean\b(?! (?:drop|margin|logit|accuracy|loss))", re.IGNORECASE)
_RESAMPLE = re.compile(r"\bresampl|\binterchange", re.IGNORECASE)
_STEP_EVENTS: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (event, re.compile(rf"(?<![a-z])(?:{words})", re.IGNORECASE))
    for event, words in (
        ("patch", r"path-patch|patch"),
        ("ablate", r"ablat|zero\b|knock|resample the|replace the output|remove"),
        ("steer", r"steer"),
        ("seed", r"seed"),
        ("read", r"average the attention|attention (?:of|from)|attends?\b|look"),
        ("forward", r"run the (?:unedited )?model|measure|evaluate|record|compute"),
    )
)


class Outline:
    """Answers asks by rule; the same protocol, schema and guards as any other provider."""

    name = NAME

    def __init__(self, bundle: Bundle, tasks: Sequence[str] = ()) -> None:
        self._bundle = bundle
        self._tasks = tuple(tasks)
        self._entries = _entries(bundle)

    def replies(self, asks: Sequence[Ask]) -> Iterator[Reply]:
        """One answered reply per ask."""
        for ask in asks:
            yield Reply(ask, Status.ANSWERED, self._answer(ask))

    def _answer(self, ask: Ask) -> dict[str, Any]:
        if ask.role == "subject":
            return _body("subject", subject=self._subject())
        if ask.role == "plan":
            step = self._step(ask.text)
            return _body("plan_step", [step]) if step else _untestable()
        claims = list(self._claims(ask.text))
        return _body("claims", claims) if claims else _untestable()

    def _subject(self) -> dict[str, Any]:
        """What the manifest states, else a configuration with weights beside it."""
        manifest = self._bundle.manifest
        if manifest is not None and (manifest.model is not None or manifest.tasks):
            stated = manifest.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
            return {key: stated[key] for key in ("model", "tasks") if key in stated}
        paths = {file.path for file in self._bundle.files}
        for path in sorted(paths):
            folder, _, name = path.rpartition("/")
            beside = [p for p in sorted(paths) if p.rpartition("/")[0] == folder]
            weights = [p for p in beside if p.endswith(".safetensors")]
            if name == "config.json" and len(weights) == 1:
                model = {"loader": "transformer_lens", "config": path, "weights": weights[0]}
                return {"model": model}
        return {}

    def _claims(self, text: str) -> Iterator[dict[str, Any]]:
        """Everything that rules can test in a sentence; nothing when it says more than that."""
        if SPECIAL.search(text) or GENERAL.search(text) or SUFFICIENT.search(text):
            return
        if found := self._structure(text):
            yield _claim("structure", text, found)
            return
        if match := _RUNS.search(text):
            if match[1] in {script.path for script in self._bundle.scripts}:
                yield _claim("runnable", text, {"entry": match[1]})
            return
        entry = self._entry(text)
        causal = CAUSAL.search(text) and not NO_EFFECT.search(text)
        if causal and "model" in self._subject():
            return  # a model that can be measured deserves more than what its own run shows
        if causal and entry:
            heads = heads_numbered(text) or tuple(
                each.component.head for each in components_named(text)
            )
            yield _claim("evidence_level", text, {"entry": entry, "heads": sorted(set(heads))})
        yield from self._numbers(text, entry)

    def _numbers(self, text: str, entry: str) -> Iterator[dict[str, Any]]:
        match = _ACCURACY.search(text)
        plain = not components_named(text) and not heads_numbered(text)
        if match and plain and len(self._tasks) == 1 and len(_ACCURACY.findall(text)) == 1:
            spec: dict[str, Any] = {
                "task": self._tasks[0],
                "number": match["number"],
                "quantity": "score",
                "metric": "accuracy",
            }
            if len(sizes := sizes_in(text)) == 1:
                spec["n"] = int(sizes[0])
            yield _claim("reported_number", text, spec)
            return
        figures = [
            figure for figure in figures_in(text) if Stated(figure).decimals >= FEWEST_DIGITS
        ]
        if entry and len(figures) <= MOST_FIGURES:
            for figure in figures:
                yield _claim("provenance", text, {"entry": entry, "number": figure})

    def _structure(self, text: str) -> dict[str, Any]:
        listed = {document.path for document in self._bundle.results}
        file = next((name for name in _LIST_FILE.findall(text) if name in listed), "")
        count = _NODE_COUNT.search(text)
        size = numbers_in(count[1]) if count else ()
        if not file or not size:
            return {}
        writes = _WRITES.search(text)
        told = {"write": int(numbers_in(writes[1])[0])} if writes else {}
        return {"file": file, "count": int(size[0])} | told

    def _step(self, text: str) -> dict[str, Any] | None:
        entry = self._entry(text)
        event = next((event for event, words in _STEP_EVENTS if words.search(text)), "")
        unclear = (GENERAL, MANY, SAME)
        if not entry or not event or any(words.search(text) for words in unclear):
            return None  # "each head", "on longer prompts": more than one event can show
        requirement: dict[str, Any] = {"event": event}
        sizes = sizes_in(text)
        if sizes and event != "seed":
            requirement["min_prompts"] = int(min(sizes))
        if event == "ablate":
            said = _values(text)
            if len(said) > 1:
                return None  # several events, and which on what is not for rules to say
            requirement |= {"heads": list(heads_numbered(text))} if heads_numbered(text) else {}
            requirement |= {"value": said[0]} if said else {}
        return _claim("plan_step", text, {"entry": entry, "requires": [requirement]})

    def _entry(self, text: str) -> str:
        """The script that a sentence is about: the only one, or the one whose name shares a word with it."""
        if len(self._entries) == 1:
            return self._entries[0]
        words = re.findall(r"[a-z]{4,}", text.lower())
        fitting = [
            path
            for path in self._entries
            if any(_stem(word) in PurePosixPath(path).stem.lower() for word in words)
        ]
        return fitting[0] if len(fitting) == 1 else ""


def _stem(word: str) -> str:
    """`ablating` and `ablation` share their first five letters."""
    return word[:5]


def _values(text: str) -> list[str]:
    """Ablation values that a text names."""
    words = (("zero", _ZERO), ("mean", _MEAN), ("resample", _RESAMPLE))
    return [value for value, pattern in words if pattern.search(text)]


def _entries(bundle: Bundle) -> tuple[str, ...]:
    """Scripts a person would start: a usual name at the top, else those in experiments, else notebooks."""
    scripts = [script.path for script in bundle.scripts if script.path.endswith(".py")]
    usual = [path for path in scripts if path in _USUAL_ENTRIES]
    if usual:
        return (usual[0],)
    running = [path for path in scripts if path.startswith(("experiments/", "scripts/"))]
    return tuple(running or [notebook.path for notebook in bundle.notebooks] or scripts)


def _claim(kind: str, text: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": identifier(f"{spec.get('number', '')} {text}"),
        "kind": kind,
        "quote": text,
        "spec_json": json.dumps(spec),
        "operationalised": [],
        "headline": False,
    }


def _body(
    outcome: str,
    claims: Sequence[Mapping[str, Any]] = (),
    reason: str = "",
    subject: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    return {
        "outcome": outcome,
        "claims": list(claims),
        "reason": reason,
        "explanation": "",
        "subject_json": "" if subject is None else json.dumps(subject),
    }


def _untestable() -> dict[str, Any]:
    return _body("not_testable", reason=LIMITS)
