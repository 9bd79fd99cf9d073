"""The address of a bundle's line on the code host that runs this, when its environment says which; else none."""

import os
import re
from collections.abc import Mapping

from pytest_mecheval.report.sarif import relative_uri

_SERVER = re.compile(r"https://[A-Za-z0-9.-]+(?::[0-9]+)?")
_REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)
_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")


def line_address(
    folder: str, file: str, line: int, environment: Mapping[str, str] = os.environ
) -> str:
    """Where a reader finds the line online; empty outside of a run on a code host.

    Args:
        folder: of the bundle, relative to the repository's root.
        file: relative to the bundle.
        line: from 1.
        environment: read for `GITHUB_SERVER_URL`, `GITHUB_REPOSITORY`, `GITHUB_SHA`.

    >>> line_address("b", "a b.md", 3, {})
    ''
    """
    server = environment.get("GITHUB_SERVER_URL", "")
    repository = environment.get("GITHUB_REPOSITORY", "")
    commit = environment.get("GITHUB_SHA", "")
    known = (
        _SERVER.fullmatch(server)
        and _REPOSITORY.fullmatch(repository)
        and _COMMIT.fullmatch(commit)
    )
    if not known or not folder:
        return ""
    return f"{server}/{repository}/blob/{commit}/{relative_uri(folder, file)}?plain=1#L{line}"
