"""A relay's event log gets verdicts only after their whole batch is stored and sent to all members."""

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from relay.lead.keeper import LeadPolicy
from relay.limits import HubLimits
from relay.room.facets.verdict_log import VerdictLog
from relay.shells import service
from relay.shells.event_log import EventLog
from relay.shells.service import RelayService, RelaySettings
from relay.shells.tls_identity import load_or_create
from relay.transports.pins import KnownRelays
from relay.wire import frames
from relay.wire.carrier import UDP
from relay.wire.sequence import Judged, Kind, Stamped
from relay.wire.timetag import TICKS_PER_S, ticks
from tests.commands.test_events_over_tls import LIMIT_S, NOTE, Guest
from tests.worlds.relay import Jam

SETTINGS = RelaySettings(
    host="127.0.0.1", port=0, policy=LeadPolicy(ticks(0.2), 0), limits=HubLimits(), software="test"
)


class Verdicts(list[tuple[str, Judged]]):
    """A list of verdicts. At each addition it notes whether the hub has stored the new events and will send
    them."""

    def __init__(self) -> None:
        super().__init__()
        self.jam: Jam
        self.kept: list[bool] = []
        self.waiting: list[list[int]] = []

    def __iadd__(self, batch: Iterable[tuple[str, Judged]]) -> "Verdicts":  # type: ignore[misc,override]  # looks on
        batch = list(batch)
        if batch:
            numbers = [event.number for _, event in batch]
            ring = self.jam.hub.rooms["main"].ring
            self.kept.append(len(ring.get(numbers, self.jam.now / TICKS_PER_S)) == len(numbers))
            before = len(self.jam.bridges[-1].judged)
            self.jam.settle()
            self.waiting.append([event.number for event in self.jam.bridges[-1].judged[before:]])
        self.extend(batch)
        return self


def test_verdicts_are_shown_once_the_whole_batch_is_kept_and_in_every_outbox() -> None:
    verdicts = Verdicts()
    jam = Jam(verdicts=verdicts)
    verdicts.jam = jam
    ann, _bob = jam.join("ann"), jam.join("bob")
    verdicts.clear()
    verdicts.kept.clear()
    verdicts.waiting.clear()
    first, second, third = ann.stamp(), ann.stamp(), ann.stamp()
    ann.send(second)
    ann.send(third)
    assert verdicts == [], "they wait for the first"
    ann.send(first)
    assert [(room, event.seq) for room, event in verdicts] == [("main", 1), ("main", 2), ("main", 3)]
    assert verdicts.kept == [True]
    assert verdicts.waiting == [[event.number for _, event in verdicts]]


def test_nothing_is_collected_where_nobody_looks_on() -> None:
    jam = Jam()
    ann = jam.join("ann")
    ann.play()
    with pytest.raises(LookupError):
        jam.hub.rooms["main"].facet(VerdictLog)
    assert len(ann.judged) == 1


async def test_an_observer_that_fails_is_told_after_all_was_sent_and_costs_nobody_anything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left_to_send: list[int] = []

    def write(_log: EventLog, _verdicts: list[tuple[str, Judged]]) -> None:
        left_to_send.append(len(relay.hub.flush(relay._time.now())))
        raise ValueError("our fault")

    monkeypatch.setattr(EventLog, "write", write)
    settings = replace(SETTINGS, event_log=tmp_path / "events.jsonl")
    relay = RelayService(settings, load_or_create(tmp_path / "relay"))
    await relay.start()
    async with asyncio.timeout(LIMIT_S):
        pins = KnownRelays(tmp_path / "known")
        ann, bob = (Guest(relay, pins, carrier=UDP) for _ in range(2))
        for guest in (ann, bob):
            await guest.join()
        await bob.now()
        now = await ann.now()
        # Two events a datagram and two datagrams, as a batch that the socket is drained of.
        for seqs in ((2, 3), (1, 4)):
            events = [Stamped(seq, now, now + ticks(0.5), Kind.TIMED, NOTE) for seq in seqs]
            ann.connection.send(ann.sealer.seal(b"".join(map(frames.encode, events))))
        for guest in (ann, bob):
            heard: set[int] = set()
            while len(heard) < 4:
                received = await guest.heard.get()
                parts = frames.decode(guest.opener.open(received.payload))
                heard |= {frame.seq for frame in parts if isinstance(frame, Judged)}
        assert left_to_send == [0], "told once, when nothing waited"
        assert relay.hub.stats(None, now).off == ["the event log"]
        for guest in (ann, bob):
            await guest.connection.close()
        await relay.stop()


async def test_a_check_of_the_clock_that_fails_leaves_the_relay_running_until_it_is_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def check(*_: object) -> None:
        raise ValueError("an answer that makes no sense")

    monkeypatch.setattr(service, "check_forever", check)
    relay = RelayService(replace(SETTINGS, ntp_server="localhost"), load_or_create(tmp_path / "relay"))
    await relay.start()
    async with asyncio.timeout(LIMIT_S):
        while not relay.hub.figures.off:
            await asyncio.sleep(0)
    assert relay.hub.figures.off == ["the check of the clock"]
    await relay.stop()
