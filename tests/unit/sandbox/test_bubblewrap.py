"""The options given to bubblewrap: what is shown, in which order, and what closes the holes of its defaults."""

import sys
from pathlib import Path

import pytest

from pytest_mecheval.errors import UsageError
from pytest_mecheval.sandbox import bubblewrap
from pytest_mecheval.sandbox.confinement import Confinement

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux paths")


def options(confinement, **changes):
    settings = {"filter_fd": 7, "passwd_fd": 8, "own_proc": True, "no_nesting": True} | changes
    return bubblewrap.arguments(confinement, **settings)


@pytest.fixture
def asked(tmp_path):
    return Confinement(
        ("/bin/true",),
        scratch=tmp_path / "outer" / "scratch",
        read_only=(tmp_path / "outer", tmp_path / "view"),
    )


def test_every_namespace_is_private(asked):
    given = options(asked)
    for kind in ("user", "ipc", "pid", "net", "uts"):
        assert f"--unshare-{kind}" in given
    assert {"--die-with-parent", "--new-session", "--disable-userns"} <= set(given)
    assert given[given.index("--cap-drop") + 1] == "ALL"


def test_inner_folders_are_mounted_after_outer_ones(asked):
    given = options(asked)
    assert given.index(str(asked.read_only[0])) < given.index(str(asked.scratch))
    assert given[given.index(str(asked.scratch)) - 1] == "--bind"
    # A place under /tmp would vanish below a /tmp mounted later.
    assert given.index("/tmp") < given.index(str(asked.read_only[0]))  # noqa: S108


def test_only_the_scratch_folder_is_writable(asked):
    given = options(asked)
    assert given.count("--bind") == 1
    assert "--dev-bind" not in given


def test_memory_file_systems_are_bounded_and_the_rest_is_closed_last(asked):
    given = options(asked)
    for place in [index for index, word in enumerate(given) if word == "--tmpfs"]:
        assert given[place - 2] == "--size"
        assert int(given[place - 1]) <= 1 << 30
    last_mount = max(index for index, word in enumerate(given) if word in ("--bind", "--tmpfs"))
    assert last_mount < given.index("--remount-ro")
    assert [given[i + 1] for i, word in enumerate(given) if word == "--remount-ro"] == ["/dev", "/"]


def test_no_home_no_configuration_is_shown(asked):
    given = options(asked)
    shown = {given[i + 1] for i, word in enumerate(given) if word.startswith("--ro-bind")}
    assert (
        not {"/", "/etc", "/home", "/root", "/var", "/run", "/proc", "/sys", str(Path.home())}
        & shown
    )


def test_gpu_nodes_only_when_asked(asked, monkeypatch):
    monkeypatch.setattr(bubblewrap, "gpu_nodes", lambda: (Path("/dev/nvidia0"),))
    assert "/dev/nvidia0" not in options(asked)
    with_gpu = Confinement(asked.argv, asked.scratch, gpu=True)
    given = options(with_gpu)
    assert given[given.index("/dev/nvidia0") - 1] == "--dev-bind-try"
    # bwrap's own /dev would hide a node bound before it.
    assert given.index("--dev") < given.index("/dev/nvidia0") < given.index("--remount-ro")


def test_containers_that_mask_proc_get_none(asked):
    assert "--proc" not in options(asked, own_proc=False)


def test_absent_and_too_old_say_what_to_install(monkeypatch):
    monkeypatch.setattr(bubblewrap, "executable", lambda: None)
    with pytest.raises(UsageError, match="apt install bubblewrap"):
        bubblewrap.backend()
    monkeypatch.setattr(bubblewrap, "executable", lambda: Path("/usr/bin/bwrap"))
    monkeypatch.setattr(bubblewrap, "_help", lambda _: "--seccomp FD")
    with pytest.raises(UsageError, match=r"older than 0\.5"):
        bubblewrap.backend()


def test_a_bwrap_in_the_current_folder_is_not_taken(tmp_path, monkeypatch):
    (tmp_path / "bwrap").write_text("#!/bin/sh\n")
    (tmp_path / "bwrap").chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{tmp_path}:.:")
    assert bubblewrap.executable() != tmp_path / "bwrap"
