"""Pages: makes the texts of docs/ from their templates, NAME.md.j2 beside this file.

It only reads the templates.
"""

import re
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined


def render(name: str, filters: dict[str, Any] | None = None, **data: Any) -> str:
    """Return the page made from the template NAME.md.j2 and `data`.

    filters: name -> function that the template may apply to values, in addition to Jinja's own.
    """
    env = Environment(
        loader=FileSystemLoader(Path(__file__).parent), undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True, extensions=["jinja2.ext.do"],
    )  # fmt: skip
    env.filters |= filters or {}
    text = env.get_template(f"{name}.md.j2").render(data)
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"
