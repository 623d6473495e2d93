"""Loss meter: the share of a sender's numbers that is lost on the way, judged by NACKs.

Pure. A number counts as lost when it is first asked for, so reordering beyond the receiver's tolerance counts
too. A way without a record counts as lossy, since a room's first bar is heard as well. The window slides in
steps. Bound: MEMORY numbers asked for are remembered.
"""

from collections import deque

WINDOW_STEPS = 6
STEP_S = 10.0
"""Length of a step, s. The window of six steps is one minute. At 20 events a second 0.1 % of it is one
event, the least that can be measured."""

LOSSY_FROM = 0.001
LOSSY_UNTIL = 0.0005
"""Half of LOSSY_FROM, so that a way at the limit doesn't flip with every event."""
ASKED_MIN = 2
"""A single request may be chance, and its NACK alone repairs it."""

KNOWN_FROM = 300
"""After this many numbers, hardly one of them asked for, less than 1 % is being lost. Measured in the virtual
laboratory over 400 fresh rooms, 50 +- 10 ms, 10 % loss. With copies from the second loss on, something
differed in 7 rooms; with this rule, in none. Cost: a clean way carries three times its first 300 events,
once."""

MEMORY = 4096


class LossMeter:
    """The loss of one direction of a hop, as its sender sees it."""

    __slots__ = ("_asked", "_asked_before", "_first", "_last", "_marks", "_sent", "_step_at_s", "lossy")

    def __init__(self) -> None:
        self.lossy = True
        """Whether events need copies."""
        self._sent = 0
        self._asked = 0
        self._first: int | None = None
        self._last = 0
        self._asked_before: dict[int, None] = {}
        self._marks: deque[tuple[int, int]] = deque([(0, 0)], maxlen=WINDOW_STEPS)
        self._step_at_s: float | None = None

    @property
    def share(self) -> float:
        """The share (0 to 1) of the numbers sent within the window that was asked for."""
        sent, asked = self._window()
        return asked / sent if sent else 0.0

    def sent(self, number: int) -> None:
        """Count a number sent for the first time."""
        if self._first is None:
            self._first = number
        self._last = number
        self._sent += 1
        if self._sent == KNOWN_FROM:
            self._judge()

    def asked(self, number: int) -> None:
        """Count a number that a NACK names, once, and only if this meter saw it sent."""
        if self._first is None or not self._first <= number <= self._last or number in self._asked_before:
            return
        self._asked_before[number] = None
        if len(self._asked_before) > MEMORY:
            del self._asked_before[next(iter(self._asked_before))]
        self._asked += 1
        self._judge()

    def pass_time(self, now_s: float) -> None:
        """Advance the window to `now_s`."""
        if self._step_at_s is None:
            self._step_at_s = now_s + STEP_S
        if now_s < self._step_at_s:
            return
        self._step_at_s = now_s + STEP_S
        self._marks.append((self._sent, self._asked))
        self._judge()

    def _window(self) -> tuple[int, int]:
        sent, asked = self._marks[0]
        return self._sent - sent, self._asked - asked

    def _judge(self) -> None:
        sent, asked = self._window()
        if self._sent < KNOWN_FROM:
            return
        if self.lossy:
            self.lossy = asked > LOSSY_UNTIL * sent
        else:
            self.lossy = asked >= ASKED_MIN and asked >= LOSSY_FROM * sent
