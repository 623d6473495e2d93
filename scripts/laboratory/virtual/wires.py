"""Wires of a virtual jam: when a datagram or a control message comes out at the other end of a member's leg.

Pure. While a way stands still, nothing comes out of it. All that would have come out does so at the end of
the stall.
"""

from collections.abc import Callable

from laboratory.virtual.agenda import Agenda
from laboratory.virtual.host import Member
from laboratory.virtual.net import UP, Meddler, Passage


class Wires:
    """The ways of all members, each in two directions (UP and DOWN)."""

    def __init__(self, agenda: Agenda) -> None:
        self.meddle: Meddler | None = None
        self._agenda = agenda
        self._still_until_ns: dict[tuple[str, int], int] = {}

    def hold(self, member: Member, direction: int, until_s: float) -> None:
        """Let a way stand still from now until a true instant (s), for control messages too."""
        self._still_until_ns[member.name, direction] = round(until_s * 1e9)

    def datagram(self, member: Member, direction: int, size: int, arrive: Callable[[], None]) -> None:
        """Send a datagram of `size` bytes. arrive: is called for each arrival, of which there are none, one
        or two."""
        extra_s = self._meddled_s(member, direction)
        if extra_s is None:
            return
        for at_s in _passage(member, direction).arrivals_s(self._agenda.now_ns / 1e9, size):
            self._arrive_at(at_s + extra_s, member, direction, arrive)

    def control(
        self, member: Member, direction: int, arrive: Callable[[], None], *, meddled: bool = True
    ) -> None:
        """Send a control message, or the end of a connection. arrive: is called when it arrives.

        meddled: the meddler may delay it. Even where the meddler loses datagrams, a control message isn't
        lost.
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
