"""Tallying: what both labs say of a run's events, so that the same words stand for the same counts. Pure."""

from collections.abc import Collection, Sequence
from typing import Any


def summed(
    events: Collection[Any],
    margins_ms: Sequence[float],
    spreads_us: Sequence[float],
    waits_ms: Sequence[float],
    hands_ms: Sequence[float],
) -> dict[str, Any]:
    """Return the fields of a Row that events alone give.

    events: with the attributes divergent to bad of either lab's Event. The others are sorted: margins (> 0 is
    early), spreads, times from action to sound, and times from action to scsynth's hand.
    """
    return {
        "events": len(events),
        "divergent": sum(event.divergent for event in events),
        "missing": sum(bool(event.missing) for event in events),
        "late": sum(bool(event.late) for event in events),
        "out_of_order": sum(bool(event.out_of_order) for event in events),
        "different": sum(bool(event.different) for event in events),
        "retimed": sum(event.retimed for event in events),
        "moved": sum(event.moved for event in events),
        "unconfirmed": sum(event.unconfirmed for event in events),
        "bad": sum(event.bad for event in events),
        "margin_ms_p01": quantile(margins_ms, 0.01),
        "margin_ms_p50": quantile(margins_ms, 0.50),
        "in_hand_ms_max": hands_ms[-1] if hands_ms else None,
        "spread_us_p50": quantile(spreads_us, 0.50),
        "spread_us_p99": quantile(spreads_us, 0.99),
        "action_to_sound_ms_p50": quantile(waits_ms, 0.50),
        "action_to_sound_ms_max": waits_ms[-1] if waits_ms else None,
    }


def quantile(ordered: Sequence[float], share: float) -> float | None:
    """Return the nearest-rank quantile of sorted values, None without any."""
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)] if ordered else None
