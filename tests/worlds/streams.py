"""Analyses of recorded OSC streams: how long Sonic Pi waited for answers, offline scores, lost notes.

A recording is read as in rehearsal.proof.stream.
"""

from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress

from rehearsal.proof.stream import LOADS, Content, Pair, Said, read_plain
from rehearsal.rigs.nodes import Nodes, NoSuchPlace
from rehearsal.rigs.recording import Argument, Recording


def answers_ns(recording: Recording) -> list[int]:
    """Return for each group the time (ns) from its /g_new to its /n_go.

    A thread of Sonic Pi waits for the /n_go. Raises ValueError if a group was never answered.
    """
    started: dict[Argument, int] = {}
    for each in recording.from_scsynth:
        if each.address == "/n_go":
            started.setdefault(each.args[0], each.t_ns)
    groups = [said for said in read_plain(recording) if said.address == "/g_new"]
    silent = [str(said) for said in groups if said.content[1] not in started]
    if silent:
        raise ValueError(f"{len(silent)} groups without /n_go: {silent[:3]}")
    return [started[said.content[1]] - said.came_ns for said in groups]


def loads_ns(recording: Recording) -> list[tuple[int, int]]:
    """Return (from, until) in ns for each answered load of a buffer. Meanwhile a thread of Sonic Pi waits."""
    done: dict[Content, list[int]] = defaultdict(list)
    for each in recording.from_scsynth:
        if each.address == "/done":
            done[each.args[:2]].append(each.t_ns)
    found = []
    for said in read_plain(recording):
        if said.address in LOADS:
            answered = [at_ns for at_ns in done[said.content[:2]] if at_ns >= said.came_ns]
            found += [(said.came_ns, min(answered))] if answered else []
    return found


def out_score(out: Recording, pairs: Iterable[Pair], start_ns: int) -> list[tuple[float, bytes]]:
    """Return what scsynth was handed as a score for `offline.render`: (seconds after start_ns, message).

    Each message gets the time of the Sonic Pi message from which it was made. With its own time the bridge's
    clock conversions might move it into the next block of samples. Messages of equal time stay in the order
    of `out`. A message added by the bridge (root groups, strips) gets the time of the message before it.
    """
    time_of = {pair.out.message.index: pair.front.plays_at_ns for pair in pairs}
    score, at_ns = [], start_ns
    for each in sorted(out.to_scsynth, key=lambda each: (each.due_ns, each.index)):
        at_ns = time_of.get(each.index, at_ns)
        score.append((max(0.0, (at_ns - start_ns) / 1e9), each.raw))
    return score


def front_score(front: Iterable[Said], start_ns: int) -> list[tuple[float, bytes]]:
    """Return Sonic Pi's messages as a score for `offline.render`: (seconds after start_ns, message).

    Order and times are those of plain scsynth.
    """
    ordered = sorted(front, key=lambda each: (each.plays_at_ns, each.message.index))
    return [(max(0.0, (each.plays_at_ns - start_ns) / 1e9), each.message.raw) for each in ordered]


def freed_before(stream: Iterable[Said]) -> set[int]:
    """Return the node ids of notes whose group is already freed at their due, in plain Sonic Pi.

    The messages are applied to a model of scsynth's tree, in the order in which plain scsynth executes them.
    Synths that end by themselves stay in the model. They change nothing: no node is put into a synth, and a
    group of Sonic Pi ends only by /n_free.
    """
    nodes, lost = Nodes(), set[int]()
    for said in sorted(stream, key=lambda each: (each.plays_at_ns, each.message.index)):
        numbers = [value for value in said.content[1:] if isinstance(value, int)]
        match said.address:
            case "/g_new":
                for node, action, target in zip(numbers[0::3], numbers[1::3], numbers[2::3], strict=True):
                    with suppress(NoSuchPlace):
                        nodes.make(node, action, target)
            case "/s_new" if numbers[0] not in nodes.by_id:
                try:
                    nodes.make(*numbers[:3], synth=str(said.content[1]))
                except NoSuchPlace:
                    lost.add(numbers[0])
            case "/n_free" | "/g_freeAll" | "/g_deepFree":
                for found in filter(None, map(nodes.by_id.get, numbers)):
                    for one in [found] if said.address == "/n_free" else list(found.inside or ()):
                        nodes.free(one)
    return lost
