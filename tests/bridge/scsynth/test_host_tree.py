"""scsynth's tree at a bridge: a root group and a strip for each member, always in slot order."""

from itertools import permutations

from bridge.scsynth.host_tree import FIRST_STRIP, JAM, STRIPS, HostTree
from bridge.scsynth.id_space import Origin
from relay.wire.osc import encode, single_message


def tree_of(messages: list[bytes]) -> dict[int, list[int]]:
    """Execute messages that make groups and synths as scsynth does; return the children of each group."""
    children: dict[int, list[int]] = {0: []}
    for payload in messages:
        message = single_message(payload)
        at = 1 if message.address == "/s_new" else 0
        node, action, target = (int(message.arg(at + index)) for index in range(3))
        if action == 0:
            children[target].insert(0, node)
        else:
            assert action == 3
            siblings = next(group for group in children.values() if target in group)
            siblings.insert(siblings.index(target) + 1, node)
        if message.address == "/g_new":
            children[node] = []
    return children


def test_the_tree_is_in_slot_order_whoever_came_first_and_whenever_the_synthdefs_came() -> None:
    slots = (1, 2, 5, 31)
    for order in permutations(slots):
        for loaded_after in range(len(slots) + 1):
            host, messages = HostTree(), []
            for count, slot in enumerate(order):
                if count == loaded_after:
                    messages += host.load_synthdefs()
                messages += host.build(Origin(slot))
            messages += host.load_synthdefs()
            children = tree_of(messages)
            assert children[0] == [JAM, STRIPS]
            assert children[JAM] == [Origin(slot).root for slot in slots]
            assert children[STRIPS] == [FIRST_STRIP + slot for slot in slots]


def test_a_member_is_built_once_only() -> None:
    host = HostTree()
    host.load_synthdefs()
    assert host.build(Origin(3))
    assert host.build(Origin(3)) == []
    assert host.load_synthdefs() == []
    assert host.has(3)
    assert not host.has(4)


def test_a_strip_adds_the_members_private_buses_to_the_hardware_outputs() -> None:
    host = HostTree()
    host.load_synthdefs()
    strip = host.build(Origin(2))[-1]
    bus = float(Origin(2).first_bus)
    place = ("sonic-pi-basic_mixer", FIRST_STRIP + 2, 0, STRIPS)
    assert strip == encode("/s_new", *place, "in_bus", bus, "out_bus", 0.0, "amp", 1.0)
