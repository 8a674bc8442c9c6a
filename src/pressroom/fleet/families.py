"""Families of operations: those that fail together and recover together, so that one breaker serves them."""

from __future__ import annotations


def family_of(operation: str) -> str:
    """
    The family of an operation: API generation and action, without the model and the manner of waiting.

    `v2/generate/ideogram-4-5` is of `v2/generate`, `v4/async/generate` of `v4/generate`.
    """
    generation, *rest = operation.split("/")
    return f"{generation}/{rest[0]}" if generation == "v2" else operation.replace("/async/", "/")
