"""Prompts a bundle supplies as data: JSONL rows or safetensors columns, never pickle, never code."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_mecheval.errors import SubjectError
from pytest_mecheval.tasks.examples import Examples, Tokens
from pytest_mecheval.tasks.parameters import MAX_TOKEN
from pytest_mecheval.tasks.sampling import Candidates, is_calibration, row_bytes
from pytest_mecheval.wire import DataRef, Slice

MAX_BYTES = 16 * 2**20
"""Largest data file read; thousands of prompts fit well inside."""
MIN_ROWS: Mapping[str, int] = {"calibration": 2, "evaluation": 20}
"""Fewest prompts per split: a spread needs two, an interval that means something about twenty."""
SHOWN_PROBLEMS = 10
"""Problems listed in one error text; the rest is counted."""
DEFAULT_STRATUM = "fresh"
HEADER_BYTES = 8
"""A safetensors file starts with the length of its JSON header."""
REQUIRED = ("tokens", "counterfactual", "answer", "foil")
OPTIONAL = ("read", "positions", "cluster", "stratum")
POSITION_PREFIX = "positions."
"""Safetensors spells the named position END as tensor `positions.END`."""


@dataclass(frozen=True)
class Rows:
    """The checked rows of one stratum, in file order, each clean prompt once."""

    columns: Candidates
    calibration: NDArray[np.bool_]
    """Which split each row belongs to, shape (n,)."""


@dataclass
class _Row:
    """One row as plain values, before rows are compared with each other."""

    place: str
    tokens: list[int]
    counterfactual: list[int]
    answer: int
    foil: int
    read: int
    positions: dict[str, int] = field(default_factory=dict)
    cluster: int | None = None
    stratum: str = DEFAULT_STRATUM


def read(data: DataRef) -> bytes:
    """The file's bytes, if it is a regular file of bearable size and still the one referred to.

    Args:
        data: `sha256`, when given, is the hex SHA-256 of the file's bytes.

    Raises:
        SubjectError: missing, too large, empty or changed.
    """
    path = Path(data.file)
    try:
        if not path.is_file():
            raise SubjectError(f"{data.file}: no such data file")
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise SubjectError(f"{data.file}: {size} bytes, at most {MAX_BYTES} are read")
        body = path.read_bytes()
    except OSError as error:
        raise SubjectError(f"{data.file}: cannot be read: {error.strerror}") from error
    if not body.strip():
        raise SubjectError(f"{data.file}: empty task: the file has no rows")
    if data.sha256 and fingerprint(body) != data.sha256:
        raise SubjectError(f"{data.file}: changed since the measurement was planned")
    return body


def fingerprint(body: bytes) -> str:
    """Hex SHA-256 of a data file's bytes: its identity wherever it lies."""
    return hashlib.sha256(body).hexdigest()


def parse(name: str, body: bytes) -> dict[str, Rows]:
    """The rows of a data file by stratum, checked; a clean prompt that comes again counts once.

    Args:
        name: the file's name; the ending decides the format.
        body: the file's bytes.

    Raises:
        SubjectError: unknown format or unusable rows; names file, row and every problem.
    """
    problems: list[str] = []
    match Path(name).suffix:
        case ".jsonl":
            rows = _jsonl(body, problems)
        case ".safetensors":
            rows = _safetensors(body, problems)
        case suffix:
            raise SubjectError(f"{name}: {suffix or 'no'} format, use .jsonl or .safetensors")
    if not rows and not problems:
        raise SubjectError(f"{name}: empty task: the file has no rows")
    strata: dict[str, list[_Row]] = {}
    for row in rows:
        strata.setdefault(row.stratum, []).append(row)
    for members in strata.values():
        _compare(members, problems)
    _refuse(name, problems)
    return {stratum: _columns(members) for stratum, members in strata.items()}


def shared_positions(table: Mapping[str, Rows]) -> tuple[str, ...]:
    """Named positions that every stratum of a file provides, sorted."""
    names = [set(rows.columns.positions) for rows in table.values()]
    return tuple(sorted(set.intersection(*names)))


def select(
    table: Mapping[str, Rows], name: str, prompts: Slice, rng: np.random.Generator
) -> Examples:
    """The rows of a slice in random order; all there are when there are fewer than n.

    Raises:
        SubjectError: no such stratum, or too few rows of this split.
    """
    if prompts.stratum not in table:
        raise SubjectError(
            f"{name}: no rows of stratum {prompts.stratum!r} (there are: {', '.join(sorted(table))})"
        )
    rows = table[prompts.stratum]
    members = np.flatnonzero(rows.calibration == (prompts.split == "calibration"))
    needed = MIN_ROWS[prompts.split]
    if members.size < needed:
        raise SubjectError(
            f"{name}: {members.size} distinct {prompts.split} prompts in stratum "
            f"{prompts.stratum!r} (a hash of the tokens assigns a fifth to calibration), "
            f"need at least {needed}"
        )
    return rows.columns.take(rng.permutation(members)[: prompts.n]).examples()


def _refuse(name: str, problems: list[str]) -> None:
    if not problems:
        return
    lines = [f"{name}: {problem}" for problem in problems[:SHOWN_PROBLEMS]]
    if len(problems) > SHOWN_PROBLEMS:
        lines.append(f"{name}: and {len(problems) - SHOWN_PROBLEMS} more problems")
    raise SubjectError("\n".join(lines))


def _jsonl(body: bytes, problems: list[str]) -> list[_Row]:
    rows = []
    for number, line in enumerate(body.splitlines(), start=1):
        if not line.strip():
            continue
        place = f"row {number}"
        try:
            fields = json.loads(line)
        except (ValueError, RecursionError):
            problems.append(f"{place}: not JSON in UTF-8")
            continue
        if not isinstance(fields, dict):
            problems.append(f"{place}: not a JSON object")
            continue
        if row := _row(place, fields, problems):
            rows.append(row)
    return rows


def _safetensors(body: bytes, problems: list[str]) -> list[_Row]:
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        tensors = load(body)
        # `load` leaves the metadata out, which names the strata
        size = int.from_bytes(body[:HEADER_BYTES], "little")
        header = json.loads(body[HEADER_BYTES : HEADER_BYTES + size])
    except (SafetensorError, ValueError, KeyError, RecursionError) as error:
        problems.append(f"not a readable safetensors file: {error}")
        return []
    strata = str(header.get("__metadata__", {}).get("strata", DEFAULT_STRATUM)).split(",")
    allowed = {*REQUIRED, *OPTIONAL} - {"positions"}
    problems.extend(f"tensor {name} is missing" for name in REQUIRED if name not in tensors)
    problems.extend(
        f"unknown tensor {name!r} (allowed: {', '.join(sorted(allowed))}, {POSITION_PREFIX}NAME)"
        for name in tensors
        if name not in allowed and not name.startswith(POSITION_PREFIX)
    )
    if problems:
        return []
    n = tensors["tokens"].shape[0] if tensors["tokens"].ndim else 0
    for name, tensor in tensors.items():
        axes = 2 if name in ("tokens", "counterfactual") else 1
        if tensor.dtype.kind not in "iu":
            problems.append(f"tensor {name}: {tensor.dtype} values, need whole numbers")
        if tensor.ndim != axes or tensor.shape[0] != n:
            shape = "(rows, length)" if axes > 1 else "(rows,)"
            problems.append(f"tensor {name}: shape {tensor.shape}, need {shape} with {n} rows")
    if problems:
        return []
    columns = {name: tensor.tolist() for name, tensor in tensors.items()}
    rows = []
    for number in range(n):
        fields: dict[str, Any] = {"positions": {}}
        for name, column in columns.items():
            if name.startswith(POSITION_PREFIX):
                fields["positions"][name.removeprefix(POSITION_PREFIX)] = column[number]
            else:
                fields[name] = column[number]
        code = fields.get("stratum", 0)
        place = f"row {number + 1}"
        if not 0 <= code < len(strata):
            problems.append(f"{place}: stratum {code}, the metadata names {len(strata)}")
            continue
        fields["stratum"] = strata[code].strip()
        if row := _row(place, fields, problems):
            rows.append(row)
    return rows


def _row(place: str, fields: Mapping[str, Any], problems: list[str]) -> _Row | None:
    """One row with every field of the right type, or None after reporting what is wrong."""
    found: list[str] = []
    for name in fields:
        if name not in (*REQUIRED, *OPTIONAL):
            close = get_close_matches(str(name), (*REQUIRED, *OPTIONAL), n=1)
            hint = f", did you mean {close[0]!r}?" if close else ""
            found.append(f"unknown field {name!r}{hint}")
    found.extend(f"{name} is missing" for name in REQUIRED if name not in fields)
    for name in ("tokens", "counterfactual"):
        values = fields.get(name, [0])
        if not isinstance(values, list) or not values or not all(map(_is_token, values)):
            found.append(f"{name} must be a list of token ids")
    found.extend(
        f"{name} must be a token id"
        for name in ("answer", "foil")
        if not _is_token(fields.get(name, 0))
    )
    positions = fields.get("positions", {})
    cluster = fields.get("cluster")
    stratum = fields.get("stratum", DEFAULT_STRATUM)
    if not isinstance(positions, dict) or not all(map(_is_whole, positions.values())):
        found.append("positions must map names to whole numbers")
    if not _is_whole(fields.get("read", 0)):
        found.append("read must be a whole number")
    if cluster is not None and not _is_whole(cluster):
        found.append("cluster must be a whole number")
    if not isinstance(stratum, str) or not stratum:
        found.append("stratum must be a name")
    if not found:
        found = _contradictions(fields, positions)
    problems.extend(f"{place}: {problem}" for problem in found)
    if found:
        return None
    return _Row(
        place=place,
        tokens=fields["tokens"],
        counterfactual=fields["counterfactual"],
        answer=fields["answer"],
        foil=fields["foil"],
        read=fields.get("read", len(fields["tokens"]) - 1),
        positions=dict(positions),
        cluster=cluster,
        stratum=stratum,
    )


def _contradictions(fields: Mapping[str, Any], positions: Mapping[str, int]) -> list[str]:
    """What cannot be true together within a row of well-typed fields."""
    found = []
    length = len(fields["tokens"])
    if len(fields["counterfactual"]) != length:
        found.append(
            f"counterfactual has {len(fields['counterfactual'])} tokens, the prompt {length}"
        )
    if fields["answer"] == fields["foil"]:
        found.append(f"answer equals foil ({fields['answer']}), so logit_diff has no meaning")
    for name, place in {"read": fields.get("read", length - 1), **positions}.items():
        if not 0 <= place < length:
            found.append(f"{name} = {place} is outside the prompt (0 to {length - 1})")
    return found


def _compare(rows: list[_Row], problems: list[str]) -> None:
    """Rows of one stratum must agree in length, named positions and whether they have clusters."""
    first = rows[0]
    for row in rows[1:]:
        if len(row.tokens) != len(first.tokens):
            problems.append(
                f"{row.place}: {len(row.tokens)} tokens, {first.place} has {len(first.tokens)} "
                "(all prompts of a stratum need one length)"
            )
        if row.positions.keys() != first.positions.keys():
            problems.append(
                f"{row.place}: positions {sorted(row.positions)}, "
                f"{first.place} has {sorted(first.positions)}"
            )
        if (row.cluster is None) != (first.cluster is None):
            problems.append(f"{row.place}: cluster must be given in all rows or in none")


def _columns(rows: list[_Row]) -> Rows:
    seen: dict[bytes, int] = {}
    prompts = row_bytes(np.array([row.tokens for row in rows], dtype=np.int64))
    for index, prompt in enumerate(prompts):
        seen.setdefault(prompt, index)
    once = [rows[index] for index in seen.values()]

    def column(values: list[Any]) -> Tokens:
        return np.array(values, dtype=np.int64)

    clusters = [row.cluster for row in once if row.cluster is not None]
    columns = Candidates(
        tokens=column([row.tokens for row in once]),
        counterfactual=column([row.counterfactual for row in once]),
        answers=column([row.answer for row in once]),
        foils=column([row.foil for row in once]),
        read=column([row.read for row in once]),
        positions={
            name: column([row.positions[name] for row in once]) for name in once[0].positions
        },
        clusters=column(clusters) if clusters else None,
    )
    return Rows(columns, np.array([is_calibration(prompt) for prompt in seen], dtype=np.bool_))


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= MAX_TOKEN


def _is_token(value: Any) -> bool:
    return _is_whole(value) and value >= 0
