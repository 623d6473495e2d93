"""Proof: compares each member's recording with the relay's log, message by message, and renders it.

Pure but for the renderer, which is a parameter. scsynth executes by (timetag, arrival), the log's order is
(due, number). Both orders must be the same, and every message must be the event at its place in the log.

In the render each message gets its due from the log instead of its timetag, because the members' timetags
differ by microseconds. Then equal recordings give equal samples. A recording that doesn't match the log isn't
rendered: its first mismatch is reported.

One exception to the log's order is allowed, for boots and never for music. A member may join while others
boot. The relay tells it of their groups, mixers and buffers, and it builds them all at once when its scsynth
has the synthdefs. Its scsynth gets these messages without a timetag, or timed right after a pending reset.
Events that were undone by then are left out.
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
"""Commands about files of the member's own Sonic Pi. They are no events of the room."""
TICKS_PER_S = 1 << 32
STEM_DBFS_MIN = -50.0
"""A member's own sound below this level (dBFS) counts as silent. The demo's examples lie above -35 dBFS."""

Pair = tuple[LoggedEvent, RecordedMessage]


@dataclass(frozen=True, slots=True)
class Match:
    """The result of matching one recording with the relay's log."""

    member: str
    slot: int
    pairs: tuple[Pair, ...]
    """The matched (event, message) pairs, loads included. After a mismatch only those found before it."""
    mismatch: str | None
    """The first difference from the log, in words; None if there is none."""
    missed: int = 0
    """Number of events of other members' boots that this scsynth never got, because they were undone
    before."""


@dataclass(frozen=True, slots=True)
class MemberProof:
    """The proof of one member."""

    match: Match
    sha256: str | None = None
    """SHA-256 (hex) of the rendered samples, all channels; None if nothing was rendered."""
    stem_dbfs: float | None = None
    """Level (dBFS) of this member's stem in the render of its own recording; None if nothing was rendered."""
    error: str | None = None

    @property
    def trouble(self) -> str | None:
        """The reason why this member's recording doesn't match the log or couldn't be rendered; None if all
        is well."""
        found = self.match.mismatch or self.error
        return None if found is None else f"{self.match.member}'s recording: {found}"


@dataclass(frozen=True, slots=True)
class Proof:
    """The result for a room. events: number in the log. rendered: False if there was no renderer; then only
    the order is proved."""

    members: Mapping[str, MemberProof]
    events: int
    rendered: bool
    why_silent: str = ""
    """The reason why there was no renderer, in words."""

    @property
    def sha256(self) -> str | None:
        """The SHA-256 (hex) that all members' renders share; None if they differ or there are none."""
        found = {member.sha256 for member in self.members.values()}
        return found.pop() if len(found) == 1 else None

    @property
    def troubles(self) -> list[str]:
        """The reasons, in words, why the proof failed; [] if it succeeded."""
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
        """True if every recording matches the log. After renders, they must also be equal, and every stem
        audible."""
        return not self.troubles


def match(
    member: str, slot: int, recording: Recording, log: Sequence[LoggedEvent], slots: Sequence[int]
) -> Match:
    """Match one whole recording with the log, whose events are in the order of their numbers.

    slots: all slots that were ever in the room. Two things aren't in the recording: after which event the
    member joined, and after which event it built the others' boots. So every combination of `joins` and
    `builds` is tried. The first match without a mismatch is returned; if every one has a mismatch, the one
    with the most pairs.
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
        and not frees_who_left(message)
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
    """Yield each event number after which the member in `slot` may have joined; first 0, before all events.

    The numbers end before the first music and before the member's own first event. A member is handed all
    music after its join, and sends nothing before it.
    """
    yield 0
    for event in log:
        if event.slot == slot or not relaylog.may_be_missed(event):
            return
        yield event.number


def builds(log: Sequence[LoggedEvent], slot: int, joined_after: int) -> Iterable[int]:
    """Yield each event number after which the member may have built the others' boots.

    The first is joined_after. The numbers end before the member's own first foundation: both builds need the
    synthdefs in its scsynth.
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
    """Match the room's messages in a member's recording with the log, for one guess of when the member
    joined.

    joined_after: number of the last event before the member joined. built_after: number of the last event
    known to the member when it built the others' foundations.
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


def frees_who_left(message: RecordedMessage) -> bool:
    """Tell whether a message frees a buffer or the root group of a member who has left. A bridge sends such
    messages by itself, without a timetag."""
    if message.timetag is not None:
        return False
    return message.address == "/b_free" or (message.address == "/n_free" and own_id(message) == 0)


def own_id(message: RecordedMessage) -> int | None:
    """Return the id of the node that a message creates, in its sender's own numbers; None if it creates
    none."""
    node = node_of(message)
    return None if node is None else node & OWN_NODE


def pair_up(
    events: Sequence[LoggedEvent], messages: Sequence[RecordedMessage], what: str
) -> tuple[list[Pair], str | None]:
    """Pair events and messages by position. Return (the pairs before the first mismatch, that mismatch in
    words or None).

    what: "bare" or "timed", a word for the mismatch.
    """
    pairs: list[Pair] = []
    for at in range(max(len(events), len(messages))):
        mismatch = name_mismatch(events[at : at + 2], messages[at : at + 2])
        if mismatch is not None:
            return pairs, f"{what} message {at + 1}: {mismatch}"
        pairs.append((events[at], messages[at]))
    return pairs, None


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


def score(found: Match, log: Sequence[LoggedEvent], slots: Sequence[int]) -> list[tuple[float, bytes]]:
    """Return a complete match as (time_s, message) pairs for offline.render.

    The messages are the recorded ones, after those that build the host's tree. The times are the dues in the
    log, in seconds after the first due.
    """
    first = min(event.due for event in log)
    ordered = sorted(found.pairs, key=lambda pair: pair[0].key)
    opening = [(0.0, raw) for raw in hosttree.canonical(slots)]
    return opening + [((event.runs_at - first) / TICKS_PER_S, message.raw) for event, message in ordered]


Renderer = Callable[[Sequence[tuple[float, bytes]], Path, int], tuple[str, list[float]]]
"""A function that renders a score, (time_s, message) pairs, to a WAV file with so many channels. It returns
the SHA-256 (hex) of the samples, and the level (dBFS) of each pair of channels."""


def prove(
    recordings: Mapping[str, Recording],
    slots: Mapping[str, int],
    log: Sequence[LoggedEvent],
    render: Renderer | None,
    folder: Path,
    progress: Callable[[], None] = lambda: None,
    why_silent: str = "",
) -> Proof:
    """Match all recordings with the log. Render those that match as NAME-proof.wav in `folder`.

    slots: name -> slot. render: None if this machine can't render; why_silent then gives the reason.
    progress: called as each member is done.
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
