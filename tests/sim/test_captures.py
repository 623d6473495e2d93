"""Recorded sessions of the genuine Sonic Pi 3.2.2, played through tap, session, relay and playout."""

import pytest
from laboratory.runs.tallying import Handed
from laboratory.virtual.host import Member
from laboratory.virtual.jam import Jam
from laboratory.virtual.traffic import Sent

from bridge.scsynth.id_space import Origin
from bridge.scsynth.remap import remap
from relay.wire.osc import single_message, walk
from tests.sim.score import assert_coherent, assert_in_time, events
from tests.worlds.networks import NETWORKS
from tests.worlds.traffic import boot, recorded

pytestmark = pytest.mark.computes

SESSIONS = ("boot", "ll_fx_inner", "control", "misc2", "redef", "ex_magician_acid", "ex_sorcerer_bach")
START_S = 4.0
NOT_MUSIC = (
    "/clearSched",
    "/g_freeAll",
    "/status",
    "/notify",
    "/sync",
    "/d_",
    "/b_alloc",
    "/b_query",
    "/b_write",
    "/n_run",
)
HOME = (b"sonic-pi-scope", b"live_audio", b"sonic-pi-server-info")


def music(name: str) -> list[tuple[Sent, bytes]]:
    """Return (datagram, message that scsynth must get) for each event of the room in a recording."""
    origin, at_home, found = Origin(1), set(), []
    for sent in recorded(name):
        ((_, message),) = walk(sent.datagram)
        if message.address.startswith(NOT_MUSIC) or any(word in message.raw for word in HOME):
            if message.address == "/s_new":
                at_home.add(message.arg(1))
            continue
        nodes = message.args[2:] if message.address == "/n_order" else message.args[:1]
        if message.address != "/s_new" and set(nodes) & at_home:
            continue
        found.append((sent, remap(message, origin)))
    return found


def played(name: str, *, lead_s: float, shift_s: float) -> tuple[Jam, Member, list[Handed]]:
    """Play a recording in a room of two; return (jam, player, the recording's bundles at its scsynth)."""
    jam = Jam(seed=1, lead_s=lead_s, shift_s=shift_s)
    ada = jam.join("ada", NETWORKS["studio-lan"], wall_offset_s=2.5, rate_ppm=30.0)
    bob = jam.join("bob", NETWORKS["studio-lan"])
    if name != "boot":
        jam.play(ada, boot(), 1.0)
    jam.run(START_S - 0.05)
    before = len(events(ada))
    recording = recorded(name)
    jam.play(ada, recording, START_S)
    jam.run(START_S + recording[-1].at_s + 5.0)
    assert_in_time(jam, *((ada, bob) if lead_s >= 0.15 else (bob,)))
    assert_coherent(jam)
    got = events(ada)[before:]
    return jam, ada, [one for one in got if not one.message.startswith(b"/g_freeAll")]


def plain_ns(sent: Sent) -> int | None:
    """Return the true instant (ns) in the jam of a recorded datagram's timetag; None without a timetag."""
    if sent.ahead is None:
        return None
    return round(START_S * 1e9) + (sent.ahead * 1_000_000_000 >> 32)


@pytest.mark.parametrize(
    ("name", "lead_s"), [*((name, 0.2) for name in SESSIONS), ("ll_fx_inner", 0.15), ("misc2", 0.15)]
)
def test_every_message_comes_once_at_its_plain_timetag_and_nothing_before_what_it_needs(
    name: str, lead_s: float
) -> None:
    jam, _, got = played(name, lead_s=lead_s, shift_s=0.0)
    wanted = music(name)
    assert sorted(one.message for one in got) == sorted(message for _, message in wanted)
    times: dict[bytes, list[int]] = {}
    for one in got:
        times.setdefault(one.message, []).append(one.timetag_ns or 0)
    moved, last_bare_ns = 0, 0
    for sent, message in wanted:
        due_ns = times[message].pop(0)
        assert due_ns >= last_bare_ns - 1000, "nothing is due before a bare message that was sent before it"
        plain = plain_ns(sent)
        if plain is None:
            emitted_ns = round((START_S + sent.at_s) * 1e9)
            assert due_ns >= emitted_ns + round(lead_s * 1e9) - 100_000
            last_bare_ns = max(last_bare_ns, due_ns)
        elif abs(due_ns - plain) > 100_000:
            moved += 1
            assert due_ns > plain
            assert plain < (START_S + sent.at_s + lead_s + 0.05) * 1e9, "only what is short of the lead moves"
    assert moved == jam.stats().moved
    if name not in ("misc2",):  # a note warped into the past
        assert moved == 0
    made: set[int] = {Origin(1).node(number) for number in (0, 2, 3, 4, 5)}
    for one in got:
        message = single_message(one.message)
        if message.address == "/g_new":
            assert message.arg(2) in made
            made.add(int(message.arg(0)))
        elif message.address == "/s_new":
            assert message.arg(3) in made


@pytest.mark.parametrize("name", ["ll_fx_inner", "control", "misc2", "redef"])
def test_with_the_shift_at_the_lead_everything_is_a_shifted_copy(name: str) -> None:
    shift_s = 0.2
    _, _, got = played(name, lead_s=shift_s, shift_s=shift_s)
    wanted = music(name)
    plain = []
    for index, (sent, message) in enumerate(wanted):
        at = plain_ns(sent)
        plain.append((round((START_S + sent.at_s) * 1e9) if at is None else at, index, message))
    plain.sort()
    copy = [one.message for one in got]
    assert len(copy) == len(plain)
    for (at_ns, _, _), one in zip(plain, got, strict=True):
        assert abs((one.timetag_ns or 0) - at_ns - shift_s * 1e9) < 2_500_000, "the same spacing"
    assert copy == [message for _, _, message in plain], "the same order"
