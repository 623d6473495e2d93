"""A bridge's session, and a relay that a test plays by hand."""

from bridge.effects import Effect, SendDatagram, ToSynth
from bridge.restart_state import Memory
from bridge.session.session import JamSession
from bridge.session.states import State
from clock.exchange import server_answer
from relay.wire import control, frames
from relay.wire.datagram import Opener, Sealer
from relay.wire.meaning import Meaning
from relay.wire.sequence import Kind
from relay.wire.timetag import from_unix_ns, ticks
from tests.worlds.bridge import UNIX_NS, Bench, instant, reading

KEY_UP, KEY_DOWN, CHANNEL = bytes(32), b"\1" * 32, 77
EPOCH, OTHER_EPOCH = b"e" * 16, b"f" * 16


class Relay:
    """The relay at the other end of a session. ahead_s: how far it is ahead of the member's wall clock."""

    def __init__(self, session: JamSession, *, ahead_s: float = 0.0) -> None:
        self.session = session
        self.ahead_ns = round(ahead_s * 1e9)
        self.at_s = 0.0
        self.handed: list[bytes] = []
        """The datagrams that the member's scsynth has been handed so far."""

    def welcome(
        self, *, at_s: float, epoch: bytes = EPOCH, resumed: bool = False, number: int = 0, slot: int = 1
    ) -> None:
        """Answer the session's Hello with a Welcome. A session that hasn't sent its Hello sends it first.

        at_s: now. resumed: the session keeps its slot. number: the room's last event number.
        """
        if self.session.state is State.ALONE:
            self.session.hello(reading(at_s))
        self.answer(at_s=at_s, epoch=epoch, resumed=resumed, number=number, slot=slot)

    def answer(
        self, *, at_s: float, epoch: bytes = EPOCH, resumed: bool = False, number: int = 0, slot: int = 1
    ) -> None:
        """Send the session a Welcome. Parameters: as in `welcome`."""
        self.opener, self.sealer = Opener(KEY_UP, CHANNEL), Sealer(KEY_DOWN, CHANNEL)
        message = control.Welcome(
            slot=slot, name="ada", ticket=b"t" * 16, epoch=epoch, channel=CHANNEL, key_up=KEY_UP,
            key_down=KEY_DOWN, number=number, next_seq=1, resumed=resumed, lead=ticks(0.2), shift=0,
            horizon=ticks(0.1), members=[],
        )  # fmt: skip
        self.session.receive_control(message, reading(at_s))

    def say(self, *parts: frames.Frame, at_s: float) -> None:
        payload = self.sealer.seal(b"".join(frames.encode(part) for part in parts))
        read = reading(at_s)
        self.session.receive_datagram(payload, received_local_ns=read.local_ns, reading=read)

    def turn(self, at_s: float) -> tuple[list[frames.Frame], list[Effect]]:
        """Wake and flush the session; return (frames that it sent to the relay, its other effects)."""
        self.session.wake(reading(at_s))
        sent, others = [], []
        for effect in self.session.flush(reading(at_s)):
            if isinstance(effect, SendDatagram):
                sent += frames.decode(self.opener.open(effect.payload))
            else:
                others.append(effect)
                self.handed += [effect.payload] if isinstance(effect, ToSynth) else []
        return sent, others

    def lock(self, from_s: float) -> list[frames.Frame]:
        """Answer clock requests at once until the session's clock is set; return the session's other
        frames."""
        sent: list[frames.Frame] = []
        for count in range(12):
            at_s = from_s + count * 0.025
            for frame in self.turn(at_s)[0]:
                if isinstance(frame, frames.Clock):
                    now = from_unix_ns(UNIX_NS + round(at_s * 1e9) + self.ahead_ns)
                    self.say(frames.Clock(server_answer(frame.ntp, receive=now, transmit=now)), at_s=at_s)
                else:
                    sent.append(frame)
        return sent + self.turn(from_s + 0.3)[0]


def emit(session: JamSession, payload: bytes, at_s: float, ahead_s: float | None = 0.5) -> None:
    read = reading(at_s)
    session.emission.emit(
        Kind.UNTIMED if ahead_s is None else Kind.TIMED,
        Meaning(payload),
        wall_timetag=None if ahead_s is None else instant(at_s + ahead_s),
        emitted_local_ns=read.local_ns,
        reading=read,
        home=payload,
    )


def seqs(sent: list[frames.Frame]) -> list[int]:
    return [frame.seq for frame in sent if isinstance(frame, frames.Stamped)]


def joined(memory: Memory | None = None, *, ahead_s: float = 0.0) -> tuple[Bench, JamSession, Relay]:
    bench = Bench()
    session = bench.session(memory)
    relay = Relay(session, ahead_s=ahead_s)
    relay.welcome(at_s=1.0)
    relay.lock(1.0)
    return bench, session, relay
