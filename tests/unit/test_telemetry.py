"""Logs: what reaches a line and what never does."""

from __future__ import annotations

import ast
import json
import logging
import subprocess
import sys
from pathlib import Path

import pytest

import pressroom
from pressroom.telemetry import PRIVATE_FIELDS, drop_private, event_logger

SOURCE = Path(pressroom.__file__).parent
SECRET = "the secret heron"
METHODS = {"debug", "info", "warning", "error", "exception", "critical"}

PROGRAM = """
import sys, logging
from pressroom.settings import LogSettings
from pressroom.telemetry import configure, event_logger
configure(LogSettings(level=sys.argv[1], format=sys.argv[2]))
log = event_logger("pressroom.example")
log.debug("run.polled", job="job_1")
log.info("run.home", job="job_1", prompt="SECRET", url="https://x/?sig=SECRET", api_key="SECRET", request={"a": "SECRET"})
log.warning("run.failed", error="Boom")
try:
    raise ValueError("x")
except ValueError:
    log.exception("run.broke")
logging.getLogger("some.library").info("chatter SECRET")
logging.getLogger("some.library").warning("a library warns")
"""


def _lines(level, kind):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.replace("SECRET", SECRET), level, kind],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": str(SOURCE.parent)},
    )
    assert done.stdout == ""
    return done.stderr


def test_private_fields_never_reach_a_line():
    """Whoever puts them there by mistake, in text and in JSON."""
    for kind in ("text", "json"):
        shown = _lines("debug", kind)
        assert SECRET not in shown
        assert "run.home" in shown


def test_json_lines_are_json():
    """One value each, with the event, its level and its time in UTC."""
    lines = [json.loads(line) for line in _lines("debug", "json").splitlines()]
    events = [line.get("event") for line in lines]

    assert events == ["run.polled", "run.home", "run.failed", "run.broke", "a library warns"]
    assert [line["level"] for line in lines[:4]] == ["debug", "info", "warning", "error"]
    assert all(line["timestamp"].endswith("Z") for line in lines[:4])
    assert "ValueError" in lines[3]["exception"]


@pytest.mark.parametrize(("level", "written"), [("warning", 3), ("error", 2)])
def test_less_severe_events_are_left_out(level, written):
    """A library's warning stays; its chatter never comes."""
    assert written == len(_lines(level, "json").splitlines())


def test_without_configuration_pressroom_is_silent():
    """A program that uses the library decides itself what it prints."""
    program = PROGRAM.replace("configure(LogSettings(level=sys.argv[1], format=sys.argv[2]))", "")
    done = subprocess.run(
        [sys.executable, "-c", program.partition("logging.getLogger")[0]],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": str(SOURCE.parent)},
    )

    assert (done.stdout, done.stderr) == ("", "")


@pytest.mark.parametrize("name", sorted(PRIVATE_FIELDS))
def test_each_private_field_is_replaced(name):
    """The others stay."""
    assert {name: "(private)", "job": "job_1"} == drop_private(None, "info", {name: SECRET, "job": "job_1"})


def test_events_can_be_had_by_a_programs_own_handlers(caplog):
    """A record's message is the event as a mapping, with the private fields already gone."""
    with caplog.at_level(logging.INFO, logger="pressroom"):
        event_logger("pressroom.example").info("run.home", job="job_1", prompt=SECRET)

    [record] = caplog.records
    assert (
        record.msg["event"],
        record.msg["job"],
        record.msg["prompt"],
    ) == ("run.home", "job_1", "(private)")


def _logged():
    """Every call of a module's `log`, with its file."""
    for path in sorted(SOURCE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            call = node.func if isinstance(node, ast.Call) else None
            if isinstance(call, ast.Attribute) and call.attr in METHODS and ast.unparse(call.value) == "log":
                yield path.relative_to(SOURCE), node


def test_events_are_named_in_one_way_and_carry_no_private_field():
    """`subject.what_happened`, a constant, so that they can be listed and counted; settings.py speaks before logs are."""
    found = [
        (path, node)
        for path, node in _logged()
        if path.name != "settings.py" and "emulator" not in path.parts
    ]
    assert len(found) > 20
    for path, node in found:
        name = node.args[0]
        assert isinstance(name, ast.Constant), (path, node.lineno)
        subject, _, happened = name.value.partition(".")
        assert subject.isidentifier(), (path, node.lineno)
        assert happened.isidentifier(), (path, node.lineno)
        assert not PRIVATE_FIELDS & {keyword.arg for keyword in node.keywords}, (path, node.lineno)
