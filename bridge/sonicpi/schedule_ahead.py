"""Sonic Pi's schedule-ahead: decides when the bridge sets it, and to which value.

Pure. Sonic Pi applies a new schedule-ahead at once, also in running loops: a rise leaves a gap in the music,
and a fall lets notes overlap. Therefore it is set while Sonic Pi is silent. While Sonic Pi plays, it is
raised only if the room's lead has risen so much that notes would be moved. It is then lowered only if the
gain is great and lasts. Small changes of the lead are ignored.

The tap shows whether Sonic Pi has applied a value. Setting a value is a run of its own. Sonic Pi sends
`/n_run 0 1` for the first run after a silence, and `/n_run 0 0` when no run is left. Any other sign that
Sonic Pi runs the player's code counts as well. As soon as Sonic Pi is surely up, any message counts. Without
a sign the value is sent again, ever more rarely, because Sonic Pi may not be up yet.
"""

from dataclasses import dataclass
from math import ceil

from bridge.effects import RunCode, Tell

OWN_AHEAD_S = 0.5
"""Sonic Pi's own schedule-ahead (s), which is restored at the end."""
RESERVE_S = 0.15
"""The part of the schedule-ahead (s) that is used up before notes reach the tap. Measured with Sonic Pi 3.2.2
and five of its examples: up to 0.03 s once a run is under way. In the first instant of a run, and at the
first use of a sample, it was 0.06 to 0.18 s. On two busier cores the first instant took up to 0.26 s. The
notes of that instant are then moved, but more reserve would make all notes later."""
AHEAD_S_MIN, AHEAD_S_MAX = 0.1, 1.0
STEP_S = 0.01

SILENT_S = 2.0
"""Sonic Pi counts as silent after this time (s) without a message."""
LOWER_LASTS_S = 10.0
"""A lead counts as lower only after it has been lower for this time (s)."""
WORTH_S = 0.03
"""The least change (s) that is made while Sonic Pi is silent."""
RISE_S, RISE_LASTS_S = 0.05, 2.0
"""While Sonic Pi plays, a rise is made if it is at least RISE_S and was wanted for RISE_LASTS_S, both in s. A
rise of the lead by so much uses up a third of the reserve. Because of the wait, a lead that rises in steps
costs one gap, not one for each step."""
FALL_S, FALL_LASTS_S = 0.1, 60.0
"""While Sonic Pi plays, a fall is made if it is at least FALL_S and was wanted for FALL_LASTS_S, both in
s."""
PLAYING_PAUSE_S = 10.0
"""The least time (s) between two changes while Sonic Pi plays."""
ANSWER_S, ANSWER_S_MAX = 4.0, 30.0
"""A value is sent again if Sonic Pi gives no sign within this time (s) that the value is applied. The first
wait is ANSWER_S. Later waits grow up to ANSWER_S_MAX. The first run of a Sonic Pi shows only its end, and a
run without a sound ends 2.1 s after it began (measured)."""
BOOT_S = 30.0
"""Time (s) from the bridge's beginning within which Sonic Pi's messages may belong to its start. They are
then no sign that Sonic Pi has applied a value. After the first run, all messages are such a sign."""

_ROUNDING_S = 1e-6
"""Tolerance (s) of comparisons, because a lead in ticks may exceed 0.1 s by a rounding."""


@dataclass(frozen=True, slots=True)
class _Sent:
    """A schedule-ahead that was sent to Sonic Pi and is not yet known to be applied.

    The other fields are as of the instant of sending. heard, runs: as in `AheadTuner.wake`. playing: whether
    Sonic Pi played. up: whether Sonic Pi had surely started.
    """

    ahead_s: float
    lead_s: float
    at_s: float
    heard: int
    runs: int
    playing: bool
    up: bool


def ahead_for(lead_s: float) -> float:
    """Return the schedule-ahead (s) that suits a room's lead (s)."""
    steps = ceil((lead_s + RESERVE_S - _ROUNDING_S) / STEP_S)
    return round(min(max(steps * STEP_S, AHEAD_S_MIN), AHEAD_S_MAX), 2)


class AheadTuner:
    """Sets the local Sonic Pi's schedule-ahead.

    restarted: a previous bridge process may have set it already.
    """

    def __init__(self, now_s: float, *, restarted: bool = False) -> None:
        self.ahead_s: float | None = None
        """The value (s) that Sonic Pi has last applied; None before it has applied any."""
        self._may_be_set = restarted
        self._up = restarted
        self._up_at_s = now_s + BOOT_S
        self._heard = 0
        self._heard_at_s = now_s
        self._runs = 0
        self._wish_s: float | None = None
        self._lower_since_s: float | None = None
        self._lower_s = 0.0
        self._due_since_s: float | None = None
        self._set_at_s = -PLAYING_PAUSE_S
        self._sent: _Sent | None = None
        self._answer_s = ANSWER_S

    def wake(self, *, lead_s: float | None, heard: int, runs: int, now_s: float) -> list[RunCode | Tell]:
        """Return the actions for now: RunCode to set a value, and Tell when Sonic Pi has applied the value.

        lead_s: the room's lead; None outside of a room. heard: number of messages from Sonic Pi so far. runs:
        number of messages so far that show that a run began or that none is left. now_s: local clock.
        """
        if heard != self._heard:
            self._heard, self._heard_at_s = heard, now_s
        self._runs = runs
        self._up = self._up or runs > 0 or now_s >= self._up_at_s
        if self._sent is not None:
            return self._await(self._sent, now_s)
        if lead_s is None:
            return []
        self._wish(ahead_for(lead_s), now_s)
        assert self._wish_s is not None
        playing = now_s - self._heard_at_s < SILENT_S
        if not self._is_time(self._wish_s, playing, now_s):
            return []
        self._sent = _Sent(self._wish_s, lead_s, now_s, heard, runs, playing, self._up)
        self._may_be_set = True
        return [_set(self._wish_s)]

    def leave(self) -> list[RunCode | Tell]:
        """Return the actions that restore Sonic Pi's own schedule-ahead; none if it was never changed."""
        if not self._may_be_set:
            return []
        return [_set(OWN_AHEAD_S), Tell(f"Sonic Pi's schedule-ahead set back to {OWN_AHEAD_S:.2f} s")]

    def _wish(self, wanted_s: float, now_s: float) -> None:
        """Follow the wanted value `wanted_s`: upwards at once, downwards only after the wanted value was
        lower for LOWER_LASTS_S."""
        if self._wish_s is None or wanted_s >= self._wish_s:
            self._wish_s = wanted_s
            self._lower_since_s = None
            return
        if self._lower_since_s is None:
            self._lower_since_s, self._lower_s = now_s, wanted_s
        self._lower_s = max(self._lower_s, wanted_s)
        if now_s - self._lower_since_s >= LOWER_LASTS_S:
            self._wish_s = self._lower_s
            self._lower_since_s = None

    def _is_time(self, wish_s: float, playing: bool, now_s: float) -> bool:
        """Return whether to set the schedule-ahead to `wish_s` now."""
        rise_s = wish_s - (OWN_AHEAD_S if self.ahead_s is None else self.ahead_s)
        if not playing:
            self._due_since_s = None
            return self.ahead_s is None or abs(rise_s) > WORTH_S - _ROUNDING_S
        if RISE_S - _ROUNDING_S > rise_s > -FALL_S + _ROUNDING_S:
            self._due_since_s = None
            return False
        if self._due_since_s is None:
            self._due_since_s = now_s
        lasts_s = RISE_LASTS_S if rise_s > 0 else FALL_LASTS_S
        return now_s - self._due_since_s >= lasts_s and now_s - self._set_at_s >= PLAYING_PAUSE_S

    def _await(self, sent: _Sent, now_s: float) -> list[RunCode | Tell]:
        """Check whether Sonic Pi has applied the value that was sent. If so, return the message to the
        player."""
        taken = self._runs > sent.runs or (sent.up and self._heard > sent.heard)
        if not taken:
            if now_s - sent.at_s >= self._answer_s:
                self._sent = None
                self._answer_s = min(2 * self._answer_s, ANSWER_S_MAX)
            return []
        before = f"to {sent.ahead_s:.2f} s (its own is {OWN_AHEAD_S:.2f} s)"
        if self.ahead_s is not None:
            before = f"from {self.ahead_s:.2f} to {sent.ahead_s:.2f} s"
        self.ahead_s, self._set_at_s, self._sent = sent.ahead_s, now_s, None
        self._due_since_s = None
        self._answer_s = ANSWER_S
        heard = " while it plays: the music has a jump there" if sent.playing else ""
        return [
            Tell(f"Sonic Pi's schedule-ahead set {before}, for a lead of {sent.lead_s * 1e3:.0f} ms{heard}")
        ]


def _set(ahead_s: float) -> RunCode:
    return RunCode(f"set_sched_ahead_time! {ahead_s:.2f}")
