"""Beginning: makes a bridge's core as soon as its slot is known.

A shell: it waits for the relay's first answer. Without an answer it draws a slot at random.
"""

import asyncio
import logging
import os
import random
import signal
from functools import partial
from pathlib import Path

from bridge.core import Bridge, Setup
from bridge.playout.fault_injection import FaultKind
from bridge.restart_state import Identity
from bridge.scsynth.id_space import Origin
from bridge.scsynth.samples import ResourceFolders
from bridge.session import greeting
from bridge.session.connection_status import Standing
from bridge.shells.asides import Asides
from bridge.shells.config import ChildConfig, JoinConfig
from bridge.shells.joining import Joiner
from bridge.shells.scsynth_process import RELEASE_SLACK_MS
from clock import sources
from relay.wire.carrier import CARRIERS
from relay.wire.timetag import ticks

log = logging.getLogger(__name__)


FAULT_ENV = "JAMBRIDGE_FAULT"


async def begin(
    join: JoinConfig, child: ChildConfig, asides: Asides, joiner: Joiner, standing: Standing
) -> Bridge:
    """Return the core of a bridge. If the relay has sent a Welcome, the core has processed it."""
    journal = asides.journal
    memory, advance_ms = journal.memory, child.need_ms + RELEASE_SLACK_MS
    identity = Identity(join.room, join.name, join.software, ticks(advance_ms / 1e3))
    hello = greeting.hello(identity, memory, outs=child.outs, ins=child.ins, next_seq=memory.next_seq)
    # A restarted bridge knows its slot, and Sonic Pi's threads are waiting for answers.
    welcome = await joiner.first_words(hello) if memory.slot is None else None
    slot = greeting.slot_of(welcome, memory, random.random)
    setup = Setup(
        identity=identity,
        own=Origin(slot, child.outs, child.ins),
        need=ticks(child.need_ms / 1e3),
        memory=memory,
        folders=ResourceFolders(),
        standing=standing,
        carrier=CARRIERS[join.transport],
        tunes=asides.tunes,
        fetches=join.fetch,
        restarted=journal.found,
        client=journal.client,
        synthdefs_loaded=journal.synthdefs_loaded,
    )
    log.info(
        "bridge up slot=%d need_ms=%.1f release_advance_ms=%.1f restarted=%s",
        slot, child.need_ms, advance_ms, journal.found,
    )  # fmt: skip
    bridge = Bridge(setup, sources.read())
    if welcome is not None:
        bridge.relay_says(welcome, sources.read())
        # Saved before anything can fail: a bridge without its ticket would get another place.
        asides.remember()
    if FAULT_ENV in os.environ:
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, partial(_plant, bridge))
    return bridge


def _plant(bridge: Bridge) -> None:
    """Inject the fault that the file named by JAMBRIDGE_FAULT contains, for tests."""
    bridge.plant(FaultKind(Path(os.environ[FAULT_ENV]).read_text().strip()))
