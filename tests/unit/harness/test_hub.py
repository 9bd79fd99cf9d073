"""Hub models come from local files only; a GPT-2 of our own making stands for all of them."""

import json

import numpy as np
import pytest
import torch
from measuring import Bench, random_prompts, runner_of

from pytest_mecheval.errors import SubjectError
from pytest_mecheval.harness.loading import library_version, load
from pytest_mecheval.harness.selftest import battery, choose_runner
from pytest_mecheval.wire import Intervention, ModelRef

BRIDGE = 4
pytestmark = pytest.mark.skipif(
    library_version()[0] < BRIDGE, reason="HookedTransformer loads official names only"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A directory as the Hugging Face cache holds one: GPT-2 with two layers, random weights."""
    tokenizers = pytest.importorskip("tokenizers")
    transformers = pytest.importorskip("transformers")
    path = tmp_path_factory.mktemp("hub") / "gpt2"
    config = transformers.GPT2Config(
        vocab_size=30,
        n_positions=16,
        n_embd=32,
        n_layer=2,
        n_head=4,
        bos_token_id=0,
        eos_token_id=0,
    )
    torch.manual_seed(0)
    model = transformers.GPT2LMHeadModel(config)
    for parameter in model.parameters():
        parameter.data += 0.2 * torch.randn_like(parameter)
    model.save_pretrained(path)
    words = {f"w{index}": index for index in range(30)}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="w0"))  # noqa: S106 - a word
    tokenizer.save(str(path / "tokenizer.json"))
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "w0", "bos_token": "w0"}
    (path / "tokenizer_config.json").write_text(json.dumps(settings))
    return path


@pytest.fixture(scope="module")
def subject(folder):
    return load(ModelRef("hub", name=str(folder)))


@torch.inference_mode()
def test_a_local_gpt2_takes_the_fast_path(subject):
    runner, reason = choose_runner(subject)
    assert (runner.path, reason) == ("fast", "")
    assert (subject.shape.n_layers, subject.shape.n_heads, subject.shape.d_mlp) == (2, 4, 128)


def test_logits_are_those_of_transformers(folder, subject):
    import transformers

    model = transformers.GPT2LMHeadModel.from_pretrained(folder).eval()
    tokens = torch.from_numpy(random_prompts(4, 0).tokens)
    with torch.inference_mode():
        expected, found = model(tokens).logits, subject.library.run(tokens)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("path", ["fast", "stub"])
def test_every_runner_agrees_with_plain_hooks(subject, path):
    examples = random_prompts(6, 1)
    edits = [edit for edit in battery(2, True) if edit.positions == "all"]
    edits.append(Intervention(("a0.h1",), "counterfactual", positions="MID"))
    values = [
        Bench(subject, runner_of(subject, name), examples, examples).all_values(
            [(edit, ("logit_diff",)) for edit in edits]
        )
        for name in (path, "hooks")
    ]
    for edit, ours, theirs in zip(edits, *values, strict=True):
        np.testing.assert_allclose(
            ours["logit_diff"], theirs["logit_diff"], atol=1e-4, err_msg=str(edit)
        )


def test_a_model_that_is_not_in_the_cache_is_the_subjects_fault():
    with pytest.raises(
        SubjectError, match="hub model 'nobody/nothing': not usable from the local cache"
    ):
        load(ModelRef("hub", name="nobody/nothing"))
