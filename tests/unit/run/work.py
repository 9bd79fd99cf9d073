"""Jobs, requests and workplaces for the tests of the run layer."""

import sys
from pathlib import Path

import numpy as np

from pytest_mecheval.run.runner import Request, Workplace
from pytest_mecheval.wire import DataRef, Intervention, Job, ModelRef, PlanStep, Run, Slice

STAND_IN = Path(__file__).with_name("engine_stand_in.py")
MODEL = ModelRef("transformer_lens", config="c.json", weights="w.safetensors", sha256="0" * 64)


def step(n: int, stratum: str = "fresh") -> PlanStep:
    """A step that differs from others in `n`."""
    return PlanStep(Slice("t", "evaluation", stratum, n), Run(Intervention(()), "logit_diff"))


def job(n: int, stratum: str = "fresh") -> Job:
    return Job(step(n, stratum), MODEL, DataRef("induction"), salt="")


def request(name: str, *ns: int, stratum: str = "fresh") -> Request:
    return Request(name, {step(n, stratum): job(n, stratum) for n in ns})


def workplace(folder: Path, *, session: str = "s1", slots: int = 1) -> Workplace:
    command = (sys.executable, "-P", str(STAND_IN))
    return Workplace(folder / "evidence", session, slots=slots, command=command)


def measured(folder: Path) -> list[str]:
    """Addresses in the order in which the stand-in measured them."""
    log = folder / "evidence" / "measured.log"
    return [line.split()[0] for line in log.read_text().splitlines()] if log.exists() else []


def np_empty() -> np.ndarray:
    return np.empty(0)
