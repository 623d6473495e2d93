"""The relay of a virtual jam: its process, its clock, and its core while it runs.

Pure. Its clock is the true one unless a test skews it.
"""

from collections.abc import Callable

from laboratory.virtual.agenda import Agenda
from laboratory.virtual.host import START_UNIX_NS
from laboratory.virtual.stalls import Process
from relay.effects import Effect
from relay.hub.hub import RelayHub
from relay.wire.timetag import from_unix_ns


class RelayHost:
    """One relay after the other, in one place."""

    def __init__(
        self, agenda: Agenda, make_hub: Callable[[int], RelayHub], do: Callable[[Effect], None]
    ) -> None:
        """make_hub: takes the session instant at which a relay starts. do: does one of its effects."""
        self.skew_ns = 0
        self.down = False
        self.process = Process(self.settle)
        self.hub: RelayHub
        self._agenda = agenda
        self._make_hub = make_hub
        self._do = do
        self._effects: list[Effect] = []
        """Of its latest input."""
        self._timer = 0

    @property
    def now(self) -> int:
        """The relay's session time."""
        return from_unix_ns(START_UNIX_NS + self._agenda.now_ns + self.skew_ns)

    def start(self) -> None:
        """Start a relay that knows nothing: a new epoch."""
        self.hub = self._make_hub(self.now)
        self.down = False
        self.settle()

    def stop(self) -> None:
        """End it."""
        self.down = True
        self._timer += 1

    def receive(self, socket: str, read: Callable[[], list[Effect]]) -> None:
        """Let something come to a socket. read: feeds it to the hub, unless there is none by then."""

        def take() -> None:
            if not self.down:
                self._effects += read()

        self.process.receive(socket, take, self._agenda.now_ns)

    def closed(self, connection: int) -> None:
        """Note the end of a control connection."""
        self._effects += self.hub.control_closed(connection, self.now)
        self.settle()

    def settle(self) -> None:
        """Do what follows from the latest input, and from time."""
        effects, self._effects = self._effects, []
        if self.down:
            return
        for effect in [*effects, *self.hub.wake(self.now), *self.hub.flush(self.now)]:
            self._do(effect)
        self._timer += 1
        mine = self._timer
        wait_ns = max(0, (self.hub.next_wakeup() - self.now) * 1_000_000_000 >> 32) + 1000
        self._agenda.at(self._agenda.now_ns + wait_ns, lambda: self._woken(mine))

    def _woken(self, timer: int) -> None:
        if timer == self._timer and not self.process.is_still(self._agenda.now_ns):
            self.settle()
