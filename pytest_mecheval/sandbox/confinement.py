"""What is asked of a sandbox and what comes back, as frozen data; nothing here starts a process."""

import dataclasses
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pytest_mecheval.errors import UsageError

Status = Literal["finished", "timed_out", "killed", "limit"]
MAX_SECONDS = 86_400
"""Most that can be asked for one run, a day: far below what a process limit of the kernel can hold."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one confined run may use; each applies to the whole process tree unless it says otherwise."""

    cpu_s: float = 600.0
    """CPU seconds, user plus system, of all processes together."""
    wall_s: float = 900.0
    """Seconds from start until everything is killed."""
    memory_mib: int = 4096
    """Resident memory, MiB; one process cannot map much more than this either (not with a GPU)."""
    file_mib: int = 512
    """Largest single file, MiB."""
    scratch_mib: int = 2048
    """All files in the scratch folder together, MiB; checked a few times a second."""
    scratch_files: int = 50_000
    """Files and folders in the scratch folder."""
    open_files: int = 256
    """File descriptors of one process."""
    processes: int = 256
    """Processes and threads alive at once; torch alone starts several per core."""
    output_kib: int = 1024
    """How much of stdout, and of stderr, is kept; the rest is read and dropped."""

    def __post_init__(self) -> None:
        for name in self.__slots__:
            if getattr(self, name) <= 0:
                raise UsageError(f"sandbox: limit {name}: must be above 0")


NEVER_COVERED = (
    "a flaw in the kernel, which is shared with this machine",
    "timing and other side channels",
    "numbers that a script makes up: what it says of itself is testimony (T1)",
)
"""What no isolation here protects from; said in every report."""


@dataclass(frozen=True, slots=True)
class Confinement:
    """One program to run in isolation."""

    argv: tuple[str, ...]
    """The command; its first word is an absolute path that can be read inside."""
    scratch: Path
    """The one folder it may write; made private (0700). `home` and `tmp` in it are its home and temporary
    folders, so a copy of a bundle goes into a folder of its own beside them."""
    read_only: tuple[Path, ...] = ()
    """Files and folders it may read and execute, beside the operating system's libraries."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """All the variables it gets: nothing is inherited. See `variables.scrubbed`."""
    limits: Limits = field(default_factory=Limits)
    cwd: Path | None = None
    """Working directory; None is the scratch folder."""
    gpu: bool = False
    """Let it use the GPU's device files; the driver then is part of what must be trusted."""
    channels: tuple[int, ...] = ()
    """Open file descriptors it keeps under the same numbers; all others are closed."""

    def __post_init__(self) -> None:
        for path in (self.scratch, *self.read_only, *((self.cwd,) if self.cwd else ())):
            if not path.is_absolute():
                raise UsageError(f"sandbox: {path}: must be an absolute path")
        if not self.argv or not self.argv[0].startswith("/"):
            raise UsageError("sandbox: the command must start with an absolute path")
        if any("\0" in word for word in (*self.argv, *self.environment.values())):
            raise UsageError("sandbox: the command or a variable contains a NUL character")
        scratch = self.scratch.resolve()
        for path in self.read_only:
            # Landlock grants add up: a read-only folder inside a writable one would be writable.
            if path.resolve().is_relative_to(scratch):
                raise UsageError(
                    f"sandbox: {path}: read-only, but inside the writable folder {self.scratch}; "
                    "keep it outside"
                )

    @property
    def working_directory(self) -> Path:
        """Where the program starts."""
        return self.cwd or self.scratch


@dataclass(frozen=True, slots=True)
class Isolation:
    """What protected this machine while foreign code ran; shown in the report."""

    backend: str
    guarantees: tuple[str, ...]
    """Capabilities of the contract that hold."""
    gaps: tuple[tuple[str, str], ...]
    """Capabilities that do not hold, each with the reason."""
    details: tuple[str, ...] = ()
    """Versions and variants in force."""
    confined: bool = True
    """False when nothing protects files, network and processes: evidence is then T1 at most."""

    def described(self, limits: Limits | None = None, *, gpu: bool = False) -> dict[str, object]:
        """Plain JSON for the report: backend, what holds, what does not and why.

        Args:
            limits: of the run; left out when None.
            gpu: whether it was let at the GPU.
        """
        body: dict[str, object] = {
            "backend": self.backend,
            "confined": self.confined,
            "details": list(self.details),
            "guarantees": list(self.guarantees),
            "gaps": dict(self.gaps),
            "network": "none" if self.confined else "open",
            "gpu": "granted" if gpu else "off",
            "user": f"uid {os.getuid()}",
            # A backend is used only after a program of ours has tried to get out of it.
            "self_test": "every attempt to get out was refused" if self.confined else "none",
            "never_covered": list(NEVER_COVERED),
        }
        return body if limits is None else body | {"limits": dataclasses.asdict(limits)}

    @property
    def gap_names(self) -> frozenset[str]:
        """Names of the capabilities that do not hold."""
        return frozenset(name for name, _ in self.gaps)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a confined run ended; what it wrote lies in its scratch folder and is not to be trusted."""

    status: Status
    """finished: it ended by itself, whatever its exit code; timed_out: the wall limit; limit: another one;
    killed: by a signal that was not ours."""
    exit_code: int | None
    """None when a signal ended it."""
    signal: int | None
    wall_s: float
    cpu_s: float
    """Of all its processes that were waited for, or seen alive."""
    max_rss_mib: float
    """Largest resident memory seen, of the whole tree or of one process, whichever is more."""
    stdout: Path
    """What it printed, cut at `Limits.output_kib`; bytes as they came."""
    stderr: Path
    isolation: Isolation
    notes: tuple[str, ...] = ()
    """What else happened, in plain words: which limit, survivors ended, output dropped."""

    @property
    def succeeded(self) -> bool:
        """It ended by itself with exit code 0."""
        return self.status == "finished" and self.exit_code == 0
