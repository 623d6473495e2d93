"""Local sockets: a bridge's socket to Sonic Pi, at the address of scsynth, and its socket to the real
scsynth.

A shell. The shim owns both, so datagrams wait in the kernel while a bridge is restarted.
"""

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import Callable

import asyncio_dgram

from bridge.shells.config import ChildConfig
from relay.transports.udp import DatagramSocket, Received

log = logging.getLogger(__name__)

TAP_BYTES_MAX = 65_507
"""The longest UDP datagram. scsynth accepts any length, so the tap must too."""
UNREACHABLE_S = 0.05
"""How long to wait before reading scsynth's socket again if nobody listens there, s."""


class LocalSockets:
    """The sockets of one bridge to Sonic Pi and to scsynth."""

    def __init__(self, child: ChildConfig, on_tap: Callable[[list[Received]], None]) -> None:
        """on_tap: the function that gets Sonic Pi's datagrams."""
        self._tap_fd, self._synth_fd = child.tap_fd, child.synth_fd
        # Drained here, not by asyncio, because the kernel's receive instant is the instant of emission.
        self._tap = DatagramSocket(on_tap, longest=TAP_BYTES_MAX)
        self._answers: socket.socket
        self._synth: asyncio_dgram.DatagramServer | asyncio_dgram.DatagramClient

    async def open(self) -> None:
        """Open both sockets from the shim's descriptors. Sonic Pi's datagrams wait in the kernel until
        `listen`."""
        self._answers = socket.socket(fileno=os.dup(self._tap_fd))
        self._synth = await asyncio_dgram.from_socket(socket.socket(fileno=self._synth_fd))

    def listen(self) -> None:
        """Begin to read Sonic Pi's datagrams."""
        self._tap.adopt(socket.socket(fileno=self._tap_fd))

    def named(self) -> dict[str, int]:
        """Return the counts of the tap's socket, by name, for the statistics."""
        return self._tap.counts.named("tap")

    def to_sonic_pi(self, to: tuple[str, int], payload: bytes) -> None:
        """Send a datagram to Sonic Pi's socket `to`, from the address that Sonic Pi takes for scsynth's."""
        with contextlib.suppress(OSError):
            self._answers.sendto(payload, to)

    def to_synth(self, payload: bytes) -> None:
        """Send a datagram to scsynth."""
        with contextlib.suppress(OSError):
            os.write(self._synth_fd, payload)

    async def read_synth(self, take: Callable[[bytes], None]) -> None:
        """Pass scsynth's datagrams to `take`, for ever."""
        while True:
            try:
                datagram, _ = await self._synth.recv()
            except OSError as error:  # scsynth no longer listens; the shim will end this process
                log.debug("= scsynth unreachable: %s", error)
                await asyncio.sleep(UNREACHABLE_S)
                continue
            take(datagram)

    def close(self) -> None:
        """Close both sockets."""
        self._tap.close()
        self._synth.close()
