"""
A stand-in for the vendor's API that keeps the books.

It imports nothing of the rest of pressroom, not even its errors: a mistake in the client must not hide in it.
See `docs/emulator.md`.
"""

from pressroom.emulator.app import create_app
from pressroom.emulator.books import BooksVersionError
from pressroom.emulator.faults import FAULTS, Fault
from pressroom.emulator.options import EmulatorOptions
from pressroom.emulator.server import run_embedded, serve

__all__ = ["FAULTS", "BooksVersionError", "EmulatorOptions", "Fault", "create_app", "run_embedded", "serve"]
