"""PROTOCOL.md agrees with the code: message names, fields, lengths and numbers."""

import re

import pytest

from relay import limits
from relay.hub.path_probes import END_GRACE
from relay.room.channel import MOMENTS_MIN, UP_KEEP_S
from relay.room.coherence import REPORT_WAIT_S
from relay.room.judge import GAP_GUARD, WAITING_MAX
from relay.room.room import AWAY_GRACE, RESERVED_FOR, RING_EVENTS, RING_KEEP_S, SILENCE
from relay.shells import service
from relay.wire import budget, catchup, control, datagram, frames, loss, outbox, recovery
from relay.wire.endpoint import DEFAULT_PORT
from relay.wire.sequence import Flag, Judged, Kind, Stamped
from relay.wire.timetag import FIRST_SAFE, seconds, ticks
from relay.wire.version import PROTOCOL_VERSION
from tests.worlds.places import ROOT

TEXT = (ROOT / "relay" / "wire" / "PROTOCOL.md").read_text("utf-8")
PLAIN = re.sub(r"(?<=\d),(?=\d{3})", "", TEXT)
MESSAGES = {one.__struct_config__.tag: one for one in (*control.Up.__args__, *control.Down.__args__)}
HEAD_BYTES = 3


@pytest.mark.parametrize("tag", sorted(MESSAGES))
def test_every_control_message_is_described(tag: str) -> None:
    assert f"* **{tag}**:" in TEXT


@pytest.mark.parametrize("tag", sorted(MESSAGES.keys() - {"stats"}))
def test_every_field_of_a_control_message_is_named(tag: str) -> None:
    entries = " ".join(line for line in TEXT.splitlines() if line.startswith(f"* **{tag}**:"))
    for field in MESSAGES[tag].__struct_fields__:
        named = field.removesuffix("_numbers") if field.endswith("_numbers") else field
        assert f"`{named}`" in entries, field


def test_the_head_of_an_event_has_the_length_that_its_table_ends_at() -> None:
    stamped = frames.encode(Stamped(1, FIRST_SAFE, None, Kind.RESET, b""))
    judged = frames.encode(Judged(1, 1, 1, FIRST_SAFE, FIRST_SAFE, Kind.RESET, Flag.NONE, b""))
    event, verdict = (TEXT.split(f"### {number} ")[1].split("###")[0] for number in (1, 2))
    assert int(re.findall(r"^\| (\d+) \|", event, re.M)[-1]) == len(stamped) - HEAD_BYTES
    assert int(re.findall(r"^\| (\d+) \|", verdict, re.M)[-1]) == len(judged) - HEAD_BYTES


def test_kinds_and_flags_have_the_numbers_that_are_written_down() -> None:
    assert "kind: " + ", ".join(f"{int(kind)} {kind.name.lower()}" for kind in Kind) in TEXT
    names = {Flag.RETIMED: "re-timed"}
    flags = [flag for flag in Flag if flag]
    said = ", ".join(f"{int(flag)} {names.get(flag, (flag.name or '').lower())}" for flag in flags)
    assert f"flags: {said} |" in TEXT


@pytest.mark.parametrize(
    "words",
    [
        f"# The protocol of relay and bridge, version {PROTOCOL_VERSION}",
        f"One port, {DEFAULT_PORT} ",
        f"At most {datagram.MAX_DATAGRAM_BYTES} bytes",
        f"at most {datagram.MAX_PLAINTEXT_BYTES} bytes",
        f"0x{datagram.MAGIC:02X}",
        f"those {datagram.REPLAY_WINDOW} or more below",
        f"8 to {frames.MAX_PAYLOAD_BYTES} bytes in fours",
        f"1 to {frames.MAX_NACK_RANGES} ranges",
        f"for its ticket for {RESERVED_FOR >> 32} s. After {AWAY_GRACE >> 32} s",
        f"came for {SILENCE >> 32} s",
        f"At most {WAITING_MAX} events of a slot wait",
        f"until {round(GAP_GUARD / ticks(0.001))} ms before",
        f"keeps judged events for {RING_KEEP_S:.0f} s, {RING_EVENTS} of a room",
        f"asks for a seq for {UP_KEEP_S:.0f} s",
        f"| {limits.CONNECTIONS_MAX}; {limits.CONNECTIONS_PER_ADDRESS} |",
        f"| {service.FIRST_WORD_S:.0f} s until it says something, {service.ASKED_S:.0f} s from its first",
        f"| {limits.DATAGRAMS_PER_S} a second, {limits.DATAGRAMS_BURST} at once |",
        f"| {limits.EVENTS_PER_S} a second, {limits.EVENTS_BURST} at once |",
        f"| {limits.STRUCTURE_PER_S} a second, {limits.STRUCTURE_BURST} at once |",
        f"more than {seconds(catchup.BEHIND_MAX):g} s later than is usual",
        f"median of the last {catchup.MOMENTS_KEPT} such times",
        f"what comes within {seconds(catchup.MOMENT):g} s counts once",
        f"before {MOMENTS_MIN} are known",
        f"waits {seconds(catchup.ORDER_WAIT) * 1e3:.0f} ms: it is late",
        f"more than {seconds(catchup.WITH_OTHERS_MAX):g} s late",
        f"or {REPORT_WAIT_S} s after its end",
        f"and {budget.RATE_BYTES_PER_S * 8 / 1000:.0f} kbit/s, {budget.BURST_BYTES >> 10} KiB at once |",
        f"up to its {outbox.ANSWERED_MAX}th number",
        f"{' and '.join(f'{after_s * 1e3:.0f}' for after_s in outbox.SPREAD_S)} ms",
        f"{' and '.join(f'{after_s * 1e3:.0f}' for after_s in outbox.CLOSE_S)} ms",
        f"then every {outbox.REPEAT_S * 1e3:.0f} ms",
        f"from {loss.LOSSY_FROM:.1%} on".replace("%", " %"),
        f"at most {outbox.AGAIN_S_MAX * 1e3:.0f} ms",
        f"| {limits.CONTROLS_PER_S} a second, {limits.CONTROLS_BURST} at once |",
        f"stats, for each address | {limits.STATS_PER_S} a second, {limits.STATS_BURST} at once |",
        f"plain NTP, for each address | {limits.NTP_ANSWERS_PER_S} a second, {limits.NTP_BURST} at once |",
        f"| {limits.OUTBOX_FRAMES}, the newest |",
        f"have {limits.STATS_MEMBERS_MAX} seats together",
        f"where they have {limits.STATS_COUNTS_MAX} at most",
        f"at most {control.report.COUNTS_MAX} pairs of a name",
        f"| {recovery.MAX_MISSING} |",
        f"at most {control.probe.ARRIVALS_MAX} pairs",
        f"`rate` (datagrams a second, over 0, at most {control.probe.RATE_MAX:.0f})",
        f"`seconds` (over 0, at most {control.probe.SECONDS_MAX:.0f})",
        f"{END_GRACE >> 32} s after the time asked for",
        f"| probes, for the whole relay | {limits.PROBES_MAX} at once |",
        f"which is {control.probe.RATE_MAX:.0f} a second at most, {limits.PROBE_DATAGRAMS_BURST} at once |",
    ],
)
def test_every_figure_is_the_codes_own(words: str) -> None:
    assert words in PLAIN
