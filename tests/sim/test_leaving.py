"""Many join, load, play and leave in virtual time: nothing of them stays, and the others lose nothing."""

import gc
from types import ModuleType

import pytest
from laboratory.virtual.host import Member
from laboratory.virtual.jam import Jam
from laboratory.virtual.synthtree import SynthTree, executed_ns
from laboratory.virtual.traffic import Sent

from bridge.clocks.timebase import Timebase
from bridge.scsynth.host_tree import FIRST_STRIP, JAM, STRIPS
from bridge.scsynth.id_space import NODE_BITS, slot_of_buffer
from relay.lead.delivery_times import DeliveryTimes
from relay.room.facets.verdict_log import VerdictLog
from relay.wire.osc import encode, single_message
from relay.wire.sequence import Judged
from tests.sim.score import assert_coherent, assert_in_time, assert_same
from tests.worlds.networks import NETWORKS
from tests.worlds.traffic import boot, generated

pytestmark = pytest.mark.computes

LAN = NETWORKS["studio-lan"]
STAYS_S, APART_S = 2.5, 4.0
FIRST_AT_S = 4.0
RESTED_S = 3.0
OWN_SLOTS = (1, 2)
GUEST_SLOT = 3
HELD_S = 60.0
FORGOTTEN_S = 45.0
"""Time (s) after which the relay has dropped the events that it keeps for repair (30 s), and all have dropped
their records of single seconds."""
FEW, MANY = 3, 12
GROWTH_MAX = 0.03


def visit(seed: int) -> list[Sent]:
    """Return what a guest's Sonic Pi sends: its start, two buffers, a control bus, music, and a long note."""
    loads = [encode("/b_alloc", number, 4096, 1) for number in (20, 21)]
    drone = encode("/s_new", "sonic-pi-beep", 40_000, 0, 4, "sustain", HELD_S, "out_bus", 36.0)
    further = [*loads, encode("/c_set", 7, 0.5), drone]
    return [
        *boot(),
        *(Sent(1.0 + 0.01 * at, message, None) for at, message in enumerate(further)),
        *(Sent(1.2 + one.at_s, one.datagram, one.ahead) for one in generated(seed, seconds=1.0)),
    ]


class Party:
    """Two members who stay, and guests who come one after the other, all into the same slot."""

    def __init__(self) -> None:
        self.jam = Jam(seed=31)
        self.stay = [self.jam.join(name, LAN) for name in ("ada", "bob")]
        for index, member in enumerate(self.stay):
            self.jam.play(member, boot(), 0.5 + 0.1 * index)
        self.at_s = FIRST_AT_S
        self.guests: list[Member] = []

    def have(self, guests: int, rest_s: float) -> None:
        """Let guests come and go, and then time pass."""
        for _ in range(guests):
            self._invite(self.at_s)
            self.at_s += APART_S
        self.at_s += rest_s
        self.jam.run(self.at_s)

    def _invite(self, at_s: float) -> None:
        def come() -> None:
            guest = self.jam.join(f"guest{len(self.guests)}", LAN)
            self.guests.append(guest)
            self.jam.play(guest, visit(100 + len(self.guests)), at_s + 0.3)
            self.jam.at_s(at_s + STAYS_S, lambda: self.jam.leave(guest))

        self.jam.at_s(at_s, come)

    def remembered(self) -> dict[str, int]:
        """Return how many objects each bridge that stays, and the relay, have in hand."""
        roots: dict[str, object] = {"relay": self.jam.relay.hub}
        roots |= {member.name: member.bridge for member in self.stay}
        return {who: reachable(root) for who, root in roots.items()}


def reachable(root: object) -> int:
    """Return how many objects an object holds.

    Left out are code, what tests keep, the clock's samples, and the delays of the last ten minutes.
    """
    gc.collect()  # it ceases to track tuples of plain values, so that they don't count
    seen, todo = set[int](), [root]
    while todo:
        for one in gc.get_referents(todo.pop()):
            apart = type | ModuleType | Judged | VerdictLog | Timebase | DeliveryTimes
            if (
                id(one) not in seen
                and gc.is_tracked(one)
                and not isinstance(one, apart)
                and not callable(one)
            ):
                seen.add(id(one))
                todo.append(one)
    return len(seen)


@pytest.fixture(
    scope="module",
    params=[pytest.param(MANY, id="12"), pytest.param(200, id="200", marks=pytest.mark.exhaustive)],
)
def party(request: pytest.FixtureRequest) -> Party:
    """A party at which the members who stay play, too."""
    made = Party()
    for index, member in enumerate(made.stay):
        made.jam.play(member, generated(index, seconds=APART_S * request.param), FIRST_AT_S)
    made.have(request.param, RESTED_S)
    return made


def test_of_guests_no_node_stays_in_any_scsynth(party: Party) -> None:
    for member in party.stay:
        tree = SynthTree().run(member.handed, party.jam.now_ns)
        assert not tree.slot(GUEST_SLOT).children
        assert tree.slot(GUEST_SLOT).name == "missing", "nor its root group"
        assert tree.nodes_of(STRIPS) == [FIRST_STRIP + slot for slot in OWN_SLOTS]
        assert tree.nodes_of(JAM) == [slot << NODE_BITS for slot in OWN_SLOTS]


def test_of_guests_no_buffer_stays_and_every_control_bus_is_back_at_0(party: Party) -> None:
    for member in party.stay:
        loaded: set[int] = set()
        buses: dict[int, float] = {}
        freed = 0
        for one in sorted(member.handed, key=executed_ns):
            message = single_message(one.message)
            number = int(message.arg(0)) if message.tags[:1] == "i" else 0
            match message.address:
                case "/b_alloc" | "/b_allocRead":
                    loaded.add(number)
                case "/b_free":
                    loaded.discard(number)
                    freed += slot_of_buffer(number) == GUEST_SLOT
                case "/c_set":
                    buses[number] = float(message.arg(1))
                case "/c_fill":
                    buses = {bus: 0.0 if bus // 512 == number // 512 else at for bus, at in buses.items()}
        assert not [one for one in loaded if slot_of_buffer(one) == GUEST_SLOT]
        assert freed >= 2 * len(party.guests)
        assert set(buses.values()) == {0.0}


def test_a_guest_fades_out_before_it_is_freed_and_its_slot_is_at_full_level_for_the_next(
    party: Party,
) -> None:
    for member in party.stay:
        levels = [
            (executed_ns(one), float(single_message(one.message).arg(2)))
            for one in member.handed
            if one.message.startswith(b"/n_set")
            and single_message(one.message).arg(0) == FIRST_STRIP + GUEST_SLOT
        ]
        assert [amp for _, amp in sorted(levels)] == [0.0, 1.0] * len(party.guests)
        emptied = encode("/g_freeAll", GUEST_SLOT << NODE_BITS)
        frees = [executed_ns(one) for one in member.handed if one.message == emptied]
        for fade_ns, _ in (level for level in levels if level[1] == 0.0):
            assert min(abs(free_ns - fade_ns - 1e8) for free_ns in frees) < 1e6


def test_those_who_stay_play_the_same_in_time_whoever_comes_and_goes(party: Party) -> None:
    assert assert_same(party.jam, *party.stay) > 100
    assert_in_time(party.jam, *party.stay)
    assert_coherent(party.jam)
    room = party.jam.stats()
    assert [(one.missing, one.late, one.retimed, one.unfounded) for one in room.members] == [(0, 0, 0, 0)] * 2


def test_neither_relay_nor_bridges_remember_anything_of_many_guests() -> None:
    party = Party()
    party.have(FEW, FORGOTTEN_S)
    few = party.remembered()
    party.have(MANY, FORGOTTEN_S)
    many = party.remembered()
    assert many == {who: pytest.approx(count, rel=GROWTH_MAX) for who, count in few.items()}
