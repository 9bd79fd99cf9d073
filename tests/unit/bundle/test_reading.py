"""Hostile trees: nothing outside the bundle is read, nothing hangs, everything skipped is named."""

import contextlib
import os
import socket
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_mecheval.bundle import reading
from pytest_mecheval.bundle.discovery import discover
from pytest_mecheval.bundle.passages import passages
from pytest_mecheval.bundle.reading import (
    MissingFile,
    TooLarge,
    hash_file,
    list_files,
    read_file,
    read_start,
    stated_file,
)
from pytest_mecheval.errors import BundleError

SPARSE_BYTES = 2**40


@pytest.fixture
def root(folder):
    return folder({"plan.md": "the plan\n"})


@pytest.fixture
def secret(tmp_path):
    target = tmp_path / "secret.md"
    target.write_text("the key\n")
    return target


def everything_read(bundle):
    return "".join(document.text for document in bundle.texts())


def test_link_out_of_the_bundle_is_skipped_and_named(root, secret):
    (root / "documentation.md").symlink_to(secret)
    (root / "logs").symlink_to(secret.parent)
    bundle = discover(root)
    assert everything_read(bundle) == "the plan\n"
    assert bundle.notes == (
        "documentation.md: symbolic link, not followed, skipped",
        "logs: symbolic link, not followed, skipped",
    )


def test_link_loop_ends(root):
    (root / "a").symlink_to(root / "b")
    (root / "b").symlink_to(root / "a")
    (root / "self").symlink_to(root)
    assert [file.path for file in discover(root).files] == ["plan.md"]


def test_fifo_device_and_socket_do_not_hang(root, monkeypatch):
    os.mkfifo(root / "documentation.md")
    monkeypatch.chdir(root)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("s.md")
        bundle = discover(root)
    assert bundle.notes == (
        "documentation.md: not a regular file, skipped",
        "s.md: not a regular file, skipped",
    )
    with pytest.raises(BundleError, match="not a regular file"):
        read_file(root, "documentation.md", 100)


def test_link_planted_between_listing_and_reading_leads_nowhere(root, secret):
    listed = list_files(root, lambda _parts, _folder: False)
    (root / "plan.md").unlink()
    (root / "plan.md").symlink_to(secret)
    assert listed.files == ("plan.md",)
    with pytest.raises(BundleError, match="links are not followed"):
        read_file(root, "plan.md", 100)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/etc/passwd", "is absolute"),
        ("~/x", "is absolute"),
        ("../secret.md", "leaves the bundle"),
        ("logs/../../secret.md", "leaves the bundle"),
        ("", "names no file"),
        ("./", "names no file"),
        ("a\x00b", "characters no file name"),
        ("a\nb", "characters no file name"),
        ("a\u202eb", "characters no file name"),
        ("..\\secret.md", "characters no file name"),
        ("\udcff", "characters no file name"),
    ],
)
def test_stated_paths_cannot_leave(root, path, text):
    for opener in (lambda: stated_file(root, path), lambda: read_file(root, path, 100)):
        with pytest.raises(BundleError, match=text) as caught:
            opener()
        assert str(caught.value).isprintable()


def test_stated_path_through_a_linked_folder_is_refused(root, secret):
    (root / "model").symlink_to(secret.parent)
    with pytest.raises(BundleError, match="links are not followed"):
        stated_file(root, "model/secret.md")


def test_stated_file_gives_the_absolute_path_or_says_it_is_missing(root):
    assert stated_file(root, "./plan.md") == root / "plan.md"
    with pytest.raises(MissingFile, match=r"^model/w.safetensors: no such file in the bundle$"):
        stated_file(root, "model/w.safetensors")
    with pytest.raises(BundleError, match="no folder on the way"):
        stated_file(root, "plan.md/x")


@pytest.mark.parametrize("name", ["a\nb.md", "a\x1b[2Jb.md", "a\u202eb.md", "a\u200bb.md"])
def test_names_that_could_lie_are_skipped_and_shown_escaped(root, name):
    (root / name).write_text("x")
    bundle = discover(root)
    assert [file.path for file in bundle.files] == ["plan.md"]
    assert len(bundle.notes) == 1
    assert bundle.notes[0].isprintable()
    assert "control, hidden or undecodable characters" in bundle.notes[0]


def test_name_that_is_not_utf8_is_skipped(root):
    Path(os.fsdecode(os.fsencode(root) + b"/caf\xe9.md")).write_text("x")
    assert [file.path for file in discover(root).files] == ["plan.md"]


def test_deep_nesting_is_cut_with_a_note(root):
    deep = root
    for _ in range(reading.MAX_DEPTH + 5):
        deep = deep / "d"
    deep.mkdir(parents=True)
    (deep / "plan.md").write_text("deep")
    bundle = discover(root)
    assert [file.path for file in bundle.files] == ["plan.md"]
    assert bundle.notes[0].endswith(f"deeper than {reading.MAX_DEPTH} folders, skipped")


def test_too_many_files_are_refused(root, monkeypatch):
    monkeypatch.setattr(reading, "MAX_FILES", 3)
    for index in range(5):
        (root / f"{index}.txt").write_text("x")
    with pytest.raises(BundleError, match="more than 3 files"):
        discover(root)


def test_sparse_giant_is_neither_read_nor_hashed(root):
    with (root / "weights.bin").open("wb") as stream:
        try:
            stream.truncate(SPARSE_BYTES)
        except OSError:
            pytest.skip("file system has no sparse files of this size")
    bundle = discover(root)
    assert [file.path for file in bundle.files] == ["plan.md"]
    assert bundle.notes[0].startswith(f"weights.bin: {SPARSE_BYTES} bytes, at most")


def test_limit_counts_bytes_really_read(root):
    assert read_file(root, "plan.md", len("the plan\n")) == b"the plan\n"
    with pytest.raises(TooLarge):
        read_file(root, "plan.md", len("the plan\n") - 1)
    # A file whose stated size is 0 but which yields bytes, as under /proc.
    proc = Path("/proc/self")
    if (proc / "status").exists():
        with pytest.raises(TooLarge, match="more than 10 bytes"):
            read_file(proc.resolve(), "status", 10)


def test_empty_file_and_huge_line_are_read(folder):
    bundle = discover(folder({"plan.md": b"", "documentation.md": "word " * 200_000}))
    assert bundle.find("plan.md").text == ""
    assert len(bundle.find("documentation.md").text) == len("word ") * 200_000


def test_unreadable_folder_and_file_are_noted(root):
    if os.geteuid() == 0:
        pytest.skip("root reads everything")
    (root / "closed").mkdir(mode=0)
    (root / "closed.md").touch(mode=0)
    try:
        notes = discover(root).notes
    finally:
        (root / "closed").chmod(0o700)
    assert notes == (
        "closed: cannot be listed (permission denied), skipped",
        "closed.md: cannot be opened (permission denied), skipped",
    )


def test_hash_and_start_agree_with_the_content(root):
    size, sha256 = hash_file(root, "plan.md")
    assert size == len("the plan\n")
    assert sha256 == discover(root).sha256_of("plan.md")
    assert read_start(root, "plan.md", 3) == (b"the", size)
    assert read_start(root, "plan.md", 100) == (b"the plan\n", size)


def test_files_are_opened_read_only(root):
    (root / "plan.md").chmod(0o400)
    before = (root / "plan.md").stat()
    discover(root)
    after = (root / "plan.md").stat()
    assert (before.st_mtime_ns, before.st_mode) == (after.st_mtime_ns, after.st_mode)


@settings(
    deadline=None, max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.sampled_from(["plan.md", "documentation.md", "n.ipynb", "real_circuits.json", "run.py"]),
    st.binary(max_size=300) | st.text(max_size=300).map(str.encode),
)
def test_any_bytes_in_any_document_are_read_or_noted(root, name, content):
    (root / name).write_bytes(content)
    bundle = discover(root)
    assert bundle.sha256_of(name) is not None
    assert bundle.find(name) is not None or any(note.startswith(name) for note in bundle.notes)
    assert all(passage.line >= 1 for passage in passages(bundle))
    (root / name).unlink()
    (root / "plan.md").write_text("the plan\n")


@settings(
    deadline=None, max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.binary(max_size=100) | st.text(max_size=100).map(str.encode))
def test_any_bytes_as_manifest_are_read_or_refused_cleanly(root, content):
    (root / "mecheval.yaml").write_bytes(content)
    with contextlib.suppress(BundleError):
        discover(root)


def test_nothing_of_the_bundle_is_imported_or_unpickled(folder, tmp_path):
    marker = tmp_path / "ran"
    code = f"import pathlib; pathlib.Path({str(marker)!r}).touch()\n"
    pickled = b"cos\nsystem\n(S'touch " + str(marker).encode() + b"'\ntR."
    discover(
        folder(
            {"conftest.py": code, "sitecustomize.py": code, "model.pt": pickled, "x.pkl": pickled}
        )
    )
    assert not marker.exists()
