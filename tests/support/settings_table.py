"""The table of docs/settings.md, made from the settings themselves: `python -m tests.support.settings_table`."""

from __future__ import annotations

import sys
from pathlib import Path

from pydantic import SecretStr

from pressroom.settings import environment_name, setting_paths

PAGE = Path(__file__).parents[2] / "docs" / "settings.md"
BEGIN, END = "<!-- settings -->\n", "<!-- end of settings -->\n"


def table() -> str:
    lines = ["| environment | in `pressroom.toml` | default | meaning |", "|---|---|---|---|"]
    for path, (default, description) in setting_paths().items():
        shown = "" if default is None or isinstance(default, SecretStr) else f"`{default}`"
        in_file = path[0] if len(path) == 1 else f"[{path[0]}] {path[1]}"
        alias = f"`{in_file}`" if environment_name(path).startswith("PRESSROOM_") else ""
        lines.append(f"| `{environment_name(path)}` | {alias} | {shown} | {description} |")
    return "\n".join(lines) + "\n"


def page_with_table(page: str) -> str:
    before, rest = page.split(BEGIN)
    return before + BEGIN + table() + END + rest.split(END)[1]


if __name__ == "__main__":
    PAGE.write_text(page_with_table(PAGE.read_text()))
    sys.stdout.write(f"wrote {PAGE}\n")
