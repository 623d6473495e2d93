"""The version of the protocol: one byte in every datagram and a field of the first control message.

Pure. It grows whenever an older peer could misread what a newer one sends; there is no negotiation.
"""

PROTOCOL_VERSION = 1
