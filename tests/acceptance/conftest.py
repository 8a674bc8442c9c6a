"""Commands as a user types them, each in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.support.emulator import emulator_process


@dataclass(frozen=True)
class Ran:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def json(self):
        return json.loads(self.out)


@dataclass
class Shell:
    """Runs `pressroom` in one folder with one environment, as a user's terminal would."""

    folder: Path
    environment: dict[str, str]

    def pressroom(self, *arguments, stdin="", **environment) -> Ran:
        with self.popen(*arguments, **environment) as process:
            try:
                out, err = process.communicate(stdin, timeout=60)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
        return Ran(process.returncode, out, err)

    def popen(self, *arguments, **environment) -> subprocess.Popen:
        return subprocess.Popen(
            [Path(sys.executable).with_name("pressroom"), *map(str, arguments)],
            cwd=self.folder,
            env={**self.environment, **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    @property
    def home(self) -> Path:
        return self.folder / "pressroom-data"


@pytest.fixture
def shell(tmp_path) -> Shell:
    """An empty folder, no key, no base URL; the emulator answers at once."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("PRESSROOM_", "IDEOGRAM_"))
    }
    return Shell(tmp_path, {**environment, "PRESSROOM_EMULATOR__TIME_SCALE": "0"})


@pytest.fixture(scope="session")
def emulator(tmp_path_factory):
    """An emulator as a process of its own, for what needs an address."""
    with emulator_process(tmp_path_factory.mktemp("emulator") / "books.sqlite", time_scale=0) as running:
        yield running


@pytest.fixture
def emulator_address(emulator) -> str:
    return emulator.base_url
