"""Which parts of this machine a confined program has to read: the system's libraries, an interpreter, a GPU."""

import glob
import os
import sys
from pathlib import Path

from pytest_mecheval.errors import UsageError

SYSTEM_FOLDERS = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store")
"""Programs and libraries; no configuration, no state."""
SYSTEM_FILES = (
    "/etc/ld.so.cache",
    "/etc/alternatives",
    "/etc/localtime",
    "/etc/mime.types",
    "/etc/fonts",
)
GPU_NODES = (
    *("/dev/nvidia[0-9]*", "/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia-uvm-tools"),
    *("/dev/nvidia-caps/*", "/dev/kfd", "/dev/dri", "/dev/dxg"),
)
GPU_READ = ("/sys", "/usr/lib/wsl", "/proc/driver/nvidia")
"""Without /sys, CUDA finds no device."""
MAX_LINKS = 40
"""The kernel's own bound on links in one path."""


def system_paths() -> tuple[Path, ...]:
    """The operating system's programs and libraries that exist here."""
    return tuple(Path(path) for path in (*SYSTEM_FOLDERS, *SYSTEM_FILES) if os.path.lexists(path))


def gpu_nodes() -> tuple[Path, ...]:
    """GPU device files that exist here."""
    return tuple(Path(path) for pattern in GPU_NODES for path in sorted(glob.glob(pattern)))  # noqa: PTH207 - absolute


def gpu_read_paths() -> tuple[Path, ...]:
    """What a GPU's user-space driver reads besides its library."""
    return tuple(Path(path) for path in GPU_READ if os.path.lexists(path))


def interpreter_paths(python: Path = Path(sys.executable)) -> tuple[Path, ...]:
    """Folders an interpreter and its packages live in; each link on the way counts as a place of its own.

    Args:
        python: absolute path of a Python executable, also of a virtual environment.

    Returns:
        Installation prefixes, the outermost first, none inside another.

    Raises:
        UsageError: a prefix is a home folder or the root, so that reading it would expose everything.
    """
    places = _prefixes(python)
    config = python.parent.parent / "pyvenv.cfg"
    if config.is_file():
        home = _home_line(config)
        if home:
            places |= _prefixes(home / python.name)
    if Path(os.path.realpath(python)) == Path(os.path.realpath(sys.executable)):
        places |= {Path(sys.base_prefix), Path(os.path.realpath(sys.base_prefix))}
        if python == Path(sys.executable):
            places |= {Path(sys.prefix), Path(os.path.realpath(sys.prefix))}
    for place in places:
        _refuse_broad(place)
    return outermost(places)


def outermost(paths: set[Path]) -> tuple[Path, ...]:
    """The paths without those that lie inside another, sorted.

    >>> [str(path) for path in outermost({Path("/a/b"), Path("/a"), Path("/c")})]
    ['/a', '/c']
    """
    return tuple(
        sorted(path for path in paths if not any(parent in paths for parent in path.parents))
    )


def _links(path: Path) -> list[Path]:
    """The path and everything it links to, one link at a time, and where it really is."""
    found = [path]
    for _ in range(MAX_LINKS):
        if not path.is_symlink():
            break
        path = Path(os.path.normpath(path.parent / path.readlink()))
        found.append(path)
    return [*found, Path(os.path.realpath(path))]


def _prefixes(python: Path) -> set[Path]:
    """Installation folders along the links; what lies in a system folder is in view already."""
    system = tuple(Path(folder) for folder in SYSTEM_FOLDERS)
    return {
        link.parent.parent
        for link in _links(python)
        if not any(link.is_relative_to(folder) for folder in system)
    }


def _home_line(config: Path) -> Path | None:
    for line in config.read_text(encoding="utf-8", errors="replace").splitlines():
        name, _, value = line.partition("=")
        if name.strip() == "home" and value.strip().startswith("/"):
            return Path(value.strip())
    return None


def _refuse_broad(place: Path) -> None:
    home = Path(os.path.realpath(os.path.expanduser("~")))  # noqa: PTH111 - never raises, unlike Path.home
    real = Path(os.path.realpath(place))
    if real == Path("/") or real in (home, *home.parents):
        raise UsageError(
            f"sandbox: the interpreter's prefix is {place}: showing it would show the home folder; "
            "use a virtual environment"
        )
