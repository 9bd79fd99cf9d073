"""The hand-made model and a small random one, through every way to run them."""

import os
import sys
from pathlib import Path

import pytest

# Read once, when the hub's library is imported; the harness process sets it before that.
os.environ["HF_HUB_OFFLINE"] = "1"

sys.path.insert(0, str(Path(__file__).parents[2] / "handmade"))
import handmade_model as handmade
from measuring import CALIBRATION, Bench, random_checkpoint, runner_of

from pytest_mecheval.harness.loading import from_checkpoint, load
from pytest_mecheval.wire import ModelRef


@pytest.fixture(scope="session")
def handmade_files(tmp_path_factory):
    return handmade.write(tmp_path_factory.mktemp("handmade"))


@pytest.fixture(scope="session")
def handmade_reference(handmade_files):
    return ModelRef(
        "transformer_lens",
        config=str(handmade_files.config),
        weights=str(handmade_files.weights),
        sha256="handmade",
    )


@pytest.fixture(scope="session")
def handmade_subject(handmade_reference):
    return load(handmade_reference)


@pytest.fixture(params=["fast", "stub", "hooks"])
def bench(request, handmade_subject):
    """The hand-made model, once per way to run it."""
    runner = runner_of(handmade_subject, request.param)
    return Bench(handmade_subject, runner, handmade.prompts(40), handmade.prompts(CALIBRATION, 1))


@pytest.fixture(scope="session")
def random_subject():
    return from_checkpoint(random_checkpoint())
