import json
from email import message_from_bytes

import pytest

from pressroom.errors import InvalidRequest
from pressroom.ideogram import FilePart, ImageRequest, Wire, route
from pressroom.ideogram.wire import encode, poll_target


def parts(outgoing):
    whole = f"Content-Type: {outgoing.content_type}\r\n\r\n".encode() + outgoing.content
    return [
        (
            p.get_param("name", header="content-disposition"),
            p.get("Content-Type"),
            p.get_filename(),
            p.get_payload(decode=True),
        )
        for p in message_from_bytes(whole).get_payload()
    ]


def v3(**fields):
    return route(ImageRequest(prompt="ein Fuchs, süß", **fields), Wire.V3)


def test_structured_parts_carry_their_own_type_and_lists_repeat_their_name():
    """Reference 1.1: JSON parts for palettes, text parts for scalars, one part per item of a list."""
    made = v3(
        color_palette={"members": [{"color_hex": "#ff0000"}]}, style_codes=["AAFF5733", "0133FF57"], seed=5
    )
    got = parts(encode(made, multipart=True))
    assert ("prompt", None, None, "ein Fuchs, süß".encode()) in got
    assert ("seed", None, None, b"5") in got
    assert [content for name, _, _, content in got if name == "style_codes"] == [b"AAFF5733", b"0133FF57"]
    ((_, kind, _, palette),) = [part for part in got if part[0] == "color_palette"]
    assert ("application/json", made.fields["color_palette"]) == (kind, json.loads(palette))


def test_booleans_are_words_in_a_form():
    """True is `true`, as JSON spells it."""
    got = parts(encode(v3(copyright_detection=True), multipart=True))
    assert ("enable_copyright_detection", None, None, b"true") in got


def test_files_make_the_body_multipart():
    """An operation that takes either becomes multipart once a file travels; names cannot break out of their header."""
    file = FilePart("style_reference_images", 'a"\r\nX: y.png', b"\x89PNG\r\n--", "image/png")
    (part,) = [part for part in parts(encode(v3(), files=[file])) if part[0] == "style_reference_images"]
    assert part[1:] == ("image/png", "a%22%0D%0AX: y.png", b"\x89PNG\r\n--")


def test_without_files_the_body_is_json():
    """Either means JSON by default."""
    assert encode(v3()).content_type == "application/json"


def test_outgoing_requests_do_not_print_their_content():
    """A prompt in a debugger's log is a leak too."""
    assert "Fuchs" not in repr(encode(v3()))


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ("a/b c", "/v2/generations/a%2Fb%20c"),
        ("Ab-_9", "/v2/generations/Ab-_9"),
        ("?x=1#y", "/v2/generations/%3Fx%3D1%23y"),
    ],
)
def test_an_id_cannot_leave_its_path_segment(given, path):
    """It is percent-encoded whole."""
    assert path == poll_target("v2", given).target


@pytest.mark.parametrize(
    ("api", "given"), [("v2", ""), ("v2", ".."), ("v2", "a\nb"), ("v3", "a"), ("legacy", "a")]
)
def test_an_id_that_cannot_be_one_is_not_asked_for(api, given):
    """Nor is there a polling path for every API."""
    with pytest.raises(InvalidRequest):
        poll_target(api, given)
