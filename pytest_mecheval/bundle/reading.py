"""The only place that opens a bundle's files: read-only, no links, regular files, bounded sizes.

Every path is opened folder by folder relative to the root with O_NOFOLLOW, so a link planted between
listing and reading leads nowhere; O_NONBLOCK keeps a FIFO from hanging us.
"""

import contextlib
import errno
import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pytest_mecheval.bundle.escaping import escaped, has_invisible
from pytest_mecheval.errors import BundleError

MAX_FILES = 20_000
"""Files in one bundle; more is a data set or an environment, not something a reviewer can read."""
MAX_DEPTH = 32
"""Folders inside folders."""
MAX_HASHED_BYTES = 64 * 2**30
"""Largest file that is hashed; beyond it only a sparse file is plausible."""
_CHUNK_BYTES = 2**20

_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


class MissingFile(BundleError):
    """A stated path names nothing."""


class TooLarge(BundleError):
    """A file exceeds the limit for what it would be read as."""


@dataclass(frozen=True, slots=True)
class Listing:
    """What lies in a bundle: regular files, and why anything else was left out."""

    files: tuple[str, ...]
    """Relative paths with `/`, sorted."""
    notes: tuple[str, ...]
    """One line per skipped entry, sorted."""


def relative_parts(path: str) -> tuple[str, ...]:
    """The folders and the file name of a stated relative path.

    Raises:
        BundleError: the path is absolute, climbs with `..`, or cannot be shown faithfully.

    >>> relative_parts("logs/plan.md")
    ('logs', 'plan.md')
    """
    if has_invisible(path) or "\\" in path:
        raise BundleError(f"path '{escaped(path)}' holds characters no file name here may have")
    if path.startswith(("/", "~")):
        raise BundleError(f"path '{escaped(path)}' is absolute; name it relative to the bundle")
    parts = tuple(part for part in path.split("/") if part not in ("", "."))
    if ".." in parts:
        raise BundleError(f"path '{escaped(path)}' leaves the bundle with '..'")
    if not parts:
        raise BundleError(f"path '{escaped(path)}' names no file")
    return parts


def real_root(path: Path) -> Path:
    """The bundle's folder with links resolved (the user named it, so its own links are followed).

    Raises:
        BundleError: there is no such folder.
    """
    shown = escaped(str(path))
    try:
        root = path.resolve(strict=True)
        is_folder = root.is_dir()
    except FileNotFoundError:
        raise BundleError(f"{shown}: no such bundle (give the folder the agent left)") from None
    except (OSError, RuntimeError, ValueError) as error:
        raise BundleError(f"{shown}: cannot be opened as a bundle ({_reason(error)})") from None
    if not is_folder:
        raise BundleError(f"{shown}: is a file; a bundle is a folder")
    return root


def list_files(root: Path, ignored: Callable[[tuple[str, ...], bool], bool]) -> Listing:
    """Every regular file below the root, never through a link.

    Args:
        root: absolute path of the bundle's folder.
        ignored: (parts of the relative path, is a folder) -> leave it out without a word.

    Raises:
        BundleError: the root cannot be listed, or holds more than MAX_FILES files.
    """
    found: list[str] = []
    notes: list[str] = []
    pending: list[tuple[str, ...]] = [()]
    while pending:
        folder = pending.pop()
        try:
            entries = _entries(root, folder)
        except OSError as error:
            if not folder:
                raise BundleError(f"{root}: cannot be listed ({_reason(error)})") from None
            notes.append(f"{'/'.join(folder)}: cannot be listed ({_reason(error)}), skipped")
            continue
        for name, mode in entries:
            parts = (*folder, name)
            is_folder = stat.S_ISDIR(mode)
            if ignored(parts, is_folder):
                continue
            path = "/".join(parts)
            if problem := _unfit(name, mode, len(parts)):
                notes.append(f"{escaped(path)}: {problem}, skipped")
            elif is_folder:
                pending.append(parts)
            else:
                found.append(path)
        if len(found) > MAX_FILES:
            raise BundleError(
                f"{root}: more than {MAX_FILES} files; point at the bundle itself, "
                "not at an environment or a data set"
            )
    return Listing(tuple(sorted(found)), tuple(sorted(notes)))


def read_file(root: Path, path: str, limit: int) -> bytes:
    """The whole content of a regular file.

    Args:
        root: absolute path of the bundle's folder.
        path: relative to the root.
        limit: largest accepted size, bytes.

    Raises:
        MissingFile: nothing is there.
        TooLarge: it exceeds the limit.
        BundleError: hostile path, a link, a device, no permission.
    """
    with _opened(root, path) as (handle, size):
        if size > limit:
            raise TooLarge(f"{escaped(path)}: {size} bytes, at most {limit} are read")
        chunks: list[bytes] = []
        # One byte more than allowed: a file that grows, or lies about its size (/proc), is caught.
        left = limit + 1
        while left and (chunk := os.read(handle, min(left, _CHUNK_BYTES))):
            chunks.append(chunk)
            left -= len(chunk)
        if not left:
            raise TooLarge(f"{escaped(path)}: more than {limit} bytes, at most {limit} are read")
        return b"".join(chunks)


def read_start(root: Path, path: str, count: int) -> tuple[bytes, int]:
    """The first `count` bytes of a regular file (fewer when it is shorter) and its size in bytes.

    Raises:
        MissingFile, BundleError: as `read_file`.
    """
    chunks: list[bytes] = []
    with _opened(root, path) as (handle, size):
        while count and (chunk := os.read(handle, min(count, _CHUNK_BYTES))):
            chunks.append(chunk)
            count -= len(chunk)
    return b"".join(chunks), size


def hash_file(root: Path, path: str, limit: int = MAX_HASHED_BYTES) -> tuple[int, str]:
    """Size in bytes and hex SHA-256 of a regular file, read in pieces.

    Raises:
        MissingFile, TooLarge, BundleError: as `read_file`.
    """
    state = hashlib.sha256()
    total = 0
    with _opened(root, path) as (handle, size):
        if size > limit:
            raise TooLarge(f"{escaped(path)}: {size} bytes, at most {limit} are hashed")
        while chunk := os.read(handle, _CHUNK_BYTES):
            total += len(chunk)
            if total > limit:
                raise TooLarge(f"{escaped(path)}: more than {limit} bytes, at most that are hashed")
            state.update(chunk)
    return total, state.hexdigest()


def stated_file(root: Path, path: str) -> Path:
    """The absolute path of a file that a manifest or a claim file names, checked to be harmless.

    Raises:
        MissingFile: nothing is there.
        BundleError: absolute, `..`, a link on the way, not a regular file, no permission.
    """
    with _opened(root, path):
        return root.joinpath(*relative_parts(path))


def decoded(content: bytes) -> tuple[str, bool]:
    r"""Text with `\n` line ends, and whether undecodable bytes had to be replaced.

    >>> decoded(b"\xef\xbb\xbfone\r\ntwo\xff")
    ('one\ntwo\ufffd', True)
    """
    try:
        text, replaced = content.decode("utf-8-sig"), False
    except UnicodeDecodeError:
        text, replaced = content.decode("utf-8-sig", errors="replace"), True
    return text.replace("\r\n", "\n").replace("\r", "\n"), replaced


def _entries(root: Path, folder: tuple[str, ...]) -> list[tuple[str, int]]:
    """Names and modes of a folder's entries, sorted so that every listing is the same."""
    handle = _open_folder(root, folder)
    try:
        with os.scandir(handle) as entries:
            return sorted((entry.name, _mode(entry)) for entry in entries)
    finally:
        os.close(handle)


def _mode(entry: "os.DirEntry[str]") -> int:
    try:
        return entry.stat(follow_symlinks=False).st_mode
    except OSError:
        return 0  # gone or unreadable: no kind of file we read


def _unfit(name: str, mode: int, depth: int) -> str:
    """Why an entry is left out, or nothing."""
    if has_invisible(name) or "\\" in name:
        return "name with control, hidden or undecodable characters"
    if stat.S_ISLNK(mode):
        return "symbolic link, not followed"
    if stat.S_ISDIR(mode):
        return f"deeper than {MAX_DEPTH} folders" if depth >= MAX_DEPTH else ""
    return "" if stat.S_ISREG(mode) else "not a regular file"


def _open_folder(root: Path, parts: tuple[str, ...]) -> int:
    handle = os.open(root, _FOLDER_FLAGS)
    for part in parts:
        try:
            inner = os.open(part, _FOLDER_FLAGS, dir_fd=handle)
        finally:
            os.close(handle)
        handle = inner
    return handle


@contextlib.contextmanager
def _opened(root: Path, path: str) -> Iterator[tuple[int, int]]:
    """Handle and size in bytes of a regular file of the bundle."""
    *folders, name = relative_parts(path)
    shown = escaped(path)
    try:
        folder = _open_folder(root, tuple(folders))
        try:
            handle = os.open(name, _FILE_FLAGS, dir_fd=folder)
        finally:
            os.close(folder)
    except FileNotFoundError:
        raise MissingFile(f"{shown}: no such file in the bundle") from None
    except OSError as error:
        raise BundleError(f"{shown}: cannot be opened ({_reason(error)})") from None
    try:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            raise BundleError(f"{shown}: not a regular file")
        try:
            yield handle, status.st_size
        except OSError as error:
            raise BundleError(f"{shown}: cannot be read ({_reason(error)})") from None
    finally:
        os.close(handle)


def _reason(error: Exception) -> str:
    """The system's words for a failure, without path or number."""
    if isinstance(error, OSError):
        if error.errno in (errno.ELOOP, errno.ENOTDIR):
            return "a symbolic link or no folder on the way; links are not followed"
        if error.errno is not None:
            return os.strerror(error.errno).lower()
    return escaped(str(error))
