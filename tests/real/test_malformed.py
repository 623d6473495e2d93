"""Messages that hang or kill a genuine scsynth are sent from every side of a running jam. None arrives.

All tests share one boot. The recorder behind the bridge shows what reached scsynth. Every hostile message
carries MARK.
"""

import asyncio
import contextlib
import socket
import ssl
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from pythonosc.osc_message import OscMessage
from rehearsal.rigs import sound
from rehearsal.rigs.jam import Jam
from rehearsal.rigs.recording import RecordedMessage
from rehearsal.rigs.stage import Stage

from relay.transports import tls
from relay.transports.pins import KnownRelays
from relay.transports.udp import DatagramSocket
from relay.wire import control, frames
from relay.wire.datagram import MAX_DATAGRAM_BYTES, Sealer
from relay.wire.endpoint import Endpoint
from relay.wire.osc import encode
from relay.wire.sequence import Kind, Stamped
from relay.wire.timetag import from_unix_ns, ticks
from relay.wire.version import PROTOCOL_VERSION

pytestmark = [pytest.mark.real, pytest.mark.unhurried]

ANNA = "anna"
MARK = 57_005
"""The id in every hostile message. It is far above the ids that Sonic Pi uses in these short runs."""
OWN_IDS = (1 << 26) - 1
FX_COUNT = 600
"""Number of FX that are opened. Sonic Pi has 496 pairs of buses, so a leak of one for each FX would show."""
FX_CODE = f"""
use_external_synths true
use_debug false
{FX_COUNT}.times do
  with_fx :level do
    synth :nobody_has_this, note: 60
  end
  sleep 0.02
end
"""
NOTE_CODE = "with_fx :level do\n  synth :prophet, note: 50, amp: 2, sustain: 2\nend\n"
ASKS = ("/error", "/g_queryTree")
"""Commands of a bridge itself that change no node."""
TROUBLE = ("All busses allocated", "unable to honour FX", "Thread death", "Timeout")


def bundle(*elements: bytes, timetag: int = 1, sizes: tuple[int, ...] = ()) -> bytes:
    parts = []
    for at, element in enumerate(elements):
        size = sizes[at] if at < len(sizes) else len(element)
        parts.append(struct.pack(">i", size) + element)
    return b"#bundle\0" + struct.pack(">Q", timetag) + b"".join(parts)


FREE = encode("/n_free", MARK)
UNBALANCED = b"/n_set\0\0,is[\0\0\0\0" + struct.pack(">i", MARK) + b"amp\0"
MESSAGES: dict[str, bytes] = {
    "array-never-closed": UNBALANCED,
    "array-never-opened": UNBALANCED.replace(b"[", b"]"),
    "array-in-an-array": b"/n_set\0\0,is[[]]\0" + struct.pack(">i", MARK) + b"amp\0",
    "fill-for-ever": encode("/n_fill", MARK, 0, 2**31 - 1, 0.0),
    "fill-for-ever-by-name": encode("/n_fill", MARK, "amp", 2**31 - 1, 0.0),
    "set-for-ever": encode("/n_setn", MARK, "amp", 2**31 - 1, 0.0),
    "control-buses-for-ever": encode("/c_fill", 0, 2**31 - 1, float(MARK)),
    "buffer-for-ever": encode("/b_fill", MARK, 0, 2**31 - 1, 0.0),
    "count-negative": encode("/n_setn", MARK, "amp", -1),
    "command-by-number": b"\0\0\0\x0b,i\0\0" + struct.pack(">i", MARK),
    "no-slash": b"n_free\0\0,i\0\0" + struct.pack(">i", MARK),
    "no-typetags": b"/n_free\0",
    "address-never-ends": b"/n_freeX",
    "four-zeros": bytes(4),
    "last-node": encode("/n_set", -1, "amp", float(MARK)),
    "reserved-node": encode("/s_new", "sonic-pi-beep", -MARK, 0, 0),
    "group-cycle": encode("/g_head", MARK, MARK),
    "group-cycle-by-two": encode("/g_head", MARK, MARK + 1),
    "group-cycle-by-two-again": encode("/g_head", MARK + 1, MARK),
    "group-cycle-by-order": encode("/n_order", 0, MARK, MARK + 1),
    "group-cycle-by-after": encode("/n_after", MARK, MARK + 1),
    "completion-unseen": encode("/b_zero", MARK, UNBALANCED),
    "completion-of-a-synthdef": encode("/d_load", f"/tmp/{MARK}.scsyndef", UNBALANCED),
    "plugin-command": encode("/cmd", "x", MARK),
    "value-not-a-number": encode("/n_set", MARK, "amp", float("nan")),
    "negative-buffer": encode("/b_free", -MARK),
    "huge-buffer": encode("/b_zero", 1 << 30),
    **{f"tag-{tag}": b"/n_free\0," + tag.encode() + b"\0\0" + struct.pack(">q", MARK) for tag in "htTFNI"},
}
DATAGRAMS: dict[str, bytes] = MESSAGES | {
    "element-of-minus-4": bundle(FREE, sizes=(-4,)),
    "element-of-0": bundle(FREE, sizes=(0,)),
    "element-of-6": bundle(FREE, sizes=(6,)),
    "element-past-the-end": bundle(FREE, sizes=(1 << 20,)),
    "message-then-bundle": bundle(FREE, bundle(FREE)),
    "bundle-then-message": bundle(bundle(FREE), FREE),
    "never-run": bundle(FREE, timetag=2),
    "never-run-either": bundle(FREE, timetag=2**64 - 1),
    "after-2036": bundle(FREE, timetag=5 << 32),
    "header-cut": b"#bundle\0\0\0\0\0",
    "five-deep": bundle(bundle(bundle(bundle(bundle(FREE))))),
    "bad-inside": bundle(FREE, UNBALANCED),
    "too-many": bundle(*[FREE] * 65),
}


def ask(port: int, payload: bytes, address: str) -> OscMessage | None:
    """Send the genuine scsynth a message directly; return its answer with this address, or None."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(2.0)
        sock.connect(("127.0.0.1", port))
        sock.send(payload)
        with contextlib.suppress(OSError):
            while True:
                answer = OscMessage(sock.recv(65_536))
                if answer.address == address:
                    return answer
    return None


def synths_and_groups(port: int) -> tuple[int, int] | None:
    answer = ask(port, encode("/status"), "/status.reply")
    return None if answer is None else (answer.params[2], answer.params[3])


def send_raw(datagrams: list[bytes], port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for datagram in datagrams:
            sock.sendto(datagram, ("127.0.0.1", port))


def send_over_tcp(payloads: list[bytes], port: int) -> None:
    """Send each payload to the relay's TCP port, with and without TLS. The relay may close the connection."""
    context = tls.client_context()
    for payload in payloads:
        for secured in (False, True):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 2.0) as sock:
                stream: socket.socket = context.wrap_socket(sock) if secured else sock
                with contextlib.suppress(OSError, ssl.SSLError):
                    stream.sendall(struct.pack(">I", len(payload)) + payload)
                    stream.sendall(payload)
                stream.close()


async def be_mallory(port: int, folder: Path) -> int:
    """Join as mallory and send each hostile message as a part of a live state and as an event of each kind.
    Return mallory's slot."""
    stream = await tls.connect(Endpoint("127.0.0.1", port), pins=KnownRelays(folder / "pins"))
    stream.send(
        control.encode(control.Hello(protocol=PROTOCOL_VERSION, software="x", room="main", name="mallory"))
    )
    payload = await stream.receive()
    assert payload is not None
    welcome = control.decode_down(payload)
    assert isinstance(welcome, control.Welcome)
    sealer, seq = Sealer(welcome.key_up, welcome.channel), welcome.next_seq
    datagrams = DatagramSocket(lambda _: None)
    datagrams.bind("127.0.0.1")
    relay = await datagrams.resolve(Endpoint("127.0.0.1", port))
    pieces = [(message, (message,), 0, 0) for message in MESSAGES.values()]
    stream.send(control.encode(control.LivePart(slot=welcome.slot, pieces=pieces)))
    fitting = [one for one in DATAGRAMS.values() if len(one) <= frames.MAX_PAYLOAD_BYTES]
    for kind in (Kind.TIMED, Kind.UNTIMED, Kind.RESOURCE):
        for message in fitting:
            now = from_unix_ns(time.time_ns())
            timetag = now + ticks(0.4) if kind is Kind.TIMED else None
            event = Stamped(seq, now, timetag, kind, message)
            datagrams.send(sealer.seal(frames.encode(event)), relay)
            # What the relay itself refuses must not leave a gap.
            seq += len(message) >= 8 and len(message) % 4 == 0
            await asyncio.sleep(0.004)
    for _ in range(8):
        beat = frames.BeatUp(seq - 1, 0, from_unix_ns(time.time_ns()))
        datagrams.send(sealer.seal(frames.encode(beat)), relay)
        await asyncio.sleep(0.2)
    stream.send(control.encode(control.Leave()))
    await asyncio.sleep(0.2)
    stream.close()
    await stream.closed()
    datagrams.close()
    return welcome.slot


@dataclass(frozen=True)
class Attacked:
    """What was measured before and after the attack."""

    refused_by_tap: int
    refused_by_relay: int
    refused_of_members: int
    alive_after: dict[str, bool]
    before: tuple[int, int]
    after: tuple[int, int]
    handed: list[RecordedMessage]
    mallory: int
    anna: int
    notes_at_home: int
    fx_asked: int
    level_dbfs: float
    note_started: bool
    text: str
    scsynth_text: str


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with Stage() as stage:
        yield stage


@pytest.fixture(scope="module")
def attacked(stage: Stage, tmp_path_factory: pytest.TempPathFactory) -> Attacked:
    folder = tmp_path_factory.mktemp("jam")
    jam = Jam(stage, folder, [ANNA])
    jam.start_relay()
    jam.boot()
    stage.play_for(2.0)
    anna = jam.performers[ANNA]
    assert anna.ports is not None
    port = jam.recordings()[ANNA].scsynth_port
    anna.run_code(NOTE_CODE)  # whatever a first run builds for good belongs to the start
    stage.play_for(2.0)
    anna.stop_jobs()
    stage.play_for(1.5)
    before = synths_and_groups(port)
    assert before is not None
    began = len(jam.recordings()[ANNA].to_scsynth)
    alive: dict[str, bool] = {}

    def refused() -> int:
        stage.play_for(4.0)  # a second is reported two seconds after it ended
        return int(jam.members()[ANNA]["refused"])

    counts = [int(jam.members()[ANNA]["refused"])]
    send_raw(list(DATAGRAMS.values()), anna.ports.scsynth)
    counts.append(refused())
    alive["tap"] = synths_and_groups(port) is not None

    datagrams_refused = jam.stats()["datagrams_refused"]
    send_raw(list(DATAGRAMS.values()), jam.port)
    send_over_tcp([DATAGRAMS["element-of-minus-4"], UNBALANCED, bytes(4), b"\xff" * 64], jam.port)
    refused_by_relay = jam.stats()["datagrams_refused"] - datagrams_refused
    alive["relay"] = synths_and_groups(port) is not None

    mallory = asyncio.run(be_mallory(jam.port, folder))
    counts.append(refused())
    alive["member"] = synths_and_groups(port) is not None
    handed = list(jam.recordings()[ANNA].to_scsynth[began:])

    marked = anna.log_text()
    homeless = int(jam.members()[ANNA]["local_only"])
    anna.run_code(FX_CODE)
    stage.play_for(FX_COUNT * 0.02 + 1.0)
    asked = jam.recordings()[ANNA].to_scsynth[began + len(handed) :]
    refused()
    homeless = int(jam.members()[ANNA]["local_only"]) - homeless
    anna.stop_jobs()
    stage.play_for(2.0)
    after = synths_and_groups(port)
    assert after is not None
    take = sound.start(port, folder / "after.wav")
    started = len(jam.recordings()[ANNA].from_scsynth)
    anna.run_code(NOTE_CODE)
    stage.play_for(2.0)
    sound.stop(take)
    replies = jam.recordings()[ANNA].from_scsynth[started:]
    slot = int(jam.members()[ANNA]["slot"])
    return Attacked(
        refused_by_tap=counts[1] - counts[0],
        refused_by_relay=refused_by_relay,
        refused_of_members=counts[2] - counts[1],
        alive_after=alive,
        before=before,
        after=after,
        handed=handed,
        mallory=mallory,
        anna=slot,
        notes_at_home=homeless,
        fx_asked=sum(m.address == "/s_new" and m.args[0] == "sonic-pi-fx_level" for m in asked),
        level_dbfs=sound.level_dbfs(take.path),
        note_started=any(m.address == "/n_go" and m.args[0] >> 26 == slot for m in replies),
        text=anna.log_text()[len(marked) :] + "\n".join(anna.gui_lines()),
        scsynth_text=anna.scsynth_log(),
    )


def names_the_mark(message: RecordedMessage) -> bool:
    ids = {MARK, MARK + 1}
    return any(isinstance(value, int | float) and abs(value) == abs(value) and abs(value) < 2**31
               and {int(abs(value)), int(abs(value)) & OWN_IDS} & ids for value in message.args)  # fmt: skip


def test_nothing_hostile_reaches_scsynth_from_any_side(attacked: Attacked) -> None:
    assert [message.address for message in attacked.handed if names_the_mark(message)] == []
    raws = [raw for raw in (*MESSAGES.values(), *DATAGRAMS.values()) if len(raw) > 4]
    assert not [message.raw for message in attacked.handed if message.raw in raws]


def test_of_a_hostile_member_only_its_place_is_built_and_freed_again(attacked: Attacked) -> None:
    group, strip = attacked.mallory << 26, 64 + attacked.mallory
    expected = {("/g_new", group), ("/s_new", strip), ("/g_freeAll", group)}
    expected |= {("/n_free", group), ("/n_free", strip)}
    made = {(m.address, m.args[1 if m.address == "/s_new" else 0]) for m in attacked.handed if m.args}
    assert expected <= made
    foreign = {
        (address, node)
        for address, node in made
        if isinstance(node, int) and node >> 26 not in (0, attacked.anna) and address not in ASKS
    }
    assert foreign <= expected


def test_every_one_of_them_is_counted(attacked: Attacked) -> None:
    assert attacked.refused_by_tap == len(DATAGRAMS)
    # One that is too long for a datagram of ours is dropped at the socket already.
    fitting = [one for one in DATAGRAMS.values() if len(one) <= MAX_DATAGRAM_BYTES]
    assert attacked.refused_by_relay == len(fitting) == len(DATAGRAMS) - 1
    assert attacked.refused_of_members > 2 * len(MESSAGES)


@pytest.mark.parametrize("side", ["tap", "relay", "member"])
def test_scsynth_still_answers(attacked: Attacked, side: str) -> None:
    assert attacked.alive_after[side]


def test_a_note_played_afterwards_sounds(attacked: Attacked) -> None:
    assert attacked.note_started
    assert attacked.level_dbfs > -50


def test_600_notes_that_no_synthdef_plays_leave_no_fx_and_no_bus_behind(attacked: Attacked) -> None:
    assert attacked.notes_at_home == FX_COUNT
    assert attacked.fx_asked == FX_COUNT
    assert not [word for word in TROUBLE if word in attacked.text]
    assert attacked.after == attacked.before
