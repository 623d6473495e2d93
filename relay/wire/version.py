"""The version of the protocol: one byte in every datagram and a field of the first control message.

Pure. It grows whenever an older peer could misread what a newer one sends; there is no negotiation.
"""

PROTOCOL_VERSION = 4

UPDATE = "git -C jamrelay pull && pipx install --force ./jamrelay"
"""From where README.md let it be cloned."""


def other_version(theirs: int) -> str:
    """Return what a relay says to who speaks another version: which side is older, and how to update it."""
    both = f"this relay speaks protocol {PROTOCOL_VERSION}, you speak {theirs}"
    if theirs > PROTOCOL_VERSION:
        return (
            f"{both}: the relay has the older jamrelay; whoever runs it updates it there ({UPDATE}) and "
            "starts it again"
        )
    return f"{both}: you have the older jamrelay; update it on this computer ({UPDATE}) and join again"
