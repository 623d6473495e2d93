"""Meaning: one message's effect on the music, computed once and kept with its event.

Pure. Properties are computed on first access and most are kept, so a bridge parses a message only once. The
relay asks only for `is_note`, which needs no parsing. The command table (relay/wire/commands.py) has the
action of each command. All ids are the sender's own. A meaning is never sent over the network; each receiver
computes it from the message's bytes.
"""

from relay.wire.arguments import FIRST_CONTROL, NAME, NODE_NEW, ROLE_OF_CONTROL, fields, whole
from relay.wire.commands import COMMANDS, LOADS, MAKES_GROUPS, Act, Command, Role
from relay.wire.errors import Refused
from relay.wire.osc import Message, encode_string, single_message

MASTER_MIXER = "sonic-pi-mixer"
"""The synthdef of the last synth that Sonic Pi makes at its start."""
RUN_MIXER = "sonic-pi-basic_mixer"
"""The synthdef of the first synth in each run of the player's code that makes a sound."""
_MIXERS = (MASTER_MIXER.encode(), RUN_MIXER.encode())
_FX_PREFIX = b"sonic-pi-fx_"
_COMMAND_OF = {encode_string(address): command for address, command in COMMANDS.items()}
"""Every command, by the padded bytes of its address in a message."""

FRAMES_MAX = 1 << 26
"""Greatest size of an empty buffer, in frames times channels: 256 MiB of memory at every member."""

New = tuple[int, int, int]
"""A new node: (id, add action, target)."""


class Meaning:
    """The effect of one message on the music.

    command is None if the bytes can't be read or name no known command. Properties that need the whole
    message raise MalformedOsc if it is malformed. They raise Refused if its arguments don't fit its command.
    """

    __slots__ = (
        *("_creates", "_is_note", "_message", "_names", "_needs", "_synthdef", "act", "command"),
        *("makes_synth", "payload"),
    )

    def __init__(self, payload: bytes, message: Message | None = None) -> None:
        """payload: the bytes of one message. message: the same message parsed; None if it hasn't been parsed
        yet."""
        self.payload = payload
        self.command: Command | None = _COMMAND_OF.get(payload[: payload.find(0) + 4 & -4])
        self.act = Act.OTHER if self.command is None else self.command.act
        self.makes_synth = self.act is Act.NEW_SYNTH
        """Whether the message makes a synth: a note, an FX or a mixer."""
        self._message = message
        self._is_note: bool | None = None
        self._creates: tuple[New, ...] | None = None
        self._names: tuple[int, ...] | None = None
        self._needs: tuple[int, ...] | None = None
        self._synthdef: str | None = None

    @property
    def message(self) -> Message:
        """The message, parsed on first access."""
        if self._message is None:
            self._message = single_message(self.payload)
        return self._message

    @property
    def is_note(self) -> bool:
        """Whether the message plays a note, that is, makes a synth that is no FX and no mixer.

        Nothing else depends on a note, and a late note is unwanted, so it may be dropped. The answer needs no
        parsing. It is False for bytes that can't be read.
        """
        if self._is_note is None:
            self._is_note = self.makes_synth and _plays_note(self.payload)
        return self._is_note

    @property
    def synthdef(self) -> str:
        """The name of the synthdef that the message plays. Raises Refused if it makes no synth."""
        if self._synthdef is None:
            message = self.message
            if not self.makes_synth or message.tags[:1] != "s":
                raise Refused("arguments", f"{message.address} ,{message.tags[:40]}: expected a synth")
            self._synthdef = str(message.arg(NAME))
        return self._synthdef

    @property
    def creates(self) -> tuple[New, ...]:
        """The nodes that the message makes; () if it makes none.

        Raises Refused if an id is no whole number, or if arguments are missing.
        """
        if self._creates is None:
            self._creates = _created(self.message, self.act) if self._is_creator else ()
        return self._creates

    @property
    def names(self) -> tuple[int, ...]:
        """The ids of all nodes and groups that the message names; () if it makes nodes or its command is
        unknown."""
        if self._names is None:
            named = self.command is not None and not self._is_creator
            self._names = _named(self.message) if named else ()
        return self._names

    @property
    def frees(self) -> tuple[int, ...]:
        """The ids of the nodes that the message frees by naming them; () for any other message."""
        return self.names if self.act is Act.FREE else ()

    @property
    def needs(self) -> tuple[int, ...]:
        """The numbers of the buffers that a synth uses; () if the message makes no synth.

        If the message gives a control twice, the last value counts. A control that the message leaves out
        means buffer 0, which is not included.
        """
        if self._needs is None:
            self._needs = _buffers(self.message) if self.makes_synth else ()
        return self._needs

    @property
    def loads(self) -> int | None:
        """The number of the buffer that the message makes; None if it makes none."""
        return whole(self.message, 0) if self.act in LOADS else None

    @property
    def samples(self) -> int:
        """The size (frames times channels) of the empty buffer that the message makes; 0 if it makes none.

        Raises Refused if the size is missing, invalid or above FRAMES_MAX.
        """
        return _samples(self.message) if self.act is Act.ALLOCATE else 0

    @property
    def unloads(self) -> int | None:
        """The number of the buffer that the message frees; None if it frees none."""
        return whole(self.message, 0) if self.act is Act.UNLOAD else None

    @property
    def _is_creator(self) -> bool:
        return self.command is not None and self.command.creates


NOTHING = Meaning(b"")
"""The meaning of an event without a message, such as a slot reset."""


def meaning_of(message: Message) -> Meaning:
    """Return the meaning of a message that has been parsed."""
    return Meaning(message.raw, message)


def played_synthdef(payload: bytes) -> bytes:
    """Return the name of the synthdef that a message plays, without parsing the message.

    payload: of a message that makes a synth. Returns b"" if the name can't be read.
    """
    comma_at = payload.find(0) + 4 & -4
    if payload[comma_at : comma_at + 2] != b",s":
        return b""
    name_at = payload.find(0, comma_at) + 4 & -4
    return payload[name_at : payload.find(0, name_at)]


def _plays_note(payload: bytes) -> bool:
    name = played_synthdef(payload)
    return bool(name) and name not in _MIXERS and not name.startswith(_FX_PREFIX)


def _created(message: Message, act: Act) -> tuple[New, ...]:
    if act is Act.NEW_SYNTH:
        first, count = NODE_NEW, FIRST_CONTROL
    elif act in MAKES_GROUPS:
        first, count = 0, len(message.tags)
    else:
        return ()
    if len(message.tags) < count or (count - first) % 3:
        raise Refused("arguments", f"{message.address} ,{message.tags[:40]}")
    numbers = [whole(message, index) for index in range(first, count)]
    return tuple(zip(numbers[::3], numbers[1::3], numbers[2::3], strict=True))


def _named(message: Message) -> tuple[int, ...]:
    return tuple(
        whole(message, index)
        for index, field in fields(message)
        if field.role in (Role.NODE, Role.GROUP, Role.TARGET)
    )


def _samples(message: Message) -> int:
    numbers = [argument for argument in message.args[1:3] if isinstance(argument, int | float)]
    if not numbers or any(not 0 < number <= FRAMES_MAX for number in numbers):
        raise Refused("buffer-size", f"{message.args[1:3]}: expected frames and channels above 0")
    size = 1.0
    for number in numbers:
        size *= number
    if size > FRAMES_MAX:
        raise Refused("buffer-size", f"{size:.0f} samples: at most {FRAMES_MAX}")
    return round(size)


def _buffers(message: Message) -> tuple[int, ...]:
    raw, offsets, tags = message.raw, message.offsets, message.tags
    if "[" in tags:
        raise Refused("array", f"{message.address} ,{tags[:40]}")
    buffers = {}
    for index in range(FIRST_CONTROL, len(tags) - 1, 2):
        name = raw[offsets[index] : offsets[index + 1]]
        if ROLE_OF_CONTROL.get(name) is Role.BUFFER:
            buffers[name] = whole(message, index + 1)
    return tuple(dict.fromkeys(buffers.values()))
