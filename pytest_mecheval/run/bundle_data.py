"""Prompts from a bundle's own data function: called once in the sandbox, checked, kept as a data file in the store.

What comes back is data by strangers: it is read by the same strict reader as a data file of the bundle,
each clean prompt counts once, and the content of a prompt decides whether it calibrates or evaluates, so
no prompt does both. Measurements on it are T2: our interventions on prompts that the bundle chose.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock

from pytest_mecheval.errors import BundleError, SubjectError, UsageError
from pytest_mecheval.run.execution import RESULTS
from pytest_mecheval.run.rerun import ANY_ENVIRONMENT, Environment, interpreter
from pytest_mecheval.sandbox.asking import Answer, Question, ask
from pytest_mecheval.sandbox.backends import choose
from pytest_mecheval.sandbox.channel import Array, Expected
from pytest_mecheval.sandbox.confinement import Limits
from pytest_mecheval.tasks import data_file
from pytest_mecheval.wire import (
    DataRef,
    Record,
    digest,
    dump,
    load_record,
    record_path,
    write_atomically,
)

FORMAT = 1
"""Raised whenever prompts are asked for or kept in another way; part of every address."""
ASKED = 750
"""Prompts asked for in one call."""
WANTED = 1500
"""Different prompts after which nothing more is asked for: four fifths evaluate, up to 1024 decide."""
MAX_CALLS = 64
"""For functions that return few prompts at a time."""
LIMITS = Limits(cpu_s=300.0, wall_s=600.0)
FOLDER = "prompts"
"""Folder of the store that holds the data files."""
SEED_RANGE = 2**31
MAX_ANSWER_BYTES = 4 * data_file.MAX_BYTES


@dataclass(frozen=True)
class DataFunction:
    """A data function of a bundle, and with what it is called."""

    root: Path
    """The bundle's folder."""
    bundle_digest: str
    """Hash over the bundle's files."""
    files: tuple[str, ...]
    """Relative paths of the files it may see."""
    entry: str
    """`src/data.py:make_batch`."""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    """From the claim file; plain JSON."""
    salt: str = ""
    """Changes the seeds."""
    sandbox: str = "auto"
    environment: Environment = ANY_ENVIRONMENT


@dataclass(frozen=True)
class Prompts:
    """The data file a function gave, and what is to be said about it."""

    ref: DataRef
    notes: tuple[str, ...]
    isolation: str


def prompts_of(function: DataFunction, store: Path) -> Prompts:
    """The function's prompts, from the store when it has been called before.

    Raises:
        SubjectError: it cannot be called here, or what it returns is no usable set of prompts.
    """
    try:
        backend = choose(function.sandbox)
    except UsageError as error:
        raise SubjectError(str(error)) from error
    python = interpreter(function.root, function.environment, store)
    seeds = [_seed(function, number) for number in range(MAX_CALLS)]
    body = [FORMAT, function.bundle_digest, function.entry, dict(function.arguments), seeds]
    address = digest(["prompts", *body, backend.name, python.identity])
    path = record_path(store, address)
    path.parent.mkdir(parents=True, exist_ok=True)
    # One call for all processes: workers find what the controller asked for.
    with FileLock(path.with_suffix(".lock")):
        record = _stored(path)
        if record is None or (not record.unavailable and not _kept(store, record).is_file()):
            record = _asked(
                function, seeds, address, store, lambda q: ask(q, backend, python.python)
            )
            write_atomically(path, dump(record))
    if record.unavailable:
        raise SubjectError(record.unavailable)
    facts = record.facts
    ref = DataRef(file=str(_kept(store, record).absolute()), sha256=str(facts["sha256"]))
    return Prompts(ref, tuple(map(str, facts["notes"])), str(facts["isolation"]))


def _seed(function: DataFunction, number: int) -> int:
    """The seed of one call (METHODS 12.5): the salt and the task decide it, never the function."""
    label = [function.salt, function.entry, dict(function.arguments), number]
    return int(digest(["seed", *label])[:12], 16) % SEED_RANGE


def _stored(path: Path) -> Record | None:
    try:
        return load_record(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _kept(store: Path, record: Record) -> Path:
    return store / FOLDER / f"{record.facts['sha256']}.jsonl"


def _asked(
    function: DataFunction, seeds: list[int], address: str, store: Path, asking: Any
) -> Record:
    """Ask and check; a refusal is a record too, so that nobody asks again."""
    question = Question(
        root=function.root,
        files=tuple(path for path in function.files if path.split("/", 1)[0] != RESULTS),
        task={
            "do": "draw",
            "entry": function.entry,
            "arguments": dict(function.arguments),
            "n": ASKED,
            "seeds": seeds,
            "wanted": WANTED,
        },
        expected={
            "rows.*": Expected(("U8",), (None,)),
            "takes": Expected(("BOOL",), (2,)),
        },
        limits=LIMITS,
        answer_bytes=MAX_ANSWER_BYTES,
    )
    try:
        answer: Answer = asking(question)
        calls = [answer.tensors[name] for name in _in_order(answer.tensors)]
        body, notes = checked(function.entry, [call.tobytes() for call in calls])
    except (SubjectError, BundleError) as error:
        return Record(address, (), unavailable=_one_line(function.entry, str(error)))
    sha256 = data_file.fingerprint(body)
    takes_seed = bool(answer.tensors["takes"][1])
    if not takes_seed:
        notes = (*notes, "it takes no seed, so the global generators were seeded before each call")
    facts = {
        "sha256": sha256,
        "notes": [f"{function.entry}: {note}" for note in notes],
        "isolation": answer.isolation.backend,
    }
    record = Record(address, (), facts=facts)
    write_atomically(_kept(store, record), body)
    return record


def _in_order(tensors: Mapping[str, Array]) -> list[str]:
    rows = [name for name in tensors if name.startswith("rows.")]
    if sorted(rows) != sorted(f"rows.{number}" for number in range(len(rows))) or not rows:
        raise SubjectError("malformed measurement: calls are missing")
    return [f"rows.{number}" for number in range(len(rows))]


def checked(entry: str, calls: list[bytes]) -> tuple[bytes, tuple[str, ...]]:
    """The different prompts of all calls as one data file, and what is to be said about them.

    Args:
        entry: the function, for messages.
        calls: JSON lines that each call returned.

    Returns:
        A data file that the bundle's file format describes, each clean prompt once, and notes.

    Raises:
        SubjectError: rows that are malformed, contradict each other or hold no difference, or too few
            different prompts.
    """
    rows: dict[bytes, dict[str, Any]] = {}
    fresh: list[int] = []
    total = 0
    for number, body in enumerate(calls):
        # The strict reader first: only what it accepts is looked at any further.
        data_file.parse(f"{entry} (call {number + 1}).jsonl", body)
        known = len(rows)
        for line in body.splitlines():
            if line.strip():
                total += 1
                _take(entry, json.loads(line), rows)
        fresh.append(len(rows) - known)
    found = b"\n".join(
        json.dumps(row, sort_keys=True, separators=(",", ":")).encode() for row in rows.values()
    )
    if len(found) > data_file.MAX_BYTES:
        raise SubjectError(f"{entry}: more than {data_file.MAX_BYTES} bytes of prompts")
    table = data_file.parse(f"{entry}.jsonl", found)
    notes = []
    always = len(fresh) > 1 and not any(fresh[1:])
    if always:
        notes.append(f"always the same {len(rows)} prompts, whatever the seed")
    elif (repeated := total - len(rows)) > 0:
        notes.append(f"{repeated} of {total} prompts came again and count once")
    if not any(_enough(rows_of) for rows_of in table.values()):
        same = "always the same" if always else "only"
        need = data_file.MIN_ROWS
        raise SubjectError(
            f"{entry}: {same} {len(rows)} different prompts in {total}, too few to hold out a split "
            f"(at least {need['calibration']} that calibrate and {need['evaluation']} that evaluate)"
        )
    return found, tuple(notes)


def _take(entry: str, row: dict[str, Any], rows: dict[bytes, dict[str, Any]]) -> None:
    """Keep a prompt that is new; one that comes again must have the same answer."""
    if row["tokens"] == row["counterfactual"]:
        raise SubjectError(f"{entry}: a counterfactual equals its prompt, so it changes nothing")
    key = json.dumps([row.get("stratum"), row["tokens"]]).encode()
    before = rows.setdefault(key, row)
    if before["answer"] != row["answer"]:
        raise SubjectError(
            f"{entry}: the same prompt has answer {before['answer']} and answer {row['answer']}"
        )


def _enough(rows: data_file.Rows) -> bool:
    calibration = int(rows.calibration.sum())
    evaluation = len(rows.calibration) - calibration
    need = data_file.MIN_ROWS
    return calibration >= need["calibration"] and evaluation >= need["evaluation"]


def _one_line(entry: str, text: str) -> str:
    """A reason as one sentence that names the function."""
    text = text.replace(".jsonl: ", ": ")
    first, *others = [line.strip() for line in text.splitlines() if line.strip()]
    more = f" (and {len(others)} more problems)" if others else ""
    return (first if first.startswith(entry) else f"{entry}: {first}") + more
