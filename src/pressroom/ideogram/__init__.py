"""A typed client for Ideogram's image API; usable alone."""

from __future__ import annotations

from pressroom.ideogram.account import (
    ApiKey,
    BilledUnits,
    Invoice,
    InvoiceItem,
    Usage,
    UsageBucket,
    UsageItem,
    UsageKey,
)
from pressroom.ideogram.answers import (
    Acknowledgement,
    Generation,
    Image,
    Images,
    PriceQuote,
    Status,
    expiry_of,
)
from pressroom.ideogram.call import Call, polling_api
from pressroom.ideogram.client import Ideogram
from pressroom.ideogram.downloads import Download, examine
from pressroom.ideogram.endpoint import BASE_URL, Endpoint, Timeouts, validate_base_url, validate_key
from pressroom.ideogram.models import MODELS, Model
from pressroom.ideogram.operations import JSON, Operation
from pressroom.ideogram.prices import UPPER_BOUND_MICROS, Price, Qualifier, table_price
from pressroom.ideogram.probe import Probe
from pressroom.ideogram.request import (
    DEFAULT_MODEL,
    DEFAULT_MODEL_OF_WIRE,
    ImageRequest,
    Wire,
)
from pressroom.ideogram.routes import route
from pressroom.ideogram.tables import OPERATIONS, operation_named
from pressroom.ideogram.waiting import Waiting
from pressroom.ideogram.wire import FilePart

__all__ = [
    "BASE_URL",
    "DEFAULT_MODEL",
    "DEFAULT_MODEL_OF_WIRE",
    "JSON",
    "MODELS",
    "OPERATIONS",
    "UPPER_BOUND_MICROS",
    "Acknowledgement",
    "ApiKey",
    "BilledUnits",
    "Call",
    "Download",
    "Endpoint",
    "FilePart",
    "Generation",
    "Ideogram",
    "Image",
    "ImageRequest",
    "Images",
    "Invoice",
    "InvoiceItem",
    "Model",
    "Operation",
    "Price",
    "PriceQuote",
    "Probe",
    "Qualifier",
    "Status",
    "Timeouts",
    "Usage",
    "UsageBucket",
    "UsageItem",
    "UsageKey",
    "Waiting",
    "Wire",
    "examine",
    "expiry_of",
    "operation_named",
    "polling_api",
    "route",
    "table_price",
    "validate_base_url",
    "validate_key",
]
