"""Where in the bundle something was called from: `file:line`, innermost frame first."""

import os
import sys
from types import CodeType, FrameType
from typing import Any

MAX_DEPTH = 4
"""Frames of the bundle that a call site lists."""
MAX_WALK = 80
"""Frames looked at before giving up; a deep recursion must not cost more."""
MAX_NAME = 120


class Places:
    """Translates frames and code objects to bundle-relative places.

    Args:
        root: the bundle's folder; files outside it are not places.
    """

    def __init__(self, root: str) -> None:
        self.root = os.path.realpath(root)
        self._shown: dict[str, str] = {}
        self._prefix = self.root.rstrip(os.sep) + os.sep

    def name(self, filename: str, shown: str) -> None:
        """Show code compiled under `filename` as `shown` (notebook cells)."""
        self._shown[filename] = shown

    def shown(self, filename: str) -> str:
        """Path relative to the bundle, or "" for code from elsewhere."""
        found = self._shown.get(filename)
        if found is None:
            found = self._shown[filename] = self._resolve(filename)
        return found

    def _resolve(self, filename: str) -> str:
        if not filename or filename[0] == "<":
            return ""
        path = os.path.abspath(filename)  # noqa: PTH100 - Path.resolve would follow links per frame
        inside = path.startswith(self._prefix)
        relative = path[len(self._prefix) :] if inside else ""
        # A virtual environment inside the bundle is a library, not the bundle's code.
        installed = "site-packages" in relative or "dist-packages" in relative
        return "" if installed else relative

    def stack(self, frame: FrameType | None = None, depth: int = MAX_DEPTH) -> list[str]:
        """`file:line` of up to `depth` bundle frames, innermost first."""
        current: FrameType | None = frame if frame is not None else sys._getframe(1)
        found: list[str] = []
        walked = 0
        shown = self._shown
        while current is not None and walked < MAX_WALK:
            filename = current.f_code.co_filename
            place = shown.get(filename)
            if place is None:
                place = self.shown(filename)
            if place:
                found.append(f"{place}:{current.f_lineno}")
                if len(found) == depth:
                    break
            current = current.f_back
            walked += 1
        return found

    def here(self) -> str:
        """The innermost bundle frame of the caller, or ""."""
        current: FrameType | None = sys._getframe(1)
        shown = self._shown
        for _ in range(MAX_WALK):
            if current is None:
                break
            filename = current.f_code.co_filename
            place = shown.get(filename)
            if place is None:
                place = self.shown(filename)
            if place:
                return f"{place}:{current.f_lineno}"
            current = current.f_back
        return ""

    def function(self, callback: Any) -> str:
        """Where a callable was defined: `file:line name`, "" when outside the bundle."""
        code = code_of(callback)
        if code is None:
            return ""
        place = self.shown(code.co_filename)
        return f"{place}:{code.co_firstlineno} {code.co_name[:MAX_NAME]}" if place else ""


def code_of(callback: Any) -> CodeType | None:
    """The code object behind a function, method, partial or callable object."""
    for _ in range(8):
        inner = getattr(callback, "func", None)  # functools.partial
        if inner is None:
            break
        callback = inner
    found = getattr(callback, "__code__", None)
    if not isinstance(found, CodeType):
        method = vars(type(callback)).get("__call__")
        found = getattr(method, "__code__", None)
    return found if isinstance(found, CodeType) else None


def user_callback(hook: Any) -> Any:
    """The function a library's hook closure wraps, or the hook itself.

    transformer_lens hands torch a closure (`full_hook`) over a free variable named `hook`.
    """
    code = getattr(hook, "__code__", None)
    cells = getattr(hook, "__closure__", None)
    if not isinstance(code, CodeType) or not cells:
        return hook
    for name, cell in zip(code.co_freevars, cells, strict=False):
        if name in ("hook", "user_hook"):
            try:
                content = cell.cell_contents
            except ValueError:
                continue
            if callable(content):
                return user_callback(content)
    return hook
