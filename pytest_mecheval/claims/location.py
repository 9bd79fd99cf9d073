"""Where a bundle's claim file lies: beside the bundle, so nothing the agent controls is collected."""

import os
from pathlib import Path

SUFFIX = ".claims.yaml"


def claim_file_for(bundle_path: Path) -> Path:
    """The claim file of a bundle, whether or not it exists.

    >>> claim_file_for(Path("runs/induction_heads/")).as_posix()
    'runs/induction_heads.claims.yaml'
    """
    # A path such as `.` or `x/..` has no name of its own; links stay as the user wrote them.
    if bundle_path.name in ("", ".."):
        bundle_path = Path(os.path.abspath(bundle_path))  # noqa: PTH100
    return bundle_path.with_name(f"{bundle_path.name or 'bundle'}{SUFFIX}")
