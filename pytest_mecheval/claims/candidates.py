"""Which passages can carry a finding or a plan step: the denominator of coverage, found by rule alone.

Recall comes first: a passage that is missed here is never asked about, while one too many only costs a
question. Rules read words, numbers and component names, never what an LLM says.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from pytest_mecheval.bundle.contents import Bundle
from pytest_mecheval.bundle.naming import components_named, heads_numbered
from pytest_mecheval.bundle.passages import Passage, passages

CandidateRole = Literal["finding", "plan"]

FEWEST_WORDS: Mapping[CandidateRole, int] = {"finding": 3, "plan": 2}
"""Shorter passages are labels; "Seed torch." is a step."""

_CUES: Mapping[str, re.Pattern[str]] = {
    name: re.compile(rf"(?<![A-Za-z])(?:{words})", re.IGNORECASE)
    for name, words in {
        "causal": r"caus|decid|comput|disturb|necessar|essential|critical|crucial|key\b|drives?\b|responsib|relies on|rely on|depends? on|need|requir|destroy|matter|feeds? into|routes?\b|inhibit|copies|copy\b|suppress|implement|mediat|sufficien|carr(?:y|ies)\b|restores?\b|recover|takes? part",
        "comparison": r"more\b|less\b|least\b|most\b|higher|lower|larg|small|strong|weak|best\b|worst|better|worse|first\b|second\b|rank|order|than\b|exceed|outperform|domina|compar|[~≈]|up to\b",
        "change": r"ablat|zero|resampl|patch|knock|remov|drop|fall|rais|increas|decreas|reduc|lower|cost|leaves?\b|chang|improv|hurt|degrad|keeps?\b|harm|effect",
        "attention": r"attend|attention|looks?\b|writes?\b|reads?\b|moves?\b",
        "strength": r"support|validat|confirm|reveal|identif|show|demonstrat|prove|establish|find|found\b|discover|clear|evidence|all checks",
        "hedge": r"suggest|likely|consistent with|suspect|believe|probabl|seem|appear|indicat|may\b|might\b|should\b|could\b|expect",
        "quantifier": r"all\b|every|each\b|both\b|only\b|always|never|none\b|no\b|not\b|nothing|any\b|general|across|regardless|transfer",
        "quality": r"elegant|beautiful|natural|remarkabl|interest|surpris|novel|unusual|robust|interpretable|simpl",
        "outcome": r"accura|logit|loss\b|margin|probabilit|faithful|perform|reproduc|reproducib|determinis|learn|works?\b|right\b|correct|runs?\b|circuit|node|mechanism|head\b|heads\b|model\b",
    }.items()
}
_TICK = re.compile("[✓✅❌✗]")
_FIGURE = re.compile(r"(?<![\w.])\d+(?:[.,]\d+)*\s?%?|(?<!\w)\d+x\b")

STRONG_CUES = frozenset({"component", "number", "causal", "attention", "change", "tick"})
"""With one of these a passage of a report says something about the model that could be wrong."""

_SETUP_TITLE = re.compile(
    r"(?:\d+[.)]?\s*)?(?:task|data|model|set-?up|background|related work|references|introduction|installation|usage|files|"
    r"layout|repository|requirements|environment|how to|contents|table of contents|acknowledg|license|appendix|"
    r"definitions?|notation|methods?|methodology|objective|goals?)\b",
    re.IGNORECASE,
)
_NOT_PROMISED_TITLE = re.compile(
    r"(?:\d+[.)]?\s*)?(?:objective|goals?|background|introduction|motivation|references|overview|context|summary|"
    r"task description|related work)\b",
    re.IGNORECASE,
)
_RESULT_ROLES = frozenset({"report", "readme", "log", "notebook"})
_TESTABLE = re.compile(r"TESTABLE|success criteri|must\b|should\b|hypothes", re.IGNORECASE)
_PROMISE = re.compile(
    r"(?<![A-Za-z])(?:ablat|patch|path-patch|measure|train|test|compare|compute|calculat|run|rank|repeat|keep|choose|"
    r"select|evaluat|record|report|plot|seed|draw|average|replace|zero|probe|steer|generat|check|verif|collect|"
    r"analy[sz]e|identify|find|attribut|inspect|examine|quantif|estimat|validat|visuali[sz]e|sweep|we will|hold out)",
    re.IGNORECASE,
)
_BOILERPLATE = re.compile(
    r"(?:see|cf\.?|figure|fig\.?|table|source|author|date|version|contents|note to|copyright|licen[sc]e)\b[^.]{0,60}$|"
    r"https?://\S+$",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Candidate:
    """One passage that is asked about."""

    passage: Passage
    role: CandidateRole
    heading: str
    """The title it stands under."""
    cues: tuple[str, ...]
    """Why it is a candidate."""
    strong: bool
    """Cannot be dismissed as stating nothing: it becomes a claim or is listed with a reason."""


def candidates(bundle: Bundle) -> tuple[Candidate, ...]:
    """All candidates of a bundle in reading order: every version of the plan, every report."""
    found = []
    heading: dict[str, str] = {}
    seen: set[tuple[str, str, str]] = set()
    for passage in passages(bundle):
        if passage.kind == "heading":
            heading[passage.file] = passage.text
            if not _asserts(passage):
                continue
        candidate = _candidate(passage, heading.get(passage.file, ""))
        if candidate is None:
            continue
        # The same sentence twice in one file is one statement; plan versions are different files.
        key = (candidate.role, passage.file, passage.text)
        if key not in seen:
            seen.add(key)
            found.append(candidate)
    return tuple(found)


def _asserts(passage: Passage) -> bool:
    """Whether a title of a report states a finding, as "Head 0 decides alone" does."""
    return passage.role == "report" and {"causal", "component"} <= set(_cues(passage.text))


def _candidate(passage: Passage, heading: str) -> Candidate | None:
    role: CandidateRole = "plan" if passage.role == "plan" else "finding"
    if passage.kind == "code" or len(re.findall(r"\w+", passage.text)) < FEWEST_WORDS[role]:
        return None
    if _BOILERPLATE.match(passage.text):
        return None
    if passage.role == "plan":
        return _plan_step(passage, heading)
    if passage.role in _RESULT_ROLES:
        return _finding(passage, heading)
    return None


def _plan_step(passage: Passage, heading: str) -> Candidate | None:
    """A bullet anywhere but under background titles; a sentence that promises an action."""
    if _NOT_PROMISED_TITLE.match(heading):
        return None
    promise = _PROMISE.search(passage.text) is not None
    testable = _TESTABLE.search(passage.text) is not None
    if not (promise or testable or passage.kind in ("bullet", "table_row")):
        return None
    if passage.kind == "sentence" and not (promise or testable):
        return None
    cues = tuple(name for name, is_so in (("promise", promise), ("testable", testable)) if is_so)
    return Candidate(passage, "plan", heading, cues, strong=promise or testable)


def _finding(passage: Passage, heading: str) -> Candidate | None:
    cues = tuple(_cues(passage.text))
    strong = bool(STRONG_CUES.intersection(cues))
    if _SETUP_TITLE.match(heading) and not {"causal", "component"} & set(cues):
        return None
    if passage.kind == "table_row" and not {"number", "component"} & set(cues):
        return None
    if not cues or (passage.role != "report" and not strong):
        return None
    return Candidate(passage, "finding", heading, cues, strong=strong)


def _cues(text: str) -> Iterator[str]:
    if components_named(text) or heads_numbered(text):
        yield "component"
    if _FIGURE.search(text):
        yield "number"
    if _TICK.search(text):
        yield "tick"
    yield from (name for name, pattern in _CUES.items() if pattern.search(text))
