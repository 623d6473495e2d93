"""Pages: makes the texts of docs/ from their templates.

The templates stand beside this file as NAME.md.j2. This module only reads them.
"""

import re
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined


def render(name: str, filters: dict[str, Any] | None = None, **data: Any) -> str:
    """Return the page that the template NAME.md.j2 gives with `data`.

    filters: functions, by name, that the template may call on values, beside Jinja's own.
    """
    env = Environment(
        loader=FileSystemLoader(Path(__file__).parent), undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True, extensions=["jinja2.ext.do"],
    )  # fmt: skip
    env.filters |= filters or {}
    text = env.get_template(f"{name}.md.j2").render(data)
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"
