"""A room's lead and shift without a relay: a test says what notes and events need, second by second."""

from dataclasses import replace

from relay.lead.keeper import Demand, LeadKeeper, LeadPolicy
from relay.lead.note_headroom import Headrooms
from relay.wire.sequence import Kind, Stamped
from relay.wire.timetag import TICKS_PER_S, ticks
from tests.worlds.relay import EPOCH, NOTE


def ms(duration: int) -> int:
    return round(duration / TICKS_PER_S * 1e3)


class Room:
    """A lead keeper with made-up measurements, tuned once a second."""

    def __init__(self, **policy: object) -> None:
        self.keeper = LeadKeeper(LeadPolicy(**policy))
        self.notes = Headrooms()
        self.now = EPOCH
        self.events = 0
        self.timings = [self.keeper.timing]

    def play(self, ahead_s: float, notes: int = 100, *, seconds: int = 1) -> None:
        """Count notes that are judged now and were emitted `ahead_s` before their timetags.

        The emissions are spread over the last `seconds` seconds. With 1, all were emitted now.
        """
        for index in range(notes):
            at = self.now - index % seconds * TICKS_PER_S
            self.notes.judged(Stamped(1, at, at + ticks(ahead_s), Kind.TIMED, NOTE), at)

    def need(
        self,
        need_s: float | None,
        seconds: int = 1,
        *,
        path_s: float = 0.0,
        usual_s: float = 0.0,
        settled_s: float | None = None,
        events_per_s: int = 60,
        silent: bool = False,
    ) -> None:
        """Let `seconds` pass in which the room needs a lead of `need_s`; None: nothing was measured.

        path_s, usual_s, settled_s: as in `Demand`. silent: nobody plays.
        """
        demand = Demand(
            None if need_s is None else ticks(need_s), ticks(path_s), ticks(usual_s),
            None if settled_s is None else ticks(settled_s),
        )  # fmt: skip
        for _ in range(seconds):
            self.now += TICKS_PER_S
            self.events += events_per_s
            demand = replace(demand, events=self.events)
            if self.keeper.tune(demand, self.notes, self.now, silent=silent):
                self.timings.append(self.keeper.timing)

    @property
    def lead_ms(self) -> int:
        return ms(self.keeper.timing.lead)

    @property
    def shift_ms(self) -> int:
        return ms(self.keeper.timing.shift)
