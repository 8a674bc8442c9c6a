"""The docs say what the code does: settings, commands, events, examples, public names."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer.main
from tests.support.settings_table import PAGE, page_with_table

import pressroom
from pressroom import migrations
from pressroom.cli import cli

ROOT = Path(__file__).parents[2]
EVENT = re.compile(r'log\.(debug|info|warning|error)\(\s*"([a-z_]+\.[a-z_]+)"')


def commands(group, path=()):
    """Every command of the command line with its path of names."""
    for name, command in sorted(group.commands.items()):
        if hasattr(command, "commands"):
            yield from commands(command, (*path, name))
            if command.invoke_without_command:
                yield (*path, name), command
        else:
            yield (*path, name), command


COMMANDS = dict(commands(typer.main.get_command(cli)))


def test_every_setting_is_documented_with_its_default():
    """docs/settings.md holds the very table that the settings make; `python -m tests.support.settings_table` writes it."""
    page = PAGE.read_text()

    assert page_with_table(page) == page


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_and_option_is_documented_and_has_an_example(path):
    """docs/commands.md names it and its options; its help shows how it is used."""
    page = (ROOT / "docs" / "commands.md").read_text()
    command = COMMANDS[path]

    assert f"pressroom {' '.join(path)}" in page
    assert "Example: " in command.help
    for parameter in command.params:
        if parameter.param_type_name == "option" and parameter.name not in {"help", "as_json"}:
            assert any(option in page for option in parameter.opts), parameter.opts


def test_every_event_is_documented_and_no_other():
    """docs/operations.md lists the events of the code, with their level."""
    found = {
        (level, name)
        for path in (ROOT / "src").rglob("*.py")
        for level, name in EVENT.findall(path.read_text())
    }
    documented = set()
    for line in (ROOT / "docs" / "operations.md").read_text().splitlines():
        if match := re.match(r"\| (`[a-z_.`, ]+`) \| ([a-z, ]+) \|", line):
            names = re.findall(r"`([a-z_]+\.[a-z_]+)`", match[1])
            levels = match[2].split(", ")
            documented |= set(zip(levels * len(names) if len(levels) == 1 else levels, names, strict=False))

    assert found == documented


def test_links_between_pages_lead_somewhere():
    """Every relative link in a page is a file that is there."""
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    for page in pages:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)[^)]*\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


@pytest.mark.slow  # `make check` runs it every time, on its own
@pytest.mark.timeout(330)
def test_the_session_in_the_docs_runs_as_it_stands(tmp_path):
    """Every shell line of docs/commands.md, in order, in one empty folder."""
    page = (ROOT / "docs" / "commands.md").read_text()
    script = "set -eu\n" + "\n".join(re.findall(r"```sh\n(.*?)```", page, flags=re.DOTALL))

    ran = subprocess.run(
        ["bash", "-c", script],
        cwd=tmp_path,
        env=bare_environment(),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )

    assert ran.returncode == 0, ran.stderr[-2000:]
    assert "image/png" in ran.stdout


@pytest.mark.parametrize(
    "block",
    [
        pytest.param(code, id=f"{page.name}-{number}")
        for page in [ROOT / "README.md", ROOT / "docs" / "client.md"]
        for number, code in enumerate(re.findall(r"```python\n(.*?)```", page.read_text(), flags=re.DOTALL))
    ],
)
def test_python_in_the_docs_runs(block, tmp_path, emulator_address):
    """Against an emulator, with the key and address that the page leaves to the environment."""
    program = block if "asyncio.run" in block else _as_program(block)
    environment = bare_environment() | {"IDEOGRAM_API_KEY": "any", "IDEOGRAM_BASE_URL": emulator_address}

    ran = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert ran.returncode == 0, ran.stderr[-2000:]


def _as_program(block):
    imports = [line for line in block.splitlines() if line.startswith(("import ", "from "))]
    rest = [f"    {line}" for line in block.splitlines() if line not in imports]
    return "\n".join(["import asyncio", *imports, "async def main():", *rest, "asyncio.run(main())"])


def bare_environment():
    """This process's environment without our settings, with our command on the path."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("PRESSROOM_", "IDEOGRAM_"))
    }
    return kept | {
        "PATH": f"{Path(sys.executable).parent}:{kept['PATH']}",
        "PRESSROOM_EMULATOR__TIME_SCALE": "0",
    }


def test_public_names_are_exactly_these():
    """A name that is added or lost here is a decision, not an accident."""
    assert sorted(pressroom.__all__) == [
        "App",
        "Asset",
        "Conflict",
        "DatabaseError",
        "Ideogram",
        "ImageRequest",
        "InvalidInput",
        "InvalidRequest",
        "InvalidSettings",
        "JobState",
        "JobView",
        "NotFound",
        "OutcomeUnknown",
        "PressroomError",
        "Settings",
        "StorageError",
        "VendorError",
        "Wire",
        "open_app",
    ]


@pytest.mark.parametrize("name", pressroom.__all__)
def test_every_public_name_is_there_and_documented(name):
    """It can be imported from `pressroom` and says what it is."""
    thing = getattr(pressroom, name)

    assert thing.__doc__
    assert importlib.import_module(thing.__module__)


def test_an_unknown_name_is_an_attribute_error():
    """As of any other module."""
    with pytest.raises(AttributeError, match="nonsense"):
        pressroom.nonsense  # noqa: B018


def test_the_head_of_the_schema_is_its_newest_file():
    """`migrations.HEAD` is what `db upgrade` reaches."""
    steps = sorted(
        path.name.partition("_")[0] for path in (ROOT / "src/pressroom/migrations/versions").glob("0*.py")
    )

    assert steps[-1] == migrations.HEAD
