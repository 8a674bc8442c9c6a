"""What commands print: tables for people, one JSON value for programs, errors with what to do next."""

from __future__ import annotations

import errno
import json
import os
import sys
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from pressroom.errors import Conflict, InvalidInput, NotFound, PressroomError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

DONE, FAILED, WRONG_USAGE, NOT_NOW, CANNOT_TELL = 0, 1, 2, 3, 4
"""Exit codes of design section 6: 3 is unhealthy, refused, held, uncertain or past a deadline, or books that differ."""

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it (128 + SIGINT)."""

OUTPUT_LOST = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})
"""What a full or broken place to write to says. Disks of ours have said it as a `StorageError` or `DatabaseError` before."""

CELL = 48
"""Characters of a long text in a table."""

Json = typer.Option("--json", help="Print one JSON value for programs.")


def print_json(value: object) -> None:
    """One JSON value on standard output."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))


def print_table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Columns as wide as they need to be; nothing is cut."""
    cells = [[str(cell) if cell is not None else "-" for cell in row] for row in [head, *rows]]
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
    for row in cells:
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def shortened(text: str | None) -> str | None:
    """A text cut to what a column of a table holds; `--json` has it whole."""
    return text if text is None or len(text) <= CELL else text[: CELL - 1].rstrip() + "…"


def counted(count: int, noun: str) -> str:
    """`1 job`, `3 jobs`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def counted_are(count: int, noun: str) -> str:
    """`1 job is`, `3 jobs are`."""
    return f"{counted(count, noun)} {'is' if count == 1 else 'are'}"


def say(line: str) -> None:
    """A line for the person at the terminal, on standard error, so that output stays clean."""
    typer.echo(line, err=True)


def usd(micros_or_usd: float | None) -> str:
    """US dollars with as many digits as a picture's price needs."""
    return "-" if micros_or_usd is None else f"${micros_or_usd:.4f}".rstrip("0").rstrip(".")


def open_missing_streams() -> None:
    """Give a process that was started with closed streams ones that lead nowhere, so that no file takes their numbers."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            nowhere = Path(os.devnull).open(mode, encoding="utf-8")  # noqa: SIM115 - stays open as long as the process
            setattr(sys, name, nowhere)


@contextmanager
def fail_politely() -> Iterator[None]:
    """Turn an error of ours into one line on standard error and its exit code."""
    try:
        yield
    except PressroomError as error:
        say(f"pressroom: {error}")
        sys.exit(exit_code(error))
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except OSError as error:
        if error.errno not in OUTPUT_LOST:
            raise
        with suppress(OSError):  # standard error may lead to the same place
            say(f"pressroom: the output cannot be written ({error.strerror})")
        _discard_output()
        sys.exit(FAILED)


def _discard_output() -> None:
    """Lead both streams nowhere, so that Python's own last flush succeeds."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(nowhere, stream.fileno())


def exit_code(error: PressroomError) -> int:
    """2 for wrong input, 1 for what is not there or not allowed, 3 for the world outside."""
    if isinstance(error, InvalidInput):
        return WRONG_USAGE
    if isinstance(error, (NotFound, Conflict)):
        return FAILED
    return NOT_NOW


def key_values(pairs: Sequence[str]) -> dict[str, str]:
    """`k=v` options as a mapping."""
    found: dict[str, Any] = {}
    for pair in pairs:
        name, separator, value = pair.partition("=")
        if not separator or not name:
            raise typer.BadParameter(f"{pair!r} is not of the form name=value", param_hint="--metadata")
        found[name] = value
    return found
