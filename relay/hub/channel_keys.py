"""Channel keys: the number and the two keys of a sealed channel, new for each connection.

Pure: the random bytes come from the caller's `entropy(n)`.
"""

from collections.abc import Callable, Container
from dataclasses import dataclass

from relay.wire.datagram import Opener, Sealer

NUMBER_BYTES = 4
KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class ChannelKeys:
    """The number and the two keys of one channel. key_up: for datagrams to the relay. key_down: for datagrams
    from the relay."""

    number: int
    key_up: bytes
    key_down: bytes

    def sealer(self) -> Sealer:
        """Return the sealer for the relay's datagrams."""
        return Sealer(self.key_down, self.number)

    def opener(self) -> Opener:
        """Return the opener for the datagrams that the relay receives."""
        return Opener(self.key_up, self.number)


def draw_keys(entropy: Callable[[int], bytes], *taken: Container[int]) -> ChannelKeys:
    """Return a random channel number that is in none of `taken`, with two new random keys."""
    number = int.from_bytes(entropy(NUMBER_BYTES))
    while any(number in numbers for numbers in taken):
        number = int.from_bytes(entropy(NUMBER_BYTES))
    return ChannelKeys(number, entropy(KEY_BYTES), entropy(KEY_BYTES))
