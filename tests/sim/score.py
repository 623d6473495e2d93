"""Assertions on a virtual jam by what reached each scsynth and when, as a recorder would see it.

The bridges' own figures are used only for the bounds of the clocks and for the relay's verdicts.
"""

from laboratory.runs.tallying import Handed
from laboratory.virtual.host import NEED_S, START_UNIX_NS, Member
from laboratory.virtual.jam import Jam

from bridge.scsynth.id_space import NODE_BITS
from relay.wire.osc import single_message
from relay.wire.sequence import Kind
from relay.wire.timetag import to_unix_ns
from relay.wire.write import no_complaints

GAP_NS = 5_000_000
"""A time (ns) longer than the difference between any two members' clocks."""


def events(member: Member) -> list[Handed]:
    """Return the bundles that a member's scsynth was handed, by timetag, without home-only ones."""
    bundles: list[Handed] = []
    builds = False
    for handed in member.handed:
        if not handed.follows:
            builds = handed.message == no_complaints()
        if not builds and handed.timetag_ns is not None:
            bundles.append(handed)
    return sorted((one for one in bundles if not _is_home_only(one.message)), key=lambda one: one.timetag)


def plays_all_from_ns(member: Member) -> int:
    """Return the instant (ns) from which a member's scsynth has everybody's music.

    That is when the last of the live states was built there for the first time, an empty one included. 0 if
    none was built, because nobody came before the member.
    """
    first: dict[int, int] = {}
    builds = False
    for handed in member.handed:
        if not handed.follows:
            builds = handed.message == no_complaints()
        elif builds and handed.message.startswith((b"/g_new", b"/s_new")):
            first.setdefault(_slot(handed.message), handed.timetag_ns or 0)
    return max(first.values(), default=0)


def quiet_instant_ns(after_s: float, *members: Member) -> int:
    """Return an instant (ns) from `after_s` on at which no event is due by any member's clock.

    All members' sequences can be compared from there on.
    """
    taken = sorted(one.timetag_ns or 0 for member in members for one in events(member))
    at_ns = round(after_s * 1e9)
    for tag_ns in taken:
        if at_ns - GAP_NS < tag_ns < at_ns + GAP_NS:
            at_ns = tag_ns + GAP_NS
    return at_ns


def assert_same(jam: Jam, *members: Member, after_s: float = 0.0, tolerance_s: float | None = None) -> int:
    """Assert that all members executed the same events in the same order; return how many.

    Timetags of the same event may differ by the members' clock bounds, or by `tolerance_s`. after_s: leave
    out what is due earlier. What was due before all of them played everybody's music is left out, too.
    """
    from_s = max(plays_all_from_ns(member) for member in members) / 1e9
    from_ns = quiet_instant_ns(max(after_s, from_s), *members)
    first, *others = [
        (member, [one for one in events(member) if (one.timetag_ns or 0) >= from_ns]) for member in members
    ]
    for member, sequence in others:
        mine, theirs = [one.message for one in first[1]], [one.message for one in sequence]
        if mine != theirs:
            at = next((i for i, (a, b) in enumerate(zip(mine, theirs, strict=False)) if a != b), None)
            lacking = [show(m) for m in mine if m not in set(theirs)][:5]
            extra = [show(m) for m in theirs if m not in set(mine)][:5]
            raise AssertionError(
                f"seed {jam.seed}: {first[0].name} has {len(mine)}, {member.name} {len(theirs)}; they differ "
                f"from #{at}; {member.name} lacks {lacking}, has besides {extra}"
            )
        bound_s = tolerance_s or max(first[0].bounds_s[-1], 1e-6) + max(member.bounds_s[-1], 1e-6)
        for one, other in zip(first[1], sequence, strict=True):
            assert one.timetag_ns is not None
            assert other.timetag_ns is not None
            apart_s = abs(one.timetag_ns - other.timetag_ns) / 1e9
            assert apart_s <= bound_s, f"seed {jam.seed}: {show(one.message)} {apart_s * 1e3:.3f} ms apart"
    return len(first[1])


def assert_in_time(jam: Jam, *members: Member) -> None:
    """Assert that every event reached scsynth at least NEED_S before its timetag."""
    for member in members:
        late = [
            (show(one.message), one.timetag_ns - one.at_ns)
            for one in events(member)
            if one.timetag_ns is not None and one.timetag_ns - one.at_ns < NEED_S * 1e9
        ]
        assert not late, f"seed {jam.seed}: {member.name}: {len(late)} late, {late[:3]}"


def assert_at_due(jam: Jam, member: Member) -> None:
    """Assert that a member executed all events in the room's order, each at the due that the relay gave it.

    The timetag may differ from the due by the bound of the member's clock.
    """
    from_ns = quiet_instant_ns(plays_all_from_ns(member) / 1e9, member)
    verdicts = [
        verdict
        for verdict in member.verdicts
        if verdict.kind is not Kind.RESOURCE and to_unix_ns(verdict.due) - START_UNIX_NS >= from_ns
    ]
    verdicts.sort(key=lambda verdict: verdict.key)
    handed = [one for one in events(member) if (one.timetag_ns or 0) >= from_ns]
    assert len(handed) == len(verdicts), f"seed {jam.seed}: {member.name} {len(handed)} {len(verdicts)}"
    bound_ns = max(member.bounds_s[-200:]) * 1e9 + 1e3
    for one, verdict in zip(handed, verdicts, strict=True):
        assert one.timetag_ns is not None
        due_ns = to_unix_ns(verdict.due) - START_UNIX_NS
        off_ns = one.timetag_ns - due_ns
        assert abs(off_ns) <= bound_ns, f"seed {jam.seed}: {show(one.message)} {off_ns / 1e6:.3f} ms off"


def assert_coherent(jam: Jam) -> None:
    """Assert that by the relay's statistics no event is missing, late, different or out of order anywhere."""
    room = jam.stats()
    assert room.seconds_compared > 0, f"seed {jam.seed}: nothing was compared"
    assert room.divergent == 0, f"seed {jam.seed}: {room.incidents}"
    for member in room.members:
        got = (member.missing, member.late, member.out_of_order, member.different, member.unconfirmed)
        assert got == (0, 0, 0, 0, 0), f"seed {jam.seed}: {member.name} {got} {room.incidents}"


def show(message: bytes) -> str:
    """Return a message as readable text: its address and its first four arguments."""
    one = single_message(message)
    return " ".join([one.address, *(str(argument) for argument in one.args[:4])])


def _is_home_only(message: bytes) -> bool:
    one = single_message(message)
    if not one.address.startswith(("/s_", "/n_", "/g_")):
        return False
    return _slot(message) == 0


def _slot(message: bytes) -> int:
    """Return the slot of the node that a message is about first."""
    one = single_message(message)
    node = one.arg(1 if one.address == "/s_new" else 0)
    return node >> NODE_BITS if isinstance(node, int) else -1
