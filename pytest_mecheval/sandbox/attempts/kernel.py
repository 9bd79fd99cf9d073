"""The kernel: calls with a history of ways out, privileges, and memory that belongs to nobody."""

from pytest_mecheval.sandbox import capabilities as can
from pytest_mecheval.sandbox.arena import Arena, Case

_NUMBERS = """
from_table = lambda x86, arm: x86 if os.uname().machine == "x86_64" else arm
"""


def surface(stage: Arena) -> None:
    attempt = stage.run(
        _NUMBERS
        + """
for name, flag in (("user", 0x10000000), ("mount", 0x20000), ("pid", 0x20000000), ("network", 0x40000000)):
    attempt(f"unshare {name}", lambda: call(from_table(272, 97), flag))
    attempt(f"clone {name}", lambda: os._exit(0) if call(from_table(56, 220), flag | 17, 0, 0, 0, 0) == 0 else "child")
attempt("clone3", lambda: call(435, None, 0))
attempt("setns", lambda: call(from_table(308, 268), 0, 0))
attempt("mount", lambda: call(from_table(165, 40), b"none", b".", b"tmpfs", 0, None))
attempt("open_tree", lambda: call(428, -100, b".", 1))
attempt("fsopen", lambda: call(430, b"tmpfs", 0))
attempt("chroot", lambda: os.chroot("."))
attempt("pivot_root", lambda: call(from_table(155, 41), b".", b"."))
attempt("add_key", lambda: call(from_table(248, 217), b"user", b"planted", b"x", 1, -4))
attempt("keyctl", lambda: call(from_table(250, 219), 0, -3, 0))
attempt("bpf", lambda: call(from_table(321, 280), 0, ctypes.create_string_buffer(120), 120))
attempt("perf", lambda: call(from_table(298, 241), ctypes.create_string_buffer(b"\\x01\\0\\0\\0\\x78" + b"\\0" * 120), 0, -1, -1, 0))
attempt("io_uring", lambda: call(425, 4, ctypes.create_string_buffer(120)))
attempt("userfaultfd", lambda: call(from_table(323, 282), 1))
attempt("fanotify", lambda: call(from_table(300, 262), 0, 0))
attempt("module", lambda: call(from_table(313, 273), 0, b"", 0))
attempt("reboot", lambda: call(from_table(169, 142), 0xfee1dead, 672274793, 0, 0))
attempt("syslog", lambda: call(from_table(103, 116), 3, ctypes.create_string_buffer(64), 64))
attempt("hostname", lambda: socket.sethostname(socket.gethostname()))
attempt("clock", lambda: time.clock_settime(time.CLOCK_REALTIME, time.time()))
attempt("openat2", lambda: call(437, -100, b".", ctypes.create_string_buffer(24), 24))
attempt("future call", lambda: call(520))
import fcntl
attempt("owner of signals", lambda: fcntl.fcntl(0, fcntl.F_SETOWN, 1))
attempt("terminal input", lambda: fcntl.ioctl(0, 0x5412, b"x"))
attempt("hide", lambda: (_ for _ in ()).throw(OSError()) if libc.prctl(4, 0, 0, 0, 0) else 0)
"""
    )
    attempt.require_refusals(
        "unshare user", "clone user", "clone3", "mount", "keyctl", "bpf", "io_uring"
    )
    attempt.require_refusals(
        "perf", "userfaultfd", "open_tree", "future call", "owner of signals", "hide"
    )


def privileges(stage: Arena) -> None:
    attempt = stage.run(
        """
import subprocess
import struct
header, data = struct.pack("Ii", 0x20080522, 0), ctypes.create_string_buffer(24)
call(125 if os.uname().machine == "x86_64" else 90, header, data)
print("capabilities", any(struct.unpack("6I", data.raw)))
print("bounding", sum(libc.prctl(23, n, 0, 0, 0) == 1 for n in range(41)), "no new", libc.prctl(39, 0, 0, 0, 0))
attempt("become root", lambda: os.setuid(0) if os.getuid() else os.setuid(1))
attempt("groups", lambda: os.setgroups([0]))
"""
    )
    attempt.require("capabilities False" in attempt.said, "it holds capabilities")
    attempt.require("no new 1" in attempt.said, "set-id programs would give privileges")
    attempt.require_refusals("become root", "groups")


def shared_ipc(stage: Arena) -> None:
    attempt = stage.run(
        _NUMBERS
        + """
attempt("shared memory", lambda: call(from_table(29, 194), 0, 4096, 0o1600))
attempt("semaphore", lambda: call(from_table(64, 190), 0, 1, 0o1600))
attempt("messages", lambda: call(from_table(68, 186), 0, 0o1600))
attempt("posix queue", lambda: call(from_table(240, 180), b"planted", 0o102, 0o600, None))
"""
    )
    attempt.require_refusals("shared memory", "semaphore", "messages", "posix queue")


def memory_files(stage: Arena) -> None:
    attempt = stage.run(
        _NUMBERS
        + """
attempt("memfd", lambda: call(from_table(319, 279), b"m", 0))
attempt("memfd_secret", lambda: call(447, 0))
for place in ("/dev", "/run", "/", "/var", "/etc", "/usr", "/var/tmp"):
    attempt("write " + place, lambda: open(place + "/planted", "w"))
total, made = 0, []
for place in ("/dev/shm", "/tmp"):
    for number in range(200):
        try:
            with open(f"{place}/planted-{os.getpid()}-{number}", "xb") as stream:
                made.append(stream.name)
                total += stream.write(bytes(8 << 20))
        except OSError as error:
            print(place, number, error.errno)
            break
for name in made:
    os.unlink(name)
print("total", total >> 20)
""",
        memory_mib=2048,
        processes=48,
    )
    attempt.require_refusals("memfd", "write /dev", "write /", "write /var/tmp")
    total = int(attempt.said.split("total ")[1].split()[0])
    attempt.require(total <= 800, f"{total} MiB written to memory outside the scratch folder")


def shared_memory(stage: Arena) -> None:
    attempt = stage.run(
        """
from multiprocessing import shared_memory
block = shared_memory.SharedMemory(create=True, size=4096)
if os.fork() == 0:
    block.buf[:5] = b"hello"
    os._exit(0)
os.wait()
print(bytes(block.buf[:5]))
block.close(); block.unlink()
"""
    )
    attempt.require("b'hello'" in attempt.said, "shared memory does not work")


def pseudo_terminals(stage: Arena) -> None:
    attempt = stage.run("import pty; print('terminal', pty.openpty()[1] > 0)")
    attempt.require("terminal True" in attempt.said, "no pseudo terminal")


CASES = (
    Case(can.KERNEL_SURFACE, "kernel surface", surface),
    Case(can.PRIVILEGES, "privileges", privileges),
    Case(can.SHARED_IPC, "shared ipc", shared_ipc),
    Case(can.MEMORY_FILES, "files in memory", memory_files),
    Case(can.SHARED_MEMORY, "shared memory", shared_memory),
    Case(can.PSEUDO_TERMINALS, "pseudo terminals", pseudo_terminals),
)
