"""Fuzz targets: functions that make an input and check what must hold for every input.

An input depends on nothing but the target's name and a number. A failure names both, and `scripts/fuzz --only
TARGET:NUMBER` repeats it. The long run is `scripts/fuzz`.
"""

import atexit
import shutil
import struct
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import msgspec
from msgspec import msgpack
from pythonosc.osc_bundle import OscBundle
from pythonosc.osc_message import OscMessage

from bridge.core import Bridge, Setup
from bridge.restart_state import Identity, Memory
from bridge.scsynth.id_space import Origin
from bridge.scsynth.remap import remap
from bridge.scsynth.samples import ResourceFolders, load_to_local
from bridge.scsynth.unmap import unmap_reply
from clock.model import Reading
from relay.wire import control, frames
from relay.wire.datagram import Opener, Sealer, peek_channel
from relay.wire.errors import MalformedControl, MalformedDatagram, MalformedOsc, RemoteError
from relay.wire.meaning import meaning_of
from relay.wire.osc import Message, walk
from relay.wire.sequence import Flag, Judged, Kind
from relay.wire.timetag import ticks
from tests.fuzz.checks import check_command, check_to_synth
from tests.fuzz.inputs import (
    KEY,
    NOW_NS,
    control_input,
    frame_input,
    mutate_bytes,
    mutate_message,
    osc_input,
)

ORIGINS = (Origin(1), Origin(3, 2, 2), Origin(17, 64, 0), Origin(31, 0, 16))


class FuzzError(AssertionError):
    """A check failed. The text holds the input and the error."""


def reference(datagram: bytes) -> list[tuple[str, list[Any]]]:
    """Return (address, arguments) of a datagram's messages as python-osc reads them.

    Bundles are flattened. An array's elements stand between "[" and "]".
    """
    if datagram.startswith(b"#bundle\0"):
        found = []
        for element in OscBundle(datagram):
            found += reference(element.dgram)
        return found
    message = OscMessage(datagram)
    return [(message.address, _flat(message.params))]


def _flat(params: list[Any]) -> list[Any]:
    found: list[Any] = []
    for value in params:
        found += ["[", *_flat(value), "]"] if isinstance(value, list) else [value]
    return found


def _alike(ours: Any, theirs: Any) -> bool:
    if isinstance(ours, float) and isinstance(theirs, float):
        return struct.pack(">d", ours) == struct.pack(">d", theirs) or (ours != ours and theirs != theirs)
    return type(ours) is type(theirs) and bool(ours == theirs)


def check_osc(datagram: bytes) -> list[Message]:
    """Parse a datagram with our walk and return its messages; none if the walk refuses it.

    Asserts that python-osc reads the same.
    """
    try:
        parts = walk(datagram)
    except MalformedOsc:
        return []
    theirs = reference(datagram)
    assert len(theirs) == len(parts), f"{len(parts)} messages, python-osc reads {len(theirs)}"
    for (_, message), (address, args) in zip(parts, theirs, strict=True):
        assert message.address == address
        ours = message.args
        assert len(ours) == len(args)
        assert all(map(_alike, ours, args)), f"{ours} is {args} for python-osc"
    return [message for _, message in parts]


def fuzz_osc(dice: Random) -> bytes:
    """Check the OSC walk, remap, unmap and loads with a random datagram; return the datagram."""
    datagram = osc_input(dice)
    check_datagram(datagram, dice)
    return datagram


def check_datagram(datagram: bytes, dice: Random) -> None:
    """Assert that the walk, remap, unmap and loads make nothing wrong of a datagram."""
    origin = dice.choice(ORIGINS)
    with _named(datagram):
        for message in check_osc(datagram):
            for pass_on in (remap, unmap_reply):
                try:
                    mapped = pass_on(message, origin)
                except RemoteError:
                    continue
                if mapped is not None:
                    (out,) = check_osc(mapped)
                    if pass_on is remap:
                        check_command(out.address, out.tags, out.args, origin.slot)
            try:
                load = load_to_local(meaning_of(message), folders())
            except RemoteError:
                continue
            assert load is None or len(check_osc(load.meaning.payload)) == 1


@cache
def folders() -> ResourceFolders:
    """Return the resource folders of a Sonic Pi with one sample. No file outside may ever be named."""
    root = Path(tempfile.mkdtemp(prefix="fuzz-"))
    atexit.register(shutil.rmtree, root, ignore_errors=True)
    (root / "samples").mkdir()
    (root / "samples" / "bd_haus.flac").write_bytes(bytes(1000))
    return ResourceFolders(root.resolve())


class _named:
    """Context manager that turns any exception inside into a FuzzError with the input in its text."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, Exception):
            raise FuzzError(f"{type(error).__name__}: {error}\ninput {self._data.hex()}") from error


def fuzz_datagram(dice: Random) -> bytes:
    """Check that a sealed datagram opens, and a forged copy of it doesn't; return the forged copy."""
    plain = dice.randbytes(dice.choice((0, 1, 40, 1170)))
    counter = dice.choice((0, 1, 1000, 2**63, 2**64 - 1))
    genuine = Sealer(KEY, 7, counter=counter).seal(plain)
    forged = mutate_bytes(dice, genuine, Sealer(KEY, 8).seal(b"other"))
    opener = Opener(KEY, 7)
    with _named(forged):
        try:
            peek_channel(forged)
            opened = opener.open(forged)
        except MalformedDatagram:
            assert forged != genuine
        else:
            assert forged == genuine
            assert opened == plain
        if forged != genuine:
            assert opener.open(genuine) == plain, "a forgery shut out the genuine one"
    return forged


def fuzz_frames(dice: Random) -> bytes:
    """Check that frames which are decoded encode to the same bytes again; return the input."""
    plain = frame_input(dice)
    with _named(plain):
        try:
            found = frames.decode(plain)
        except MalformedDatagram:
            return plain
        assert b"".join(map(frames.encode, found)) == plain
    return plain


def fuzz_control(dice: Random) -> bytes:
    """Check that our decoder and msgspec agree on each control message that our decoder accepts.

    Returns the input.
    """
    data = control_input(dice)
    with _named(data):
        for decode, union in ((control.decode_up, control.Up), (control.decode_down, control.Down)):
            try:
                message = decode(data)
            except MalformedControl:
                continue
            encoded = control.encode(message)  # compared as bytes: a NaN is not equal to itself
            assert control.encode(decode(encoded)) == encoded
            try:
                plain = msgpack.decode(data)
            except (UnicodeDecodeError, msgspec.DecodeError) as error:
                # In a field that nobody reads: unknown ones are skipped, not decoded. DecodeError since 0.23.
                if isinstance(error, UnicodeDecodeError) or "UTF-8" in str(error):
                    continue
                raise
            assert control.encode(msgspec.convert(plain, union)) == encoded
    return data


class Host:
    """The core of a bridge that has never joined a room; its slot is 3."""

    def __init__(self) -> None:
        self.reading = Reading(10**12, NOW_NS)
        identity = Identity("main", "ann", "fuzz", ticks(0.065))
        setup = Setup(identity, Origin(3), ticks(0.02), Memory(slot=3), folders())
        bridge = Bridge(setup, self.reading)
        self.ledger, self.playout = bridge.ledger, bridge.playout
        self.session, self.player = bridge.session, bridge.player
        self.folders = folders()
        self.number = 0
        self.playout.synthdefs_loaded()
        self.out()

    def later(self, seconds: float) -> None:
        """Let time (s) pass."""
        passed_ns = round(seconds * 1e9)
        self.reading = Reading(self.reading.local_ns + passed_ns, self.reading.wall_ns + passed_ns)

    def out(self) -> list[bytes]:
        """Release what is due and return everything for scsynth. Replies to Sonic Pi are dropped."""
        self.session.wake(self.reading)
        _, own = self.player.drain()
        self.session.flush(self.reading)  # empty: what it has for scsynth was drained with the playout
        self.player.replies(self.reading.local_ns)
        return own + self.playout.drain()


def fuzz_events(dice: Random) -> bytes:
    """Check that a member's event, however malformed, does nothing outside of that member's slot.

    Returns the event's payload.
    """
    jam = Host()
    payload = mutate_message(dice)
    kind = dice.choice((Kind.TIMED, Kind.UNTIMED, Kind.RESOURCE))
    slot = dice.choice((1, 2, 31))
    due = jam.playout._timebase.session_at(jam.reading.local_ns) + dice.randrange(1 << 30)
    with _named(payload):
        jam.playout.judged(Judged(1, slot, 1, due, due, kind, Flag.NONE, payload), jam.reading)
        jam.later(1.0)
        jam.playout.release(jam.reading)
        for datagram in jam.playout.drain():
            check_to_synth(datagram, member=slot, root=jam.folders.root)
    return payload


def fuzz_tap(dice: Random) -> bytes:
    """Check that nothing harmful comes through a bridge if Sonic Pi sends a mutated datagram.

    Returns the datagram.
    """
    jam = Host()
    datagram = osc_input(dice)
    with _named(datagram):
        jam.player.receive(
            datagram, ("127.0.0.1", 5), received_local_ns=jam.reading.local_ns, reading=jam.reading
        )
        for _ in range(2):
            for handed in jam.out():
                check_to_synth(handed, member=3, root=None)
            jam.later(2.0)
        jam.player.reply(datagram)
    return datagram


TARGETS: dict[str, Callable[[Random], bytes]] = {
    "osc": fuzz_osc,
    "datagram": fuzz_datagram,
    "frames": fuzz_frames,
    "control": fuzz_control,
    "events": fuzz_events,
    "tap": fuzz_tap,
}
SHARES = {"osc": 0.45, "datagram": 0.1, "frames": 0.1, "control": 0.15, "events": 0.1, "tap": 0.1}


def run_one(target: str, number: int) -> bytes:
    """Run one input and return it. Raises FuzzError with the command that runs it alone."""
    try:
        return TARGETS[target](Random(f"{target}:{number}"))
    except FuzzError as error:
        raise FuzzError(f"{target}:{number} (scripts/fuzz --only {target}:{number})\n{error}") from error
