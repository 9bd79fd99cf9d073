import handmade_model
import pytest
from answering import SUBJECT, bundle_in
from safetensors.numpy import load_file, save_file

from pytest_mecheval.claims.model import ClaimFile, SubjectSection
from pytest_mecheval.run.subject import sources_of
from pytest_mecheval.translate.trial import Trial


def sources(bundle, stated):
    subject = SubjectSection.model_validate(stated)
    file = ClaimFile(format=1, bundle="b", documents={}, subject=subject)
    found, problems = sources_of(bundle, file, "trial")
    assert not problems
    return found


@pytest.fixture
def bundle(tmp_path):
    handmade_model.write(tmp_path / "b" / "model")
    return bundle_in(tmp_path)


def test_a_model_that_does_its_task_passes(bundle, tmp_path):
    assert Trial(tmp_path / "evidence")(sources(bundle, SUBJECT)) == ()


def test_a_model_at_chance_is_named_with_what_it_did(bundle, tmp_path):
    weights = bundle.root / "model" / "model.safetensors"
    turned = {
        name: -array if name == "unembed.W_U" else array
        for name, array in load_file(weights).items()
    }
    save_file(turned, weights)
    (problem,) = Trial(tmp_path / "evidence")(sources(bundle, SUBJECT))
    assert problem.startswith(
        "subject.tasks.t: the model prefers the answer on 0 of 64 prompts only"
    )


def test_without_a_measurable_model_there_is_nothing_to_try(bundle, tmp_path):
    assert Trial(tmp_path / "evidence")(sources(bundle, {"tasks": SUBJECT["tasks"]})) == ()
    assert not (tmp_path / "evidence").exists()
