"""What the command line says, as plain values that controller and workers compute alike."""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pytest_mecheval.errors import UsageError
from pytest_mecheval.sandbox.confinement import Limits
from pytest_mecheval.wire import digest

OUTLINED = "mecheval_outlined"
"""Where the controller leaves these for xdist workers, among the options."""
HASH_LENGTH = 6
"""Hexadecimal digits that tell two bundles of one name apart."""


@dataclass(frozen=True)
class Settings:
    """Every option, with paths made absolute against the directory pytest was started in."""

    bundles: tuple[Path, ...]
    claim_files: tuple[Path | None, ...]
    """One per bundle; None means the file beside the bundle."""
    out: Path
    evidence: Path
    salt: str
    sandbox: str
    """Isolation for the bundle's own scripts."""
    limits: Limits
    """How much one run of such a script may use."""
    gpu: bool
    """Whether it is let at the GPU."""
    environment: str
    """Which interpreter they run with: `auto` or `current`."""
    frozen: bool
    inconclusive: Literal["fail", "skip"]
    jobs: int
    threads: int
    invocation_dir: Path
    session_id: str
    """Names this run; failures of one run are not carried into the next."""
    outlined: frozenset[Path] = frozenset()
    """Claim files that rules alone wrote for this run, because the bundle has none."""

    @property
    def as_options(self) -> dict[str, list[str]]:
        """Bundles and claim files as options, so that another process reads the same ones."""
        named = [str(path) for path in self.claim_files if path is not None]
        return {
            "mecheval": [str(bundle) for bundle in self.bundles],
            "mecheval_claims": named,
            OUTLINED: sorted(str(path) for path in self.outlined),
        }


def shown(path: Path, start: Path) -> str:
    """A path relative to `start` when it lies below it, else absolute."""
    return path.relative_to(start).as_posix() if path.is_relative_to(start) else str(path)


def read_settings(
    option: Any, invocation_dir: Path, session_id: str, environment: Mapping[str, str] = os.environ
) -> Settings:
    """The settings of a pytest run.

    Args:
        option: `config.option`.
        invocation_dir: where pytest was started; relative paths start here.
        session_id: chosen by the controller.
        environment: read for `CI`.

    Raises:
        UsageError: the number of claim files is not the number of bundles.
    """
    given = [_absolute(invocation_dir, text) for text in option.mecheval]
    claims = [_absolute(invocation_dir, text) for text in option.mecheval_claims]
    if claims and len(claims) != len(given):
        raise UsageError(
            f"--mecheval-claims: {len(claims)} given for {len(given)} bundles; "
            "give one per --mecheval, in the same order, or none"
        )
    pairs: dict[Path, Path | None] = {}
    for position, bundle in enumerate(given):
        pairs.setdefault(bundle, claims[position] if claims else None)
    return Settings(
        bundles=tuple(pairs),
        claim_files=tuple(pairs.values()),
        out=_absolute(invocation_dir, option.mecheval_out),
        evidence=_absolute(invocation_dir, option.mecheval_evidence),
        salt=option.mecheval_salt,
        sandbox=option.mecheval_sandbox,
        limits=_limits(option.mecheval_script_seconds),
        gpu=_gpu(wanted=option.mecheval_gpu),
        environment=option.mecheval_environment,
        frozen=option.mecheval_frozen or environment.get("CI", "").lower() in ("1", "true"),
        inconclusive=option.mecheval_inconclusive,
        jobs=option.mecheval_jobs,
        threads=option.mecheval_threads,
        invocation_dir=invocation_dir,
        session_id=session_id,
        outlined=frozenset(Path(text) for text in getattr(option, OUTLINED, ())),
    )


def _limits(seconds: int | None) -> Limits:
    return Limits() if seconds is None else Limits(cpu_s=seconds, wall_s=seconds)


def _gpu(*, wanted: bool) -> bool:
    """Whether scripts get the GPU.

    Raises:
        UsageError: it is wanted and this machine shows none.
    """
    if not wanted:
        return False
    from pytest_mecheval.sandbox.view import GPU_NODES, gpu_nodes

    if not gpu_nodes():
        raise UsageError(
            f"--mecheval-gpu: this machine shows no GPU (looked for {', '.join(GPU_NODES)})"
        )
    return True


def _absolute(start: Path, text: str) -> Path:
    return Path(os.path.normpath(start / Path(text).expanduser()))


def folder_names(bundles: Sequence[Path], start: Path) -> tuple[str, ...]:
    """A name per bundle, usable as folder and in a module name; equal names get a short hash.

    >>> folder_names([Path("/w/a/my bundle"), Path("/w/b/x")], Path("/w"))
    ('my_bundle', 'x')
    >>> [len(name) for name in folder_names([Path("/w/a/x"), Path("/w/b/x")], Path("/w"))]
    [8, 8]
    """
    plain = [
        re.sub(r"\W+", "_", bundle.name, flags=re.ASCII).strip("_") or "bundle"
        for bundle in bundles
    ]
    return tuple(
        f"{name}_{digest(shown(bundle, start))[:HASH_LENGTH]}"
        if [other.lower() for other in plain].count(name.lower()) > 1
        else name
        for name, bundle in zip(plain, bundles, strict=True)
    )
