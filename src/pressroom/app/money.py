"""What an app offers about money: budgets, the report, the check, the balance."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import sqlalchemy as sa

from pressroom import audit
from pressroom.audit import PRESSROOM
from pressroom.database import now_ms
from pressroom.egress import is_loopback_host
from pressroom.errors import InvalidRequest
from pressroom.fleet import stops
from pressroom.generation.upkeep.budget_releases import release_within_budgets
from pressroom.report import books, spending
from pressroom.report.spending import By, SpendReport
from pressroom.spend import anomaly, balance, caps
from pressroom.spend.money import MICROS, dollars, micros_of
from pressroom.spend.scopes import BudgetName, Scope
from pressroom.spend.setting import set_budget
from pressroom.telemetry import event_logger

if TYPE_CHECKING:
    from datetime import datetime

    from pressroom.database import Database
    from pressroom.settings import Settings
    from pressroom.spend.balance import Balance
    from pressroom.spend.caps import Budget
    from pressroom.spend.ledger import Difference

log = event_logger(__name__)

_FINGERPRINT = re.compile(r"[0-9a-f]{12}")
"""What a key's fingerprint looks like: a budget on anything else would guard nothing."""


class Money:
    """The part of an `App` that is about money; amounts are US dollars with at most six decimals."""

    settings: Settings
    database: Database
    upstream: str

    async def budgets(self) -> list[Budget]:
        """Every budget with what is used of it now."""
        async with self.database.read() as connection:
            return await caps.all_budgets(connection, self.upstream)

    async def set_budget(
        self, scope: str, amount: Decimal | str | int | None, *, who: str | None = None, reason: str = ""
    ) -> Budget:
        """
        Set a budget's cap, and queue the jobs that it held and has room for now.

        Args:
            scope: `day`, `total`, `backfill`, `project:NAME`, `campaign:NAME` or `key:FINGERPRINT`.
            amount: US dollars; None: unlimited, on purpose.
            who: For the audit log; default: the person at this machine.
            reason: For the audit log.

        Raises:
            InvalidRequest: No such scope, or no such amount.
        """
        name = BudgetName.parse(self.upstream, scope)
        if name.scope is Scope.KEY and not _FINGERPRINT.fullmatch(name.subject):
            raise InvalidRequest(
                "scope", scope, "a key's fingerprint is 12 hex digits, as `key.in_use` logs it"
            )
        cap_micros = None if amount is None else micros_of("amount", amount)
        async with self.database.write() as connection:
            await set_budget(connection, name, cap_micros, who=who or audit.person(), reason=reason)
        log.info("budget.set", budget=name.words, cap_micros=cap_micros)
        await release_within_budgets(self.database, self.upstream)
        return next(one for one in await self.budgets() if one.name == name)

    async def spend_report(
        self, *, by: str = By.DAY, since: datetime | None = None, until: datetime | None = None
    ) -> SpendReport:
        """
        Where the money went.

        Args:
            by: What the lines are: `day`, `model`, `project`, `tag` or `campaign`.
            since: Aware; default: 30 days before `until`.
            until: Aware; default: now.

        Raises:
            InvalidRequest: No such lines, a naive moment, or `since` is not before `until`.
        """
        lines = _by(by)
        settings = self.settings.spend
        async with self.database.read() as connection:
            now = (await connection.execute(sa.select(now_ms()))).scalar_one()
            end = now + 1 if until is None else _millis("until", until)
            begin = end - spending.WINDOW_MS if since is None else _millis("since", since)
            if begin >= end:
                raise InvalidRequest("since", str(since), "a moment before `until`")
            rows, total = await spending.sums_by(connection, self.upstream, lines, since=begin, until=end)
            rate = await anomaly.rate(connection, self.upstream)
            return SpendReport(
                by=lines,
                since=begin,
                until=end,
                rows=rows,
                total=total,
                rate=rate,
                unusual=rate.is_unusual(
                    factor=settings.anomaly_factor,
                    minimum_micros=micros_of_setting(settings.anomaly_minimum_usd),
                ),
                balance=await balance.estimated_or_none(connection, self.upstream),
            )

    async def spend_check(self) -> list[Difference]:
        """What differs between counters, attempts and jobs; empty where the books agree."""
        async with self.database.read() as connection:
            return await books.check(connection, self.upstream)

    async def estimated_balance(self) -> Balance | None:
        """What the account holds, estimated; None while nobody has stated a balance."""
        async with self.database.read() as connection:
            return await balance.estimated_or_none(connection, self.upstream)

    async def topup(
        self,
        amount: Decimal | str | int | None = None,
        *,
        balance_usd: Decimal | str | int | None = None,
        who: str | None = None,
    ) -> Balance | None:
        """
        Say that the account has money again: by how much it was topped up, or what it holds now.

        Purchases that had stopped for missing credits begin again.

        Args:
            amount: US dollars that were added.
            balance_usd: US dollars that the account holds, as the vendor's page shows.
            who: For the audit log; default: the person at this machine.

        Returns:
            The estimated balance; None while nobody has stated one.

        Raises:
            InvalidRequest: Neither or both were given, or no such amount.
        """
        if (amount is None) is (balance_usd is None):
            raise InvalidRequest("amount", "(neither or both)", "give the amount added, or the balance")
        person = who or audit.person()
        async with self.database.write() as connection:
            if amount is not None:
                micros = micros_of("amount", amount)
                await balance.add_topup(connection, self.upstream, micros, who=person)
            else:
                micros = micros_of("balance", balance_usd or 0)
                await balance.state_balance(connection, self.upstream, micros, who=person)
            if micros:
                await stops.lift(connection, self.upstream, stops.CREDITS, who=person, reason="topped up")
        log.info("balance.stated", added=amount is not None)
        return await self.estimated_balance()


def _by(name: str) -> By:
    try:
        return By(name)
    except ValueError:
        raise InvalidRequest("by", name, f"it is one of {', '.join(By)}") from None


def _millis(field: str, moment: datetime) -> int:
    if moment.tzinfo is None:
        raise InvalidRequest(field, str(moment), "a moment with its time zone")
    return int(moment.timestamp() * 1000)


def micros_of_setting(usd: float) -> int:
    """A setting in millionths; a setting has no more digits than it was written with."""
    return int(Decimal(str(usd)) * MICROS)


async def set_default_cap(database: Database, settings: Settings, upstream: str) -> bool:
    """
    Give a real key a daily cap before anything is bought with it, unless a person has decided about one.

    Returns:
        Whether it was set now.
    """
    base_url = settings.ideogram_base_url
    if settings.uses_emulator or (base_url and is_loopback_host(urlsplit(base_url).hostname or "")):
        return False
    name = BudgetName(upstream=upstream, scope=Scope.DAY)
    cap_micros = micros_of_setting(settings.spend.daily_cap_usd)
    async with database.write() as connection:
        made = await set_budget(connection, name, cap_micros, who=PRESSROOM, reason="default", only_new=True)
    if made:
        log.warning(
            "budget.default",
            budget=name.words,
            cap=dollars(cap_micros),
            advice="`pressroom spend budget day AMOUNT` sets another, `none` lifts it",
        )
    return made
