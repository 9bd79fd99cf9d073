"""The interpreter a bundle's code runs in: ours where it fits, else a private one built from what it declares.

Building happens outside the sandbox, so nothing of the bundle may run then: only wheels of named releases
are unpacked, by our own installer, and the new interpreter is started inside the sandbox only.
"""

import dataclasses
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
import venv
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from filelock import FileLock, Timeout

from pytest_mecheval.sandbox.backend import remove_tree
from pytest_mecheval.sandbox.packages import installed, shown
from pytest_mecheval.sandbox.requirements import (
    Declared,
    declared,
    missing_here,
    names,
    python_fits,
)
from pytest_mecheval.sandbox.view import interpreter_paths
from pytest_mecheval.wire import digest, write_atomically

FORMAT = 1
"""Raised when environments are built differently; old ones are then left alone."""
BUILD_SECONDS = 1800.0
"""How long an installation may take; a scientific stack is a few gigabytes."""
FAILURE_SECONDS = 600.0
"""A failed installation is not tried again before this, by any worker."""
COMPLETE = "complete.json"
FAILED = "failed.json"
LAST_WORDS = 600
PASSED_ON = (
    *("PATH", "HOME", "TMPDIR", "LANG", "http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY"),
    *("HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "XDG_CACHE_HOME"),
)
PASSED_ON_STARTS = ("PIP_", "UV_")
"""The operator's own settings of the installers; bundle code never sees any of it."""


@dataclass(frozen=True, slots=True)
class Interpreter:
    """A Python to run a bundle's code with."""

    python: Path
    read_only: tuple[Path, ...]
    """What has to be readable inside the sandbox for it to start."""
    origin: str
    """Where its packages come from, for the report."""
    notes: tuple[str, ...] = ()
    site: Path | None = None
    """The folder of its packages; None is this process's own path."""
    declared: tuple[str, ...] = ()
    """Names of the packages the bundle declares."""

    @property
    def identity(self) -> str:
        """Hash of what must be equal for two runs to be runs of the same thing: version and packages."""
        return _identity(self.site)

    @property
    def facts(self) -> dict[str, object]:
        """Plain JSON for the report: origin, Python version, versions of the packages that matter."""
        return {
            "origin": self.origin,
            "python": platform.python_version(),
            "packages": shown(installed(self.site), self.declared),
            "notes": list(self.notes),
        }


@cache
def _identity(site: Path | None) -> str:
    return digest([sys.version, sys.platform, platform.machine(), dict(installed(site))])


@dataclass(frozen=True, slots=True)
class NotRestored:
    """The bundle's environment cannot be restored (checklist RP2); `reason` is for the report."""

    reason: str
    notes: tuple[str, ...] = ()


def current(
    origin: str = "the interpreter of this run", notes: tuple[str, ...] = ()
) -> Interpreter:
    """The interpreter of this process."""
    python = Path(sys.executable)
    return Interpreter(python, interpreter_paths(python), origin, notes)


def current_for(bundle: Path, *, stated: str = "", python: str = "") -> Interpreter:
    """The interpreter of this process whatever the bundle declares; what differs is in its notes."""
    wanted = declared(bundle.absolute(), stated, python)
    missing = missing_here(wanted.packages)
    if not python_fits(wanted.python, platform.python_version()):
        missing = (f"Python {wanted.python}", *missing)
    differs = f"{wanted.file} is not satisfied: {', '.join(missing)}" if missing else ""
    found = current(notes=(*wanted.notes, *wanted.refused, *filter(None, [differs])))
    return dataclasses.replace(found, declared=names(wanted.packages))


def interpreter_for(
    bundle: Path, cache: Path, *, install: bool = True, stated: str = "", python: str = ""
) -> Interpreter | NotRestored:
    """The interpreter for a bundle.

    Args:
        bundle: its folder; only declarations are read.
        cache: folder for private environments, one per set of requirements.
        install: may packages be fetched; otherwise an environment that was built before is used.
        stated: the requirements file its manifest names; empty: looked for.
        python: the Python version its manifest names; empty: any.
    """
    cache = cache.absolute()
    wanted = declared(bundle.absolute(), stated, python)
    version = platform.python_version()
    if wanted.refused:
        return NotRestored(f"{wanted.file}: {'; '.join(wanted.refused)}", wanted.notes)
    if not python_fits(wanted.python, version):
        return NotRestored(
            f"{wanted.file}: needs Python {wanted.python}, this is {version}", wanted.notes
        )
    missing = missing_here(wanted.packages)
    if not missing:
        satisfying = f", which satisfies {wanted.file}" if wanted.file else ""
        found = current(f"the interpreter of this run{satisfying}", wanted.notes)
        return dataclasses.replace(found, declared=names(wanted.packages))
    return _private(wanted, missing, cache, install=install)


def address(packages: tuple[str, ...]) -> str:
    """Name of the environment that holds these packages, for this interpreter and platform."""
    body = [FORMAT, sys.version, sys.platform, platform.machine(), os.path.realpath(sys.executable)]
    return hashlib.sha256(json.dumps([*body, *packages]).encode()).hexdigest()[:16]


def _private(
    wanted: Declared, missing: tuple[str, ...], cache: Path, *, install: bool
) -> Interpreter | NotRestored:
    name = address(wanted.packages)
    place = cache / name
    cache.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(cache / f"{name}.lock", timeout=BUILD_SECONDS):
            if not (place / COMPLETE).is_file():
                problem = _failed_lately(place)
                if not problem and not install:
                    problem = "not built yet, and nothing may be installed"
                problem = problem or _build(wanted.packages, place)
                if problem:
                    return NotRestored(
                        f"{wanted.file}: {', '.join(missing)}: {problem}", wanted.notes
                    )
    except Timeout:
        return NotRestored(f"{wanted.file}: another process builds it for too long", wanted.notes)
    python = place / "bin" / "python"
    notes = (*wanted.notes, f"differs from this run's interpreter: {', '.join(missing)}")
    return Interpreter(
        python,
        interpreter_paths(python),
        f"a private environment from {wanted.file}",
        notes,
        site=_site(place),
        declared=names(wanted.packages),
    )


def _site(place: Path) -> Path:
    """Where the packages of a private environment lie."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    return place / "lib" / version / "site-packages"


def _failed_lately(place: Path) -> str:
    try:
        body = json.loads((place / FAILED).read_text(encoding="utf-8"))
        recent = time.time() - float(body["at"]) < FAILURE_SECONDS
        return str(body["problem"]) if recent else ""
    except (OSError, ValueError, KeyError):
        return ""


def _build(packages: tuple[str, ...], place: Path) -> str:
    """Make the environment; returns what went wrong, empty when it is complete."""
    remove_tree(place)
    place.mkdir(parents=True)
    venv.EnvBuilder(symlinks=True, with_pip=False).create(place)
    problem = _install(packages, _site(place))
    if problem:
        body = {"at": time.time(), "problem": problem}
        write_atomically(place / FAILED, json.dumps(body))
        return problem
    write_atomically(place / COMPLETE, json.dumps({"packages": packages, "python": sys.version}))
    return ""


def installer(target: Path, listed: Path) -> list[str] | None:
    """The command that unpacks wheels into a folder: uv where present, else our pip, else None."""
    target_options = ["--target", str(target), "--only-binary", ":all:", "-r", str(listed)]
    if uv := shutil.which("uv"):
        return [uv, "--no-config", "pip", "install", "--python", sys.executable, *target_options]
    probe = [sys.executable, "-I", "-c", "import pip"]
    if subprocess.run(probe, capture_output=True, check=False).returncode == 0:  # noqa: S603 - fixed command
        quiet = ("--no-input", "--disable-pip-version-check", "--no-compile", "--quiet")
        return [sys.executable, "-I", "-m", "pip", "install", *quiet, *target_options]
    return None


def _install(packages: tuple[str, ...], target: Path) -> str:
    with tempfile.TemporaryDirectory(prefix="install-") as folder:
        # An empty folder of our own: installers read settings from where they are started.
        listed = Path(folder) / "packages.txt"
        listed.write_text("\n".join(packages) + "\n", encoding="utf-8")
        command = installer(target, listed)
        if command is None:
            return "neither uv nor pip is here to install it"
        environment = {
            name: value
            for name, value in os.environ.items()
            if name in PASSED_ON or name.startswith(PASSED_ON_STARTS)
        }
        try:
            done = subprocess.run(  # noqa: S603 - our installer; requirements are in a file, not options
                command,
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=BUILD_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return f"not installed within {BUILD_SECONDS:.0f} s"
        except OSError as error:
            return f"the installer could not start: {error}"
    if done.returncode == 0:
        return ""
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    return " | ".join(lines)[-LAST_WORDS:] or f"the installer ended with {done.returncode}"


def described(result: Interpreter | NotRestored) -> dict[str, object]:
    """The result as plain JSON for the report."""
    body = dataclasses.asdict(result)
    return {
        "restored": isinstance(result, Interpreter),
        **{
            name: [str(item) for item in value] if isinstance(value, tuple) else str(value)
            for name, value in body.items()
        },
    }
