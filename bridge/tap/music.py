"""Music: plays the local Sonic Pi's messages at home, and sends them to the room.

Pure. The room gets the message itself, a stand-in for it, or nothing. At home the message is played in any
case. A message that only this host plays keeps its place among the local player's events.
"""

from dataclasses import dataclass
from pathlib import PurePath

from bridge.scsynth.id_space import Origin
from bridge.scsynth.remap import OUTPUT_CONTROL, remap
from bridge.scsynth.samples import ResourceFolders, load_to_wire
from bridge.session.emission import Emission
from bridge.tap.classify import SERVER_INFO, route
from bridge.tap.node_replies import HomeNodes, NodeTracker
from bridge.tap.only_here import Missed
from bridge.tap.stand_ins import StandIns, Travelling, home_only
from clock.model import Reading
from relay.wire.commands import OWN_SYNTH, Act, Family, HomeKind, HomeOnly, Role, Route
from relay.wire.errors import Refused
from relay.wire.frames import MAX_PAYLOAD_BYTES
from relay.wire.meaning import NOTHING, Meaning
from relay.wire.sequence import Kind


@dataclass(frozen=True, slots=True)
class Tapped:
    """One message of the local Sonic Pi, and when it came.

    timetag: the timetag of its bundle, by the wall clock; None for a bare message.
    """

    meaning: Meaning
    timetag: int | None
    received_local_ns: int
    reading: Reading

    @property
    def kind(self) -> Kind:
        """The kind of event that the message becomes."""
        return Kind.UNTIMED if self.timetag is None else Kind.TIMED


class Music:
    """Plays and sends the local Sonic Pi's music."""

    def __init__(self, emission: Emission, own: Origin, folders: ResourceFolders, nodes: NodeTracker) -> None:
        """nodes: decides which replies Sonic Pi gets about its nodes, and when."""
        self._emission = emission
        self._own = own
        self._folders = folders
        self._nodes = nodes
        self._home_nodes = HomeNodes()
        self._stand_ins = StandIns()
        self._missed = Missed()
        self._to_synth: list[bytes] = []

    def drain(self) -> list[bytes]:
        """Remove and return the datagrams that are to be sent to this host's scsynth at once."""
        drained, self._to_synth = self._to_synth, []
        return drained

    def route(self, meaning: Meaning) -> Route:
        """Return the route of a message: to the room, to this host's scsynth only, to nobody, and so on."""
        return route(meaning, self._home_nodes)

    def ended(self, node: int) -> None:
        """Note that a node has ended. node: Sonic Pi's id."""
        self._home_nodes.discard(node)
        self._stand_ins.ended(node)

    def reset(self, tapped: Tapped) -> None:
        """Send a slot reset, by which all members free all nodes of the local Sonic Pi."""
        self._home_nodes.clear()
        self._stand_ins.clear()
        self._emit(tapped, Kind.RESET, NOTHING, wall_timetag=None)

    def play(self, tapped: Tapped) -> list[bytes]:
        """Play a message here and send it to the room. Return the replies for Sonic Pi. Raises Refused."""
        meaning = tapped.meaning
        travels = self._stand_ins.travelling(meaning)
        if not travels.parts:
            self.play_at_home(tapped)
            return []
        bodies = [remap(part.message, self._own) for part in travels.parts]
        homes = [self._at_home(meaning, part, travels) for part in travels.parts]
        replies: list[bytes] = []
        if meaning.makes_synth:
            self._nodes.create_synth(*meaning.creates[0])
            self._doubt(meaning)
            self._note_if_missed(meaning, travels)
        else:
            replies = self._nodes.create_groups(meaning.creates)
        for part, body, home in zip(travels.parts, bodies, homes, strict=True):
            self._emit(tapped, tapped.kind, part, wall_timetag=tapped.timetag, body=body, home=home)
        return replies

    def load(self, tapped: Tapped) -> None:
        """Load a buffer here at once, because a thread of Sonic Pi waits for it, and send the load to the
        room.

        The load of a player's own file isn't sent. Raises Refused.
        """
        meaning = tapped.meaning
        travelling = load_to_wire(meaning, self._folders)
        self._to_synth.append(remap(meaning.message, self._own))
        if travelling is None:
            self._emission.note_local_only(self._missed.file(PurePath(str(meaning.message.arg(1))).name))
            return
        self._emit(tapped, Kind.RESOURCE, travelling, wall_timetag=None)

    def play_at_home(self, tapped: Tapped) -> None:
        """Play a message on this host only. Raises Refused."""
        meaning = tapped.meaning
        if meaning.makes_synth:
            home = self._home_synth(meaning)
        else:
            home = remap(meaning.message, self._own, self._home_nodes, at_home=True)
            if len(meaning.payload) > MAX_PAYLOAD_BYTES:
                self._emission.note_local_only(self._missed.other(meaning.message.address))
        self._emission.emit_home(
            home,
            meaning,
            wall_timetag=tapped.timetag,
            emitted_local_ns=tapped.received_local_ns,
            reading=tapped.reading,
        )

    def pass_on(self, meaning: Meaning) -> None:
        """Hand a message to this host's scsynth at once, and to nobody else. Raises Refused."""
        message, command = meaning.message, meaning.command
        assert command is not None, "what is no command is refused before"
        if command.act is Act.LOAD_SYNTHDEFS and message.tags[:1] == "s":
            self._folders.learn(str(message.arg(0)))
        if command.family is Family.SYNTHDEF:
            if message.tags != ("b" if command.args[0].role is Role.SYNTHDEF_BLOB else "s"):
                # A completion message would be executed without a check.
                raise Refused("completion-message", message.address)
            self._to_synth.append(message.raw)
            return
        if command.act in (Act.ASK_STATUS, Act.ASK_SERVER):
            if message.tags not in ("", "i"):
                raise Refused("arguments", f"{message.address} ,{message.tags[:40]}")
            self._to_synth.append(message.raw)
            return
        if meaning.makes_synth and meaning.synthdef == SERVER_INFO:
            self._home_nodes.add(meaning.creates[0][0])
        self._to_synth.append(remap(message, self._own, self._home_nodes, at_home=True))

    def may_miss(self, meaning: Meaning) -> bool:
        """Return whether a new synth may be left out if its time is over.

        True for stock synths and synths of the player's own. False for FX of the player's own and live audio.
        """
        return home_only(meaning) in (None, OWN_SYNTH)

    def _emit(
        self,
        tapped: Tapped,
        kind: Kind,
        meaning: Meaning,
        *,
        wall_timetag: int | None,
        body: bytes | None = None,
        home: bytes | None = None,
    ) -> None:
        self._emission.emit(
            kind,
            meaning,
            wall_timetag=wall_timetag,
            emitted_local_ns=tapped.received_local_ns,
            reading=tapped.reading,
            body=body,
            home=home,
        )

    def _at_home(self, meaning: Meaning, part: Meaning, travels: Travelling) -> bytes | None:
        """Return the message for this host's scsynth; None if it is the same as the part that is sent to the
        room."""
        if travels.differs:
            return remap(meaning.message, self._own, at_home=True)
        return remap(part.message, self._own, at_home=True) if OUTPUT_CONTROL in part.payload else None

    def _home_synth(self, meaning: Meaning) -> bytes:
        ((node, action, target),) = meaning.creates
        is_new = self._home_nodes.add(node)
        try:
            home = remap(meaning.message, self._own, self._home_nodes, at_home=True)
        except Refused:
            if is_new:
                self._home_nodes.discard(node)
            raise
        if is_new:  # Sonic Pi requests live audio again, with the same number, while it lives
            self._nodes.create_synth(node, action, target)
            self._doubt(meaning)
            self._note_missed(meaning, home_only(meaning))
        return home

    def _doubt(self, meaning: Meaning) -> None:
        """Watch a synth with a synthdef of the player's own, which scsynth may lack."""
        known = home_only(meaning)
        if known is not None and known.kind is HomeKind.OWN:
            ((node, _, target),) = meaning.creates
            self._nodes.doubt(node, target, meaning.synthdef)

    def _note_if_missed(self, meaning: Meaning, travels: Travelling) -> None:
        if travels.differs:
            self._note_missed(meaning, home_only(meaning))

    def _note_missed(self, meaning: Meaning, known: HomeOnly | None) -> None:
        if known is None or known.is_missed:
            self._emission.note_local_only(self._missed.synth(meaning.synthdef, known))
