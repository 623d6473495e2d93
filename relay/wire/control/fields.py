"""Fields: the types that control messages of several families share, with their bounds.

Pure. The bounds are on lengths and ranges. Bounds on how often a message may come are in the hub.
"""

from typing import Annotated

from msgspec import Meta

from relay.wire.names import MAX_NAME

Name = Annotated[str, Meta(min_length=1, max_length=MAX_NAME)]
Software = Annotated[str, Meta(max_length=64)]
Key = Annotated[bytes, Meta(min_length=32, max_length=32)]
Token = Annotated[bytes, Meta(min_length=16, max_length=16)]
Slot = Annotated[int, Meta(ge=1, le=31)]
ChannelNumber = Annotated[int, Meta(ge=0, lt=2**32)]
Count = Annotated[int, Meta(ge=0, le=2**53)]
Ticks = Annotated[int, Meta(ge=0, le=2**40)]
Channels = Annotated[int, Meta(ge=0, le=64)]
"""Number of a sound card's channels in one direction."""
Digest = Annotated[bytes, Meta(max_length=32)]
