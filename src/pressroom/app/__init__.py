"""The composition root: builds everything once per process, hands it out, and closes it in order."""

from __future__ import annotations

from pressroom.app.recovery import Restored
from pressroom.app.root import App, open_app
from pressroom.app.schema import upgrade
from pressroom.app.vendor import EMULATOR
from pressroom.generation.estimate import Outlook

__all__ = ["EMULATOR", "App", "Outlook", "Restored", "open_app", "upgrade"]
