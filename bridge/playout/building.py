"""Building: the messages that bring a part of a member's live state into this host's scsynth.

Pure. The guard of the member's slot checks each message, as it checks events. The numbers in a message are
then translated into those of this host's scsynth.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from bridge.scsynth.host_tree import JAM
from bridge.scsynth.id_space import Origin
from bridge.scsynth.remap import remap
from relay.wire import write
from relay.wire.errors import RemoteError
from relay.wire.live.changes import Changes
from relay.wire.meaning import Meaning

DATAGRAM_BYTES_MAX = 16 * 1024
"""Greatest size of the messages in one bundle, bytes. scsynth takes four times as much."""
MESSAGES_MAX = 60
_TAIL = 1


@dataclass(slots=True)
class Built:
    """The messages that build a part of a live state.

    bundles: lists of messages in scsynth's numbers. scsynth runs the messages of one list together. The first
    message of each list makes scsynth report no failures, because a node may have ended meanwhile. No bundle
    of an event begins with this message. The second message creates the slot's root group, which exists
    already. It shows a reader of the bundles whose slot is built. refused: the errors of messages that are
    left out.
    """

    bundles: list[list[bytes]] = field(default_factory=list)
    refused: list[RemoteError] = field(default_factory=list)


def build(made: Changes, origin: Origin, check: Callable[[Meaning, int], None], at: int) -> Built:
    """Return the bundles that make the changes `made`. scsynth must run them at the session instant `at`.

    check: takes a message and its due, and raises RemoteError if the slot's guard refuses the message.
    """
    built = Built([_head(origin)])
    size = 0
    for step in made.steps:
        bodies = _bodies(step.messages, origin, check, at, built.refused)
        if not bodies:
            continue
        weight = sum(map(len, bodies))
        if size + weight > DATAGRAM_BYTES_MAX or len(built.bundles[-1]) + len(bodies) > MESSAGES_MAX:
            built.bundles.append(_head(origin))
            size = 0
        built.bundles[-1] += bodies
        size += weight
    return built


def _head(origin: Origin) -> list[bytes]:
    return [write.no_complaints(), write.new_group(origin.root, _TAIL, JAM)]


def _bodies(
    messages: list[bytes],
    origin: Origin,
    check: Callable[[Meaning, int], None],
    at: int,
    refused: list[RemoteError],
) -> list[bytes]:
    """Return the messages of one step in scsynth's numbers. If the message that creates the node is refused,
    the settings of the node are left out too."""
    bodies: list[bytes] = []
    for payload in messages:
        meaning = Meaning(payload)
        try:
            check(meaning, at)
            bodies.append(remap(meaning.message, origin))
        except RemoteError as error:
            refused.append(error)
            if meaning.creates:
                break
    return bodies
