"""Log match: was one member's scsynth handed exactly the events of the relay's log, one by one?

Pure. scsynth executes by (timetag, arrival), the log's order is (due, number). Both orders must be the same,
and every message must be the event at its place in the log.

A member is not handed what was due before its scsynth had a slot's music. Its bridge builds that (see
`builds`) at an instant T: all events of the slot due after T must be handed over, and none due at or before
it. Of a slot that wasn't built, all events must be. A slot may have several owners, one after the other. A
member who came after an owner had left knows nothing of that owner.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median_low

from rehearsal.proof import builds, hosttree, relaylog
from rehearsal.proof.builds import Build, BuildError
from rehearsal.proof.relaylog import LEFT, RESOURCE, SILENCED, LoggedEvent
from rehearsal.proof.same import OWN_NODE, difference, fields_of, first_id, identity_differs
from rehearsal.proof.slots import BUFFERS_EACH, describe, identity_of, node_of, slot_of
from rehearsal.rigs.recording import RecordedMessage, Recording

AT_HOME_ONLY = ("/b_write", "/b_close", "/b_read", "/b_readChannel", "/b_allocReadChannel")
"""Commands about files of the member's own Sonic Pi. They are no events of the room."""
TICKS_PER_S = 1 << 32
TOLERANCE = TICKS_PER_S // 1000
"""Greatest error (ticks) of turning T into session time. An event due so near to T may be on either side."""
LEAVING = TICKS_PER_S
"""Time (ticks) before a member's last reset in which events may be missing: its bridge may be ending
already."""
MIXER = "sonic-pi-mixer"
"""The synthdef of the one synth that Sonic Pi makes at its start. All other synths are music."""

CREATES = (b"/g_new\0", b"/s_new\0")

Pair = tuple[LoggedEvent, RecordedMessage]


class NoMatch(ValueError):
    """The recording isn't the log. The text names the first difference."""


@dataclass(frozen=True, slots=True)
class Match:
    """The result of matching one recording with the relay's log."""

    member: str
    slot: int
    pairs: tuple[Pair, ...]
    """The matched (event, message) pairs, loads included. After a mismatch: only the pairs found before the
    mismatch."""
    mismatch: str | None
    """The first difference from the log, in words; None if there is none."""
    built: tuple[Pair, ...] = ()
    """The messages that built others' music. Each is paired with the last event that created a node of that
    music."""
    covered: int = 0
    """Number of events that weren't handed over, because what they led to was built."""
    came_late: bool = False
    """True if music was built, and not only what Sonic Pis make at their start. Such a recording can't be
    rendered to the same sound: what a reverb remembers is not built."""
    left: bool = False
    """True if the member left before the end of the log."""

    @property
    def is_whole(self) -> bool:
        """True if the recording has the room's whole music, from the first note to the last."""
        return not (self.came_late or self.left)


def match(
    member: str,
    slot: int,
    recording: Recording,
    log: Sequence[LoggedEvent],
    slots: Sequence[int],
    owner: int = -1,
) -> Match:
    """Match one whole recording with the log, whose events are in the order of their numbers.

    slots: all slots that were ever in the room. owner: which of the slot's owners the member is, counted from
    0; -1 is the last one.
    """
    if recording.dropped or len(recording.metas) != 1 or len(recording.unreadable) > 0:
        return Match(
            member, slot, (), f"{recording.dropped} datagrams lost in front of the recorder, "
            f"{len(recording.unreadable)} lines unreadable, scsynth started {len(recording.metas)} times: "
            "expected 0, 0 and 1"
        )  # fmt: skip
    matching = _Matching(slot, log, owner)
    try:
        matching.match(recording.to_scsynth, slots)
        mismatch = None
    except (NoMatch, BuildError, hosttree.HostTreeError) as error:
        mismatch = str(error)
    return Match(
        member,
        slot,
        tuple(matching.pairs),
        mismatch,
        tuple(matching.built),
        matching.covered,
        matching.came_late,
        matching.until is not None,
    )


class _Matching:
    """One recording that is being matched.

    log: in the order of numbers. since: the number after which the member owns its slot. until: the event
    that ends its ownership; None if it still owns the slot.
    """

    def __init__(self, slot: int, log: Sequence[LoggedEvent], owner: int) -> None:
        self.slot = slot
        self.log = log
        self.executed = relaylog.executed(log)
        ends = ends_of(log, slot)
        last = len(ends) - (bool(ends) and all(event.slot != slot for event in log[ends[-1].number :]))
        at = owner if owner >= 0 else last
        self.since = ends[at - 1].number if at else 0
        self.until = ends[at] if at < len(ends) else None
        self.offset: int | None = None
        """The recorder's wall time minus session time, ticks; None if nothing shows it."""
        self.pairs: list[Pair] = []
        self.built: list[Pair] = []
        self.covered = 0
        self.came_late = False

    def match(self, recorded: Sequence[RecordedMessage], slots: Sequence[int]) -> None:
        """Match messages. Raises NoMatch, BuildError, HostTreeError."""
        others, made = builds.split(recorded)
        gone = {event.slot for event in self.log if LEFT in event.flags} if self.until is None else set(slots)
        hosttree.check(filter(hosttree.is_host_message, others), slots, set(slots) - gone | {self.slot})
        room = [message for message in others if self.is_of_room(message)]
        timed = [message for message in room if message.timetag is not None]
        timed.sort(key=lambda message: (message.timetag or 0, message.index))
        bare = [message for message in room if message.timetag is None]
        self.offset = offset_of(self.executed, timed)
        if self.offset is None:
            self.offset = self.offset_at_home(timed)
        first_builds = self.first_builds(made)
        played: list[LoggedEvent] = []
        for slot in slots:
            events = [event for event in self.executed if event.slot == slot]
            handed = [message for message in timed if slot_of(message) == slot]
            build, since = first_builds.get(slot), self.since
            if build is not None:
                cut = self.cut(build, events, handed)
                self.prove_build(build, events[:cut])
                played += events[cut:]
            else:
                since = self.since if slot == self.slot else self.met_after(slot, events, handed)
                played += [event for event in events if event.number > since and not self.ignores(event)]
            self.match_loads(slot, [message for message in bare if slot_of(message) == slot], build, since)
        played.sort(key=lambda event: event.key)
        if self.until is not None:
            played, timed = self.before_leaving(played, timed)
        self.pair_up(played, timed, "timed")

    def offset_at_home(self, timed: Sequence[RecordedMessage]) -> int | None:
        """Return the value of `offset` by the member's own events; None if there are none.

        The n-th own event of the log is paired with the n-th recorded one, because a member's scsynth is
        handed all its own events.
        """
        own = [event for event in self.executed if event.slot == self.slot and event.number > self.since]
        handed = [message.timetag or 0 for message in timed if slot_of(message) == self.slot]
        apart = [timetag - event.runs_at for event, timetag in zip(own, handed, strict=False)]
        return median_low(apart) if apart else None

    def is_of_room(self, message: RecordedMessage) -> bool:
        """Tell whether a message that builds nothing must be an event of the room."""
        if slot_of(message) == 0 or hosttree.is_host_message(message):
            return False
        if message.timetag is None and message.address == "/b_free":
            return False  # a bridge frees by itself the buffers of a member who has left
        return slot_of(message) != self.slot or message.address not in AT_HOME_ONLY

    def ignores(self, event: LoggedEvent) -> bool:
        """Tell whether this member isn't handed an event of its own slot: a reset that silences it, or any
        event after it has left."""
        return event.slot == self.slot and (SILENCED in event.flags or self.is_beyond(event))

    def is_beyond(self, event: LoggedEvent) -> bool:
        """Tell whether an event comes after the member has left."""
        return self.until is not None and event.number >= self.until.number

    def first_builds(self, made: Sequence[Build]) -> dict[int, Build]:
        """Return the builds by slot. Raises BuildError if there is one too many."""
        found: dict[int, Build] = {}
        for build in made:
            if build.slot == self.slot:
                raise BuildError(f"slot {build.slot}: the member's own music was built")
            if build.timetag is None:
                raise BuildError(f"slot {build.slot}: what was built had to be mended")
            if build.slot in found and build.messages:
                raise BuildError(f"slot {build.slot}: built once more: {describe(build.messages[0])}")
            found.setdefault(build.slot, build)
        return found

    def session(self, timetag: int | None) -> int:
        """Return a recorded timetag in session time. Raises NoMatch."""
        if self.offset is None or timetag is None:
            raise NoMatch("no event shows when session time began: nothing built can be proved")
        return timetag - self.offset

    def cut(self, build: Build, events: Sequence[LoggedEvent], handed: Sequence[RecordedMessage]) -> int:
        """Return how many of a slot's executed events are due at or before T.

        handed: the slot's messages with a timetag. They only decide about events within TOLERANCE of T.
        """
        at = self.session(build.timetag)
        dues = [event.runs_at for event in events]
        least, most = bisect_right(dues, at - TOLERANCE), bisect_right(dues, at + TOLERANCE)
        for cut in range(least, most + 1):
            if cut == len(events) and not handed:
                return cut
            if cut < len(events) and handed and difference(events[cut], handed[0]) is None:
                return cut
        return bisect_right(dues, at)

    def prove_build(self, build: Build, events: Sequence[LoggedEvent]) -> None:
        """Prove a slot's build. events: the slot's events that are due by T. Raises BuildError."""
        try:
            builds.check(build, events)
        except BuildError as error:
            raise BuildError(f"slot {build.slot} at T: {error}") from None
        self.covered += len(events)
        self.came_late |= any(makes_music(event) for event in events)
        makers = [event for event in events if event.payload.startswith(CREATES)]
        self.built += [(makers[-1], message) for message in build.messages]

    def met_after(self, slot: int, events: Sequence[LoggedEvent], handed: Sequence[RecordedMessage]) -> int:
        """Return the number after which this member was in the room with the owner of another slot.

        It is 0 for the slot's first owner. If that owner left before this member's first event, and nothing
        of it was handed over, it is the number of the owner's last event.
        """
        came = next(
            (event.number for event in self.log if event.slot == self.slot and event.number > self.since), 0
        )
        for since in [0, *(end.number for end in ends_of(self.log, slot) if end.number < came)]:
            first = next((event for event in events if event.number > since), None)
            if first is None or not handed:
                if first is None and not handed:
                    return since
            elif (
                self.offset is not None and abs(self.session(handed[0].timetag) - first.runs_at) <= TOLERANCE
            ):
                return since
        return 0

    def match_loads(
        self, slot: int, bare: Sequence[RecordedMessage], build: Build | None, since: int
    ) -> None:
        """Match a slot's messages without a timetag with the log's loads. Raises NoMatch.

        since: the number after which loads are looked at. If the slot was built, only these loads of a buffer
        are required: the last one before T, and all after T.
        """
        ends = ends_of(self.log, slot)
        if build is not None:
            at = self.session(build.timetag)
            since = max((end.number for end in ends if end.runs_at <= at), default=0)
        loads = [event for event in self.log if event.slot == slot and event.kind == RESOURCE]
        loads = [event for event in loads if event.number > since and not self.is_beyond(event)]
        loads.sort(
            key=lambda event: (bisect_right(ends, event.number, key=lambda end: end.number), event.seq)
        )
        if build is None:
            self.pair_up(loads, bare, "bare")
            return
        by_buffer: dict[int | None, tuple[list[LoggedEvent], list[RecordedMessage]]] = {}
        for event in loads:
            by_buffer.setdefault(first_id(event.payload), ([], []))[0].append(event)
        for message in bare:
            number = identity_of(message)[1] if message.address in relaylog.LOADS else None
            own = None if number is None else number % BUFFERS_EACH
            by_buffer.setdefault(own, ([], []))[1].append(message)
        for events, messages in by_buffer.values():
            known = [event for event in events if event.runs_at <= self.session(build.timetag)]
            least = 1 if known and not self.is_freed(known[-1], build) else 0
            left_out = max(0, min(len(events) - len(messages), len(known) - least))
            self.pair_up(events[left_out:], messages, "bare")

    def is_freed(self, load: LoggedEvent, build: Build) -> bool:
        """Tell whether a buffer is freed after a load and before T."""
        return any(
            event.slot == load.slot
            and event.payload.startswith(b"/b_free\0")
            and first_id(event.payload) == first_id(load.payload)
            and event.number > load.number
            and event.runs_at <= self.session(build.timetag)
            for event in self.executed
        )

    def before_leaving(
        self, played: Sequence[LoggedEvent], timed: Sequence[RecordedMessage]
    ) -> tuple[list[LoggedEvent], list[RecordedMessage]]:
        """Return the events and messages without those due within LEAVING of the member's last reset."""
        assert self.until is not None
        last = self.until.due - LEAVING
        return (
            [event for event in played if event.runs_at <= last],
            [message for message in timed if self.session(message.timetag) <= last],
        )

    def pair_up(self, events: Sequence[LoggedEvent], messages: Sequence[RecordedMessage], what: str) -> None:
        """Pair events and messages by position. Raises NoMatch. what: a word for its text."""
        for at in range(max(len(events), len(messages))):
            mismatch = name_mismatch(events[at : at + 2], messages[at : at + 2])
            if mismatch is not None:
                raise NoMatch(f"{what} message {at + 1}: {mismatch}")
            self.pairs.append((events[at], messages[at]))


def makes_music(event: LoggedEvent) -> bool:
    """Tell whether an event makes a synth other than the mixer of its sender's Sonic Pi."""
    return event.payload.startswith(b"/s_new\0") and fields_of(event.payload)[1][0].value != MIXER


def ends_of(log: Iterable[LoggedEvent], slot: int) -> list[LoggedEvent]:
    """Return the last events of a slot's former owners."""
    return [event for event in log if event.slot == slot and LEFT in event.flags]


def offset_of(executed: Iterable[LoggedEvent], timed: Iterable[RecordedMessage]) -> int | None:
    """Return the recorder's wall time minus session time (ticks), by the creations that occur only once.

    None if there are none. It is the median, so a message at a wrong instant doesn't count.
    """
    dues: dict[tuple[int, int | None], list[int]] = defaultdict(list)
    tags: dict[tuple[int, int | None], list[int]] = defaultdict(list)
    for event in executed:
        if event.payload.startswith(CREATES):
            dues[event.slot, first_id(event.payload)].append(event.runs_at)
    for message in timed:
        if message.raw.startswith(CREATES) and message.timetag is not None:
            tags[slot_of(message), (node_of(message) or 0) & OWN_NODE].append(message.timetag)
    apart = [tags[key][0] - at[0] for key, at in dues.items() if len(at) == len(tags[key]) == 1]
    return median_low(apart) if apart else None


def name_mismatch(events: Sequence[LoggedEvent], messages: Sequence[RecordedMessage]) -> str | None:
    """Return in words why the first message is not the first event; None if it is.

    The second event and the second message, if given, are compared too. They show whether an event is
    missing, extra or swapped.
    """
    if not messages:
        return f"missing: {events[0].name}"
    if not events:
        return f"extra: {describe(messages[0])}"
    why = difference(events[0], messages[0])
    if why is None:
        return None

    def fits(event_at: int, message_at: int) -> bool:
        both = event_at < len(events) and message_at < len(messages)
        return both and difference(events[event_at], messages[message_at]) is None

    if fits(0, 1) and fits(1, 0):
        return f"swapped: {events[0].name} comes after {events[1].name}"
    if fits(1, 0):
        return f"missing: {events[0].name}"
    if fits(0, 1):
        return f"extra: {describe(messages[0])} before {events[0].name}"
    if not identity_differs(events[0], messages[0]):
        return f"altered: {events[0].name}: {why}"
    return f"expected {events[0].name}, found {describe(messages[0])}"
