"""Network: live services of this machine that must not be reached, and socket families that must not open."""

import os
import secrets
import socket
import time

from pytest_mecheval.sandbox import capabilities as can
from pytest_mecheval.sandbox.arena import Arena, Case

ARRIVAL_SECONDS = 0.1
"""Time for a packet on this machine to reach its listener."""


def internet(stage: Arena) -> None:
    tcp = stage.listener(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 0)).getsockname()[1]
    udp = stage.listener(socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 0)).getsockname()[1]
    attempt = stage.run(
        """
tcp, udp = map(int, sys.argv[1:])
attempt("tcp", lambda: socket.create_connection(("127.0.0.1", tcp), timeout=2))
attempt("udp", lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"out", ("127.0.0.1", udp)))
attempt("tcp6", lambda: socket.create_connection(("::1", tcp), timeout=2))
attempt("raw", lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1))
attempt("listen", lambda: socket.create_server(("127.0.0.1", 0)))
attempt("name", lambda: socket.getaddrinfo("example.org", 80))
""",
        tcp,
        udp,
    )
    time.sleep(ARRIVAL_SECONDS)
    attempt.require(not stage.accepted, f"a service outside was reached: {stage.accepted}")
    attempt.require_refusals("tcp", "udp", "tcp6", "raw", "listen", "name")


def unix(stage: Arena) -> None:
    stream, datagram = stage.outside / "service", stage.outside / "log"
    stage.listener(socket.AF_UNIX, socket.SOCK_STREAM, str(stream))
    stage.listener(socket.AF_UNIX, socket.SOCK_DGRAM, str(datagram))
    stage.listener(socket.AF_UNIX, socket.SOCK_STREAM, f"\0{stage.token}")
    stage.listener(socket.AF_UNIX, socket.SOCK_DGRAM, f"\0{stage.token}-log")
    attempt = stage.run(
        """
stream, datagram, token = sys.argv[1:]
def connect(address, kind=socket.SOCK_STREAM):
    one = socket.socket(socket.AF_UNIX, kind)
    one.connect(address)
def through_pair(address, kind=socket.SOCK_DGRAM):
    one, other = socket.socketpair(socket.AF_UNIX, kind)
    return one.sendto(b"out", address)
attempt("path", lambda: connect(stream))
attempt("abstract", lambda: connect("\\0" + token))
attempt("datagram path", lambda: connect(datagram, socket.SOCK_DGRAM))
attempt("pair to path", lambda: through_pair(datagram))
attempt("pair to abstract", lambda: through_pair("\\0" + token + "-log"))
attempt("stream pair to path", lambda: through_pair(stream, socket.SOCK_STREAM))
attempt("sequenced pair", lambda: (lambda pair: pair[0].connect(stream))(socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)))
one, other = socket.socketpair()
one.sendall(b"between ourselves")
print(other.recv(100))
""",
        stream,
        datagram,
        stage.token,
    )
    time.sleep(ARRIVAL_SECONDS)
    attempt.require(not stage.accepted, f"a service outside was reached: {stage.accepted}")
    attempt.require_refusals(
        "path", "abstract", "datagram path", "pair to path", "pair to abstract"
    )
    attempt.require("between ourselves" in attempt.said, "a socket pair of its own does not work")


def families(stage: Arena) -> None:
    attempt = stage.run(
        """
names = {2: "internet", 10: "internet 6", 16: "netlink", 17: "packet", 38: "crypto", 40: "vsock", 44: "xdp", 15: "key",
         21: "rds", 30: "tipc", 31: "bluetooth", 29: "can", 39: "nfc", 45: "mctp"}
for family in range(2, 47):
    for kind in (1, 2, 3, 5):
        attempt(names.get(family, f"family {family}") + f" {kind}", lambda: socket.socket(family, kind))
attempt("pair", lambda: socket.socketpair(socket.AF_INET, socket.SOCK_STREAM))
"""
    )
    attempt.require_refusals("netlink 3", "packet 3", "vsock 1", "crypto 5", "pair")


def old_calls(stage: Arena) -> None:
    """32-bit system calls, whose numbers the filter does not know, end the program."""
    attempt = stage.run(
        """
if os.uname().machine == "x86_64":
    import mmap
    # mov eax, 20 (getpid of the 32-bit table); int 0x80; ret
    code = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    code.write(b"\\xb8\\x14\\x00\\x00\\x00\\xcd\\x80\\xc3")
    address = ctypes.addressof(ctypes.c_char.from_buffer(code))
    print("answer", ctypes.CFUNCTYPE(ctypes.c_int)(address)())
"""
    )
    if os.uname().machine == "x86_64":
        attempt.require("answer" not in attempt.said, "a 32-bit system call was answered")
        attempt.require(attempt.outcome.status == "killed", "a 32-bit system call did not end it")


def cross_run(stage: Arena) -> None:
    """What one run leaves in its scratch folder, another does not find."""
    word = secrets.token_hex(8)
    stage.run("open('left', 'w').write(sys.argv[1])", word)
    first = stage.scratch
    attempt = stage.run('attempt("other run", lambda: open(sys.argv[1]).read())', first / "left")
    attempt.require_refusals("other run")


CASES = (
    Case(can.INTERNET, "internet", internet, control=True),
    Case(can.UNIX_SOCKETS, "unix sockets", unix, control=True),
    Case(can.OTHER_FAMILIES, "other families", families),
    Case(can.KERNEL_SURFACE, "32-bit calls", old_calls),
    Case(can.READ_OUTSIDE, "another run's files", cross_run, control=True),
)
