"""The relay of a virtual jam: its process, its clock, and its core while it runs.

Pure. Its clock shows true time, unless a test sets `skew_ns`.
"""

from collections.abc import Callable

from laboratory.virtual.agenda import Agenda
from laboratory.virtual.host import START_UNIX_NS
from laboratory.virtual.stalls import Process
from relay.effects import Effect
from relay.hub.hub import RelayHub
from relay.wire.timetag import from_unix_ns


class RelayHost:
    """The host of the relay. One relay at a time runs here. After it has ended, another can be started."""

    def __init__(
        self, agenda: Agenda, make_hub: Callable[[int], RelayHub], do: Callable[[Effect], None]
    ) -> None:
        """Prepare the host; `start` starts the relay. do: carries out one effect of the hub.

        make_hub: returns a relay's hub, given the session instant (ticks) of its start.
        """
        self.skew_ns = 0
        self.down = False
        self.process = Process(self.settle)
        self.hub: RelayHub
        self._agenda = agenda
        self._make_hub = make_hub
        self._do = do
        self._effects: list[Effect] = []
        """Effects that the hub's latest input gave and that aren't carried out yet."""
        self._timer = 0

    @property
    def now(self) -> int:
        """The relay's session time (ticks)."""
        return from_unix_ns(START_UNIX_NS + self._agenda.now_ns + self.skew_ns)

    def start(self) -> None:
        """Start a relay with a new hub, which begins a new epoch."""
        self.hub = self._make_hub(self.now)
        self.down = False
        self.settle()

    def stop(self) -> None:
        """End the relay."""
        self.down = True
        self._timer += 1

    def receive(self, socket: str, read: Callable[[], list[Effect]]) -> None:
        """Let data arrive at a socket of the relay's process.

        read: passes the data to the hub and returns the effects. It is called when the process reads the
        socket. If the relay has ended by then, it is not called.
        """

        def take() -> None:
            if not self.down:
                self._effects += read()

        self.process.receive(socket, take, self._agenda.now_ns)

    def closed(self, connection: int) -> None:
        """Tell the hub that a control connection has ended."""
        self._effects += self.hub.control_closed(connection, self.now)
        self.settle()

    def settle(self) -> None:
        """Carry out the effects of the latest input, wake the hub, and set the timer for its next wake-up."""
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
