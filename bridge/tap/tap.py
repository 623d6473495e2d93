"""Tap: processes all messages between the local Sonic Pi and scsynth.

Pure. Every datagram is validated first. Nothing malformed is passed on, not even to this host's scsynth. Each
message's meaning is determined once, here, and all later steps use it.
"""

from collections import Counter
from dataclasses import dataclass, field

from bridge.notices import out_of_range
from bridge.playout.playout import Playout
from bridge.scsynth.samples import ResourceFolders
from bridge.session.emission import Emission
from bridge.tap.answers import Address, Answer, Answers
from bridge.tap.music import Music, Tapped
from bridge.tap.node_replies import NodeTracker
from bridge.tap.reply_pacer import Pacer
from clock.model import Reading
from relay.wire import write
from relay.wire.commands import Act, Route
from relay.wire.errors import MalformedOsc, Refused
from relay.wire.guard import OutOfRange
from relay.wire.meaning import RUN_MIXER, Meaning, meaning_of
from relay.wire.osc import walk

_MUSIC = (Route.ROOM, Route.HOME)
_EVER = 1 << 64


@dataclass(slots=True)
class PlayerCounts:
    """Counts of the local player's messages since the bridge's start."""

    messages: int = 0
    malformed: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    runs: int = 0
    """How many messages show that a run began, or that none is left: /n_run 0, and the mixer of each run."""

    def named(self) -> dict[str, int]:
        """Return the counts by name, for the statistics."""
        refused = {f"tap_refused_{reason}": count for reason, count in self.refused.items()}
        return {"tap_malformed": self.malformed} | refused


class Player:
    """The tap of one bridge, between the local Sonic Pi and its scsynth."""

    def __init__(self, emission: Emission, playout: Playout, folders: ResourceFolders) -> None:
        self.counts = PlayerCounts()
        self._pacer = Pacer()
        self.client: Address | None = None
        self.left = False
        self._emission = emission
        self._playout = playout
        self._guard = playout.own_guard()
        self._told: set[tuple[str, str]] = set()
        """The (synthdef, control) pairs about whose range the player was warned already."""
        nodes = NodeTracker()
        self._music = Music(emission, playout.own, folders, nodes)
        self._answers = Answers(playout, nodes, self._pacer, self._music.ended)

    def named(self) -> dict[str, int]:
        """Return the counts of the tap, by name, for the statistics."""
        return self.counts.named()

    def drain(self) -> tuple[list[Answer], list[bytes]]:
        """Remove and return the answers that are to be sent at once, and the datagrams for this host's
        scsynth."""
        return self._answers.drain(), self._music.drain()

    @property
    def asks_unread(self) -> int | None:
        """The UDP port of Sonic Pi's socket if the caller should call `unread` now; else None."""
        return self.client[1] if self.client is not None and self._pacer.asks else None

    def unread(self, unread_bytes: int, local_ns: int) -> None:
        """Store how many bytes lie unread in Sonic Pi's socket. If there are too many, replies wait.

        local_ns: the present local instant.
        """
        self._pacer.unread(unread_bytes, local_ns)

    def replies(self, local_ns: int) -> list[Answer]:
        """Remove and return the replies that are to be sent now. local_ns: the present local instant."""
        due = self._pacer.due(local_ns)
        return [] if self.client is None else [Answer(self.client, payload) for payload in due]

    def next_wakeup_ns(self) -> int | None:
        """Return the local instant (ns) at which the next reply may be sent; None if none waits."""
        return self._pacer.next_wakeup_ns()

    # -- from Sonic Pi -------------------------------------------------------------------------------

    def receive(self, datagram: bytes, source: Address, *, received_local_ns: int, reading: Reading) -> None:
        """Process one datagram from Sonic Pi. received_local_ns: when the tap's socket received it."""
        try:
            parts = walk(datagram)
        except MalformedOsc:
            self.counts.malformed += 1
            self._emission.note_refused()
            return
        for timetag, message in parts:
            tapped = Tapped(meaning_of(message), timetag, received_local_ns, reading)
            self.counts.messages += 1
            if tapped.meaning.act is Act.ASK_STATUS:
                self._answers.status_asked(source)
            else:
                self.client = source
            try:
                self._take(tapped)
            except Refused as error:
                self._refuse(tapped.meaning, error)

    def _take(self, tapped: Tapped) -> None:
        meaning = tapped.meaning
        where = self._music.route(meaning)
        if where in _MUSIC:
            # Order alone matters here: a Sonic Pi never reuses the id of a living node.
            self._guard.check(meaning, _EVER, players=True)
            if self._misses(tapped):
                self._emission.note_unplayed()
                self._answers.as_played(meaning)
                return
        match where:
            case Route.ROOM:
                self._answers.tell(*self._music.play(tapped))
                self.counts.runs += meaning.makes_synth and meaning.synthdef == RUN_MIXER
            case Route.RESOURCE:
                self._music.load(tapped)
            case Route.RESET:
                self._guard.forget()
                self._music.reset(tapped)
            case Route.HOME:
                self._music.play_at_home(tapped)
            case Route.SYNTH:
                self._music.pass_on(meaning)
            case Route.NOTIFY:
                self._answers.tell(write.registered())
            case Route.QUIT:
                self._answers.tell(write.ended())
                self.left = True
            case Route.SWALLOW:
                self.counts.runs += meaning.act is Act.PAUSE
            case Route.REFUSE:
                raise Refused("not-allowed", meaning.message.address)

    def _misses(self, tapped: Tapped) -> bool:
        meaning = tapped.meaning
        missed = self._playout.misses_at_tap(
            meaning, tapped.timetag, tapped.received_local_ns, tapped.reading
        )
        return missed and self._music.may_miss(meaning)

    def _refuse(self, meaning: Meaning, error: Refused) -> None:
        self.counts.refused[error.reason] += 1
        if isinstance(error, OutOfRange) and (error.synthdef, error.control) not in self._told:
            self._told.add((error.synthdef, error.control))
            self._emission.note_refused(out_of_range(error))
        else:
            self._emission.note_refused()
        self._answers.as_played(meaning)

    # -- from scsynth --------------------------------------------------------------------------------

    def reply(self, datagram: bytes) -> bool:
        """Process one datagram from this host's scsynth. Return whether it concerns this host."""
        try:
            parts = walk(datagram)
        except MalformedOsc:
            self.counts.malformed += 1
            return False
        follows = [self._answers.synth_says(message) for _, message in parts]
        return any(follows)
