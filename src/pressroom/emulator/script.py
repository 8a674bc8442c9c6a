"""The script of faults: rules in the books, and what they decide about one request."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final

from pressroom.emulator.faults import FAULTS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pressroom.emulator.books import Books
    from pressroom.emulator.faults import Fault, Stage


@dataclass(frozen=True, slots=True)
class Rule:
    """
    One posted rule.

    Attributes:
        rule_id: Number of the row.
        fault: What happens.
        operation: Glob over the names of operations.
        rate: Share of the matching requests that meet it.
        first: It acts at most so many times; None for no limit.
        after: So many matching requests pass before it can act.
        starts_at: Unix seconds of the emulator's clock.
        ends_at: Unix seconds, None for no end.
        params: The fault's parameters, defaults filled in.
    """

    rule_id: int
    fault: Fault
    operation: str
    rate: float
    first: int | None
    after: int
    starts_at: float
    ends_at: float | None
    params: Mapping[str, object]


@dataclass(slots=True)
class Verdict:
    """
    What the script decided about one request.

    Attributes:
        delay_s: Seconds before the request is looked at.
        late_s: Seconds that an accepted request's answer is late.
        outcome: The fault that changes what becomes of the generation.
        answer: The fault that replaces or spoils the answer.
        outcome_params: Parameters of `outcome`.
        params: Parameters of `answer`.
    """

    delay_s: float = 0.0
    late_s: float = 0.0
    outcome: Fault | None = None
    answer: Fault | None = None
    outcome_params: Mapping[str, object] = field(default_factory=dict)
    params: Mapping[str, object] = field(default_factory=dict)

    def take(self, rule: Rule) -> bool:
        """Let a rule act; False when an earlier one already holds its place."""
        fault = rule.fault
        if fault.kind == "delay":
            seconds = float(str(rule.params["seconds"]))
            self.delay_s += 0.0 if fault.accepted else seconds
            self.late_s += seconds if fault.accepted else 0.0
            return True
        if fault.kind == "outcome":
            if self.outcome is not None:
                return False
            self.outcome, self.outcome_params = fault, rule.params
            return True
        if self.answer is not None:
            return False
        self.answer, self.params = fault, rule.params
        return True


NO_FAULT: Final = Verdict()
"""The verdict on a request that no rule concerns. Not to be changed."""


def read_rules(books: Books) -> tuple[Rule, ...]:
    """Every rule, in the order in which they were posted."""
    columns = "id, fault, operation, rate, first, after, starts_at, ends_at, params"
    rows = books.execute(f"SELECT {columns} FROM fault ORDER BY id")  # noqa: S608 - names of our own
    rules = []
    for rule_id, fault, operation, rate, first, after, starts_at, ends_at, params in rows:
        filled = json.loads(params)
        rules.append(Rule(rule_id, FAULTS[fault], operation, rate, first, after, starts_at, ends_at, filled))
    return tuple(rules)


def _drawn(seed: int, rule: Rule, number: int) -> bool:
    """Whether the n-th matching request meets the fault: a draw that any instance would repeat."""
    digest = hashlib.sha256(f"{seed}:{rule.rule_id}:{number}".encode()).digest()
    return int.from_bytes(digest[:8]) < rule.rate * 2**64


def _matching(
    rules: tuple[Rule, ...], stage: Stage, operation: str, now: float, *, quote: bool
) -> Iterator[Rule]:
    for rule in rules:
        if rule.fault.stage != stage or not fnmatchcase(operation, rule.operation):
            continue
        if quote and rule.fault.accepted:
            continue
        if rule.starts_at <= now and (rule.ends_at is None or now < rule.ends_at):
            yield rule


def decide(
    books: Books,
    rules: tuple[Rule, ...],
    stage: Stage,
    operation: str,
    *,
    now: float,
    seed: int,
    quote: bool = False,
) -> Verdict:
    """
    What the script does to one request. Counts what each rule has seen and done.

    Args:
        books: Where the rules count.
        rules: The rules, as `read_rules` gave them.
        stage: The stage of the exchange.
        operation: Name of the operation.
        now: Unix seconds of the emulator's clock.
        seed: Start of the draws for rates.
        quote: Whether nothing can be accepted, so that faults after acceptance do not apply.
    """
    matching = list(_matching(rules, stage, operation, now, quote=quote))
    if not matching:
        return NO_FAULT
    verdict = Verdict()
    with books.transaction():
        for rule in matching:
            row = books.execute(
                "UPDATE fault SET seen = seen + 1 WHERE id = ? RETURNING seen, acted", rule.rule_id
            ).fetchone()
            if row is None:  # deleted by another instance since the rules were read
                continue
            seen, acted = row
            due = seen > rule.after and (rule.first is None or acted < rule.first)
            if due and _drawn(seed, rule, seen) and verdict.take(rule):
                books.execute("UPDATE fault SET acted = acted + 1 WHERE id = ?", rule.rule_id)
    return verdict
