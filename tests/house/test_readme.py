"""README.md holds what a newcomer looks for, and a line for every option of the commands."""

import click
import pytest

from bridge.cli import main as jambridge
from relay.cli import main as jamrelay
from tests.worlds.places import ROOT

README = (ROOT / "README.md").read_text("utf-8")


@pytest.mark.parametrize(
    "words",
    [
        "git clone ADDRESS jamrelay",
        "sudo apt install pipx git",
        "pipx ensurepath",
        "pipx install ./jamrelay",
        "sudo apt install sonic-pi",
        "Anybody who knows host and port can come in",
        "Encrypted on the way",
        "ChaCha20-Poly1305",
        "nothing puts two people's loops on one beat",
        "NOT in the jam",
    ],
)
def test_what_a_newcomer_looks_for_is_there(words: str) -> None:
    assert words in README


def test_nothing_is_installed_before_it_was_said_where_it_comes_from() -> None:
    assert (
        README.index("git clone") < README.index("pipx install ./jamrelay") < README.index("jamrelay serve")
    )


@pytest.mark.parametrize(
    ("name", "command"),
    [
        (f"{program} {name}", command)
        for program, group in (("jamrelay", jamrelay), ("jambridge", jambridge))
        for name, command in group.commands.items()
    ],
)
def test_every_option_of_a_command_is_in_its_table(name: str, command: click.Command) -> None:
    section = README.split(f"### `{name}", 1)[1].split("\n### ", 1)[0].split("\n## ", 1)[0]
    for option in command.params:
        if isinstance(option, click.Option):
            assert any(f"`{one}" in section for one in (*option.opts, *option.secondary_opts)), option.name
