"""Network namespaces with a TUN device each, created and held by file descriptors alone.

Linux only. Needs /dev/net/tun and root, or the same capabilities in a user namespace. A namespace here has no
name. It exists as long as a process holds one of its descriptors or runs in it. So nothing is left behind
however a program ends.

The kernel puts threads, not processes, into namespaces. So each namespace is created, entered and configured
in a short thread of its own, and the caller's threads stay outside. Interfaces are configured with pyroute2,
because iproute2 isn't installed everywhere. Sources: setns(2), the kernel's
Documentation/networking/tuntap.rst.
"""

import contextlib
import ctypes
import fcntl
import os
import signal
import socket
import struct
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

NETWORK = "10.77.0.0"
PREFIX_BITS = 16
MTU = 1500
INTERFACE = "jam"
QUEUE_DATAGRAMS = 20_000
"""Length (datagrams) of the kernel's queue in front of the emulator, for moments in which the emulator is
late.

It is enough for 4 s at 5,000 datagrams a second. With the default of 500, datagrams would be lost without a
trace in any log.
"""

REFUSE = "NETLAB_REFUSE"
"""Environment variable for tests. If it is set, `why_not` returns its text as the reason why netlab can't
work here."""

TUN_DEVICE = Path("/dev/net/tun")
CLONE_NEWNET = 0x40000000
PR_SET_TIMERSLACK = 29
TUNSETIFF = 0x400454CA
IFF_TUN, IFF_NO_PI = 0x0001, 0x1000

_libc = ctypes.CDLL(None, use_errno=True)

T = TypeVar("T")


class NetlabError(RuntimeError):
    """Netlab can't do something on this machine. The text tells what failed and what to do."""


@dataclass(frozen=True, slots=True)
class Namespace:
    """A network namespace with loopback up and one TUN device.

    net_fd keeps the namespace alive and lets processes enter it. tun_fd (non-blocking) is the outer end of
    the device: datagrams sent inside are read from it, and datagrams written to it arrive inside. inode
    identifies the namespace.
    """

    address: str
    net_fd: int
    tun_fd: int
    inode: int

    def close(self) -> None:
        """Close both descriptors. Call it once: a second call might close other files, as with os.close."""
        os.close(self.net_fd)
        os.close(self.tun_fd)


def why_not() -> str | None:
    """Try to create a namespace with a TUN device. Return None if it works, else the reason why not, in
    words."""
    if refused := os.environ.get(REFUSE):
        return refused
    if not sys.platform.startswith("linux"):
        return "netlab needs Linux: network namespaces and TUN devices"
    if not TUN_DEVICE.exists():
        return f"no {TUN_DEVICE} (as root: modprobe tun)"
    try:
        make("10.77.250.1").close()
    except NetlabError as error:
        return str(error)
    return None


def make(address: str, congestion: str | None = None) -> Namespace:
    """Create a namespace whose TUN device has `address` in NETWORK.

    congestion: TCP's congestion control for all connections over that device, such as "cubic" or "bbr"; None:
    the kernel's default. It is set on the route. The sysctl in a namespace would refuse one that the host
    doesn't list as allowed, and the host's settings are left alone. Raises NetlabError.
    """

    def inside() -> Namespace:
        if _libc.unshare(CLONE_NEWNET):
            code = ctypes.get_errno()
            raise NetlabError(
                f"no network namespace ({os.strerror(code)}): it needs root (CAP_SYS_ADMIN, CAP_NET_ADMIN)"
            )
        tun_fd = _open_tun()
        try:
            _configure(address, congestion)
            net_fd = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        except OSError as error:
            os.close(tun_fd)
            raise NetlabError(f"{INTERFACE} ({address}) can't be configured: {error}") from error
        except NetlabError:
            os.close(tun_fd)
            raise
        return Namespace(address, net_fd, tun_fd, os.fstat(net_fd).st_ino)

    return _in_thread(inside)


def call_inside(net_fd: int, function: Callable[[], T]) -> T:
    """Run function() in a thread inside the namespace and return its result. Sockets made by it stay
    inside."""

    def inside() -> T:
        enter(net_fd)
        return function()

    return _in_thread(inside)


def enter(net_fd: int) -> None:
    """Move the calling thread into the namespace. Raises OSError."""
    if _libc.setns(net_fd, CLONE_NEWNET):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def set_timer_slack(slack_ns: int) -> None:
    """Limit the lateness of this thread's timers to slack_ns (default 50 us; prctl(2))."""
    _libc.prctl(PR_SET_TIMERSLACK, slack_ns)


def lost_at_devices(net_fd: int) -> int:
    """Return the number of datagrams that the namespace's TUN device has dropped. They are in no log."""

    def read() -> int:
        for line in Path("/proc/thread-self/net/dev").read_text("ascii").splitlines():
            name, _, numbers = line.partition(":")
            if name.strip() == INTERFACE:
                fields = numbers.split()
                return int(fields[3]) + int(fields[11])  # received and dropped, sent and dropped
        return 0

    return call_inside(net_fd, read)


def processes_in(inodes: set[int]) -> list[int]:
    """Return the pids of all processes that run in one of the namespaces."""
    found = []
    for entry in os.scandir("/proc"):
        if entry.name.isdigit() and _namespace_of(int(entry.name)) in inodes:
            found.append(int(entry.name))
    return found


def end_processes_in(inodes: set[int], number: int = signal.SIGKILL) -> int:
    """Send the signal `number` to all processes in the namespaces; return how many got it.

    Each process is held by its pidfd and checked once more before it gets the signal. So another process that
    has got the same pid meanwhile can't be hit.
    """
    count = 0
    for pid in processes_in(inodes):
        with contextlib.suppress(OSError):
            pidfd = os.pidfd_open(pid)
            try:
                if _namespace_of(pid) in inodes:
                    signal.pidfd_send_signal(pidfd, number)
                    count += 1
            finally:
                os.close(pidfd)
    return count


def _namespace_of(pid: int) -> int | None:
    try:
        return os.stat(f"/proc/{pid}/ns/net").st_ino
    except OSError:  # ended meanwhile, or not ours to look at
        return None


def _in_thread(function: Callable[[], T]) -> T:
    with ThreadPoolExecutor(1, thread_name_prefix="netlab") as pool:
        return pool.submit(function).result()


def _open_tun() -> int:
    try:
        fd = os.open(TUN_DEVICE, os.O_RDWR | os.O_NONBLOCK)
    except OSError as error:
        raise NetlabError(f"{TUN_DEVICE} can't be opened: {error.strerror}") from error
    try:
        fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", INTERFACE.encode(), IFF_TUN | IFF_NO_PI))
    except OSError as error:
        os.close(fd)
        raise NetlabError(f"no TUN device ({error.strerror}): netlab needs CAP_NET_ADMIN") from error
    return fd


def _configure(address: str, congestion: str | None) -> None:
    from pyroute2 import IPRoute, NetlinkError  # the import takes 0.1 s, which the emulator can do without

    with contextlib.suppress(OSError):  # a kernel without IPv6 has no such files
        Path("/proc/sys/net/ipv6/conf/all/disable_ipv6").write_text("1")
        Path("/proc/sys/net/ipv6/conf/default/disable_ipv6").write_text("1")
    try:
        with IPRoute() as ip:
            device, loopback = (socket.if_nametoindex(name) for name in (INTERFACE, "lo"))
            ip.addr("add", index=device, address=address, prefixlen=32)
            ip.link("set", index=device, mtu=MTU, txqlen=QUEUE_DATAGRAMS, state="up")
            ip.link("set", index=loopback, state="up")
            metrics = {"metrics": {"cc_algo": congestion}} if congestion else {}
            network = f"{NETWORK}/{PREFIX_BITS}"
            ip.route("replace", dst=network, oif=device, prefsrc=address, scope="link", **metrics)
    except NetlinkError as error:
        wanted = f" with congestion control {congestion!r}" if congestion else ""
        raise NetlabError(f"{INTERFACE} ({address}){wanted} can't be set up: {error.args[-1]}") from error
