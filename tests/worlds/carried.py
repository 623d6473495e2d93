"""Helpers that make a loss meter believe its path loses hardly anything, so that no copies are sent."""

from relay.hub.hub import RelayHub
from relay.wire.loss import KNOWN_FROM, LossMeter
from relay.wire.outbox import Outbox


def much(meter: LossMeter) -> None:
    """Count KNOWN_FROM events as sent and none as lost. Then the meter regards its path as clean."""
    for number in range(1 - KNOWN_FROM, 1):
        meter.sent(number)


def much_by(outbox: Outbox) -> None:
    """Make an outbox regard its path as clean."""
    much(outbox._loss)


def much_to_all(hub: RelayHub) -> None:
    """Make a relay's outboxes regard the paths to all members as clean."""
    for _, _, channel in hub._rooms.by_channel.values():
        much_by(channel.outbox)
