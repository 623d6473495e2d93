"""Statistics for `jamrelay stats`, gathered from judge, ledger and reports.

Pure.
"""

from collections.abc import Generator
from dataclasses import asdict

from relay.room.coherence import MemberSums
from relay.room.room import Room, Seat
from relay.wire.carrier import UDP
from relay.wire.control.report import COUNTS_MAX
from relay.wire.stats import MemberStats, RoomStats
from relay.wire.timetag import TICKS_PER_S, ms

INCIDENTS_SHOWN = 20


def gather(room: Room, *, counts: bool = True) -> Generator[None, None, RoomStats]:
    """Gather the statistics of one room, one member a step.

    counts: include the `counts` of each member. A member that leaves between two steps is left out, or
    shown as it was.
    """
    members = []
    for slot in sorted(room.seats):
        seat = room.seats.get(slot)
        if seat is not None:
            members.append(_member_stats(room, seat, with_counts=counts))
            yield
    ledger = room.ledger
    judged = [room.judge.counts(slot) for slot in room.seats]
    timing = room.judge.timing
    keeper = room.tuning.keeper
    return RoomStats(
        name=room.name,
        epoch=room.epoch.hex()[:8],
        lead_ms=timing.lead / TICKS_PER_S * 1e3,
        shift_ms=timing.shift / TICKS_PER_S * 1e3,
        horizon_ms=room.judge.horizon / TICKS_PER_S * 1e3,
        lead_auto=keeper.policy.lead is None,
        shift_auto=keeper.policy.shift is None,
        lead_why=_why(room),
        timing_changes=keeper.changes,
        seconds_compared=ledger.seconds_compared,
        events=ledger.events,
        divergent=ledger.divergent,
        divergence=ledger.divergent / ledger.events if ledger.events else 0.0,
        retimed=ledger.retimed,
        retimed_share=ledger.retimed / ledger.events if ledger.events else 0.0,
        overtaken=sum(count.overtaken for count in judged),
        moved=sum(count.moved for count in judged),
        missed=sum(count.missed for count in judged),
        members=members,
        incidents=list(ledger.incidents)[-INCIDENTS_SHOWN:],
        scheme=room.judge.scheme,
    )


def add_counts(sums: dict[str, int], report: dict[str, int]) -> None:
    """Add a bridge's counts since its previous report. Bound: the first COUNTS_MAX names are kept."""
    for name, count in report.items():
        if name in sums or len(sums) < COUNTS_MAX:
            sums[name] = sums.get(name, 0) + count


def _counts(room: Room, seat: Seat) -> dict[str, int]:
    """Return the counts of the member's bridge and the relay's. The relay's win, so no bridge can fake
    them."""
    judged = room.judge.counts(seat.slot)
    own = {"judge_duplicates": judged.duplicates, "judge_skipped": judged.skipped}
    if seat.channel is not None:
        own |= {f"up_{name}": count for name, count in asdict(seat.channel.up.counts).items()}
    return {name: count for name, count in (seat.counts | own).items() if count}


def _member_stats(room: Room, seat: Seat, *, with_counts: bool) -> MemberStats:
    sums = room.ledger.sums.get(seat.slot, MemberSums())
    counts = room.judge.counts(seat.slot)
    report = seat.last_report
    up = seat.ways.beats.at_share(0.99) if seat.channel else None
    need_up, need_down = room.tuning.member_need(seat.slot, seat.release_advance) if seat.present else (0, 0)
    return MemberStats(
        slot=seat.slot,
        name=seat.name,
        present=seat.present,
        transport=seat.channel.carrier.name if seat.channel else UDP.name,
        seconds=sums.seconds,
        sent=seat.sent,
        refused=seat.refused + counts.refused,
        events=sums.events,
        missing=sums.missing,
        late=sums.late,
        out_of_order=sums.out_of_order,
        different=sums.different,
        retimed=counts.retimed,
        overtaken=counts.overtaken,
        moved=counts.moved,
        beyond=sum(room.tuning.needs.beyond(seat.slot)),
        need_up_ms=ms(need_up),
        need_down_ms=ms(need_down),
        unconfirmed=sums.unconfirmed,
        silent_here=sums.silent_here,
        local_only=seat.local_only,
        unfounded=seat.unfounded,
        missed=counts.missed,
        alone=sums.alone,
        unplayed=seat.unplayed,
        margin_ms_worst=seat.margin_ms_worst,
        margin_ms_p99=seat.margins_ms.at_share(0.01),
        up_p99_ms=0.0 if up is None else ms(round(up)),
        rtt_ms=report.rtt_ms if report else 0.0,
        jitter_ms=report.jitter_ms if report else 0.0,
        down_p99_ms=report.down_p99_ms if report else 0.0,
        loss_percent=_loss_percent(seat),
        clock_offset_ms=report.clock_offset_ms if report else 0.0,
        clock_bound_ms=report.clock_bound_ms if report else 0.0,
        clock_rate_ppm=report.clock_rate_ppm if report else 0.0,
        clock_steps=report.clock_steps if report else 0,
        counts=_counts(room, seat) if with_counts else {},
    )


def _why(room: Room) -> str:
    """Return a text naming the events that determine the lead; empty before there is data."""
    why = room.tuning.why
    if why is None:
        return ""
    sender, receiver = room.name_of(why.sender), room.name_of(why.receiver)
    return f"{sender}'s events at {receiver}: {ms(why.need):.0f} ms"


def _loss_percent(seat: Seat) -> float:
    """Return the percentage of frames lost at first, in both directions, since the member joined."""
    report = seat.last_report
    expected = (report.frames_expected if report else 0) + (
        seat.channel.up.counts.expected if seat.channel else 0
    )
    lost = (report.frames_lost if report else 0) + (seat.channel.up.counts.lost if seat.channel else 0)
    return 100.0 * lost / expected if expected else 0.0
