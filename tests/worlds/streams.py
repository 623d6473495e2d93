"""Questions to the streams of rehearsal.proof.stream: what threads waited for, scores, and lost notes."""

from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress

from rehearsal.proof.stream import LOADS, Content, Pair, Said, read_plain
from rehearsal.rigs.nodes import Nodes, NoSuchPlace
from rehearsal.rigs.recording import Argument, Recording


def answers_ns(recording: Recording) -> list[int]:
    """Return the time (ns) from each group's /g_new to its /n_go, for which a thread of Sonic Pi waits.

    Raises ValueError for a group that was never answered.
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
    """Return from when to when a thread of Sonic Pi waited for each load of a buffer that was answered."""
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
    """Return the messages that scsynth was handed as a score for `offline.render`, in plain scsynth's time
    from start_ns.

    Every message takes its time from the one that Sonic Pi sent for it, because the clocks' last microseconds
    would move a note across a block of samples. Order among equal times is that of the out stream. A message
    that the host adds (root groups, strips) comes right after the message before it.
    """
    time_of = {pair.out.message.index: pair.front.plays_at_ns for pair in pairs}
    score, at_ns = [], start_ns
    for each in sorted(out.to_scsynth, key=lambda each: (each.due_ns, each.index)):
        at_ns = time_of.get(each.index, at_ns)
        score.append((max(0.0, (at_ns - start_ns) / 1e9), each.raw))
    return score


def front_score(front: Iterable[Said], start_ns: int) -> list[tuple[float, bytes]]:
    """Return the messages of Sonic Pi as a score for `offline.render`, as plain scsynth would play them."""
    ordered = sorted(front, key=lambda each: (each.plays_at_ns, each.message.index))
    return [(max(0.0, (each.plays_at_ns - start_ns) / 1e9), each.message.raw) for each in ordered]


def freed_before(stream: Iterable[Said]) -> set[int]:
    """Return the notes (node ids) whose group has been freed when they are due, in plain Sonic Pi.

    It models the tree, fed in the order in which plain scsynth runs the messages. Nodes that end by
    themselves don't matter: nothing is put into a synth, and Sonic Pi's groups end by /n_free only.
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
