"""Hashes and projections of tensors; none of them draws from the bundle's random generators."""

import ctypes
import hashlib
import zlib
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

HASH_BYTES = 16
ROW_HASH_BYTES = 6
"""48 bits per input row: a collision among 10^5 rows has probability 2e-5."""
MAX_HASHED_BYTES = 2 * 2**30
"""Larger tensors are hashed by a strided sample of their values, marked with a leading `~`."""
SAMPLE = 4096
_PROJECTIONS: dict[tuple[int, int], Tensor] = {}
_MAX_PROJECTIONS = 64
_SEED = 20_210_127


def buffer(tensor: Tensor) -> Any:
    """The tensor's bytes in row-major order, without numpy; copies only when it must."""
    kept = tensor.detach()
    if kept.device.type != "cpu":
        kept = kept.cpu()
    if kept.is_complex():
        kept = torch.view_as_real(kept.resolve_conj())
    kept = kept.contiguous()
    size = kept.numel() * kept.element_size()
    if size == 0:
        return b""
    content = (ctypes.c_char * size).from_address(kept.data_ptr())
    content.owner = kept  # type: ignore[attr-defined] # the memory must outlive the view
    return content


def canonical(tensor: Tensor) -> Tensor:
    """Half precision widened to fp32 and integers to int64: the same values give the same hash."""
    if tensor.is_floating_point():
        return tensor if tensor.dtype in (torch.float32, torch.float64) else tensor.float()
    if tensor.is_complex() or tensor.dtype == torch.bool:
        return tensor
    return tensor.to(torch.int64)


def content_hash(tensor: Tensor) -> str:
    """BLAKE2b-128 of the shape (as text `2x3`) and the canonical bytes.

    >>> content_hash(torch.ones(2, 3)) == content_hash(torch.ones(2, 3).half())
    True
    """
    value = canonical(tensor.detach())
    mark = ""
    if value.numel() * value.element_size() > MAX_HASHED_BYTES:
        value, mark = sample(value, SAMPLE), "~"
    digest = hashlib.blake2b("x".join(map(str, tensor.shape)).encode(), digest_size=HASH_BYTES)
    digest.update(buffer(value))
    return mark + digest.hexdigest()


def combined(pairs: Iterable[tuple[str, str]]) -> str:
    """BLAKE2b-128 over the sorted tensor hashes; names do not count, so renamed copies agree."""
    digest = hashlib.blake2b(digest_size=HASH_BYTES)
    for one in sorted(value for _, value in pairs):
        digest.update(one.encode())
    return digest.hexdigest()


def row_hashes(tensor: Tensor, limit: int) -> list[str]:
    """One BLAKE2b-48 per row (axis 0) of the canonical bytes, at most `limit` rows."""
    rows = canonical(tensor.detach()[:limit])
    content = bytes(buffer(rows))
    count = rows.shape[0]
    size = len(content) // count if count else 0
    return [
        hashlib.blake2b(
            content[index * size : (index + 1) * size], digest_size=ROW_HASH_BYTES
        ).hexdigest()
        for index in range(count)
    ]


def stride_of(count: int, size: int) -> int:
    """An odd step that spreads `size` samples over `count` values without following the axes.

    >>> stride_of(100, 4096), stride_of(1_000_000, 1000) % 2
    (1, 1)
    """
    if count <= size:
        return 1
    step = (count // size) | 1
    # Axis lengths are mostly of the form 2^a 3^b 5^c; a step without these factors hits every slice.
    while step % 3 == 0 or step % 5 == 0:
        step += 2
    return step


def sample(tensor: Tensor, size: int) -> Tensor:
    """About `size` values at fixed coordinates; a view when the tensor is contiguous."""
    flat = tensor.detach().reshape(-1)
    return flat[:: stride_of(flat.numel(), size)]


def vector(size: int, device: torch.device) -> Tensor:
    """A fixed standard normal vector of this length, fp32."""
    key = (size, -1 if device.type == "cpu" else device.index or 0)
    found = _PROJECTIONS.get(key)
    if found is None:
        generator = torch._C.Generator(device="cpu").manual_seed(_SEED + size)
        with torch.inference_mode(False):
            found = torch.randn(size, generator=generator, dtype=torch.float32, device="cpu")
            found = found.to(device)
        if len(_PROJECTIONS) >= _MAX_PROJECTIONS:
            _PROJECTIONS.clear()
        _PROJECTIONS[key] = found
    return found


def projection(tensor: Tensor, heads: int = 0) -> Tensor:
    """The last axis (per head when it is `heads` blocks) reduced to one fp32 number per slot.

    A random projection tells activations apart like a hash, but is linear: the projection of a mean is
    the mean of projections, so averages of recorded activations can be recognised too. Shape: the
    tensor's without its last axis, plus a head axis when it was split.
    """
    value = tensor.detach()
    if value.dtype != torch.float32:
        value = value.float()
    if value.dim() < 2:
        return value.clone()
    width = value.shape[-1]
    if heads > 1 and value.dim() == 3 and width > heads and width % heads == 0:
        value = value.reshape(*value.shape[:-1], heads, width // heads)
        width //= heads
    flat = value.reshape(-1, width)
    return torch.mv(flat, vector(width, value.device)).view(value.shape[:-1])


def state_hash(state: Tensor) -> str:
    """Eight hex digits for a generator's state."""
    return f"{zlib.crc32(buffer(state)):08x}"


def tensors_in(value: Any, limit: int = 4) -> list[Tensor]:
    """The dense floating-point tensors of a hook's value: itself, or inside tuples, lists, dicts."""
    if isinstance(value, Tensor):
        return [value] if value.is_floating_point() and value.layout == torch.strided else []
    found: list[Tensor] = []
    if isinstance(value, (tuple, list)):
        for entry in value:
            found += tensors_in(entry, limit - len(found))
            if len(found) >= limit:
                break
    elif isinstance(value, dict):
        found = tensors_in(list(value.values()), limit)
    return found
