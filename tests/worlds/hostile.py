"""A virtual jam for tests of hostile members: a relay's real core, and three members.

One member, the victim, has a real playout. Every datagram is sealed and opened; time is virtual. BAD has
messages that must not harm the other members.
"""

import math
import struct
from dataclasses import dataclass, field
from pathlib import Path

from pythonosc.osc_message import OscMessage

from bridge.core import Bridge, Setup
from bridge.restart_state import Identity, Memory
from bridge.scsynth.id_space import Origin
from bridge.scsynth.samples import ResourceFolders
from bridge.session.copies import Copies
from clock.model import Reading
from relay.wire import control, write
from relay.wire.commands import LOCAL_ONLY_SYNTHDEFS
from relay.wire.osc import encode
from relay.wire.timetag import TICKS_PER_S, ticks, to_unix_ns
from tests.fuzz.checks import check_to_synth
from tests.worlds.relay import FakeBridge, Jam

NOTE = encode("/s_new", "sonic-pi-beep", 77, 0, 2, "note", 60.0)
KILLERS: dict[str, tuple[str, str, float]] = {
    "gverb-without-a-room": ("sonic-pi-fx_gverb", "room", 0.0),
    "gverb-less-than-a-room": ("sonic-pi-fx_gverb", "room", -1.0),
    "gverb-beyond-all-rooms": ("sonic-pi-fx_gverb", "max_room", 1e9),
    "gverb-beyond-its-walls": ("sonic-pi-fx_gverb", "max_room", 1.0),
    "ping-pong-backwards": ("sonic-pi-fx_ping_pong", "max_phase", -1.0),
    "echo-backwards": ("sonic-pi-fx_echo", "max_phase", -1e9),
    "pitch-shift-by-years": ("sonic-pi-fx_pitch_shift", "window_size", 1e9),
    "whammy-backwards": ("sonic-pi-fx_whammy", "max_delay_time", -1e9),
    "autotuner-without-end": ("sonic-pi-fx_autotuner", "max_formant_ratio", 1e9),
    "flanger-by-days": ("sonic-pi-fx_flanger", "max_delay", 1e9),
    "pluck-backwards": ("sonic-pi-pluck", "max_delay_time", -1e9),
    "sample-by-years": ("sonic-pi-mono_player", "window_size", 1e9),
    "stereo-sample-by-years": ("sonic-pi-stereo_player", "window_size", 1e9),
    "sample-from-nowhere": ("sonic-pi-mono_player", "start", 3e38),
    "slicer-beyond-its-numbers": ("sonic-pi-fx_slicer", "seed", -3.4e38),
    "tonewheel-backwards": ("sonic-pi-organ_tonewheel", "rs_onset", -1.0),
}
"""Notes that each end a genuine scsynth 3.13: name -> (synthdef, control, value)."""
STEP_S = 0.05
"""Length (s) of a step of time. With longer steps the bridge counts as standing still and drops late
events."""
LATE_S = 0.6
"""Time (s) after which an event with the usual timetag has surely been handed over."""


@dataclass
class Victim:
    """A member with a real playout, which receives everything that the relay sends to the member."""

    jam: Jam
    name: str
    folders: ResourceFolders
    bridge: FakeBridge = field(init=False)
    copies: Copies = field(default_factory=Copies)
    taken: int = 0
    told: int = 0
    at_first: list[bytes] = field(default_factory=list)
    """The datagrams that its scsynth was handed at the join."""

    def __post_init__(self) -> None:
        self.bridge = self.jam.join(self.name)
        identity, own = Identity("main", self.name, "test", ticks(0.065)), Origin(self.bridge.welcome.slot)
        bridge = Bridge(Setup(identity, own, ticks(0.02), Memory(), self.folders), self.reading())
        self.ledger, self.playout = bridge.ledger, bridge.playout
        self.playout.synthdefs_loaded()
        self.playout.expect([member.slot for member in self.bridge.welcome.members])
        self.at_first = self.hear()

    def reading(self) -> Reading:
        return Reading(to_unix_ns(self.jam.now), to_unix_ns(self.jam.now))

    def hear(self) -> list[bytes]:
        """Process everything received so far and release what is due; return the datagrams for scsynth."""
        for event in self.bridge.judged[self.taken :]:
            self.playout.judged(event, self.reading())
        self.taken = len(self.bridge.judged)
        for message in self.bridge.said[self.told :]:
            if isinstance(message, control.Roster):
                for member in message.members:
                    self.playout.meet(Origin(member.slot, member.outs, member.ins))
            elif isinstance(message, control.LivePart):
                copy = self.copies.part(message, self.jam.now / TICKS_PER_S)
                if copy is not None:
                    self.playout.learn(copy, self.reading())
        self.told = len(self.bridge.said)
        newest = self.bridge.judged[-1].number if self.taken else 0  # nothing is lost in this scene
        self.playout.release(self.reading(), ready=newest)
        asked = write.ask_tree(0)[:12]
        return [datagram for datagram in self.playout.drain() if not datagram.startswith(asked)]

    @property
    def refused(self) -> int:
        return sum(self.playout.counts.refused.values())


@dataclass
class Scene:
    """A jam of three. mallory is hostile, ann is the victim, bob makes music."""

    jam: Jam
    mallory: FakeBridge
    ann: Victim
    bob: FakeBridge

    def after(self, seconds: float = LATE_S) -> list[bytes]:
        """Let time (s) pass; return the datagrams that ann's scsynth was handed meanwhile."""
        handed: list[bytes] = []
        for _ in range(max(1, round(seconds / STEP_S))):
            self.jam.advance(STEP_S)
            handed += self.ann.hear()
        return handed

    def bob_is_heard(self) -> bool:
        """Let bob play a note; return whether it reached ann's scsynth.

        Fails if the relay moved the note, or if anything that was handed over for bob is unsafe.
        """
        event = self.bob.play(NOTE)
        notes = [datagram for datagram in self.after() if b"sonic-pi-beep" in datagram]
        handed = [note for note in notes if OscMessage(note[20:]).params[1] >> 26 == self.slot_of_bob]
        [judged] = [one for one in self.bob.judged if one.seq == event.seq and one.slot == self.slot_of_bob]
        assert event.timetag is not None
        assert judged.due == event.timetag, "moved by what mallory does"
        for datagram in handed:
            check_to_synth(datagram, member=self.slot_of_bob, root=Path("/none"))
        return len(handed) == 1

    @property
    def slot_of_bob(self) -> int:
        return self.bob.welcome.slot

    def refused_at_the_relay(self) -> int:
        """Return how many of mallory's frames and events the relay has refused, by its statistics."""
        [room] = self.jam.hub.stats("main", self.jam.now).rooms
        return next(member.refused for member in room.members if member.slot == self.mallory.welcome.slot)


def blob(text: bytes) -> bytes:
    return text + bytes(-len(text) % 4)


BAD: dict[str, bytes] = {
    "node-before-its-slot": encode("/n_free", -1),
    "node-behind-its-slot": encode("/n_free", 1 << 26),
    "node-of-another-slot": encode("/n_free", 2 << 26 | 5),
    "node-by-a-huge-float": encode("/n_free", 1e30),
    "node-not-a-number": encode("/n_free", math.nan),
    "last-node-of-anybody": encode("/n_set", -1, "amp", 0.0),
    "new-node-chosen-by-scsynth": encode("/s_new", "sonic-pi-beep", -1, 0, 2),
    "target-of-anybody": encode("/s_new", "sonic-pi-beep", 9, 0, -1),
    "beside-the-root-group": encode("/g_new", 9, 3, 0),
    "root-group-replaced": encode("/g_new", 9, 4, 0),
    "root-group-freed": encode("/n_free", 0),
    "everything-freed": encode("/g_freeAll", 0),
    "everything-deep-freed": encode("/g_deepFree", 0),
    "everything-paused": encode("/n_run", 0, 0),
    "everything-muted": encode("/n_set", 0, "amp", 0.0),
    "quit": encode("/quit"),
    "bundles-cleared": encode("/clearSched"),
    "client-stolen": encode("/notify", 1),
    "log-flood": encode("/dumpOSC", 1),
    "tree-dump": encode("/g_dumpTree", 0, 1),
    "query": encode("/g_queryTree", 0, 1),
    "status": encode("/status"),
    "errors-off": encode("/error", 0),
    "plugin-command": encode("/cmd", "vst", 1),
    "ugen-command": encode("/u_cmd", 9, 0, "open", "/etc/passwd"),
    "file-written": encode("/b_write", 1, "/etc/passwd", "wav", "int16", -1, 0, 1),
    "file-read": encode("/b_read", 1, "/dev/zero", 0, -1, 0, 1),
    "channel-read": encode("/b_readChannel", 1, "/dev/zero", 0, -1, 0, 1, 0),
    "channel-allocated": encode("/b_allocReadChannel", 1, "/dev/zero", 0, -1, 0),
    "absolute-path": encode("/b_allocRead", 1, "/etc/passwd", 0, 0),
    "path-upwards": encode("/b_allocRead", 1, "samples/../../etc/passwd", 0, 0),
    "path-upwards-by-name": encode("/b_allocRead", 1, "samples/..", 0, 0),
    "path-with-a-pattern": encode("/b_allocRead", 1, "samples/*", 0, 0),
    "path-as-a-number": encode("/b_allocRead", 1, 7, 0, 0),
    "load-beyond-all-floats": encode("/b_allocRead", 1, "samples/bd_haus.flac").replace(
        b",is\0", b",isd\0\0\0\0"
    )
    + struct.pack(">d", 1e300),
    "load-into-the-void": encode("/b_allocRead", "x", "samples/bd_haus.flac", 0, 0),
    "load-out-of-range": encode("/b_allocRead", 4096, "samples/bd_haus.flac", 0, 0),
    "two-thousand-million-frames": encode("/b_alloc", 1, 2**31 - 1, 1),
    "frames-times-channels": encode("/b_alloc", 1, 1 << 20, 1 << 20),
    "frames-not-a-number": encode("/b_alloc", 1, math.nan, 1),
    "synthdef-brought-along": encode("/d_recv", b"SCgf\0\0\0\1\0\0"),
    "synthdef-loaded": encode("/d_load", "/tmp/x.scsyndef"),
    "synthdef-folder": encode("/d_loadDir", "/tmp"),
    "synthdef-freed": encode("/d_free", "sonic-pi-mixer"),
    "completion-of-a-load": encode("/b_alloc", 1, 64, 1, blob(b"/quit\0\0\0,\0\0\0")),
    "completion-of-a-zero": encode("/b_zero", 1, blob(b"/quit\0\0\0,\0\0\0")),
    "unknown-synthdef": encode("/s_new", "default", 10, 0, 2),
    "unaddressable": encode("/s_noid", 9),
    "hardware-input": encode("/s_new", "sonic-pi-fx_reverb", 10, 0, 2, "in_bus", 16.0),
    "bus-out-of-range": encode("/s_new", "sonic-pi-beep", 9, 0, 2, "out_bus", 1056.0),
    "bus-negative": encode("/s_new", "sonic-pi-beep", 9, 0, 2, "out_bus", -1.0),
    "bus-not-a-number": encode("/s_new", "sonic-pi-beep", 9, 0, 2, "out_bus", math.nan),
    "output-below-the-first": encode("/s_new", "sonic-pi-fx_sound_out", 9, 0, 2, "output", 0.0),
    "output-above-the-last": encode("/s_new", "sonic-pi-fx_sound_out", 9, 0, 2, "output", 1025.0),
    "output-of-another-member": encode("/s_new", "sonic-pi-fx_sound_out_stereo", 9, 0, 2, "output", 2369.0),
    "output-not-a-number": encode("/n_set", 9, "output", math.nan),
    "output-by-a-string": encode("/n_set", 9, "output", "c3"),
    "bus-by-a-string": encode("/s_new", "sonic-pi-beep", 9, 0, 2, "out_bus", "a5"),
    "control-by-its-index": encode("/s_new", "sonic-pi-beep", 9, 0, 2, 3, 5.0),
    "control-follows-a-foreign-bus": encode("/n_set", 9, "amp", "c512"),
    "value-not-a-number": encode("/s_new", "sonic-pi-beep", 9, 0, 2, "amp", math.nan),
    "value-infinite": encode("/n_set", 9, "amp", math.inf),
    "fill-for-ever": encode("/n_fill", 9, "amp", 2**31 - 1, 0.0),
    "set-for-ever": encode("/n_setn", 9, "amp", 2**31 - 1, 0.0),
    "control-buses-for-ever": encode("/c_fill", 0, 2**31 - 1, 0.0),
    "control-buses-of-others": encode("/c_set", 512, 1.0),
    "buffer-fill-for-ever": encode("/b_fill", 1, 0, 2**31 - 1, 0.0),
    "group-into-itself": encode("/g_head", 9, 9),
    "first-half-of-a-cycle": encode("/g_head", 8, 9),
    "cycle-by-order": encode("/n_order", 0, 8, 9),
    "cycle-by-after": encode("/n_after", 8, 9),
    "no-command": encode("/b_allocate", 1, 2),
    "unbalanced-array": b"/n_set\0\0,is[\0\0\0\0\0\0\0\1amp\0",
    "array": b"/n_set\0\0,is[f]\0\0\0\0\0\1amp\0\0\0\0\0",
    "command-by-number": b"\0\0\0\x05,\0\0\0",
    "unknown-tag": b"/n_free\0,h\0\0\0\0\0\0\0\0\0\1",
    "bundle-within": b"#bundle\0\0\0\0\0\0\0\0\1\0\0\0\x0c/status\0,\0\0\0",
    "never-ending-address": b"/n_freeXXXXX",
    **{name: encode("/s_new", synthdef, 9, 0, 2, set_, to) for name, (synthdef, set_, to) in KILLERS.items()},
    "deadly-control-follows-a-bus": encode("/n_map", 9, "room", 3),
    "deadly-control-by-a-string": encode("/s_new", "sonic-pi-fx_gverb", 9, 0, 2, "room", "c3"),
    "beyond-what-hearing-stands": encode("/s_new", "sonic-pi-dsaw", 9, 0, 2, "cutoff", 1e5),
    "beyond-by-any-node": encode("/n_set", 9, "cutoff", 1e5),
    **{f"local-{name}": encode("/s_new", name, 9, 0, 2) for name in sorted(LOCAL_ONLY_SYNTHDEFS)},
}
