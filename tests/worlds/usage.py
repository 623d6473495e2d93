"""The help texts of our scripts, kept as files so that `--help` works in a fresh checkout.

`python -m tests.worlds.usage` writes the files anew (with scripts/ in PYTHONPATH).
"""

from pathlib import Path

import click
from laboratory import lab
from laboratory.star import netlab
from laboratory.windows import demo as windowdemo
from rehearsal.cost import bench, soak
from rehearsal.demo import demo

from tests.worlds.places import SCRIPTS

COMMANDS: dict[str, click.Command] = {
    "bench": bench.main, "demo": demo.main, "demo --window": windowdemo.main, "lab": lab.main,
    **{f"lab {name}": command for name, command in lab.main.commands.items()},
    "netlab": netlab.main, "test --long": soak.main,
}  # fmt: skip
"""The script commands that have a help text, by the words that a person types."""


def written(name: str) -> Path:
    """Return the path of the file with a script's help."""
    return SCRIPTS / "usage" / f"{name.replace(' ', '')}.txt"


def help_of(name: str) -> str:
    """Return a script's help as its command prints it now, in the form of the file."""
    context = click.Context(
        COMMANDS[name], info_name=f"scripts/{name}", terminal_width=79, **COMMANDS[name].context_settings
    )
    return COMMANDS[name].get_help(context) + "\n"


if __name__ == "__main__":
    for one in COMMANDS:
        written(one).write_text(help_of(one))
