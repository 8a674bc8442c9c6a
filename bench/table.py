"""What a line of the bench says, and how it is shown."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, kw_only=True)
class Figure:
    """
    One line of the table.

    Attributes:
        name: What was measured, with its conditions.
        measured: The median, with its unit, and how far the repeats lie apart.
        goal: What section 9 of the design asks for; empty where it asks for nothing.
        reached: Whether it does; None where nothing is asked.
        beside: A peer or an ideal of the same run.
        ratio: Ours to that one.
    """

    name: str
    measured: str
    goal: str = ""
    reached: bool | None = None
    beside: str = ""
    ratio: str = ""


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` of them do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, -(-len(ordered) * share // 1) - 1).__int__())]


def spread(values: Sequence[float], unit: str, digits: int = 1) -> str:
    """The median of repeats with the least and the greatest of them."""
    middle = f"{statistics.median(values):.{digits}f} {unit}"
    return middle if len(values) == 1 else f"{middle} ({min(values):.{digits}f}-{max(values):.{digits}f})"


def show(figures: Sequence[Figure]) -> None:
    """Print the table."""
    table = Table(box=None, pad_edge=False)
    for head in ("what", "measured", "goal", "", "beside", "ratio"):
        table.add_column(head, overflow="fold")
    for figure in figures:
        verdict = {True: "yes", False: "NO", None: ""}[figure.reached]
        table.add_row(figure.name, figure.measured, figure.goal, verdict, figure.beside, figure.ratio)
    console = Console()
    Console(width=max(console.width, 150)).print(table)
