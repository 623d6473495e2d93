"""Statistics desk: answers requests for statistics, and gathers only a few members' figures at a time.

Pure; instants are session timetags. Because it works in small steps, no music waits for it. The statistics of
a room are gathered at most once in KEPT; all requests in between get the same statistics. Bound:
QUESTIONS_MAX requests wait.
"""

import logging
from collections import deque
from collections.abc import Generator, Mapping
from typing import NamedTuple

from relay.limits import STATS_COUNTS_MAX, STATS_MEMBERS_MAX
from relay.room.room import Room
from relay.stats.gather import gather
from relay.wire.stats import RoomStats
from relay.wire.timetag import ticks

log = logging.getLogger(__name__)

KEPT = ticks(1.0)
STEPS_A_TURN = 4
"""How many steps one `turn` takes. A step gathers the figures of one member, or completes one answer."""
QUESTIONS_MAX = 512
"""How many requests may wait: as many as there may be connections."""

_Work = Generator[None, None, list[RoomStats]]


class Answer(NamedTuple):
    """The answer to one request for statistics.

    connection: the connection on which the request came. room_name: the requested room; None: all rooms.
    rooms: the rooms' statistics; None if gathering them failed.
    """

    connection: int
    room_name: str | None
    rooms: list[RoomStats] | None


class _Kept(NamedTuple):
    since: int
    stats: RoomStats
    findings: int
    """The room's count of findings before its statistics were gathered. If the count has risen since, the
    statistics are gathered anew."""


class StatsDesk:
    """Answers the requests for statistics of one relay, in their order of arrival."""

    def __init__(self, rooms: Mapping[str, Room]) -> None:
        self._rooms = rooms
        self._questions: deque[tuple[int, str | None]] = deque()
        self._work: _Work | None = None
        """The gathering for the first waiting request; None if it hasn't begun."""
        self._kept: dict[tuple[str, bool], _Kept] = {}
        """Statistics gathered in the last second, by the room's name and by whether each member's `counts`
        are included."""

    @property
    def busy(self) -> bool:
        """Whether a request waits. If so, `turn` must be called again at once."""
        return bool(self._questions)

    def ask(self, connection: int, room_name: str | None) -> bool:
        """Queue a request for one room's statistics, or for all rooms' if `room_name` is None. Return False
        if too many requests wait already."""
        if len(self._questions) >= QUESTIONS_MAX:
            return False
        self._questions.append((connection, room_name))
        return True

    def turn(self, now: int) -> list[Answer]:
        """Gather the figures of a few more members. Return the answers that are complete. now: session
        ticks."""
        answers = []
        for _ in range(STEPS_A_TURN):
            if not self._questions:
                break
            connection, room_name = self._questions[0]
            self._work = self._work or self._gather(room_name, now)
            try:
                next(self._work)
            except StopIteration as end:
                answers.append(Answer(connection, room_name, end.value))
            except Exception:  # a facet's fault, which must cost nobody's music
                log.exception("our fault: no statistics of room %s", room_name or "(all)")
                answers.append(Answer(connection, room_name, None))
            else:
                continue
            self._questions.popleft()
            self._work = None
        return answers

    def forget(self, connection: int) -> None:
        """Drop the requests of a connection that has ended."""
        if self._questions and self._questions[0][0] == connection:
            self._work = None
        self._questions = deque(one for one in self._questions if one[0] != connection)

    def gather_now(self, room_name: str | None) -> list[RoomStats]:
        """Return the present statistics at once, in one call that may take long. room_name: None means all
        rooms."""
        work = self._gather(room_name, None)
        while True:
            try:
                next(work)
            except StopIteration as end:
                return list(end.value)

    def _gather(self, room_name: str | None, now: int | None) -> _Work:
        """Gather the statistics of the requested rooms; each step of the generator gathers one member.

        now: session ticks; statistics younger than KEPT are used again. If `now` is None, all are gathered
        anew.
        """
        if now is not None:
            self._kept = {key: kept for key, kept in self._kept.items() if now < kept.since + KEPT}
        names, counts = self._shown(room_name)
        found = []
        for name in names:
            kept = None if now is None else self._kept.get((name, counts))
            room = self._rooms.get(name)
            if kept is not None and (room is None or kept.findings == room.findings):
                found.append(kept.stats)
            elif room is not None:
                findings = room.findings
                stats = yield from gather(room, counts=counts)
                found.append(stats)
                if now is not None:
                    self._kept[name, counts] = _Kept(now, stats, findings)
        return found

    def _shown(self, room_name: str | None) -> tuple[list[str], bool]:
        """Return (names, counts). names: the requested rooms that fit into one answer. counts: whether each
        member's `counts` fit into the answer too."""
        names, seats = [], 0
        for name in sorted(self._rooms) if room_name is None else [room_name]:
            seats += len(self._rooms[name].seats) if name in self._rooms else 0
            if seats > STATS_MEMBERS_MAX:
                break
            names.append(name)
        return names, seats <= STATS_COUNTS_MAX
