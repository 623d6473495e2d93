"""Network namespaces with a TUN device each, made and held by file descriptors alone.

Linux only. Needs /dev/net/tun and root, or the same capabilities in a user namespace. No namespace has a
name. It lives as long as a process holds one of its descriptors or runs in it, so nothing is left behind
however a program ends.

The kernel puts threads, not processes, into namespaces. So each namespace is made, entered and configured in
a short thread of its own, and the caller's threads stay outside. Interfaces are configured with pyroute2,
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
"""Length of the kernel's queue in front of the emulator, for moments in which the emulator is late.

It is enough for 4 s at 5,000 datagrams a second. The default of 500 would lose datagrams without a trace in
any log.
"""

REFUSE = "NETLAB_REFUSE"
"""Name of an environment variable for tests. Its text is taken as the reason why netlab can't work here."""

TUN_DEVICE = Path("/dev/net/tun")
CLONE_NEWNET = 0x40000000
PR_SET_TIMERSLACK = 29
TUNSETIFF = 0x400454CA
IFF_TUN, IFF_NO_PI = 0x0001, 0x1000

_libc = ctypes.CDLL(None, use_errno=True)

T = TypeVar("T")


class NetlabError(RuntimeError):
    """Raised when netlab can't do something on this machine. The text has the finding and the remedy."""


@dataclass(frozen=True, slots=True)
class Namespace:
    """A network namespace with one TUN device and loopback up.

    net_fd keeps the namespace alive and lets processes in. tun_fd (non-blocking) is the other end of its
    device: datagrams sent inside are read from it, datagrams written to it arrive inside. inode identifies
    the namespace.
    """

    address: str
    net_fd: int
    tun_fd: int
    inode: int

    def close(self) -> None:
        """Close both descriptors. Call it once: as with os.close, a second call might close other files."""
        os.close(self.net_fd)
        os.close(self.tun_fd)


def why_not() -> str | None:
    """Try to make a namespace and a TUN device. Return in words why that fails here, or None if it works."""
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
    """Make a namespace whose TUN device has `address` in NETWORK.

    congestion: TCP's congestion control for all connections over that device, as "cubic" or "bbr"; None: the
    kernel's default. It is set on the route, not by sysctl. In a namespace the sysctl refuses any congestion
    control that the host doesn't list as allowed, and we don't change the host's settings. Raises
    NetlabError.
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
    """Run function() in a thread inside the namespace and return its result. A socket made there stays
    there."""

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
    """Let this thread's timers be late by slack_ns at most (the default is 50 us; prctl(2))."""
    _libc.prctl(PR_SET_TIMERSLACK, slack_ns)


def lost_at_devices(net_fd: int) -> int:
    """Return how many datagrams the namespace's TUN device has dropped. No log has these datagrams."""

    def read() -> int:
        for line in Path("/proc/thread-self/net/dev").read_text("ascii").splitlines():
            name, _, numbers = line.partition(":")
            if name.strip() == INTERFACE:
                fields = numbers.split()
                return int(fields[3]) + int(fields[11])  # received and dropped, sent and dropped
        return 0

    return call_inside(net_fd, read)


def processes_in(inodes: set[int]) -> list[int]:
    """Return the pids of all processes that live in one of the namespaces."""
    found = []
    for entry in os.scandir("/proc"):
        if entry.name.isdigit() and _namespace_of(int(entry.name)) in inodes:
            found.append(int(entry.name))
    return found


def end_processes_in(inodes: set[int], number: int = signal.SIGKILL) -> int:
    """Send a signal (`number`) to all processes in the namespaces; return how many they were.

    All of them were started by us or by our children. A process is held by its pidfd and checked again before
    it is signalled. So a pid that another process has got meanwhile can't be hit.
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
    from pyroute2 import IPRoute, NetlinkError  # takes 0.1 s, which an emulator's start needn't

    with contextlib.suppress(OSError):  # a kernel without IPv6 has nothing to say unasked
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
