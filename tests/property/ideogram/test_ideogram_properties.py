import json
from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from pressroom import errors
from pressroom.errors import InvalidRequest, VendorError
from pressroom.ideogram import (
    Acknowledgement,
    Call,
    Generation,
    Image,
    ImageRequest,
    Images,
    PriceQuote,
    Wire,
    route,
    table_price,
)
from pressroom.ideogram.answers import parse_accepted, parse_generation, parse_quote
from pressroom.ideogram.failures import BY_REASON, Answered, Cost, answer_error, classify
from pressroom.ideogram.models import MODELS
from pressroom.ideogram.pictures import Picture, recognise
from pressroom.ideogram.reading import json_object, retry_after_s
from pressroom.ideogram.tables import enums
from pressroom.ideogram.wire import encode

NOW = datetime(2026, 11, 20, tzinfo=UTC)
SECRET = "zebra-umbrella-quartz"
LEGACY = enums.LEGACY_MODELS
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
STATUSES = st.integers(100, 599)
REASONS = st.sampled_from([*BY_REASON, None, "unheard_of", SECRET])
BODIES = st.one_of(
    st.binary(max_size=60),
    st.fixed_dictionaries(
        {},
        optional={
            "error": JSON,
            "message": JSON,
            "reject_reason": JSON | REASONS,
            "status_code": JSON | STATUSES,
            "max_inflight_requests": JSON,
            "task_completion_speed": JSON,
            "data": JSON,
        },
    ).map(lambda body: json.dumps(body).encode()),
)


def maybe(strategy):
    return st.none() | strategy


REQUESTS = st.fixed_dictionaries(
    {"prompt": st.text(max_size=20).map(lambda text: SECRET + text)},
    optional={
        "model": st.sampled_from([*MODELS, *LEGACY, "unknown"]),
        "negative_prompt": st.just(SECRET),
        "style": st.sampled_from([*enums.STYLES_V3, *enums.LEGACY_STYLES]),
        "style_preset": st.sampled_from(enums.STYLE_PRESETS[:5]),
        "style_codes": st.just(["AAFF5733"]),
        "aspect_ratio": st.sampled_from([*enums.RATIOS_V4, "16:9", "ASPECT_3_4", "21x9"]),
        "size": st.sampled_from([*enums.SIZES_LEGACY, *enums.SIZES_V4, "1000x1000", "auto"]),
        "seed": st.integers(-1, 2**31),
        "num_images": st.integers(0, 9),
        "magic_prompt": st.sampled_from(["auto", "ON", "off", "maybe"]),
        "magic_prompt_version": st.sampled_from(enums.MAGIC_PROMPT_VERSIONS),
        "quality": st.sampled_from(
            ["very_low", "turbo", "balanced", "medium", "QUALITY", "very_high", "auto"]
        ),
        "color_palette": st.sampled_from([{"name": "ember"}, {"members": [{"color_hex": "#fff"}]}, {}]),
        "custom_model_uri": st.sampled_from(["model/a/version/b", "a"]),
        "upscale_factor": st.sampled_from(["x1", "x2", "X4"]),
        "output_resolution": st.sampled_from(["1k", "2K", "4k", "8k"]),
        "private": st.booleans(),
        "copyright_detection": st.booleans(),
        "options": st.dictionaries(st.sampled_from(["background", "category_id", "size"]), JSON, max_size=1),
    },
)


@given(STATUSES, REASONS, st.sampled_from(Cost), BODIES)
def test_every_answer_means_exactly_one_error(status, reason, cost, body):
    """Whatever comes back, a paid request is refused only by a 4xx, and a free one never leaves an outcome unknown."""
    kind = classify(status, reason, cost)
    error = answer_error(Answered(status, {}, body, NOW), cost)
    assert issubclass(kind, VendorError)
    if cost is Cost.PAID:
        refused = 400 <= status < 500 and status != 408
        assert refused is issubclass(kind, errors.Refused)
        assert refused or kind is errors.OutcomeUnknown
    else:
        assert not issubclass(kind, errors.OutcomeUnknown)
        assert not isinstance(error, errors.OutcomeUnknown)
    assert SECRET not in str(error)


@given(st.sampled_from(list(BY_REASON)), st.sampled_from([402, 429]), st.sampled_from(Cost))
def test_the_reason_goes_before_the_status(reason, status, cost):
    """On 402 and 429 the machine-readable reason decides alone."""
    assert BY_REASON[reason] is classify(status, reason, cost)


@settings(max_examples=400)
@given(REQUESTS, st.sampled_from(Wire))
def test_a_request_becomes_a_valid_call_or_an_error_without_the_prompt(fields, wire):
    """No third way: a call that fits its table, survives storage and has a price; or an error that names a field."""
    try:
        call = route(ImageRequest(**fields), wire)
    except InvalidRequest as error:
        refused = error
    else:
        refused = None
    if refused is not None:
        assert refused.field
        assert SECRET not in str(refused)
        return
    stored = json.loads(json.dumps(call.to_json()))
    assert call == Call.from_json(stored)
    assert SECRET not in repr(call)
    assert table_price(call).micros > 0
    assert SECRET.encode() in encode(call).content
    sent_seed = call.fields.get("seed")
    assert fields.get("seed") == sent_seed
    assert fields.get("num_images", 1) == call.num_images


@settings(max_examples=300)
@given(REQUESTS)
def test_auto_loses_to_no_single_wire(fields):
    """Whatever one of the model's wires can say with the same model, `auto` can say."""
    fields = {"model": "ideogram-3"} | fields
    try:
        request = ImageRequest(**fields)
    except InvalidRequest:
        return
    possible = []
    for wire in (Wire.V2, Wire.V4, Wire.V3, Wire.LEGACY):
        try:
            possible.append(route(request, wire))
        except InvalidRequest:
            continue
    if possible:
        assert possible[0] == route(request, Wire.AUTO)


@given(JSON)
def test_parsing_makes_a_typed_answer_or_a_value_error(answer):
    """No other exception comes out of anything that is JSON."""
    body = json.dumps(answer).encode()
    for parse, kinds in (
        (parse_accepted, (Images, Acknowledgement)),
        (parse_generation, Generation),
        (parse_quote, PriceQuote),
    ):
        try:
            parsed = parse(json_object(body))
        except ValueError:
            continue
        assert isinstance(parsed, kinds)


@given(
    st.dictionaries(
        st.sampled_from(
            ["url", "prompt", "seed", "resolution", "is_image_safe", "style_type", "asset_id", "x"]
        ),
        JSON,
    )
)
def test_every_picture_survives_storage(item):
    """Whatever fields it came with."""
    image = Image.from_json(item)
    assert image == Image.from_json(json.loads(json.dumps(image.to_json())))
    assert image.expires_at is None or image.expires_at.tzinfo is UTC


HEADS = [b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"RIFF\x10\0\0\0WEBP", b"GIF89a", b"\0\0\0\x10ftypavif", b""]


@given(st.sampled_from(HEADS), st.binary(max_size=80), st.sampled_from([b"", b"\xff\xd9", b";", b"IEND"]))
def test_any_bytes_are_a_picture_or_a_value_error(head, middle, tail):
    """Hostile files cannot crash the check."""
    try:
        picture = recognise(head + middle + tail)
    except ValueError:
        return
    assert isinstance(picture, Picture)
    assert picture.width > 0
    assert picture.height > 0


@given(st.text(max_size=40))
def test_any_retry_after_is_a_wait_or_none(text):
    """Never negative, never an exception."""
    seconds = retry_after_s({"retry-after": text}, NOW)
    assert seconds is None or seconds >= 0
