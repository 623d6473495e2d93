"""Proof: each member's recording held against the relay's log, message by message, and then rendered.

Pure but for the renderer that it is given. scsynth's order (timetag, then arrival) must be the log's order
(due, number), and every message must be the event at that place. For the render each message takes its due
from the log, by position, because the clocks' last microseconds would move a note across one of scsynth's
blocks. Then equal recordings must give equal samples. A recording that doesn't match isn't rendered: its
first mismatch is named.

There is one exception to the log's order. A member may join while others boot. It learns of their groups,
mixers and buffers from the relay afterwards, and builds them all at once when its own scsynth has the
synthdefs. Its scsynth gets the messages for these events without a timetag, or timed right after a reset that
was still to be executed. An event that a later one has undone by then is left out. This is allowed for such
events only, never for music.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rehearsal.proof import hosttree, relaylog
from rehearsal.proof.offline import RenderError
from rehearsal.proof.relaylog import RESOURCE, SILENCED, LoggedEvent
from rehearsal.proof.same import OWN_NODE, difference, first_id, identity_differs
from rehearsal.proof.slots import describe, node_of, slot_of
from rehearsal.rigs.recording import RecordedMessage, Recording

AT_HOME_ONLY = ("/b_write", "/b_close", "/b_read", "/b_readChannel", "/b_allocReadChannel")
"""Commands about files of the member's own Sonic Pi: no events of the room."""
TICKS_PER_S = 1 << 32
STEM_DBFS_MIN = -50.0
"""A member's own sound below this level (dBFS) counts as silent. The demo's examples lie above -35 dBFS."""

Pair = tuple[LoggedEvent, RecordedMessage]


@dataclass(frozen=True, slots=True)
class Match:
    """One recording matched with the relay's log."""

    member: str
    slot: int
    pairs: tuple[Pair, ...]
    """The matched (event, message) pairs, loads included: all of them, or those found before the mismatch."""
    mismatch: str | None
    """The first difference from the log, in words; None if there is none."""
    missed: int = 0
    """Number of events of others' boots that this member's scsynth wasn't handed, because they were undone or
    replaced before."""


@dataclass(frozen=True, slots=True)
class MemberProof:
    """The proof of one member."""

    match: Match
    sha256: str | None = None
    """SHA-256 (hex) of the rendered samples, all channels; None if nothing was rendered."""
    stem_dbfs: float | None = None
    """Level (dBFS) of this member's own sound in the render of its own recording; None if nothing was
    rendered."""
    error: str | None = None

    @property
    def trouble(self) -> str | None:
        """Return why this member's recording doesn't match the log or couldn't be rendered; None if neither
        is so."""
        found = self.match.mismatch or self.error
        return None if found is None else f"{self.match.member}'s recording: {found}"


@dataclass(frozen=True, slots=True)
class Proof:
    """The result for a room. rendered: False if nothing could be rendered; then only the order is proved."""

    members: Mapping[str, MemberProof]
    events: int
    rendered: bool
    why_silent: str = ""
    """Reason why nothing could be rendered."""

    @property
    def sha256(self) -> str | None:
        """The SHA-256 of every member's render; None if they differ or there are none."""
        found = {member.sha256 for member in self.members.values()}
        return found.pop() if len(found) == 1 else None

    @property
    def troubles(self) -> list[str]:
        """The reasons, in words, why this is no proof."""
        found = [member.trouble for member in self.members.values() if member.trouble]
        if not self.members or not self.events:
            found.append("nothing was proved: no event in the relay's log")
        if not self.rendered or found:
            return found
        if self.sha256 is None:
            found.append(
                "the renders differ: "
                + ", ".join(f"{name} {str(member.sha256)[:12]}" for name, member in self.members.items())
            )
        found += [
            f"{name}'s stem is silent in the render ({member.stem_dbfs:.0f} dBFS)"
            for name, member in self.members.items()
            if member.stem_dbfs is None or member.stem_dbfs < STEM_DBFS_MIN
        ]
        return found

    @property
    def proved(self) -> bool:
        """Whether every recording matches the log. If renders were made, they must also be equal, and no stem
        silent."""
        return not self.troubles


def match(
    member: str, slot: int, recording: Recording, log: Sequence[LoggedEvent], slots: Sequence[int]
) -> Match:
    """Match one whole recording with the log, whose events are in the order of their numbers.

    slots: all slots that were ever in the room. The recording doesn't tell after which event the member
    joined, nor after which it built the others' boots. So every combination of `joins` and `builds` is tried.
    The first that fits is returned; if none fits, the one with the most matched pairs.
    """
    if recording.dropped or len(recording.metas) != 1 or len(recording.unreadable) > 0:
        return Match(
            member, slot, (), f"{recording.dropped} datagrams lost in front of the recorder, "
            f"{len(recording.unreadable)} lines unreadable, scsynth started {len(recording.metas)} times: "
            "expected 0, 0 and 1"
        )  # fmt: skip
    host = [message for message in recording.to_scsynth if hosttree.is_host_message(message)]
    try:
        hosttree.check(host, slots)
    except hosttree.HostTreeError as error:
        return Match(member, slot, (), str(error))
    room = [
        message
        for message in recording.to_scsynth
        if slot_of(message) > 0
        and not hosttree.is_root_group(message)
        and not (slot_of(message) == slot and message.address in AT_HOME_ONLY)
    ]
    best: Match | None = None
    for joined_after in joins(log, slot):
        for built_after in builds(log, slot, joined_after):
            found = match_from(member, slot, room, log, joined_after, built_after)
            if found.mismatch is None:
                return found
            if best is None or len(found.pairs) > len(best.pairs):
                best = found
    assert best is not None, "0 is always tried"
    return best


def joins(log: Sequence[LoggedEvent], slot: int) -> Iterable[int]:
    """Yield the number of each event after which a member in `slot` may have joined, 0 (before all) first.

    The last is the one before the first music or the member's first own event. The member must be handed all
    music, and sends nothing before it has joined.
    """
    yield 0
    for event in log:
        if event.slot == slot or not relaylog.may_be_missed(event):
            return
        yield event.number


def builds(log: Sequence[LoggedEvent], slot: int, joined_after: int) -> Iterable[int]:
    """Yield the number of each event after which the member may have had its synthdefs, and built the others'
    boots.

    joined_after is the first. The last comes before the member's own first foundation, which needs the
    synthdefs.
    """
    yield joined_after
    for event in log[joined_after:]:
        if relaylog.founds(event):
            if event.slot == slot:
                return
            yield event.number


def match_from(
    member: str,
    slot: int,
    room: Sequence[RecordedMessage],
    log: Sequence[LoggedEvent],
    joined_after: int,
    built_after: int,
) -> Match:
    """Match the room's messages in a member's recording with the log.

    joined_after: number of the last event before the member joined. built_after: number of the last event
    that the member knew when it built the others' foundations all at once.
    """
    played = [
        event
        for event in relaylog.executed(log)
        if event.number > (built_after if relaylog.founds(event) and event.slot != slot else joined_after)
        and not (SILENCED in event.flags and event.slot == slot)
    ]
    expected: dict[tuple[int, bool], list[LoggedEvent]] = defaultdict(list)
    for is_load, until in ((True, joined_after), (False, built_after)):
        for owner, events in relaylog.founded(log, until).items():
            told = [event for event in events if (event.kind == RESOURCE) == is_load]
            expected[owner, is_load] += told if owner != slot else []
    missed = built_after - sum(map(len, expected.values()))
    missed -= sum(event.number <= built_after for event in played)
    built = {(event.slot, first_id(event.payload)) for events in expected.values() for event in events}
    built -= {(event.slot, first_id(event.payload)) for event in played if relaylog.founds(event)}
    timed: list[RecordedMessage] = []
    bare: dict[tuple[int, bool], list[RecordedMessage]] = defaultdict(list)
    for message in room:
        is_built = message.address in relaylog.CREATES and (slot_of(message), own_id(message)) in built
        if message.timetag is None or is_built:
            bare[slot_of(message), message.address in relaylog.LOADS].append(message)
        else:
            timed.append(message)
    timed.sort(key=lambda message: (message.timetag or 0, message.index))
    for event in sorted(log, key=lambda event: (event.slot, event.seq)):
        if event.kind == RESOURCE and event.number > joined_after:
            expected[event.slot, True].append(event)
            missed -= event.number <= built_after
    pairs: list[Pair] = []
    for key in sorted(expected.keys() | bare.keys()):
        more, mismatch = pair_up(expected[key], bare[key], "bare")
        pairs += more
        if mismatch is not None:
            return Match(member, slot, tuple(pairs), mismatch)
    more, mismatch = pair_up(played, timed, "timed")
    return Match(member, slot, (*pairs, *more), mismatch, missed)


def own_id(message: RecordedMessage) -> int | None:
    """Return the id of the node that a message makes, in its sender's own numbers; None if there is none."""
    node = node_of(message)
    return None if node is None else node & OWN_NODE


def pair_up(
    events: Sequence[LoggedEvent], messages: Sequence[RecordedMessage], what: str
) -> tuple[list[Pair], str | None]:
    """Pair events and messages by position. Return (the pairs before the first mismatch, the mismatch in
    words or None).

    what: "bare" or "timed", for these words.
    """
    pairs: list[Pair] = []
    for at in range(max(len(events), len(messages))):
        mismatch = name_mismatch(events[at : at + 2], messages[at : at + 2])
        if mismatch is not None:
            return pairs, f"{what} message {at + 1}: {mismatch}"
        pairs.append((events[at], messages[at]))
    return pairs, None


def name_mismatch(events: Sequence[LoggedEvent], messages: Sequence[RecordedMessage]) -> str | None:
    """Return why the first of the messages is not the first of the events; None if it is.

    The second event and the second message, if any, tell whether something is missing, extra or swapped.
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


def score(found: Match, log: Sequence[LoggedEvent], slots: Sequence[int]) -> list[tuple[float, bytes]]:
    """Return (time_s, message) pairs of a complete match, for offline.render.

    The bytes are the recorded ones. The times are the dues in the log, in seconds after the first due.
    """
    first = min(event.due for event in log)
    ordered = sorted(found.pairs, key=lambda pair: pair[0].key)
    opening = [(0.0, raw) for raw in hosttree.canonical(slots)]
    return opening + [((event.due - first) / TICKS_PER_S, message.raw) for event, message in ordered]


Renderer = Callable[[Sequence[tuple[float, bytes]], Path, int], tuple[str, list[float]]]
"""Renders a score, which is (time_s, message) pairs, to a WAV file with so many channels. Returns the SHA-256
of the samples, and the level (dBFS) of each pair of channels."""


def prove(
    recordings: Mapping[str, Recording],
    slots: Mapping[str, int],
    log: Sequence[LoggedEvent],
    render: Renderer | None,
    folder: Path,
    progress: Callable[[], None] = lambda: None,
    why_silent: str = "",
) -> Proof:
    """Match all recordings and render those that match, as NAME-proof.wav in `folder`. slots: name -> slot.

    render: None if nothing can be rendered; why_silent then gives the reason. `progress` is called as each
    member is done.
    """
    members: dict[str, MemberProof] = {}
    everybody = sorted({event.slot for event in log} | set(slots.values()))
    for name, recording in recordings.items():
        found = match(name, slots[name], recording, log, everybody)
        proof = MemberProof(found)
        if found.mismatch is None and render is not None and log:
            try:
                wav = folder / f"{name}-proof.wav"
                played = score(found, log, everybody)
                sha256, levels = render(played, wav, 2 + 2 * len(everybody))
                proof = MemberProof(found, sha256, levels[1 + everybody.index(slots[name])])
            except RenderError as error:
                proof = MemberProof(found, error=str(error))
        members[name] = proof
        progress()
    return Proof(members, events=len(log), rendered=render is not None, why_silent=why_silent)
