"""The text of a claim file: a regular file of bounded size in UTF-8, or one clear problem."""

import os
import stat
from pathlib import Path

from pytest_mecheval.bundle.escaping import escaped
from pytest_mecheval.errors import ClaimFileError

MAX_CLAIM_FILE_BYTES = 2**20
"""Some three thousand claims."""


def claim_text(path: Path) -> str:
    """The text as it stands in the file, line ends unchanged, without a byte order mark.

    Raises:
        ClaimFileError: no such file, not a regular file, too large, or not UTF-8.
    """
    name = escaped(path.name)
    try:
        # Non-blocking, so that a FIFO in the file's place cannot hang the run.
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        try:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise ClaimFileError([f"{name}: not a regular file"])
            with os.fdopen(handle, "rb", closefd=False) as stream:
                content = stream.read(MAX_CLAIM_FILE_BYTES + 1)
        finally:
            os.close(handle)
    except FileNotFoundError:
        raise ClaimFileError(
            [f"{name}: no such claim file (looked for {escaped(str(path), 1000)})"]
        ) from None
    except (OSError, ValueError) as error:
        raise ClaimFileError([f"{name}: cannot be read ({_reason(error)})"]) from None
    if len(content) > MAX_CLAIM_FILE_BYTES:
        raise ClaimFileError([f"{name}: more than {MAX_CLAIM_FILE_BYTES} bytes"])
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ClaimFileError([f"{name}: line {line}: not UTF-8"]) from None


def _reason(error: OSError | ValueError) -> str:
    if isinstance(error, OSError) and error.errno is not None:
        return os.strerror(error.errno).lower()
    return escaped(str(error))
