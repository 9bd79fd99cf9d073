"""Files: reading, writing and touching what lies outside, by path, by link and by descriptor."""

import hashlib
import os
from pathlib import Path

from pytest_mecheval.sandbox import capabilities as can
from pytest_mecheval.sandbox.arena import Arena, Case


def _fingerprint(folder: Path) -> dict[str, tuple[object, ...]]:
    """Everything about a folder's files that can be changed."""
    found: dict[str, tuple[object, ...]] = {}
    for path in sorted((folder, *folder.rglob("*"))):
        facts = path.lstat()
        content = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        attributes = tuple(sorted(os.listxattr(path, follow_symlinks=False)))
        # Access times are left out: reading is judged by its own case.
        found[str(path)] = (
            facts.st_mode,
            facts.st_uid,
            facts.st_gid,
            facts.st_mtime_ns,
            facts.st_nlink,
        )
        found[str(path)] += (facts.st_size, content, attributes)
    return found


def reading_a_secret(stage: Arena) -> None:
    attempt = stage.run(
        """
secret, = sys.argv[1:]
attempt("open", lambda: open(secret).read())
attempt("list", lambda: os.listdir(os.path.dirname(secret)))
attempt("scan", lambda: list(os.scandir(os.path.dirname(os.path.dirname(secret)))))
attempt("truncate-read", lambda: os.read(os.open(secret, os.O_RDONLY | os.O_NOFOLLOW), 100))
attempt("walk up", lambda: open(os.path.join("..", "..", "outside", "home", ".ssh", os.path.basename(secret))).read())
attempt("execute", lambda: os.execv(secret, [secret]))
""",
        stage.secret,
    )
    attempt.require_refusals("open", "list", "scan", "truncate-read", "walk up", "execute")
    attempt.require(stage.token not in attempt.said, "the secret came out")


def reading_the_system(stage: Arena) -> None:
    attempt = stage.run(
        """
for path in ("/etc/shadow", "/etc/hostname", "/root/.bashrc", "/root/.ssh/authorized_keys", "/var/log/dpkg.log", "/dev/mem", "/dev/kmsg", "/proc/kcore", "/sys/kernel/uevent_helper"):
    attempt(path, lambda: open(path, "rb").read(64))
def first_file(folder):
    found = [one.path for one in os.scandir(folder) if one.is_file()]
    return found[0] if found else os.stat("/nonexistent")
for folder in ("/root", "/home", "/var", "/srv", "/opt", "/mnt", "/boot"):
    try:
        names = os.listdir(folder)
    except OSError:
        names = []
    # The way down to a mounted folder may show as an empty path.
    for name in names:
        attempt(f"{folder}/{name}", lambda: first_file(f"{folder}/{name}"))
print("tried")
"""
    )
    attempt.require("tried" in attempt.said, "the attacker stopped early")
    hits = [line for line in attempt.said.splitlines() if line.startswith("ESCAPED")]
    attempt.require(not hits, f"read: {hits}")


def writing(stage: Arena) -> None:
    before = _fingerprint(stage.outside)
    attempt = stage.run(
        """
secret, view, folder = sys.argv[1:]
attempt("append", lambda: open(secret, "r+"))
attempt("truncate", lambda: os.truncate(secret, 0))
attempt("open-truncate", lambda: os.open(secret, os.O_RDONLY | os.O_TRUNC))
attempt("unlink", lambda: os.unlink(secret))
attempt("rename out", lambda: os.rename(secret, "stolen"))
attempt("rename view", lambda: os.rename(view + "/readable", view + "/renamed"))
attempt("write view", lambda: open(view + "/readable", "a"))
attempt("create in view", lambda: open(view + "/new", "w"))
attempt("mkdir in view", lambda: os.mkdir(view + "/folder"))
attempt("remove from view", lambda: os.unlink(view + "/readable"))
for path in (folder + "/planted", folder + "/home/.bashrc"):
    try:
        open(path, "w").close()  # may land in a private folder of the same name
    except OSError:
        pass
open("own", "w").write("fine")
print("own:", open("own").read(), open(view + "/readable").read())
""",
        stage.secret,
        stage.view,
        stage.outside,
    )
    attempt.require_refusals("append", "truncate", "unlink", "rename out", "write view")
    attempt.require("own: fine this may be read" in attempt.said, "its own files do not work")
    attempt.require(_fingerprint(stage.outside) == before, "something outside changed")
    attempt.require(
        (stage.scratch / "own").read_text() == "fine", "the scratch folder was not kept"
    )


def writing_the_system(stage: Arena) -> None:
    attempt = stage.run(
        """
attempt("programs", lambda: open("/usr/bin/planted", "w"))
attempt("libraries", lambda: open("/usr/lib/planted", "w"))
attempt("interpreter", lambda: open(os.__file__, "r+"))
attempt("configuration", lambda: open("/etc/planted", "w"))
attempt("device", lambda: os.mknod("disk", 0o60600, os.makedev(7, 0)))
attempt("run", lambda: open("/run/planted", "w"))
attempt("root", lambda: open("/planted", "w"))
attempt("devices", lambda: open("/dev/planted", "w"))
"""
    )
    attempt.require_refusals(
        "programs", "libraries", "interpreter", "configuration", "device", "run"
    )
    attempt.require_refusals("root", "devices")


def metadata(stage: Arena) -> None:
    before, seen = _fingerprint(stage.outside), _fingerprint(stage.view)
    attempt = stage.run(
        """
import struct
secret, view = sys.argv[1:]
for path in (secret, view + "/readable", view):
    for action in (lambda: os.chmod(path, 0o777), lambda: os.utime(path, (1, 1)), lambda: os.chown(path, os.getuid(), os.getgid()),
                   lambda: os.setxattr(path, "user.planted", b"1"), lambda: os.chmod(path, 0)):
        try:
            action()
        except OSError as error:
            print(error.errno)
for path in (view + "/readable", view):
    handle = os.open(path, os.O_RDONLY)
    for action in (lambda: os.fchmod(handle, 0o777), lambda: os.utime(handle, (1, 1)), lambda: os.fchown(handle, os.getuid(), os.getgid()),
                   lambda: os.setxattr(handle, "user.planted", b"1"),
                   lambda: call(16, handle, 0x40086602, struct.pack("l", 0x80)) if os.uname().machine == "x86_64" else None):
        try:
            action()
        except OSError as error:
            print(error.errno)
""",
        stage.secret,
        stage.view,
    )
    attempt.require(attempt.succeeded, "the attacker stopped early")
    attempt.require(_fingerprint(stage.outside) == before, "metadata outside changed")
    after = {path: facts for path, facts in _fingerprint(stage.view).items() if path in seen}
    seen_folder, after_folder = seen.pop(str(stage.view)), after.pop(str(stage.view))
    attempt.require(after == seen, "metadata of the read-only view changed")
    # The folder's own time moves when the arena adds a program; its mode must not.
    attempt.require(seen_folder[:3] == after_folder[:3], "the view's own mode or owner changed")


def links(stage: Arena) -> None:
    (stage.view / "out").symlink_to(stage.secret)
    attempt = stage.run(
        """
secret, view = sys.argv[1:]
os.symlink(secret, "soft")
attempt("symlink", lambda: open("soft").read())
attempt("planted symlink", lambda: open(view + "/out").read())
attempt("hard link", lambda: os.link(secret, "hard"))
attempt("hard link of view", lambda: (os.link(view + "/readable", "hard"), open("hard", "a"))[1])
os.symlink("/", "root")
attempt("folder link", lambda: open("root" + secret).read())
attempt("proc root", lambda: open("/proc/self/root" + secret).read())
attempt("proc cwd", lambda: open("/proc/self/cwd/../../outside/home/.ssh/id_ed25519").read())
attempt("parent root", lambda: open(f"/proc/{os.getppid()}/root{secret}").read())
attempt("parent cwd", lambda: os.listdir(f"/proc/{os.getppid()}/cwd/root/.ssh"))
def through_path_descriptor():
    handle = os.open("/", os.O_PATH)
    return open(os.open(secret.lstrip("/"), os.O_RDONLY, dir_fd=handle)).read()
attempt("path descriptor", through_path_descriptor)
def reopened():
    handle = os.open(view + "/readable", os.O_RDONLY)
    return open(f"/proc/self/fd/{handle}", "w")
attempt("reopen for writing", reopened)
attempt("file handle", lambda: call(303, -100, secret.encode(), ctypes.create_string_buffer(200), ctypes.byref(ctypes.c_int()), 0)
        if os.uname().machine == "x86_64" else open("/nonexistent"))
""",
        stage.secret,
        stage.view,
    )
    attempt.require_refusals(
        "symlink", "planted symlink", "hard link", "folder link", "reopen for writing"
    )
    attempt.require(stage.token not in attempt.said, "the secret came out")
    attempt.require(
        (stage.view / "readable").read_text() == "this may be read", "the view was changed"
    )


def existence(stage: Arena) -> None:
    attempt = stage.run('attempt("stat", lambda: os.stat(sys.argv[1]).st_size)', stage.secret)
    attempt.require_refusals("stat")


def descriptors(stage: Arena) -> None:
    handle = os.open(stage.secret, os.O_RDONLY)
    os.set_inheritable(handle, True)
    try:
        attempt = stage.run(
            """
for number in range(3, 64):
    attempt(f"fd {number}", lambda: os.read(number, 100))
print("input", repr(sys.stdin.read()))
print("terminal", os.isatty(0), os.isatty(1))
"""
        )
    finally:
        os.close(handle)
    attempt.require_refusals("fd 3", "fd 10", "fd 63")
    attempt.require("input ''" in attempt.said, "its input was not empty")
    attempt.require("terminal False False" in attempt.said, "it has a terminal")


def channel(stage: Arena) -> None:
    handle = os.memfd_create("channel")
    try:
        attempt = stage.run(f"os.write({handle}, b'through')", channels=(handle,))
        attempt.require(attempt.succeeded, "it could not write to its channel")
        attempt.require(os.pread(handle, 100, 0) == b"through", "the channel stayed empty")
    finally:
        os.close(handle)


def set_id(stage: Arena) -> None:
    attempt = stage.run(
        """
import shutil
open("plain", "w").close()
for name, action in {
    "chmod": lambda: os.chmod("plain", 0o6755),
    "fchmod": lambda: os.fchmod(os.open("plain", os.O_RDWR), 0o4755),
    "open": lambda: os.open("born", os.O_CREAT | os.O_WRONLY, 0o6755),
    "temporary": lambda: os.open(".", os.O_TMPFILE | os.O_WRONLY, 0o4755),
    "mknod": lambda: os.mknod("node", 0o104755),
}.items():
    try:
        action()
    except OSError as error:
        print("refused", name, error.errno)
"""
    )
    attempt.require(attempt.succeeded, "the attacker stopped early")
    marked = [path.name for path in stage.scratch.rglob("*") if path.lstat().st_mode & 0o6000]
    attempt.require(not marked, f"set-id files: {marked}")


def own_modes(stage: Arena) -> None:
    attempt = stage.run(
        """
open("tool", "w").write("#!/bin/sh\\necho ran")
os.chmod("tool", 0o755)
os.utime("tool", (1000, 1000))
print(oct(os.stat("tool").st_mode & 0o777), os.stat("tool").st_mtime)
"""
    )
    attempt.require("0o755 1000.0" in attempt.said, "mode and time of its own file did not change")


def own_temporary(stage: Arena) -> None:
    name = f"planted-{stage.token}"
    attempt = stage.run(
        """
name, = sys.argv[1:]
open("/tmp/" + name, "w").write("x")
print(os.listdir("/tmp"))
""",
        name,
    )
    there = Path("/tmp") / name  # noqa: S108 - that is the question
    outside = there.exists()
    there.unlink(missing_ok=True)
    attempt.require(not outside, "the folder is the machine's own")
    attempt.require(attempt.succeeded, "the folder cannot be written")
    attempt.require(name in attempt.said, "the folder does not keep files")


CASES = (
    Case(can.READ_OUTSIDE, "reading a secret", reading_a_secret, control=True),
    Case(can.READ_OUTSIDE, "reading the system", reading_the_system),
    Case(can.WRITE_OUTSIDE, "writing", writing, control=True),
    Case(can.WRITE_OUTSIDE, "writing the system", writing_the_system),
    Case(can.METADATA_OUTSIDE, "metadata", metadata, control=True),
    Case(can.LINKS, "links", links, control=True),
    Case(can.EXISTENCE, "existence", existence, control=True),
    Case(can.DESCRIPTORS, "descriptors", descriptors),
    Case(can.DESCRIPTORS, "channel", channel),
    Case(can.SET_ID, "set-id", set_id, control=True),
    Case(can.OWN_MODES, "own modes", own_modes),
    Case(can.OWN_TEMPORARY, "own temporary folder", own_temporary),
)
