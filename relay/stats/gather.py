"""Statistics for `jamrelay stats`, gathered from judge, seats and facets.

Pure.
"""

from collections.abc import Generator
from dataclasses import asdict
from typing import Any

from msgspec import UNSET

from relay.room.room import Room
from relay.room.seat import Seat
from relay.wire.carrier import UDP
from relay.wire.stats import MemberStats, RoomStats
from relay.wire.timetag import ms


def gather(room: Room, *, counts: bool = True) -> Generator[None, None, RoomStats]:
    """Gather the statistics of one room. Each step of the generator gathers one member. When it ends, it
    returns the room's statistics.

    counts: whether to include the `counts` of each member. A member that leaves between two steps is left
    out, or shown as it was.
    """
    members = []
    for slot in sorted(room.seats):
        seat = room.seats.get(slot)
        if seat is not None:
            members.append(_member_stats(room, seat, with_counts=counts))
            yield
    judged = [room.judge.counts(slot) for slot in room.seats]
    timing = room.judge.timing
    figures: dict[str, Any] = {}
    for facet in room.facets.values():
        figures |= facet.stats()
    own = {name: figures.pop(name) for name in figures.keys() - set(RoomStats.__struct_fields__)}
    return RoomStats(
        name=room.name,
        epoch=room.epoch.hex()[:8],
        lead_ms=ms(timing.lead),
        shift_ms=ms(timing.shift),
        horizon_ms=ms(room.judge.horizon),
        overtaken=sum(count.overtaken for count in judged),
        moved=sum(count.moved for count in judged),
        missed=sum(count.missed for count in judged),
        members=members,
        scheme=room.judge.scheme,
        facets=own or UNSET,
        **figures,
    )


def _counts(room: Room, seat: Seat) -> dict[str, int]:
    """Return the counts that the member's bridge reports, together with the relay's own counts about the
    member. The relay's counts replace those of the same name, so a bridge can't fake them."""
    judged = room.judge.counts(seat.slot)
    own = {"judge_duplicates": judged.duplicates, "judge_skipped": judged.skipped}
    if seat.channel is not None:
        own |= {f"up_{name}": count for name, count in asdict(seat.channel.up.counts).items()}
    return {name: count for name, count in (seat.told.counts | own).items() if count}


def _member_stats(room: Room, seat: Seat, *, with_counts: bool) -> MemberStats:
    counts, told, report = room.judge.counts(seat.slot), seat.told, seat.told.last
    up = seat.ways.beats.at_share(0.99) if seat.channel else None
    figures: dict[str, Any] = {}
    for facet in room.facets.values():
        figures |= facet.member_stats(seat)
    return MemberStats(
        slot=seat.slot,
        name=seat.name,
        present=seat.present,
        transport=seat.channel.carrier.name if seat.channel else UDP.name,
        sent=seat.sent,
        refused=seat.refused + counts.refused,
        retimed=counts.retimed,
        overtaken=counts.overtaken,
        moved=counts.moved,
        local_only=told.local_only,
        unfounded=told.unfounded,
        missed=counts.missed,
        unplayed=told.unplayed,
        margin_ms_worst=told.margin_ms_worst,
        margin_ms_p99=told.margins_ms.at_share(0.01),
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
        **figures,
    )


def _loss_percent(seat: Seat) -> float:
    """Return the percentage of a member's frames that were lost when first sent, both directions together.
    Frames that were repaired later count as lost."""
    report = seat.told.last
    expected = (report.frames_expected if report else 0) + (
        seat.channel.up.counts.expected if seat.channel else 0
    )
    lost = (report.frames_lost if report else 0) + (seat.channel.up.counts.lost if seat.channel else 0)
    return 100.0 * lost / expected if expected else 0.0
