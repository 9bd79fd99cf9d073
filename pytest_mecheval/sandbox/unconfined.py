"""The backend `none`: limits and supervision, but nothing keeps foreign code from this machine."""

import contextlib

from pytest_mecheval.sandbox import capabilities
from pytest_mecheval.sandbox.backend import Backend, Launch
from pytest_mecheval.sandbox.confinement import Confinement, Isolation

NAME = "none"
WHY = "the backend 'none' was chosen on the command line: no isolation at all"


def backend() -> Backend:
    """Time, memory, process and output limits only; evidence obtained through it is testimony (T1)."""

    def prepare(confinement: Confinement, _stack: contextlib.ExitStack, _fds: list[int]) -> Launch:
        return Launch(confinement.argv)

    gaps = [(name, WHY) for name in capabilities.NEEDS_ISOLATION]
    gaps += capabilities.superuser_gaps()
    isolation = Isolation(NAME, capabilities.all_but(gaps), tuple(gaps), confined=False)
    return Backend(isolation, prepare)
