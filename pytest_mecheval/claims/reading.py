"""Reads a claim file and reports every problem at once: syntax, fields, ids, quotes, staleness."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from pydantic import BaseModel, ValidationError

from pytest_mecheval.bundle.contents import Bundle
from pytest_mecheval.bundle.escaping import escaped
from pytest_mecheval.bundle.problems import suggestion, validation_problems
from pytest_mecheval.bundle.quoting import normalised, occurrences
from pytest_mecheval.bundle.strict_yaml import YamlText, read_yaml
from pytest_mecheval.claims.model import Claim, ClaimFile, NotTestable, PlanItem, Quote
from pytest_mecheval.claims.source import claim_text
from pytest_mecheval.claims.staleness import staleness
from pytest_mecheval.errors import ClaimFileError, StaleClaimsError

_ENTRY_MODELS: Mapping[str, type[Claim] | type[PlanItem] | type[NotTestable]] = {
    "claims": Claim,
    "plan": PlanItem,
    "not_testable": NotTestable,
}
_ENTRY_WORDS: Mapping[str, str] = {
    "claims": "claim",
    "plan": "plan step",
    "not_testable": "not_testable",
}
MAX_SHOWN_LINES = 3


def read_claims(path: Path, bundle: Bundle) -> ClaimFile:
    """The claims of a bundle.

    Kinds and their specs are not checked here; a caller that knows the kinds uses `problems_of`
    and `refuse`, so that both sorts of problems come in one message.

    Raises:
        ClaimFileError: with every problem, one line each.
        StaleClaimsError: nothing is wrong but documents changed.
    """
    claims, problems = problems_of(path, bundle)
    if problems or claims is None:
        refuse(path, bundle, claims, problems)
    return claims


def problems_of(path: Path, bundle: Bundle) -> tuple[ClaimFile | None, list[str]]:
    """What can be read of a claim file, and every problem in it.

    Args:
        path: the claim file.
        bundle: its quotes and hashes are checked against this.

    Returns:
        The claim file and its problems, one line each, place first. Beside problems the claim file
        holds only the entries that are sound; it is None when the rest of the file is not usable.
    """
    try:
        text = claim_text(path)
    except ClaimFileError as error:
        return None, list(error.problems)
    name = escaped(path.name)
    parsed = read_yaml(text)
    problems = [f"{name}: {escaped(problem, 400)}" for problem in parsed.problems]
    if parsed.broken:
        return None, problems
    if not isinstance(parsed.data, dict):
        return None, [*problems, f"{name}: must be a mapping that begins with 'format: 1'"]
    base = _base(parsed.data, name, problems)
    entries = _entries(parsed, bundle, name, problems)
    if not any(parsed.data.get(key) for key in _ENTRY_MODELS):
        problems.append(f"{name}: no claims, plan or not_testable entries, so nothing to check")
    if base is None:
        return None, problems
    claims = base.model_copy(update=entries)
    if stale := staleness(path, claims, bundle):
        problems.append(stale)
    return claims, problems


def refuse(path: Path, bundle: Bundle, claims: ClaimFile | None, problems: list[str]) -> NoReturn:
    """Raise for these problems.

    Raises:
        StaleClaimsError: being stale is the only one.
        ClaimFileError: otherwise; holds all of them.
    """
    if claims is not None and problems == [staleness(path, claims, bundle)]:
        raise StaleClaimsError(problems[0])
    raise ClaimFileError(problems)


def _base(data: Mapping[str, Any], name: str, problems: list[str]) -> ClaimFile | None:
    """Everything but the entries."""
    try:
        return ClaimFile.model_validate(
            {key: value for key, value in data.items() if key not in _ENTRY_MODELS}
        )
    except ValidationError as error:
        problems += [f"{name}: {line}" for line in validation_problems(error, ClaimFile)]
        return None


def _entries(
    parsed: YamlText, bundle: Bundle, name: str, problems: list[str]
) -> dict[str, tuple[BaseModel, ...]]:
    """The sound entries of each list; the problems of the others are added to `problems`."""
    sound: dict[str, tuple[BaseModel, ...]] = {}
    seen: dict[str, str] = {}
    for key, model in _ENTRY_MODELS.items():
        raw = parsed.data.get(key)
        if raw is not None and not isinstance(raw, list):
            problems.append(f"{name}: field '{key}': must be a list")
        kept: list[BaseModel] = []
        for index, entry in enumerate(raw if isinstance(raw, list) else []):
            where = f"{key}[{index}] ({_line_of(parsed, key, index)})"
            place = f"{name}: {_title(key, entry) or where}"
            found = _entry_problems(entry, model, bundle)
            identifier = entry.get("id") if isinstance(entry, dict) else None
            if isinstance(identifier, str):
                if identifier in seen:
                    found.append(f"id is used twice, by {seen[identifier]} and {where}")
                seen.setdefault(identifier, where)
            problems += [f"{place}: {line}" for line in found]
            if not found:
                kept.append(model.model_validate(entry))
        sound[key] = tuple(kept)
    return sound


def _line_of(parsed: YamlText, key: str, index: int) -> str:
    place = parsed.places.get((key, index))
    return f"line {place.line + 1}" if place else "line unknown"


def _title(key: str, entry: Any) -> str:
    """`claim 'copy-head'`, or nothing when the entry has no id that can be shown."""
    identifier = entry.get("id") if isinstance(entry, dict) else None
    if not isinstance(identifier, str) or not identifier:
        return ""
    return f"{_ENTRY_WORDS[key]} '{escaped(identifier)}'"


def _entry_problems(entry: Any, model: type[BaseModel], bundle: Bundle) -> list[str]:
    """Problems of one entry, without place: its fields, then its quote."""
    found: list[str] = []
    try:
        model.model_validate(entry)
    except ValidationError as error:
        found += validation_problems(error, model)
    raw_quote = entry.get("quote") if isinstance(entry, dict) else None
    try:
        quote = Quote.model_validate(raw_quote)
    except ValidationError:
        return found  # reported above, as part of the entry
    problem = quote_problem(quote, bundle)
    return [*found, problem] if problem else found


def quote_problem(quote: Quote, bundle: Bundle) -> str:
    """Why a quote is not what the bundle says at that place; empty when it is."""
    file = escaped(quote.file)
    document = bundle.find(quote.file)
    if document is None:
        if bundle.sha256_of(quote.file) is not None:
            return f"quote: {file} holds no text that can be quoted"
        if passed_over := [note for note in bundle.notes if note.startswith(f"{file}: ")]:
            return f"quote: {passed_over[0]}"
        known = [text.path for text in bundle.texts()]
        return f"quote: no file {file} in the bundle {suggestion(quote.file, known)}"
    found = occurrences(document, quote.text)
    if quote.line in found.lines:
        return ""
    shown = f"quote '{escaped(normalised(quote.text), 60)}'"
    if found.lines:
        lines = ", ".join(str(line) for line in found.lines[:MAX_SHOWN_LINES])
        return f"{shown}: found at line {lines}, not {quote.line}, of {file}"
    if found.cut:
        return f"{shown}: cuts a word or number in two at line {found.cut[0]} of {file}"
    elsewhere = [
        f"{escaped(text.path)}:{places.lines[0]}"
        for text in bundle.documents
        if (places := occurrences(text, quote.text)).lines
    ]
    if elsewhere:
        return f"{shown}: not in {file}, but at {', '.join(elsewhere[:MAX_SHOWN_LINES])}"
    return f"{shown}: {file} has no such text; {_reads(quote, document.text, bundle)}"


def _reads(quote: Quote, text: str, bundle: Bundle) -> str:
    """What the stated line holds instead."""
    document = bundle.find(quote.file)
    numbers = document.line_numbers if document else None
    lines = text.split("\n")
    indices = (
        [quote.line - 1]
        if numbers is None
        else [index for index, number in enumerate(numbers) if number == quote.line]
    )
    held = [lines[index] for index in indices if index < len(lines)]
    if not held:
        last = len(lines) if numbers is None else max(numbers, default=0)
        return f"its text ends at line {last}"
    return f"line {quote.line} reads '{escaped(normalised(' '.join(held)), 60)}'"
