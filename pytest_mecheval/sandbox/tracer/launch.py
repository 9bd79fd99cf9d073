"""Command line of the tracer: set up, run the bundle's entry point as `__main__`, close the ledger."""

import argparse
import atexit
import importlib
import json
import os
import platform
import random
import sys
import time
import traceback
from types import CodeType, ModuleType
from typing import Any

from .audit import Audit
from .cells import Notebook
from .imports import AfterImport
from .places import Places
from .rows import FORMAT, MAX_LEDGER_BYTES, Ledger
from .seeds import Seeds
from .state import Recorder
from .streams import Recording

SHAMS = ("none", "headperm", "shuffle")
POISONS = ("none", "finite", "nan")
REQUEST = "--request"
"""A file with the options: it is removed before the bundle's code starts, so a command line, which any
process can read about itself, does not tell a real run from a sham."""
FAILED = 1
UNUSABLE = 2


class Session:
    """One traced run."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.places = Places(options.root or os.getcwd())  # noqa: PTH109
        self.ledger = Ledger(options.ledger, options.nonce, options.max_bytes)
        self.recorder = Recorder(self.ledger, self.places)
        self.audit = Audit(self.recorder)
        self.seeds = Seeds(self.recorder, options.seed_shift)
        self.imports = AfterImport(self.recorder.fault)
        self.streams = (
            Recording(sys.stdout, self.recorder, "stdout"),
            Recording(sys.stderr, self.recorder, "stderr"),
        )
        self.torch: Any = None
        self.status = "killed"
        self.detail = ""
        self._finished = False

    def start(self) -> None:
        """First row, and everything that listens."""
        options = self.options
        self.ledger.add(
            "start",
            format=FORMAT,
            python=platform.python_version(),
            system=sys.platform,
            entry=self.places.shown(os.path.abspath(options.script)) or options.script[:300],  # noqa: PTH100
            arguments=[one[:200] for one in options.arguments[:20]],
            sham=options.sham,
            sham_seed=options.sham_seed,
            seed_shift=options.seed_shift,
            poison=options.poison,
            rng=f"{hash(random.getstate()[1]) & 0xFFFFFFFF:08x}",
        )
        sys.stdout, sys.stderr = self.streams
        self.seeds.install()
        self.imports.on("numpy", self.seeds.numpy_loaded)
        self.imports.on("torch", self._torch_loaded)
        self.imports.on("safetensors", self._safetensors_loaded)
        self.imports.install()
        self.audit.install()
        atexit.register(self.finish)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._forked)
        self._watch_exit()

    def stay_away(self) -> None:
        """Watch nothing: no wrapper, no listener, no module of ours to be found by name."""
        self.ledger.enabled = False
        for name in [one for one in sys.modules if one.split(".")[0] == __package__]:
            del sys.modules[name]

    def _forked(self) -> None:
        # Two processes must not continue one chain; the fork itself is on record.
        self.ledger.enabled = False

    def _watch_exit(self) -> None:
        original = os._exit

        def leave(code: int) -> None:
            if self.ledger.enabled:
                self.status, self.detail = "os._exit", f"code {code}"
                self.finish()
            original(code)

        os._exit = leave  # type: ignore[assignment]

    def _safetensors_loaded(self, module: ModuleType) -> None:
        # safe_open hands out torch tensors, so the watcher needs torch; without torch there is no model.
        if "torch" in sys.modules and self.torch is not None:
            self.torch.loads.safetensors_loaded(module)

    def _torch_loaded(self, module: ModuleType) -> None:
        # Only now: importing this part imports torch, and a bundle may set its threads before that.
        from .attach import TorchPart

        self.torch = TorchPart(self.recorder, self.imports, self.options, self.audit)
        self.torch.attach(module)
        self.seeds.torch_loaded(module)
        if "safetensors" in sys.modules:
            self._safetensors_loaded(sys.modules["safetensors"])

    def run(self) -> int:
        """Run the entry point; the exit code of the process."""
        path = os.path.abspath(self.options.script)  # noqa: PTH100
        sys.argv = [self.options.script, *self.options.arguments]
        package = self.options.package
        sys.path[:0] = [
            os.getcwd() if package is not None else os.path.dirname(path),  # noqa: PTH109, PTH120
            *self.options.search,
        ]
        main = ModuleType("__main__")
        main.__file__ = path
        main.__builtins__ = sys.modules["builtins"]  # type: ignore[attr-defined]
        main.__package__ = package
        sys.modules["__main__"] = main
        if path.endswith(".ipynb"):
            return self._notebook(path, main)
        return self._script(path, main)

    def _script(self, path: str, main: ModuleType) -> int:
        try:
            if self.options.output:
                _redirect(self.options.output, appended=self.options.append)
            with open(path, "rb") as stream:  # noqa: PTH123
                source = stream.read()
        except OSError as error:
            self.status, self.detail = "error", f"{type(error).__name__}: {error.strerror}"
            sys.stderr.write(f"{error.filename}: cannot be opened: {error.strerror}\n")
            return UNUSABLE
        try:
            code: CodeType = compile(source, path, "exec", dont_inherit=True)
            if self.options.package:
                importlib.import_module(self.options.package)  # as `python -m` does
            exec(code, main.__dict__)  # noqa: S102 - running the bundle's script is the task
        except SystemExit as error:
            self.status, self.detail = "exit", _exit_text(error)
            raise
        except BaseException as error:  # noqa: BLE001 - reported as the interpreter would
            self.status = "error"
            self.detail = f"{type(error).__name__}: {str(error)[:300]}"
            # Our own frames say nothing about the bundle.
            shown = error.__traceback__.tb_next if error.__traceback__ else None
            traceback.print_exception(type(error), error, shown)
            return FAILED
        self.status = "done"
        return 0

    def _notebook(self, path: str, main: ModuleType) -> int:
        shown = self.places.shown(path) or os.path.basename(path)  # noqa: PTH119
        notebook = Notebook(self.recorder, path, shown, self.streams, self.options.stop_on_error)
        os.chdir(os.path.dirname(path))  # noqa: PTH120 - as a notebook server does
        try:
            fine = notebook.run(main.__dict__)
        except (OSError, ValueError, KeyboardInterrupt) as error:
            self.status, self.detail = "error", f"{type(error).__name__}: {str(error)[:300]}"
            sys.stderr.write(f"{shown}: {self.detail}\n")
            return UNUSABLE
        self.status = "done" if fine else "cells failed"
        return 0 if fine else FAILED

    def finish(self) -> None:
        """Closing rows, once; registered first, so it runs after the bundle's own exit handlers."""
        if self._finished:
            return
        self._finished = True
        if not self.ledger.enabled:
            return
        for stream in self.streams:
            stream.finish()
        try:
            self.audit.finish()
            if self.torch is not None:
                self.torch.finish()
        except Exception as error:  # noqa: BLE001 - the end row must come
            self.recorder.fault("closing", error)
        cpu = os.times()
        self.ledger.add(
            "end",
            status=self.status,
            detail=self.detail,
            forwards=self.recorder.forwards,
            cpu=round(time.process_time(), 3),
            children_cpu=round(cpu.children_user + cpu.children_system, 3),
            forward_cpu=round(self.torch.forwards.cpu, 3) if self.torch else 0.0,
            torch=self.torch is not None,
            totals=dict(self.recorder.totals),
            dropped=dict(self.ledger.dropped),
        )
        self.ledger.enabled = False


def _redirect(name: str, *, appended: bool) -> None:
    """Let everything this process prints go to a file, as `> name` or `>> name` in a shell."""
    flags = os.O_WRONLY | os.O_CREAT | (os.O_APPEND if appended else os.O_TRUNC)
    handle = os.open(name, flags, 0o644)
    os.dup2(handle, 1)
    os.close(handle)


def _exit_text(error: SystemExit) -> str:
    return f"code {error.code}"[:200]


def parse(arguments: list[str]) -> argparse.Namespace:
    """Options before `--`, the entry point and its arguments after it."""
    parser = argparse.ArgumentParser(prog="tracer", description=__doc__)
    parser.add_argument("ledger", help="JSON-lines file to write")
    parser.add_argument("--root", default="", help="the bundle's folder (default: here)")
    parser.add_argument("--nonce", default="", help="start of the hash chain, chosen by the reader")
    parser.add_argument("--sham", choices=SHAMS, default="none", help="weights handed out instead")
    parser.add_argument("--sham-seed", type=int, default=0, help="seed of the sham")
    parser.add_argument(
        "--seed-shift",
        "--seed-check",
        type=int,
        default=0,
        help="added to every seed the bundle sets",
    )
    parser.add_argument("--poison", choices=POISONS, default="none", help="in what hooks write")
    parser.add_argument("--poison-site", action="append", default=[], help="only there")
    parser.add_argument("--plain", action="store_true", help="run a notebook and watch nothing")
    parser.add_argument("--max-bytes", type=int, default=MAX_LEDGER_BYTES, help="ledger size limit")
    parser.add_argument("--package", help="started as `python -m`: the package of the module")
    parser.add_argument(
        "--search", action="append", default=[], help="folder on PYTHONPATH; may be repeated"
    )
    parser.add_argument("--output", default="", help="file that standard output goes to")
    parser.add_argument("--append", action="store_true", help="continue the output file")
    parser.add_argument("--stop-on-error", action="store_true", help="stop at a failing cell")
    if arguments[:1] == [REQUEST]:
        arguments = _requested(arguments[1])
    if "--" not in arguments:
        parser.error("-- and the script are missing")
    cut = arguments.index("--")
    options = parser.parse_args(arguments[:cut])
    if cut + 1 == len(arguments):
        parser.error("the script is missing after --")
    options.script, options.arguments = arguments[cut + 1], arguments[cut + 2 :]
    return options


def _requested(path: str) -> list[str]:
    with open(path, encoding="utf-8") as stream:  # noqa: PTH123
        found: list[str] = json.load(stream)
    os.unlink(path)  # noqa: PTH108
    return found


def main(arguments: list[str]) -> None:
    """Run and exit with the entry point's code."""
    session = Session(parse(arguments))
    if session.options.plain:
        session.stay_away()
    else:
        session.start()
    code = session.run()
    if code:
        sys.exit(code)
