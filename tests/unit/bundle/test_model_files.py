import json
import os
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from pytest_mecheval.bundle.model_files import (
    check_weights,
    files_digest,
    hub_cache,
    hub_config,
    read_shape,
)
from pytest_mecheval.errors import SubjectError
from pytest_mecheval.vocabulary import ModelShape

TINY = {"n_layers": 2, "d_model": 64, "n_heads": 4, "n_ctx": 48, "d_vocab": 64, "d_head": 16}
GPT2 = {"n_layer": 12, "n_head": 12, "n_embd": 768, "vocab_size": 50257, "n_positions": 1024}
NEOX = {
    "num_hidden_layers": 6,
    "num_attention_heads": 4,
    "hidden_size": 128,
    "vocab_size": 50304,
    "max_position_embeddings": 2048,
    "intermediate_size": 512,
}
COMMIT = "a" * 40


@pytest.fixture
def config(tmp_path):
    def write(body):
        path = tmp_path / "config.json"
        path.write_text(body if isinstance(body, str) else json.dumps(body))
        return path

    return write


@pytest.mark.parametrize(
    ("body", "shape"),
    [
        ({**TINY, "attn_only": True}, ModelShape(2, 4, 64, 64, 48, 0)),
        ({**TINY, "d_mlp": 100}, ModelShape(2, 4, 64, 64, 48, 100)),
        ({**TINY, "d_mlp": None, "attn_only": False}, ModelShape(2, 4, 64, 64, 48, 256)),
        ({**TINY, "n_heads": None}, ModelShape(2, 4, 64, 64, 48, 256)),
        (GPT2, ModelShape(12, 12, 768, 50257, 1024, 3072)),
        ({**GPT2, "n_inner": None}, ModelShape(12, 12, 768, 50257, 1024, 3072)),
        (NEOX, ModelShape(6, 4, 128, 50304, 2048, 512)),
        ({"text_config": NEOX, "vision_config": {}}, ModelShape(6, 4, 128, 50304, 2048, 512)),
    ],
)
def test_shape_of_known_configurations(config, body, shape):
    assert read_shape(config(body)) == shape


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("{", "not JSON"),
        ("[]", "must be a JSON object"),
        ("{}", "no model configuration, it has none of d_model"),
        ({**TINY, "n_layers": "2"}, "n_layers must be a positive whole number, is '2'"),
        ({**TINY, "n_layers": True}, "n_layers must be a positive whole number, is True"),
        ({**TINY, "n_layers": 0}, "must be a positive"),
        ({**TINY, "d_vocab": 2**40}, "must be a positive"),
        ({**TINY, "n_heads": None, "d_head": 60}, "none of n_heads"),
        ("[" * 100_000, "nested too deeply"),
        (" " * (2**20 + 1), "at most"),
    ],
)
def test_unusable_configuration_is_a_subject_error(config, body, text):
    with pytest.raises(SubjectError, match=text):
        read_shape(config(body))


def test_missing_configuration_and_fifo_are_subject_errors(tmp_path):
    with pytest.raises(SubjectError, match=r"configuration cannot be read \(no such file"):
        read_shape(tmp_path / "gone.json")
    os.mkfifo(tmp_path / "config.json")
    with pytest.raises(SubjectError, match="not a regular file"):
        read_shape(tmp_path / "config.json")


@settings(deadline=None, max_examples=60)
@given(st.binary(max_size=200))
def test_any_bytes_as_configuration_or_weights_end_cleanly(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "arbitrary"
    path.write_bytes(content)
    for read in (read_shape, check_weights):
        with pytest.raises(SubjectError):
            read(path)


class TestWeights:
    @pytest.fixture
    def weights(self, tmp_path):
        path = tmp_path / "model.safetensors"
        save_file(
            {
                "embed.W_E": np.zeros((4, 3), np.float32),
                "b": np.zeros(5, np.float16),
                "scalar": np.array(1.0),
                "none": np.zeros((0, 3), np.float32),
            },
            path,
            metadata={"format": "pt"},
        )
        return path

    def test_a_real_file_is_sound(self, weights):
        assert dict(check_weights(weights)) == {
            "embed.W_E": (4, 3),
            "b": (5,),
            "scalar": (),
            "none": (0, 3),
        }

    def test_truncated_or_extended_file_is_refused(self, weights):
        content = weights.read_bytes()
        for wrong in (content[:-1], content + b"\0", content[:9], b"", content[:4]):
            weights.write_bytes(wrong)
            with pytest.raises(SubjectError, match=r"header|safetensors"):
                check_weights(weights)

    @pytest.mark.parametrize(
        ("entries", "text"),
        [
            ({}, "holds no tensor"),
            ({"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}}, "does not fit"),
            ({"w": {"dtype": "Q9", "shape": [1], "data_offsets": [0, 4]}}, "unknown type 'Q9'"),
            ({"w": {"dtype": ["F32"], "shape": [1], "data_offsets": [0, 4]}}, "malformed"),
            ({"w": {"dtype": "F32", "shape": [-1], "data_offsets": [4, 0]}}, "whole numbers"),
            ({"w": {"dtype": "F32", "shape": [1.0], "data_offsets": [0, 4]}}, "whole numbers"),
            ({"w": {"dtype": "F32", "shape": 3, "data_offsets": [0, 4]}}, "malformed"),
            ({"w": 3}, "malformed"),
            (
                {n: {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]} for n in "ab"},
                "overlap or leave gaps",
            ),
            ({"w": {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]}}, "overlap or leave"),
        ],
    )
    def test_lying_headers_are_refused(self, tmp_path, entries, text):
        header = json.dumps(entries).encode()
        path = tmp_path / "w.safetensors"
        path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(4))
        with pytest.raises(SubjectError, match=text):
            check_weights(path)

    def test_pickle_and_giant_header_are_refused_unread(self, tmp_path):
        path = tmp_path / "model.pt"
        path.write_bytes(b"PK\x03\x04" + bytes(100))
        with pytest.raises(SubjectError, match="not a safetensors file"):
            check_weights(path)

    def test_digest_follows_content_not_place(self, weights, config, tmp_path):
        first = files_digest(config(TINY), weights)
        moved = tmp_path / "elsewhere.safetensors"
        weights.rename(moved)
        assert files_digest(config(TINY), moved) == first
        assert files_digest(config({**TINY, "n_ctx": 9}), moved) != first
        assert files_digest(config(TINY)) != first
        moved.write_bytes(moved.read_bytes()[:-1] + b"\x01")
        assert files_digest(config(TINY), moved) != first
        with pytest.raises(SubjectError, match="cannot be read"):
            files_digest(config(TINY), weights)


class TestHub:
    @pytest.fixture
    def cache(self, tmp_path, monkeypatch):
        monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
        return tmp_path / "hub"

    @staticmethod
    def put(cache, folder, commit=COMMIT, ref="main"):
        snapshot = cache / folder / "snapshots" / commit
        snapshot.mkdir(parents=True)
        blobs = cache / folder / "blobs"
        blobs.mkdir(exist_ok=True)
        (blobs / commit).write_text(json.dumps(GPT2))
        (snapshot / "config.json").symlink_to(blobs / commit)
        reference = cache / folder / "refs" / ref
        reference.parent.mkdir(parents=True, exist_ok=True)
        reference.write_text(commit)
        return snapshot / "config.json"

    def test_found_by_name_alias_and_revision(self, cache):
        main = self.put(cache, "models--openai-community--gpt2")
        other = self.put(cache, "models--openai-community--gpt2", "b" * 40, "v1.0")
        assert hub_config("openai-community/gpt2") == main
        assert hub_config("gpt2-small") == main
        assert hub_config("gpt2", "v1.0") == other
        assert hub_config("gpt2", "b" * 40) == other
        assert read_shape(main).n_layers == 12

    def test_absent_model_says_what_to_run(self, cache):
        with pytest.raises(SubjectError, match=r"not in the local cache .*hf download EleutherAI/"):
            hub_config("pythia-14m")
        self.put(cache, "models--gpt2")
        with pytest.raises(SubjectError, match="revision nope"):
            hub_config("gpt2", "nope")

    @pytest.mark.parametrize("name", ["../x", "a/b/c", "/etc", "", "a\nb", "a..b"])
    @pytest.mark.usefixtures("cache")
    def test_names_cannot_climb(self, name):
        with pytest.raises(SubjectError, match="no hub name"):
            hub_config(name)

    def test_reference_cannot_climb(self, cache):
        with pytest.raises(SubjectError, match="no revision"):
            hub_config("gpt2", "../../x")
        self.put(cache, "models--gpt2")
        (cache / "models--gpt2" / "refs" / "main").write_text("../../../..")
        with pytest.raises(SubjectError, match="not in the local cache"):
            hub_config("gpt2")

    def test_cache_folder_follows_the_hub_clients_environment(self, monkeypatch, tmp_path):
        for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("HOME", str(tmp_path))
        assert hub_cache() == tmp_path / ".cache" / "huggingface" / "hub"
        monkeypatch.setenv("HF_HOME", "/data/hf")
        assert hub_cache().as_posix() == "/data/hf/hub"
        monkeypatch.setenv("HF_HUB_CACHE", "/data/hub")
        assert hub_cache().as_posix() == "/data/hub"
