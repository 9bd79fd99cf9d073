"""Makes the hostile bundles aim at things a test owns, and plants files that a repository cannot hold.

Nothing here runs code of a bundle; whatever a planted file would do is to leave a mark in a folder of the test.
"""

import json
import os
import pickle
import py_compile
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from contextlib import ExitStack
from pathlib import Path

from auditing import ROOT

PRODUCT = ("mecheval-out", ".mecheval", ".pytest_cache")
"""Folders that a run of the product itself writes, where it is started."""
CANARY = "canary-3f1c-of-the-host"


def copy(name: str, folder: Path) -> Path:
    """A copy of a hostile bundle with its claim file; returns its folder."""
    bundle = folder / "repository" / name
    shutil.copytree(ROOT / "fixtures" / name, bundle, symlinks=True)
    claims = f"{name}.claims.yaml"
    shutil.copyfile(ROOT / "fixtures" / claims, bundle.parent / claims)
    return bundle


class Host:
    """What a hostile bundle could hurt: files, a process, listeners, keys; and whether it did."""

    def __init__(self, folder: Path, bundle: Path) -> None:
        self.folder, self.bundle = folder, bundle
        self.home = folder / "home"
        (self.home / ".aws").mkdir(parents=True)
        (self.home / ".aws/credentials").write_text(CANARY)
        self.secret = bundle.parent / "secret"
        self.secret.write_text(CANARY)
        self.token = f"hostile-{os.getpid()}-{folder.name}"
        self.heard: list[str] = []
        self._stack = ExitStack()
        self.victim = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        self._stack.callback(self._end_victim)
        ports = {
            "tcp": self._listen(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 0)),
            "udp": self._listen(socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 0)),
        }
        # The path of a unix socket may have 107 characters at most.
        self._sockets = Path(tempfile.gettempdir(), f"{self.token[-40:]}.socket")
        self._listen(socket.AF_UNIX, socket.SOCK_STREAM, str(self._sockets))
        self._listen(socket.AF_UNIX, socket.SOCK_STREAM, f"\0{self.token}")
        self._stack.callback(self._sockets.unlink)
        outside = [bundle / "planted.py", bundle.parent / f"{bundle.name}.claims.yaml"]
        outside += [self.home / ".bashrc", folder / "github_env", folder / "run/conftest.py"]
        outside += [folder / "run/.mecheval/evidence/planted.json", folder / "run/mecheval-out/x"]
        target = {
            **ports,
            "secret": str(self.secret),
            "home": str(self.home),
            "canary": CANARY,
            "write": [*map(str, outside), f"{Path(os.__file__).parent}/hostile_marker.pth"],
            "unix": str(self._sockets),
            "pid": self.victim.pid,
            "token": self.token,
        }
        if (bundle / "target.json").exists():
            (bundle / "target.json").write_text(json.dumps(target))
        self.environment = {
            "HOME": str(self.home),
            "SOME_API_KEY": CANARY,
            "ANTHROPIC_API_KEY": CANARY,
            "GITHUB_ENV": str(folder / "github_env"),
        }
        self.before = self.files()

    def files(self) -> dict[str, bytes]:
        """Everything the test owns, except what the product itself writes."""
        found = {}
        for place, folders, names in os.walk(self.folder):
            folders[:] = [name for name in folders if name not in PRODUCT]
            for name in names:
                path = Path(place, name)
                readable = path.is_file() and path.stat().st_size < 2**20
                found[str(path)] = path.read_bytes() if readable else b"special"
        return found

    def _listen(self, family: int, kind: int, address) -> int:
        listener = socket.socket(family, kind)
        listener.bind(address)
        if kind == socket.SOCK_STREAM:
            listener.listen()
        listener.settimeout(0.2)
        stop = threading.Event()
        thread = threading.Thread(target=self._hear, args=(listener, stop, address))
        thread.start()
        self._stack.callback(listener.close)
        self._stack.callback(thread.join)
        self._stack.callback(stop.set)
        return listener.getsockname()[1] if family == socket.AF_INET else 0

    def _hear(self, listener: socket.socket, stop: threading.Event, address) -> None:
        while not stop.is_set():
            try:
                if listener.type == socket.SOCK_STREAM:
                    connection, _ = listener.accept()
                    connection.close()
                else:
                    listener.recv(100)
            except TimeoutError:
                continue
            self.heard.append(str(address))

    def _end_victim(self) -> None:
        self.victim.kill()
        self.victim.wait()

    def left_over(self) -> list[str]:
        """Processes of an attack that are still there."""
        found = []
        for place in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                if self.token.encode() in place.read_bytes():
                    found.append(place.parent.name)
            except OSError:
                continue
        return found

    def close(self) -> None:
        """End the victim and the listeners."""
        self._stack.close()


class _Payload:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self):
        return Path.write_text, (self.marker, "a pickle was loaded")


def plant_special_files(bundle: Path, secret: Path, marker: Path) -> None:
    """Links, a FIFO, a sparse terabyte, names that lie, compiled caches, native code, a pickle, a git hook."""
    (bundle / "secret_link").symlink_to(secret)
    nodes = secret.with_name("nodes.json")
    nodes.write_text('{"nodes": ["a1.h0", "a1.h6"]}')
    (bundle / "results/linked.json").symlink_to(nodes)
    (bundle / "results/deep.json").write_text("[" * 200_000)
    os.mkfifo(bundle / "results/pipe.json")
    with (bundle / "data.bin").open("wb") as stream:
        stream.truncate(2**40)
    (bundle / "\u202egnp.exe").write_text("the name is shown backwards")
    (bundle / "logs/loop").symlink_to("..")
    with (bundle / "model/model.pt").open("wb") as stream:
        pickle.dump(_Payload(marker), stream)
    source = bundle.parent / "poison.py"
    source.write_text("ACCURACY = 0.847\n")
    mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
    cache = bundle / f"__pycache__/metric.{sys.implementation.cache_tag}.pyc"
    py_compile.compile(str(source), str(cache), dfile="metric.py", invalidation_mode=mode)
    shutil.copyfile(cache, bundle / "compiled_metric.pyc")
    library = next(Path(sys.base_prefix).rglob("*.so*"))
    shutil.copyfile(library, bundle / "native.so")
    (bundle / ".git").mkdir()
    (bundle / ".git/config").write_text(
        f'[core]\n\tfsmonitor = "touch {marker} #"\n[diff]\n\texternal = "touch {marker} #"\n'
    )
