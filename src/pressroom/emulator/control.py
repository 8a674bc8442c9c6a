"""The control path `/_emulator/…`: ledger, fault script, settings, reset. For this machine only."""

from __future__ import annotations

import ipaddress
import json
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Final

from starlette.routing import Route

from pressroom.emulator import generations, ledger
from pressroom.emulator.answers import json_answer
from pressroom.emulator.script import read_rules
from pressroom.emulator.script_input import delete_rules, rule_problem, write_rule
from pressroom.emulator.settings import settings_problem, write_settings

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request
    from starlette.responses import Response

    from pressroom.emulator.core import Emulator

    Handler = Callable[[Emulator, Request], Awaitable[Response]]

CONTROL_PATH: Final = "/_emulator"


class _BadControlError(Exception):
    """The control request is wrong; its argument says how."""


def _from_this_machine(request: Request) -> bool:
    if request.client is None:
        return False
    try:
        peer = ipaddress.ip_address(request.client.host.partition("%")[0])
    except ValueError:  # a peer without an address cannot be known to be this machine
        return False
    mapped = getattr(peer, "ipv4_mapped", None)
    return bool((mapped or peer).is_loopback)


async def _body(request: Request) -> dict[str, object]:
    data = await request.body()
    try:
        body = json.loads(data or b"{}")
    except ValueError:
        raise _BadControlError("the body is not valid JSON") from None
    if not isinstance(body, dict):
        raise _BadControlError("the body must be a JSON object")
    return body


def _flag(request: Request, name: str, *, default: bool) -> bool:
    value = request.query_params.get(name, str(default).lower())
    if value not in ("true", "false"):
        raise _BadControlError(f"{name} must be true or false")
    return value == "true"


def _number(request: Request, name: str, default: int) -> int:
    value = request.query_params.get(name, str(default))
    if not value.lstrip("-").isdecimal():
        raise _BadControlError(f"{name} must be an integer")
    return int(value)


async def _ledger(emulator: Emulator, request: Request) -> Response:
    told = await ledger.entries(
        emulator,
        after=_number(request, "after", 0),
        limit=_number(request, "limit", -1),
        pictures=_flag(request, "pictures", default=True),
        prompts=_flag(request, "prompts", default=False),
    )
    return json_answer({"generations": told, "totals": ledger.totals(emulator)})


async def _totals(emulator: Emulator, _: Request) -> Response:
    return json_answer(ledger.totals(emulator))


async def _read_faults(emulator: Emulator, _: Request) -> Response:
    counts = {row[0]: row[1:] for row in emulator.books.execute("SELECT id, seen, acted FROM fault")}
    rules = [
        {
            **asdict(rule),
            "fault": rule.fault.name,
            "seen": counts[rule.rule_id][0],
            "acted": counts[rule.rule_id][1],
        }
        for rule in read_rules(emulator.books)
        if rule.rule_id in counts
    ]
    return json_answer({"faults": rules})


async def _post_fault(emulator: Emulator, request: Request) -> Response:
    body = await _body(request)
    if problem := rule_problem(body):
        raise _BadControlError(problem)
    return json_answer({"rule_id": write_rule(emulator.books, body, time.time())}, 201)


async def _delete_faults(emulator: Emulator, request: Request) -> Response:
    rule_id = request.path_params.get("rule_id")
    return json_answer({"deleted": delete_rules(emulator.books, rule_id)})


async def _read_settings(emulator: Emulator, _: Request) -> Response:
    settings = asdict(emulator.settings)
    keys = settings.pop("keys")
    return json_answer({**settings, "api_key_fingerprints": None if keys is None else sorted(keys)})


async def _post_settings(emulator: Emulator, request: Request) -> Response:
    body = await _body(request)
    if problem := settings_problem(body):
        raise _BadControlError(problem)
    write_settings(emulator.books, body)
    return await _read_settings(emulator, request)


async def _release(emulator: Emulator, request: Request) -> Response:
    generation_id = (await _body(request)).get("generation_id")
    if generation_id is not None and not isinstance(generation_id, str):
        raise _BadControlError("generation_id must be a string")
    return json_answer({"released": generations.release(emulator.books, generation_id, time.time())})


async def _reset(emulator: Emulator, _: Request) -> Response:
    emulator.books.reset()
    return json_answer({"reset": True})


_HANDLERS: Final[tuple[tuple[str, str, Handler], ...]] = (
    ("GET", "/ledger", _ledger),
    ("GET", "/totals", _totals),
    ("GET", "/faults", _read_faults),
    ("POST", "/faults", _post_fault),
    ("DELETE", "/faults", _delete_faults),
    ("DELETE", "/faults/{rule_id:int}", _delete_faults),
    ("GET", "/settings", _read_settings),
    ("POST", "/settings", _post_settings),
    ("POST", "/release", _release),
    ("POST", "/reset", _reset),
)


def control_routes(emulator: Emulator) -> list[Route]:
    """Routes of the control path."""

    def guarded(handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            if not _from_this_machine(request):
                return json_answer({"message": "the control path answers this machine only"}, 403)
            try:
                return await handler(emulator, request)
            except _BadControlError as error:
                return json_answer({"message": str(error)}, 400)

        return endpoint

    return [
        Route(CONTROL_PATH + path, guarded(handler), methods=[method]) for method, path, handler in _HANDLERS
    ]
