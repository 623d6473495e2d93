"""The version of the protocol: one byte in every datagram and a field of the first control message.

Pure. It grows whenever an older peer could misread what a newer one sends; there is no negotiation.
"""

PROTOCOL_VERSION = 4


def other_version(theirs: int) -> str:
    """Return what a relay says to who speaks another version: which side is older, and what to do."""
    older = "the relay has" if theirs > PROTOCOL_VERSION else "you have"
    return (
        f"this relay speaks protocol {PROTOCOL_VERSION}, you speak {theirs}: {older} the older jamrelay; "
        "install the same version on both sides"
    )
