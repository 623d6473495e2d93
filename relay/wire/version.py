"""The protocol version: one byte in every datagram, and a field of the first control message.

Pure. It is raised whenever an older peer could misread a newer peer's messages. There is no negotiation.
"""

PROTOCOL_VERSION = 5

COMPILED = not __file__.endswith(".py")
"""Whether this module, and with it the relay's core, is compiled (scripts/compiling/backend.py)."""

UPDATE = "git -C jamrelay pull && pipx install --force ./jamrelay"
"""The command that updates an installation made as README.md describes."""


def other_version(theirs: int) -> str:
    """Return the text with which a relay refuses a client of another protocol version.

    The text says which side is older, and how to update that side. theirs: the client's version.
    """
    both = f"this relay speaks protocol {PROTOCOL_VERSION}, you speak {theirs}"
    if theirs > PROTOCOL_VERSION:
        return (
            f"{both}: the relay has the older jamrelay; whoever runs it updates it there ({UPDATE}) and "
            "starts it again"
        )
    return f"{both}: you have the older jamrelay; update it on this computer ({UPDATE}) and join again"
