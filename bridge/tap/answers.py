"""Answers: the replies to the local Sonic Pi, from the bridge and from its scsynth.

Pure. The bridge confirms a group to Sonic Pi before scsynth has made it. A refused message is answered as if
it had been played. Otherwise Sonic Pi would wait for ever, and keep the message's FX and their buses.
"""

from collections.abc import Callable
from dataclasses import dataclass

from bridge.playout.playout import Playout
from bridge.scsynth.id_space import BUFFERS_PER_SLOT, INTERNAL_BUSES
from bridge.scsynth.unmap import unmap_reply
from bridge.tap.node_replies import NodeTracker, failed_act, lacks_synthdef
from bridge.tap.reply_pacer import Pacer
from relay.wire.commands import COMMANDS, LOADS, REPLIES, Act, ReplyKind
from relay.wire.errors import LocalError, Refused
from relay.wire.meaning import Meaning
from relay.wire.osc import Message, encode, single_message

Address = tuple[str, int]

SERVER_INFO_REPLY = "/sonic-pi/server-info"
_AUDIO_BUSES_AT, _BUFFERS_AT = 10, 12
"""Positions of two arguments of the server info: the number of audio buses, and that of buffers. All
arguments are: node id, sr dur rps crate cdur subsample outs ins abuses cbuses bufs synths."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A reply that is sent to Sonic Pi's socket `to` at once."""

    to: Address
    payload: bytes


class Answers:
    """Makes the replies to the local Sonic Pi, and holds them until they are sent."""

    def __init__(
        self, playout: Playout, nodes: NodeTracker, pacer: Pacer, ended: Callable[[int], None]
    ) -> None:
        """ended: the function that gets the id of each node of the local Sonic Pi that has ended."""
        self._playout = playout
        self._own = playout.own
        self._nodes = nodes
        self._pacer = pacer
        self._ended = ended
        self._asked_status: Address | None = None
        self._at_once: list[Answer] = []

    def drain(self) -> list[Answer]:
        """Remove and return the answers that are to be sent at once."""
        drained, self._at_once = self._at_once, []
        return drained

    def status_asked(self, source: Address) -> None:
        """Store the address of the socket that asks for scsynth's status."""
        self._asked_status = source

    def tell(self, *replies: bytes) -> None:
        """Put replies at the end of the paced queue."""
        for reply in replies:
            self._pacer.push(reply)

    def as_played(self, meaning: Meaning) -> None:
        """Answer a message that isn't played. Sonic Pi gets the same answer as for a played one."""
        try:
            replies = self._nodes.refused(meaning.creates, groups=not meaning.makes_synth)
        except (Refused, LocalError):  # its ids are invalid or don't fit a reply
            return
        self.tell(*replies)

    def synth_says(self, message: Message) -> bool:
        """Process a message of this host's scsynth. Return whether it concerns this host.

        Most messages are about other members' nodes, and don't concern this host.
        """
        kind = REPLIES.get(message.address)
        if kind is ReplyKind.STATUS:
            if self._asked_status is not None:
                self._at_once.append(Answer(self._asked_status, message.raw))
            return self._asked_status is not None
        is_done = kind is ReplyKind.DONE and bool(message.args)
        if is_done:
            done = COMMANDS.get(str(message.arg(0)))
            act = Act.OTHER if done is None else done.act
            if act is Act.REGISTER:
                return False  # the bridge's own
            self._note_done(act, message)
        if self._is_of_own_load(kind, message):
            return True
        self._note_synth(kind, message)
        if kind is ReplyKind.TREE:
            self._playout.tree(message)
            return False
        if kind is ReplyKind.NODE_ENDED and message.tags[:1] == "i":
            self._playout.node_ended(int(message.args[0]))
        mine = unmap_reply(message, self._own)
        if mine is None:
            return is_done
        unmapped = single_message(mine)
        if message.address == SERVER_INFO_REPLY:
            self.tell(_stock_server_info(unmapped))
            return True
        if kind is ReplyKind.NODE_ENDED:
            self._ended(int(unmapped.args[0]))
        replies = self._nodes.reply(unmapped)
        self.tell(*replies)
        return is_done or bool(replies)

    def _is_of_own_load(self, kind: ReplyKind | None, message: Message) -> bool:
        """Return whether a reply of scsynth is about a synthdef that the bridge itself has sent."""
        if kind is ReplyKind.DONE:
            done = COMMANDS.get(str(message.arg(0))) if message.args else None
            is_load = done is not None and done.act is Act.LOAD_SYNTHDEF
        else:
            is_load = failed_act(message) is Act.LOAD_SYNTHDEF
        return is_load and self._playout.answers_load(is_done=kind is ReplyKind.DONE)

    def _note_synth(self, kind: ReplyKind | None, message: Message) -> None:
        if kind is ReplyKind.NODE_BEGAN and message.tags[:1] == "i":
            self._playout.began(int(message.arg(0)))
        elif kind is ReplyKind.FAILED and lacks_synthdef(message) and not self._nodes.doubts:
            self._playout.synth_failed()

    def _note_done(self, act: Act, message: Message) -> None:
        if act is Act.LOAD_SYNTHDEFS:
            self._playout.synthdefs_loaded()
        elif act in LOADS and message.tags[1:] and message.tags[-1] == "i":
            self._playout.buffer_loaded(int(message.arg(-1)))


def _stock_server_info(message: Message) -> bytes:
    """Return scsynth's server info with the numbers of buses and buffers that a stock scsynth has."""
    args = list(message.args)
    if len(args) > _BUFFERS_AT:
        args[_AUDIO_BUSES_AT] = float(INTERNAL_BUSES)
        args[_BUFFERS_AT] = float(BUFFERS_PER_SLOT)
    return encode(message.address, *args)
