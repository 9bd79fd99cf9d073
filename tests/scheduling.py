"""Which tests one worker runs: a module's, or those of one bundle, so that its first run happens once.

`--dist loadgroup` would say the same with marks, but groups nothing under pytest 9.2
(pytest-xdist issue 1386).
"""

import re

from xdist.scheduler import LoadScopeScheduling

ACCEPTANCE = "tests/acceptance/"


def unit_of(nodeid: str) -> str:
    """What a test is run together with.

    >>> unit_of("tests/acceptance/test_reruns.py::test_exit_status[stale_result]")
    'stale_result'
    >>> unit_of("tests/unit/test_cli.py::test_help")
    'tests/unit/test_cli.py'
    """
    bundle = re.search(r"\[(.+)\]$", nodeid) if nodeid.startswith(ACCEPTANCE) else None
    return bundle[1] if bundle else nodeid.split("::", 1)[0]


class ByBundle(LoadScopeScheduling):
    """Units in the order of collection: acceptance tests come first, and take longest."""

    def __init__(self, config, log=None) -> None:
        config.option.loadscopereorder = False
        super().__init__(config, log)

    def _split_scope(self, nodeid: str) -> str:
        return unit_of(nodeid)
