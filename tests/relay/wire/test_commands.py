"""The table of scsynth's commands: part of the installed package, complete, and with the right types."""

import pytest

from relay.wire.commands import (
    COMMANDS,
    CONTROL_ROLES,
    LOCAL_ONLY_SYNTHDEFS,
    SYNTHDEFS,
    CommandClass,
    Field,
    Role,
)


def test_every_command_of_scsynth_3_13_and_3_14_has_a_class() -> None:
    assert len(COMMANDS) == 67
    assert {command.kind for command in COMMANDS.values()} == set(CommandClass)
    assert all(address == command.address for address, command in COMMANDS.items())


@pytest.mark.parametrize(
    "address", ["/quit", "/d_load", "/b_write", "/cmd", "/u_cmd", "/error", "/clearSched"]
)
def test_what_harms_other_members_is_forbidden(address: str) -> None:
    assert COMMANDS[address].kind is CommandClass.FORBIDDEN


def test_roles_tell_the_ids_of_a_note() -> None:
    note = COMMANDS["/s_new"]
    assert [field.role for field in note.args] == [
        Role.SYNTHDEF_NAME,
        Role.NODE_NEW,
        Role.ADD_ACTION,
        Role.TARGET,
    ]
    assert note.repeat == (Field(Role.CONTROL), Field(Role.CONTROL_VALUE))


def test_optional_counted_and_trailing_arguments_are_told_apart() -> None:
    assert COMMANDS["/b_free"].args[1] == Field(Role.COMPLETION, optional=True)
    assert COMMANDS["/b_setn"].repeat[2] == Field(Role.FLOAT, counted=True)
    assert COMMANDS["/b_readChannel"].trailing == Field(Role.COMPLETION, optional=True)


def test_every_synthdef_names_only_controls_with_a_known_role() -> None:
    assert len(SYNTHDEFS) == 164
    for definition in SYNTHDEFS.values():
        for name, role in definition.id_controls:
            assert CONTROL_ROLES[name] is role


def test_the_widths_of_synths_that_spill_over_are_known() -> None:
    assert SYNTHDEFS["sonic-pi-hoover"].out_channels == 6
    assert SYNTHDEFS["sonic-pi-tech_saws"].out_channels == 4
    assert SYNTHDEFS["sonic-pi-beep"].out_channels == 2


def test_what_hears_a_microphone_or_writes_a_file_stays_at_home() -> None:
    assert len(LOCAL_ONLY_SYNTHDEFS) == 10
    assert {"sonic-pi-recorder", "sonic-pi-live_audio", "sonic-pi-scope"} <= LOCAL_ONLY_SYNTHDEFS
    assert {name for name, definition in SYNTHDEFS.items() if definition.local_only} == LOCAL_ONLY_SYNTHDEFS


def test_the_table_cannot_be_changed_by_accident() -> None:
    with pytest.raises(TypeError):
        COMMANDS["/quit"] = COMMANDS["/n_set"]
