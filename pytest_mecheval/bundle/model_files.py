"""The model under study as files: its shape, its place in the local hub cache, whether weights are sound.

Reads JSON and headers only; no tensor is loaded here.
"""

import hashlib
import json
import math
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pytest_mecheval.bundle.escaping import escaped
from pytest_mecheval.bundle.reading import decoded, hash_file, read_file, read_start
from pytest_mecheval.errors import BundleError, SubjectError
from pytest_mecheval.vocabulary import ModelShape

PREFIX_BYTES = 8
"""Length of the header, little endian, at the start of a safetensors file."""
MAX_CONFIG_BYTES = 2**20
SHOWN_PATH = 1_000
"""A path is shown whole: its end is the part that tells files apart."""
MAX_HEADER_BYTES = 8 * 2**20
"""A header of this size names some eighty thousand tensors."""
MAX_DIMENSION = 2**31

ITEM_BYTES: Mapping[str, int] = {
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E4M3", "F8_E5M2", "F8_E8M0"), 1),
    **dict.fromkeys(("I16", "U16", "F16", "BF16"), 2),
    **dict.fromkeys(("I32", "U32", "F32"), 4),
    **dict.fromkeys(("I64", "U64", "F64", "C64"), 8),
}
"""Bytes per number of each safetensors type."""

HUB_ALIASES: Mapping[str, tuple[str, ...]] = {
    "gpt2": ("openai-community/gpt2",),
    "gpt2-small": ("gpt2", "openai-community/gpt2"),
    "gpt2-medium": ("openai-community/gpt2-medium",),
    "gpt2-large": ("openai-community/gpt2-large",),
    "gpt2-xl": ("openai-community/gpt2-xl",),
    "pythia-14m": ("EleutherAI/pythia-14m",),
    "pythia-31m": ("EleutherAI/pythia-31m",),
    "pythia-70m": ("EleutherAI/pythia-70m",),
    "attn-only-2l": ("NeelNanda/Attn_Only_2L512W_C4_Code",),
    "attn-only-4l": ("NeelNanda/Attn_Only_4L512W_C4_Code",),
}
"""Short names the field uses, and where the hub keeps them."""

_LAYERS = ("n_layers", "n_layer", "num_hidden_layers", "num_layers")
_HEADS = ("n_heads", "n_head", "num_attention_heads", "num_heads")
_WIDTH = ("d_model", "n_embd", "hidden_size")
_VOCABULARY = ("d_vocab", "vocab_size")
_CONTEXT = ("n_ctx", "n_positions", "max_position_embeddings")
_MLP = ("d_mlp", "n_inner", "intermediate_size")
MLP_RATIO = 4
"""d_mlp / d_model when a configuration leaves d_mlp out, in both libraries."""

_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
_REVISION = re.compile(r"[A-Za-z0-9][\w.-]*(/[\w.-]+)*")
_COMMIT = re.compile(r"[0-9a-f]{40}")


def read_shape(config_path: Path) -> ModelShape:
    """The model's size from its configuration: transformer-lens style, or Hugging Face.

    Args:
        config_path: a JSON file; not followed when it is a link inside a bundle, see `stated_file`.

    Raises:
        SubjectError: unreadable, not a configuration, or a size is missing or impossible.
    """
    shown = escaped(str(config_path))
    config = _json_object(config_path, shown)
    # Composite configurations (vision, audio) keep the language model's sizes one level down.
    nested = config.get("text_config")
    if isinstance(nested, dict) and not any(name in config for name in _LAYERS):
        config = nested
    width = _size(config, _WIDTH, shown)
    heads = _optional_size(config, _HEADS, shown)
    if heads is None:
        heads = _heads_from_head_size(config, width, shown)
    return ModelShape(
        n_layers=_size(config, _LAYERS, shown),
        n_heads=heads,
        d_model=width,
        d_vocab=_size(config, _VOCABULARY, shown),
        n_ctx=_size(config, _CONTEXT, shown),
        d_mlp=_mlp_width(config, width, shown),
    )


def hub_cache() -> Path:
    """The folder of the local Hugging Face cache, from the environment as the hub client reads it."""
    for variable in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        if folder := os.environ.get(variable):
            return Path(folder).expanduser()
    if home := os.environ.get("HF_HOME"):
        return Path(home).expanduser() / "hub"
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(cache).expanduser() / "huggingface" / "hub"


def hub_config(name: str, revision: str = "main") -> Path:
    """The configuration of a hub model in the local cache; nothing is ever downloaded.

    Args:
        name: `gpt2`, `organisation/model`, or a short name of HUB_ALIASES.
        revision: branch, tag or commit.

    Raises:
        SubjectError: not a hub name, or not in the cache; says how to put it there.
    """
    if not _NAME.fullmatch(name) or ".." in name:
        raise SubjectError(f"'{escaped(name)}' is no hub name (gpt2, organisation/model)")
    if not _REVISION.fullmatch(revision) or ".." in revision:
        raise SubjectError(f"'{escaped(revision)}' is no revision (branch, tag or commit)")
    cache = hub_cache()
    for full_name in (name, *HUB_ALIASES.get(name, ())):
        config = _snapshot(cache / f"models--{full_name.replace('/', '--')}", revision)
        if config is not None:
            return config
    full_name = HUB_ALIASES.get(name, (name,))[-1]
    raise SubjectError(
        f"model {name} (revision {revision}) is not in the local cache {escaped(str(cache))}; "
        f"run beforehand: hf download {full_name}"
    )


def check_weights(path: Path) -> Mapping[str, tuple[int, ...]]:
    """Names and shapes of a safetensors file, after checking that its header describes the file.

    Raises:
        SubjectError: not safetensors, truncated, or a header that does not fit the file.
    """
    shown = escaped(str(path), SHOWN_PATH)
    folder, name = _place(path, f"{shown}: weights cannot be read")
    try:
        prefix, size = read_start(folder, name, PREFIX_BYTES)
        length = int.from_bytes(prefix, "little") if len(prefix) == PREFIX_BYTES else -1
        if not 2 <= length <= min(MAX_HEADER_BYTES, size - PREFIX_BYTES):
            raise SubjectError(f"{shown}: not a safetensors file (no valid header length)")
        start, _ = read_start(folder, name, PREFIX_BYTES + length)
    except BundleError as error:
        raise SubjectError(f"{shown}: weights cannot be read ({error})") from None
    header = _parsed(start[PREFIX_BYTES:], shown)
    data_bytes = size - PREFIX_BYTES - length
    shapes: dict[str, tuple[int, ...]] = {}
    spans: list[tuple[int, int]] = []
    for tensor, entry in header.items():
        if tensor == "__metadata__":
            continue
        shapes[tensor], span = _tensor(tensor, entry, shown)
        spans.append(span)
    if not shapes:
        raise SubjectError(f"{shown}: holds no tensor")
    end = 0
    for begin, stop in sorted(spans):
        if begin != end:
            raise SubjectError(f"{shown}: tensors overlap or leave gaps at byte {begin}")
        end = stop
    if end != data_bytes:
        raise SubjectError(f"{shown}: header describes {end} bytes, the file holds {data_bytes}")
    return shapes


def files_digest(config: Path, weights: Path | None = None) -> str:
    """Hex SHA-256 over configuration and weights; their paths do not count.

    Raises:
        SubjectError: a file cannot be read.
    """
    state = hashlib.sha256()
    for path in (config, weights):
        if path is None:
            state.update(b"none\n")
            continue
        failure = f"{escaped(str(path), SHOWN_PATH)}: cannot be read"
        try:
            _, sha256 = hash_file(*_place(path, failure))
        except BundleError as error:
            raise SubjectError(f"{failure} ({error})") from None
        state.update(f"{sha256}\n".encode())
    return state.hexdigest()


def _snapshot(model: Path, revision: str) -> Path | None:
    """The configuration in a model's cache folder at a revision, or None."""
    commit = revision if _COMMIT.fullmatch(revision) else ""
    if not commit:
        try:
            commit = (model / "refs" / revision).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            return None
    if not _COMMIT.fullmatch(commit):
        return None
    config = model / "snapshots" / commit / "config.json"
    return config if config.is_file() else None


def _place(path: Path, failure: str) -> tuple[Path, str]:
    """Folder and name of a file, links resolved: the hub cache is made of links.

    Raises:
        SubjectError: nothing is there; the text begins with `failure`.
    """
    try:
        real = path.resolve(strict=True)
    except (OSError, RuntimeError, ValueError) as error:
        raise SubjectError(f"{failure} ({_words(error)})") from None
    return real.parent, real.name


def _json_object(path: Path, shown: str) -> dict[str, Any]:
    failure = f"{shown}: configuration cannot be read"
    try:
        content = read_file(*_place(path, failure), MAX_CONFIG_BYTES)
    except BundleError as error:
        raise SubjectError(f"{failure} ({error})") from None
    return _parsed(content, shown)


def _parsed(content: bytes, shown: str) -> dict[str, Any]:
    try:
        body = json.loads(decoded(content)[0])
    except RecursionError:
        raise SubjectError(f"{shown}: JSON nested too deeply") from None
    except ValueError as error:
        raise SubjectError(f"{shown}: not JSON ({escaped(str(error))})") from None
    if not isinstance(body, dict):
        raise SubjectError(f"{shown}: must be a JSON object")
    return body


def _optional_size(config: Mapping[str, Any], names: tuple[str, ...], shown: str) -> int | None:
    """The first of these names that has a value; None when all are absent or null."""
    for name in names:
        value = config.get(name)
        if value is None:
            continue
        if type(value) is not int or not 0 < value < MAX_DIMENSION:
            raise SubjectError(
                f"{shown}: {name} must be a positive whole number, is {escaped(repr(value), 40)}"
            )
        return value
    return None


def _size(config: Mapping[str, Any], names: tuple[str, ...], shown: str) -> int:
    value = _optional_size(config, names, shown)
    if value is None:
        raise SubjectError(f"{shown}: no model configuration, it has none of {', '.join(names)}")
    return value


def _heads_from_head_size(config: Mapping[str, Any], width: int, shown: str) -> int:
    """transformer-lens accepts d_head alone and divides."""
    head = _optional_size(config, ("d_head",), shown)
    if head is None or width % head:
        raise SubjectError(f"{shown}: no model configuration, it has none of {', '.join(_HEADS)}")
    return width // head


def _mlp_width(config: Mapping[str, Any], width: int, shown: str) -> int:
    """0 when there is no MLP; the libraries' default when its width is left out."""
    if config.get("attn_only") is True:
        return 0
    return _optional_size(config, _MLP, shown) or MLP_RATIO * width


def _tensor(name: str, entry: Any, shown: str) -> tuple[tuple[int, ...], tuple[int, int]]:
    """Shape and byte span of one header entry.

    Raises:
        SubjectError: the entry contradicts itself.
    """
    place = f"{shown}: tensor '{escaped(name)}'"
    try:
        kind, shape, (start, stop) = entry["dtype"], tuple(entry["shape"]), entry["data_offsets"]
        item = ITEM_BYTES.get(kind)
    except (KeyError, TypeError, ValueError):
        raise SubjectError(f"{place}: malformed header entry") from None
    if item is None:
        raise SubjectError(f"{place}: unknown type {escaped(repr(kind), 40)}")
    if not all(type(number) is int and number >= 0 for number in (*shape, start, stop)):
        raise SubjectError(f"{place}: shape and offsets must be whole numbers from 0")
    if stop - start != math.prod(shape) * item:
        raise SubjectError(f"{place}: shape {shape} does not fit its {stop - start} bytes")
    return shape, (start, stop)


def _words(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno is not None:
        return os.strerror(error.errno).lower()
    return escaped(str(error))
