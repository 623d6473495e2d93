"""Player: the local Sonic Pi as seen at the tap; what it sends, and what it is told.

Pure. Every datagram is validated before anything else happens; nothing malformed goes on, not even to the
own scsynth. What is refused is answered as if it had been played, else Sonic Pi would keep its FX and
their buses for ever.
"""

from dataclasses import dataclass, field
from pathlib import PurePath

from bridge.effects import Tell
from bridge.messages import out_of_range
from bridge.playout.playout import Playout
from bridge.scsynth.arguments import created_nodes, synthdef_name
from bridge.scsynth.id_space import BUFFERS_PER_SLOT, INTERNAL_BUSES
from bridge.scsynth.remap import OUTPUT_CONTROL, remap
from bridge.scsynth.samples import ResourceFolders, load_to_wire
from bridge.scsynth.unmap import unmap_reply
from bridge.session.emission import Emission
from bridge.tap.classify import SERVER_INFO, Route, completes_foundation, is_foundation, route
from bridge.tap.node_replies import HomeNodes, NodeTracker, answered_node
from bridge.tap.only_here import Missed
from bridge.tap.reply_pacer import Pacer
from bridge.tap.stand_ins import StandIns, Travelling, home_only
from clock.model import Reading
from relay.wire.commands import OWN_SYNTH, HomeKind
from relay.wire.errors import LocalError, MalformedOsc, Refused
from relay.wire.frames import MAX_PAYLOAD_BYTES
from relay.wire.guard import OutOfRange
from relay.wire.meaning import RUN_MIXER
from relay.wire.osc import Message, encode, walk
from relay.wire.sequence import Kind

Address = tuple[str, int]

SERVER_INFO_REPLY = "/sonic-pi/server-info"
_MUSIC = (Route.TIMED, Route.UNTIMED, Route.HOME)
_EVER = 1 << 64
_AUDIO_BUSES_AT, _BUFFERS_AT = 10, 12
"""Places in that reply: node id, sr dur rps crate cdur subsample outs ins abuses cbuses bufs synths."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Send `payload` to Sonic Pi's socket `to`, at once."""

    to: Address
    payload: bytes


@dataclass(slots=True)
class PlayerCounts:
    """What the tap did, for the log and for people."""

    messages: int = 0
    malformed: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    runs: int = 0
    """Messages that show that a run began or that none is left: /n_run 0, and the mixer of each run."""

    def named(self) -> dict[str, int]:
        """Return what the statistics have no figure of their own for."""
        refused = {f"tap_refused_{reason}": count for reason, count in self.refused.items()}
        return {"tap_malformed": self.malformed} | refused


class Player:
    """The tap's core."""

    def __init__(self, session: Emission, playout: Playout, folders: ResourceFolders) -> None:
        self.counts = PlayerCounts()
        self.pacer = Pacer()
        self.client: Address | None = None
        self.left = False
        self._session = session
        self._playout = playout
        self._own = playout.own
        self._folders = folders
        self._guard = playout.own_guard()
        self._told: set[tuple[str, str]] = set()
        """Synthdef and control that the player knows to be out of range."""
        self._nodes = NodeTracker()
        self._home_nodes = HomeNodes()
        self._stand_ins = StandIns()
        self._missed = Missed()
        self._asked_status: Address | None = None
        self.foundation_complete = False
        """Whether Sonic Pi has built its last at its start; what it builds later comes and goes."""
        self._answers: list[Answer] = []
        self._to_synth: list[bytes] = []

    def drain(self) -> tuple[list[Answer], list[bytes]]:
        """Take out the answers that leave at once, and the datagrams for the own scsynth."""
        drained = self._answers, self._to_synth
        self._answers, self._to_synth = [], []
        return drained

    # -- from Sonic Pi -------------------------------------------------------------------------------

    def receive(self, datagram: bytes, source: Address, *, received_local_ns: int, reading: Reading) -> None:
        """Take in one datagram from Sonic Pi."""
        try:
            parts = walk(datagram)
        except MalformedOsc:
            self.counts.malformed += 1
            self._session.note_refused()
            return
        for timetag, message in parts:
            self.counts.messages += 1
            if message.address == "/status":
                self._asked_status = source
            else:
                self.client = source
            try:
                self._message(message, timetag, received_local_ns, reading)
            except Refused as error:
                self._refuse(message, error)

    def _message(
        self, message: Message, timetag: int | None, received_local_ns: int, reading: Reading
    ) -> None:
        where = route(message, timetag, self._home_nodes)
        if where in _MUSIC:
            # By the order alone: one's own Sonic Pi gives no node the number of another that still lives.
            self._guard.check(message.raw, _EVER, players=True)
            missed = self._playout.misses_at_tap(message.raw, timetag, received_local_ns, reading)
            if missed and home_only(message) in (None, OWN_SYNTH):  # no FX of his own, no live audio
                self._session.note_unplayed()
                self._answer_as_played(message)
                return
        match where:
            case Route.TIMED | Route.UNTIMED:
                self._play(message, timetag, received_local_ns, reading)
            case Route.RESOURCE:
                self._load(message, received_local_ns, reading)
            case Route.RESET:
                self._home_nodes.clear()
                self._stand_ins.clear()
                self._guard.forget()
                self.foundation_complete = False
                self._session.emit(
                    Kind.RESET, b"", wall_timetag=None, emitted_local_ns=received_local_ns, reading=reading
                )
            case Route.HOME:
                self._play_at_home(message, timetag, received_local_ns, reading)
            case Route.SYNTH:
                self._pass_on(message)
            case Route.NOTIFY:
                self._reply(encode("/done", "/notify", 0, 1))
            case Route.QUIT:
                self._reply(encode("/done", "/quit"))
                self.left = True
            case Route.SWALLOW:
                self.counts.runs += message.address == "/n_run"
            case Route.REFUSE:
                raise Refused("not-allowed", message.address)

    def _play(self, message: Message, timetag: int | None, received_local_ns: int, reading: Reading) -> None:
        travels = self._stand_ins.travelling(message)
        if not travels.parts:
            self._play_at_home(message, timetag, received_local_ns, reading)
            return
        bodies = [remap(part, self._own) for part in travels.parts]
        homes = [self._at_home(message, part, travels) for part in travels.parts]
        foundation = timetag is None and is_foundation(message, complete=self.foundation_complete)
        if foundation and completes_foundation(message):
            self.foundation_complete = True
        created = created_nodes(message)
        if message.address == "/s_new":
            self._nodes.create_synth(*created[0])
            self._doubt(message)
            self.counts.runs += synthdef_name(message) == RUN_MIXER
            self._note_if_missed(message, travels)
        else:
            for reply in self._nodes.create_groups(created):
                self._reply(reply)
        for part, body, home in zip(travels.parts, bodies, homes, strict=True):
            self._session.emit(
                Kind.UNTIMED if timetag is None else Kind.TIMED,
                part.raw,
                wall_timetag=timetag,
                emitted_local_ns=received_local_ns,
                reading=reading,
                body=body,
                home=home,
                foundation=foundation,
            )

    def _at_home(self, message: Message, part: Message, travels: Travelling) -> bytes | None:
        """Return what the own scsynth is handed instead of a part that travels, None if that is the same."""
        if travels.differs:
            return remap(message, self._own, at_home=True)
        return remap(part, self._own, at_home=True) if OUTPUT_CONTROL in part.raw else None

    def _load(self, message: Message, received_local_ns: int, reading: Reading) -> None:
        """A buffer is loaded at home at once: a thread of Sonic Pi waits for it."""
        travelling = load_to_wire(message, self._folders)
        home = remap(message, self._own)
        self._to_synth.append(home)
        if travelling is None:
            self._note_missed(self._missed.file(PurePath(str(message.arg(1))).name))
            return
        self._session.emit(
            Kind.RESOURCE, travelling, wall_timetag=None, emitted_local_ns=received_local_ns, reading=reading
        )

    def _play_at_home(
        self, message: Message, timetag: int | None, received_local_ns: int, reading: Reading
    ) -> None:
        """Play what travels neither as it is nor by anything that stands for it."""
        if message.address == "/s_new":
            home = self._home_synth(message)
        else:
            home = remap(message, self._own, self._home_nodes, at_home=True)
            if len(message.raw) > MAX_PAYLOAD_BYTES:
                self._note_missed(self._missed.other(message.address))
        self._session.emit_home(
            home, wall_timetag=timetag, emitted_local_ns=received_local_ns, reading=reading
        )

    def _home_synth(self, message: Message) -> bytes:
        ((node, action, target),) = created_nodes(message)
        is_new = self._home_nodes.add(node)
        try:
            home = remap(message, self._own, self._home_nodes, at_home=True)
        except Refused:
            if is_new:
                self._home_nodes.discard(node)
            raise
        if is_new:  # live audio is asked for again, under its number, while it lives
            self._nodes.create_synth(node, action, target)
            self._doubt(message)
            known = home_only(message)
            if known is None or known.is_missed:
                self._note_missed(self._missed.synth(synthdef_name(message), known))
        return home

    def _doubt(self, message: Message) -> None:
        """Keep an eye on a synth of the player's own: its synthdef may not be loaded, or be misspelled."""
        known = home_only(message)
        if known is not None and known.kind is HomeKind.OWN:
            ((node, _, target),) = created_nodes(message)
            self._nodes.doubt(node, target, synthdef_name(message))

    def _note_if_missed(self, message: Message, travels: Travelling) -> None:
        known = home_only(message)
        if travels.differs and (known is None or known.is_missed):
            self._note_missed(self._missed.synth(synthdef_name(message), known))

    def _note_missed(self, tell: Tell | None) -> None:
        self._session.note_local_only(tell)

    def _pass_on(self, message: Message) -> None:
        if message.address == "/d_loadDir" and message.tags[:1] == "s":
            self._folders.learn(str(message.arg(0)))
        if message.address.startswith("/d_") and message.tags != (
            "b" if message.address == "/d_recv" else "s"
        ):
            # A completion message would be executed unseen.
            raise Refused("completion-message", message.address)
        if message.address in ("/status", "/version", "/sync") and message.tags not in ("", "i"):
            raise Refused("arguments", f"{message.address} ,{message.tags[:40]}")
        if message.address in ("/status", "/version", "/sync") or message.address.startswith("/d_"):
            self._to_synth.append(message.raw)
            return
        if message.address == "/s_new" and synthdef_name(message) == SERVER_INFO:
            self._home_nodes.add(created_nodes(message)[0][0])
        self._to_synth.append(remap(message, self._own, self._home_nodes, at_home=True))

    def _refuse(self, message: Message, error: Refused) -> None:
        self.counts.refused[error.reason] = self.counts.refused.get(error.reason, 0) + 1
        if isinstance(error, OutOfRange) and (error.synthdef, error.control) not in self._told:
            self._told.add((error.synthdef, error.control))
            self._session.note_refused(out_of_range(error))
        else:
            self._session.note_refused()
        self._answer_as_played(message)

    def _answer_as_played(self, message: Message) -> None:
        """Give Sonic Pi the answers that it waits for, of something that isn't played."""
        groups = message.address != "/s_new"
        try:
            replies = self._nodes.refused(created_nodes(message), groups=groups)
        except (Refused, LocalError):  # no numbers, or none that an answer could name
            return
        for reply in replies:
            self._reply(reply)

    # -- from scsynth --------------------------------------------------------------------------------

    def reply(self, datagram: bytes) -> bool:
        """Take in one datagram from the own scsynth; return whether something follows from it.

        Most say what became of other members' nodes, and concern nobody here.
        """
        try:
            parts = walk(datagram)
        except MalformedOsc:
            self.counts.malformed += 1
            return False
        follows = [self._reply_of_synth(message) for _, message in parts]
        return any(follows)

    def _reply_of_synth(self, message: Message) -> bool:
        address = message.address
        if address == "/status.reply":
            if self._asked_status is not None:
                self._answers.append(Answer(self._asked_status, message.raw))
            return self._asked_status is not None
        is_done = address == "/done" and bool(message.args)
        if is_done and message.args[0] == "/notify":
            return False  # the bridge's own
        if is_done:
            self._note_done(message)
        answered = answered_node(message)
        if answered is not None:
            self._playout.answered(answered, there=address == "/n_info")
        mine = unmap_reply(message, self._own)
        if mine is None:
            return is_done
        ((_, unmapped),) = walk(mine)
        if address == SERVER_INFO_REPLY:
            self._reply(_stock_server_info(unmapped))
            return True
        if address == "/n_end":
            node = int(unmapped.args[0])
            self._home_nodes.discard(node)
            self._stand_ins.ended(node)
        replies = self._nodes.reply(unmapped)
        for reply in replies:
            self._reply(reply)
        return is_done or bool(replies)

    def _note_done(self, message: Message) -> None:
        command, *rest = message.args
        if command == "/d_loadDir":
            self._playout.synthdefs_loaded()
        elif command in ("/b_alloc", "/b_allocRead") and rest and isinstance(rest[-1], int):
            self._playout.buffer_loaded(rest[-1])

    def _reply(self, payload: bytes) -> None:
        self.pacer.push(payload)


def _stock_server_info(message: Message) -> bytes:
    """Return server info with the numbers of buses and buffers that a stock scsynth has."""
    args = list(message.args)
    if len(args) > _BUFFERS_AT:
        args[_AUDIO_BUSES_AT] = float(INTERNAL_BUSES)
        args[_BUFFERS_AT] = float(BUFFERS_PER_SLOT)
    return encode(message.address, *args)
