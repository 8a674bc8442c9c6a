"""Answering a POST to a generate operation."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from starlette.responses import Response

from pressroom.emulator import answers, playing, prices
from pressroom.emulator.bodies import BadBodyError, read_fields
from pressroom.emulator.fields import Field, check
from pressroom.emulator.generations import NEVER, Acceptance, accept
from pressroom.emulator.operations_v1 import V1_OPERATIONS
from pressroom.emulator.operations_v2 import V2_OPERATIONS
from pressroom.emulator.plans import POLICY_REASON, REFUSE_MARKER, plan, sent_prompt

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

    from pressroom.emulator.core import Emulator
    from pressroom.emulator.faults import Fault
    from pressroom.emulator.generations import Generation
    from pressroom.emulator.operations import Operation
    from pressroom.emulator.plans import Plan
    from pressroom.emulator.script import Verdict

OPERATIONS: Final[Mapping[str, Operation]] = {row.path: row for row in (*V1_OPERATIONS, *V2_OPERATIONS)}
"""The imitated operations by path."""

_WEBHOOK_QUERY: Final = (Field("webhook_url", "url"),)
_SAFETY_SENTENCE: Final = "Prompt provided failed safety check due to the inclusion of prohibited content."


class _RefusedError(Exception):
    """The request is declined with this answer."""

    def __init__(self, answer: Response, *, counted: bool = False) -> None:
        super().__init__()
        self.answer = answer
        self.counted = counted


@dataclass(frozen=True, slots=True)
class _Checked:
    values: dict[str, object]
    asynchronous: bool
    key_fingerprint: str


def _scripted_answer(operation: Operation, fault: Fault, verdict: Verdict, limit: int) -> Response:
    """The answer of a fault of manner `status`."""
    params = verdict.params
    if fault.status == 200:
        return answers.json_answer(
            {"error": "The request could not be completed", "status_code": params["status_code"]}
        )
    if fault.status in (502, 504):
        page = f"<html><body><h1>{fault.status}</h1></body></html>"
        return Response(page, fault.status, media_type="text/html")
    retry_after = int(float(str(params["seconds"]))) if "seconds" in params else None
    sentence = _SAFETY_SENTENCE if fault.status == 422 else f"Declined by the fault script: {fault.name}"
    return answers.refusal(
        operation.api,
        fault.status,
        sentence,
        reason=fault.reject_reason,
        inflight_limit=limit,
        retry_after=retry_after,
    )


def _query(request: Request, operation: Operation) -> tuple[dict[str, object], bool]:
    """The query's webhook address and whether a dry run is asked for."""
    names = set(request.query_params)
    allowed = {"webhook_url"} if operation.webhook_query else {"dry_run"} if operation.dry_run else set()
    if unknown := names - allowed:
        sentence = f"{min(unknown)[:60]!r} is not a query parameter of this operation"
        raise _RefusedError(answers.refusal(operation.api, 400, sentence))
    dry_run = request.query_params.get("dry_run", "false")
    if dry_run not in ("true", "false"):
        raise _RefusedError(answers.refusal(operation.api, 400, "dry_run must be true or false"))
    webhook = {"webhook_url": request.query_params["webhook_url"]} if "webhook_url" in names else {}
    return dict(webhook), dry_run == "true"


async def _checked(
    emulator: Emulator, request: Request, operation: Operation, query: dict[str, object]
) -> _Checked:
    key = emulator.accepted_key(request)
    if key is None:
        raise _RefusedError(
            answers.refusal(operation.api, 401, "The Api-Key header is missing or names no valid key")
        )
    try:
        values = read_fields(operation, await request.body(), request.headers.get("content-type", ""))
    except BadBodyError as error:
        raise _RefusedError(answers.refusal(operation.api, error.status, error.sentence)) from None
    problems = (
        check(operation.fields, values),
        check(_WEBHOOK_QUERY, query),
        *(rule(values) for rule in operation.rules),
    )
    if problem := next(filter(None, problems), None):
        raise _RefusedError(answers.refusal(operation.api, 400, problem))
    asked = bool(values.get("async") or values.get("webhook_url"))
    return _Checked(values, operation.mode == "async" or (operation.mode == "flag" and asked), key)


def _altered(made: Plan, verdict: Verdict) -> Plan:
    """The plan with what an outcome fault changes."""
    fault = verdict.outcome
    if fault is None:
        return made
    if fault.name == "unsafe":
        images = verdict.outcome_params["images"]
        return replace(made, unsafe_images=made.num_images if images is None else int(str(images)))
    if fault.name in ("failed_generation", "failed_policy"):
        return replace(made, failure_reason=str(verdict.outcome_params["failure_reason"] or ""))
    return made


def _stuck_s(verdict: Verdict, never: float) -> float | None:
    if verdict.outcome is None or verdict.outcome.name != "stuck_pending":
        return None
    seconds = verdict.outcome_params["seconds"]
    return never if seconds is None else float(str(seconds))


def _buy(emulator: Emulator, operation: Operation, checked: _Checked, verdict: Verdict) -> Generation:
    sent = sent_prompt(checked.values)
    made = plan(operation, checked.values)
    refused = REFUSE_MARKER in sent or (made.failure_reason is not None and not checked.asynchronous)
    if refused:
        raise _RefusedError(answers.refusal(operation.api, 422, _SAFETY_SENTENCE))
    now, settings = time.time(), emulator.settings
    stuck = _stuck_s(verdict, NEVER)
    terms = Acceptance(now, checked.key_fingerprint, emulator.options.seed, settings, stuck)
    generation = accept(emulator.books, _altered(made, verdict), terms)
    if generation is None:
        limit = settings.inflight_limit
        sentence = f"Too many requests in flight; at most {limit} are allowed"
        raise _RefusedError(
            answers.refusal(operation.api, 429, sentence, reason="inflight_limit", inflight_limit=limit),
            counted=True,
        )
    return generation


async def _finished(
    emulator: Emulator, request: Request, operation: Operation, generation: Generation, *, asynchronous: bool
) -> Response | None:
    """The answer to an accepted request in its time; None when the client has left meanwhile."""
    if not asynchronous and not await playing.stays(request.receive, generation.ready_at - time.time()):
        return None
    if not asynchronous and generation.failure_reason is not None:
        policy = generation.failure_reason == POLICY_REASON
        return answers.refusal(
            operation.api, 422 if policy else 500, _SAFETY_SENTENCE if policy else "Generation failed"
        )
    created = emulator.told_time(time.time())
    address = emulator.addresses(request)
    return answers.success(
        generation, operation.shape, asynchronous=asynchronous, created=created, address=address
    )


async def _answered(
    emulator: Emulator, request: Request, operation: Operation, checked: _Checked, verdict: Verdict
) -> Response:
    """Buy, wait where the operation waits, and answer as the script says."""
    generation = _buy(emulator, operation, checked, verdict)
    fault = verdict.answer
    if fault is not None and fault.manner in ("reset", "close", "hang"):
        return playing.spoil(fault.manner, Response(), verdict.params)
    answer = await _finished(emulator, request, operation, generation, asynchronous=checked.asynchronous)
    if answer is None or not await playing.stays(request.receive, verdict.late_s):
        return playing.close()
    if fault is None:
        return answer
    if fault.manner == "status":
        return _scripted_answer(operation, fault, verdict, emulator.settings.inflight_limit)
    return playing.spoil(fault.manner, answer, verdict.params)


def _before_acceptance(
    emulator: Emulator, operation: Operation, name: str, verdict: Verdict
) -> Response | None:
    """The answer of a fault that lets nothing be accepted, counted; None when there is none."""
    fault = verdict.answer
    if fault is None or fault.accepted:
        return None
    emulator.books.count_post(name, f"fault:{fault.name}")
    if fault.manner == "status":
        return _scripted_answer(operation, fault, verdict, emulator.settings.inflight_limit)
    return playing.spoil(fault.manner, Response(), verdict.params)


def _quoted(emulator: Emulator, operation: Operation, checked: _Checked) -> Response:
    emulator.books.count_post(operation.quote_name, "quote")
    quantity = int(str(checked.values.get("num_images", 1)))
    return answers.json_answer(prices.quote(operation.model, checked.values, quantity))


async def generate(emulator: Emulator, request: Request, operation: Operation) -> Response:
    """Answer one POST to a generate operation, and count it."""
    await (
        request.body()
    )  # in full, so that a fault before acceptance never meets a client that is still sending
    name = operation.name
    try:
        query, quote = _query(request, operation)
        name = operation.quote_name if quote else name
        verdict = emulator.decide("post", name, quote=quote)
        if not await playing.stays(request.receive, verdict.delay_s):
            emulator.books.count_post(name, "client_left")
            return playing.close()
        if early := _before_acceptance(emulator, operation, name, verdict):
            return early
        checked = await _checked(emulator, request, operation, query)
        if quote:
            return _quoted(emulator, operation, checked)
        return await _answered(emulator, request, operation, checked, verdict)
    except _RefusedError as refused:
        if not refused.counted:
            emulator.books.count_post(name, str(refused.answer.status_code))
        return refused.answer
