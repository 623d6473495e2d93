"""Wires of a virtual jam: carry datagrams and control messages over members' legs, and hold them in a stall.

Pure. While a way stands still, nothing arrives over it. Everything held back arrives at the end of the stall.
"""

from collections.abc import Callable

from laboratory.virtual.agenda import Agenda
from laboratory.virtual.host import Member
from laboratory.virtual.net import UP, Meddler, Passage


class Wires:
    """The legs of all members, each with two ways (UP and DOWN). meddle: changes delays, if a test sets
    it."""

    def __init__(self, agenda: Agenda) -> None:
        self.meddle: Meddler | None = None
        self._agenda = agenda
        self._still_until_ns: dict[tuple[str, int], int] = {}

    def hold(self, member: Member, direction: int, until_s: float) -> None:
        """Hold back datagrams and control messages of a way, from now until a true instant (s)."""
        self._still_until_ns[member.name, direction] = round(until_s * 1e9)

    def datagram(self, member: Member, direction: int, size: int, arrive: Callable[[], None]) -> None:
        """Send a datagram of `size` bytes. arrive: called for each arrival; there may be none, one or two."""
        extra_s = self._meddled_s(member, direction)
        if extra_s is None:
            return
        for at_s in _passage(member, direction).arrivals_s(self._agenda.now_ns / 1e9, size):
            self._arrive_at(at_s + extra_s, member, direction, arrive)

    def control(
        self, member: Member, direction: int, arrive: Callable[[], None], *, meddled: bool = True
    ) -> None:
        """Send a control message, or the end of a connection. arrive: called at the arrival.

        meddled: let the meddler delay it. Where the meddler loses datagrams, a control message still arrives.
        """
        arrival_s = _passage(member, direction).control_arrival_s(self._agenda.now_ns / 1e9)
        extra_s = self._meddled_s(member, direction) if meddled else None
        self._arrive_at(arrival_s + (extra_s or 0.0), member, direction, arrive)

    def _arrive_at(self, true_s: float, member: Member, direction: int, arrive: Callable[[], None]) -> None:
        def come_out() -> None:
            until_ns = self._still_until_ns.get((member.name, direction), 0)
            if self._agenda.now_ns < until_ns:
                self._agenda.at(until_ns, arrive)
            else:
                arrive()

        self._agenda.at_s(true_s, come_out)

    def _meddled_s(self, member: Member, direction: int) -> float | None:
        """Return the delay (s) that the meddler adds to a datagram sent now; None: the datagram is lost."""
        if self.meddle is None:
            return 0.0
        return self.meddle(member.name, direction, self._agenda.now_ns / 1e9)


def _passage(member: Member, direction: int) -> Passage:
    return member.up if direction == UP else member.down
