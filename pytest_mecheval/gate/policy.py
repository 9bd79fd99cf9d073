"""`mecheval.toml`: what a bundle must reach to pass the gate; read from outside the bundle only."""

import tomllib
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from pytest_mecheval.bundle.problems import suggestion, validation_problems
from pytest_mecheval.errors import UsageError

POLICY_FILE = "mecheval.toml"
TABLE = "gate"
MAX_POLICY_BYTES = 64 * 2**10
MAX_TESTED = 10_000
"""Largest number of tested claims that can be demanded."""

EVENTS = (
    *(
        "ctypes.dlopen",
        "open outside",
        "os.exec",
        "os.fork",
        "os.forkpty",
        "os.kill",
        "os.posix_spawn",
    ),
    *(
        "os.system",
        "pty.spawn",
        "socket.bind",
        "socket.connect",
        "socket.getaddrinfo",
        "socket.sendto",
    ),
    *("subprocess.Popen", "sys.addaudithook", "sys.setprofile", "sys.settrace", "urllib.Request"),
    "webbrowser.open",
)
"""What the runtime ledger can tell of attempts to reach beyond the script's own process."""

BlockingVerdict = Literal["REFUTED", "VACUOUS", "INCONCLUSIVE", "NOT_TESTABLE"]
Share = Annotated[float, Field(ge=0, le=1, strict=False)]
Count = Annotated[int, Field(ge=0, le=MAX_TESTED)]


class _Part(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True
    )


class Weights(_Part):
    """How much a claim counts in the share of its dimension."""

    headline: Annotated[float, Field(ge=0, le=1000, strict=False)] = 3.0
    """One of the bundle's main claims."""
    supporting: Annotated[float, Field(ge=0, le=1000, strict=False)] = 1.0
    """Any other claim, and every plan step."""


class Minimum(_Part):
    """Smallest weighted share of SUPPORTED among the tested claims, per dimension; 0 demands nothing."""

    coherence: Share = 0.0
    reproducibility: Share = 0.0
    generalizability: Share = 0.0


class Policy(_Part):
    """What a bundle must reach."""

    block: Annotated[tuple[BlockingVerdict, ...], Field(strict=False)] = (
        "REFUTED",
        "VACUOUS",
        "INCONCLUSIVE",
    )
    """One claim with such a verdict, and the bundle does not pass. A case without any verdict always blocks."""
    coverage: Share = 0.5
    """Smallest share of the stated findings that must have been tested."""
    tested: Count = 1
    """Smallest number of tested claims."""
    measured: Count = 1
    """Smallest number of SUPPORTED claims that rest on our own measurement (tier T2 or T3); what only the
    bundle's scripts say about themselves (T1) does not count."""
    isolation: Literal["bubblewrap", "landlock"] = "landlock"
    """The weakest isolation under which scripts of the bundle may run."""
    forbid: Annotated[tuple[str, ...], Field(strict=False)] = ()
    """Events of which not one may be among a script's attempts, such as `socket.connect`."""
    minimum: Minimum = Minimum()
    weights: Weights = Weights()

    @field_validator("forbid")
    @classmethod
    def _known_events(cls, events: tuple[str, ...]) -> tuple[str, ...]:
        for event in events:
            if event not in EVENTS:
                raise ValueError(f"no event {event!r} {suggestion(event, EVENTS)}")
        return events


def find_policy(given: Path | None, start: Path, bundle: Path) -> Path | None:
    """The policy file: the one named, else `mecheval.toml` in the directory the gate was started in.

    Args:
        given: from the command line.
        start: where the gate was started.
        bundle: absolute folder of the bundle.

    Returns:
        Its path, or None for the built-in defaults.

    Raises:
        UsageError: it lies inside the bundle, also through a link: the bundle would judge itself.
    """
    path = start / (given or POLICY_FILE)
    if given is None and not path.is_file():
        return None
    if path.resolve().is_relative_to(bundle.resolve()) or path.absolute().is_relative_to(bundle):
        raise UsageError(
            f"{path}: a policy inside the bundle would let the bundle judge itself; "
            "keep it outside and name it with --policy"
        )
    return path


def read_policy(path: Path | None) -> Policy:
    """The policy in a file; None gives the defaults.

    Raises:
        UsageError: unreadable, unknown keys (with the closest name), wrong values, or it can never fail.
    """
    if path is None:
        return Policy()
    try:
        content = path.read_bytes()
        if len(content) > MAX_POLICY_BYTES:
            raise UsageError(f"{path}: larger than {MAX_POLICY_BYTES} bytes")
        body = tomllib.loads(content.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: not TOML: {error}") from error
    unknown = sorted(set(body) - {TABLE})
    if unknown or not isinstance(body.get(TABLE, {}), dict):
        name = unknown[0] if unknown else TABLE
        raise UsageError(
            f"{path}: '{name}': the policy is one table [{TABLE}] {suggestion(name, [TABLE])}"
        )
    try:
        return Policy.model_validate(body.get(TABLE, {}))
    except ValidationError as error:
        problems = validation_problems(error, Policy)
        raise UsageError("\n".join(f"{path}: {problem}" for problem in problems)) from error
