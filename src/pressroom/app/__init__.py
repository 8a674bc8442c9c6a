"""The composition root: builds everything once per process, hands it out, and closes it in order."""

from __future__ import annotations

from pressroom.app.root import App, Outlook, open_app
from pressroom.app.schema import upgrade
from pressroom.app.vendor import EMULATOR

__all__ = ["EMULATOR", "App", "Outlook", "open_app", "upgrade"]
