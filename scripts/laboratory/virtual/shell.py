"""A bridge's shell in virtual time: carries out its core's effects, as bridge/shells/service.py does.

Pure. The bridge's process may stand still (`stalls`).
"""

from collections.abc import Callable
from functools import partial
from typing import Protocol, assert_never

from bridge import effects
from bridge.file_jobs import Answer
from clock.model import Reading
from laboratory.virtual.agenda import Agenda
from laboratory.virtual.host import BOUND_EVERY_NS, Member
from laboratory.virtual.stalls import Process
from relay.wire import control

SYNTH_ANSWERS_NS = 20_000_000
FILES_ANSWER_NS = 5_000_000


class Trace(Protocol):
    """Receives everything that is delivered, as a hash does."""

    def update(self, delivered: bytes, /) -> None:
        """Add the bytes of one delivery."""


class Shell:
    """The shell of a member's bridge. It remains when the bridge is killed and another one starts."""

    def __init__(
        self, agenda: Agenda, member: Member, trace: Trace, *, send: Callable[[bytes], None],
        say: Callable[[control.Up], None], cut: Callable[[], None], undone: tuple[type[effects.Effect], ...],
        watch_bounds: bool, name: str,
    ) -> None:  # fmt: skip
        """Connect the shell to its jam.

        send: sends a datagram to the relay. say: sends the relay a control message. cut: breaks the
        connection. undone: types of effects that are not carried out. watch_bounds: keep the clock bounds
        that the bridge states. name: the jam's, for error texts.
        """
        self.process = Process(self.settle)
        self._agenda = agenda
        self._member = member
        self._trace = trace
        self._send = send
        self._say = say
        self._cut = cut
        self._undone = undone
        self._watch_bounds = watch_bounds
        self._name = name

    def receive(self, socket: str, read: Callable[[], None]) -> None:
        """Let data arrive at a socket of the bridge's process. read: passes the data to the bridge's core.

        `read` is called when the process reads the socket.
        """
        self.process.receive(socket, read, self._agenda.now_ns)

    def settle(self) -> None:
        """Wake the bridge's core, and carry out all effects that have collected there."""
        member, now_ns = self._member, self._agenda.now_ns
        bridge = member.bridge
        if bridge is None:
            return
        reading = member.reading(now_ns)
        bridge.wake(reading)
        if bridge.asks_unread is not None:
            bridge.unread(0, reading)  # this Sonic Pi reads at once
        for effect in bridge.flush(reading):
            self.do(effect, reading)
        if self._watch_bounds and now_ns >= member.bound_at_ns:
            member.bound_at_ns = now_ns + BOUND_EVERY_NS
            if bridge.timebase.in_time:
                member.bounds_s.append(bridge.timebase.error_bound_s)

    def do(self, effect: effects.Effect, reading: Reading) -> None:
        """Carry out one effect. reading: the member's clocks now."""
        if isinstance(effect, self._undone):
            return
        agenda, member = self._agenda, self._member
        match effect:
            case effects.ToSynth(payload):
                self._to_synth(payload)
            case effects.ToSonicPi(_, payload):
                member.heard.append(payload)
            case effects.SendDatagram(payload):
                self._send(payload)
            case effects.SendControl(message):
                self._say(message)
            case effects.Abandon():
                agenda.at(agenda.now_ns, partial(self._abandon, member.connection))
            case effects.RunCode(code):
                member.ran.append(code)
            case effects.Tell(text, _):
                member.told.append(text)
            case effects.Remember():
                member.remembered = effect
            case effects.AskFiles(job):
                member.jobs.append(job)
                answer = member.disk(job)
                if answer is not None:
                    agenda.at(agenda.now_ns + FILES_ANSWER_NS, partial(self._files_say, answer))
            case effects.NextWake(local_ns):
                # Once is allowed: if this wake-up set the clock, events due by the new time come next.
                member.again = member.again + 1 if local_ns <= reading.local_ns else 0
                assert member.again < 2, f"{self._name}: {member.name} would be woken for ever"
                member.timer += 1
                agenda.at(member.true_ns(local_ns), partial(self._woken, member.timer))
            case _:
                assert_never(effect)

    def _abandon(self, connection: int | None) -> None:
        """Close a control connection from the bridge's side. Do nothing if the member has another one by
        now."""
        if connection is not None and self._member.connection == connection:
            self._cut()

    def _woken(self, timer: int) -> None:
        if timer == self._member.timer and not self.process.is_still(self._agenda.now_ns):
            self._member.wakeups += 1
            self.settle()

    def _to_synth(self, datagram: bytes) -> None:
        now_ns = self._agenda.now_ns
        self._trace.update(b"s%d " % now_ns + datagram)
        for reply in self._member.take_in(datagram, now_ns):
            self._agenda.at(now_ns + SYNTH_ANSWERS_NS, partial(self._synth_says, reply))

    def _synth_says(self, reply: bytes) -> None:
        def read() -> None:
            if self._member.bridge is not None:
                self._member.bridge.synth_says(reply)

        self.receive("scsynth", read)

    def _files_say(self, answer: Answer) -> None:
        def read() -> None:
            if self._member.bridge is not None:
                self._member.bridge.files_say(answer)

        self.receive("files", read)
