"""What every sandbox must do, as named cases to be tried on this machine.

python -m pytest_mecheval.sandbox.contract landlock            # all cases
python -m pytest_mecheval.sandbox.contract bubblewrap links    # those whose name contains `links`
"""

import sys
from collections.abc import Sequence

from pytest_mecheval.errors import HarnessError, UsageError
from pytest_mecheval.sandbox.arena import Case, ContractBroken
from pytest_mecheval.sandbox.attempts import files, kernel, network, processes, resources
from pytest_mecheval.sandbox.backend import Backend
from pytest_mecheval.sandbox.backends import choose

CASES: tuple[Case, ...] = (
    *files.CASES,
    *network.CASES,
    *processes.CASES,
    *kernel.CASES,
    *resources.CASES,
)
USAGE_EXIT = 4


def verdict(case: Case, backend: Backend) -> str:
    """`holds`, `gap: reason`, or what is broken: `BROKEN: ...`; a gap that is none is broken too."""
    reasons = dict(backend.isolation.gaps)
    if case.capability in reasons and not (backend.isolation.confined or case.control):
        return f"gap: {reasons[case.capability]}"
    try:
        case.hold(backend)
    except (ContractBroken, AssertionError, HarnessError) as error:
        if case.capability in reasons and not isinstance(error, HarnessError):
            return f"gap: {reasons[case.capability]}"
        return f"BROKEN: {error}"
    if case.capability in reasons:
        return f"BROKEN: holds, although listed as a gap ({reasons[case.capability]})"
    return "holds"


def main(arguments: Sequence[str]) -> int:
    """Print one line per case; 1 when one is broken."""
    try:
        backend = choose(arguments[0] if arguments else "auto")
    except UsageError as error:
        print(error, file=sys.stderr)  # noqa: T201 - a command's output
        return USAGE_EXIT
    broken = 0
    for case in CASES:
        if len(arguments) > 1 and not any(word in case.name for word in arguments[1:]):
            continue
        result = verdict(case, backend)
        broken += result.startswith("BROKEN")
        line = result.replace("\n", " | ")
        print(f"{backend.name}\t{case.name}\t{line}", flush=True)  # noqa: T201 - a command's output
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
