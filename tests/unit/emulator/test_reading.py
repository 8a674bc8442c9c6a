from __future__ import annotations

import re
from urllib.parse import parse_qs, urlsplit

import pytest

PATH = "/v2/image/generate/ideogram-4"


def buy(vendor, **fields):
    return vendor.post(PATH, json={"prompt": "a cat", "async": True, **fields}).json()["generation_id"]


def test_an_asynchronous_request_is_acknowledged_without_data(vendor):
    """`async` and `webhook_url` both make it so; the id is 22 characters of URL-safe base64."""
    for field in ({"async": True}, {"webhook_url": "https://example.com/hook"}):
        body = vendor.post(PATH, json={"prompt": "a cat", **field}).json()
        assert set(body) == {"generation_id", "seed"}
        assert re.fullmatch(r"[A-Za-z0-9_-]{22}", body["generation_id"])


@pytest.mark.parametrize("path", ["generate", "generate-transparent"])
def test_the_asynchronous_v4_operations_answer_with_an_id_only(vendor, path):
    """They take `webhook_url` in the query and can be polled on /v1."""
    answer = vendor.post(
        f"/v1/ideogram-v4/async/{path}?webhook_url=https://example.com/h", json={"text_prompt": "a"}
    )
    assert set(answer.json()) == {"generation_id"}
    told = vendor.get(f"/v1/generations/{answer.json()['generation_id']}").json()
    assert (told["status"], len(told["data"])) == ("completed", 1)
    assert "object_type" not in told["data"][0]


def test_a_poll_of_a_completed_generation_has_its_images(vendor):
    """As many as asked for, the first with the request's own seed, the others with seeds of their own."""
    told = vendor.get(f"/v2/generations/{buy(vendor, num_images=3, seed=9)}").json()
    assert (told["status"], told["response_type"]) == ("completed", "url")
    seeds = [image["seed"] for image in told["data"]]
    assert seeds[0] == 9
    assert len(set(seeds)) == 3
    again = vendor.get(f"/v2/generations/{buy(vendor, num_images=3, seed=9)}").json()
    assert [image["seed"] for image in again["data"]] == seeds


def test_the_same_request_gives_the_same_pictures(vendor):
    """Two generations with the same model, prompt, seed and size have the same bytes; without a seed others."""

    def pictures(**fields):
        told = vendor.get(f"/v2/generations/{buy(vendor, **fields)}").json()
        return [vendor.get(image["url"]).content for image in told["data"]]

    assert pictures(seed=3, num_images=2) == pictures(seed=3, num_images=2)
    assert pictures() != pictures()


def test_a_generation_is_pending_for_as_long_as_its_latency(emulator, vendor):
    """With a time scale it is pending and in flight; a synchronous request waits for its end."""
    emulator.control.settings(time_scale=1000)
    generation_id = buy(vendor)
    told = vendor.get(f"/v2/generations/{generation_id}").json()
    assert (told["status"], set(told)) == ("pending", {"generation_id", "status", "created"})
    (entry,) = emulator.control.ledger(pictures=False)
    assert entry.ready_at - entry.accepted_at > 1000
    emulator.control.settings(time_scale=0.001)
    assert vendor.post(PATH, json={"prompt": "a"}).status_code == 200
    (_, entry) = emulator.control.ledger(pictures=False)
    assert (entry.state, entry.ready_at > entry.accepted_at) == ("completed", True)


@pytest.mark.parametrize(("poll_id", "status"), [("a" * 22, 404), ("short", 400), ("a" * 21 + "!", 400)])
def test_an_unknown_id_is_404_and_a_malformed_one_400(vendor, poll_id, status):
    """Both generations of the poll path tell them apart."""
    assert vendor.get(f"/v2/generations/{poll_id}").status_code == status
    assert vendor.get(f"/v1/generations/{poll_id}").status_code == status


def test_polls_can_be_limited(emulator, vendor):
    """Over the limit the answer is 429 with Retry-After in seconds."""
    emulator.control.settings(poll_limit_per_s=1)
    generation_id = buy(vendor)
    answers = [vendor.get(f"/v2/generations/{generation_id}") for _ in range(20)]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert refused
    assert refused[0].headers["retry-after"] == "1"


def test_an_address_is_signed_and_names_its_expiry(emulator, vendor):
    """`exp` lies the set life ahead; another image, expiry or signature is 403."""
    emulator.control.settings(url_life_s=600)
    generation_id = buy(vendor, num_images=2)
    url = vendor.get(f"/v2/generations/{generation_id}").json()["data"][0]["url"]
    (entry,) = emulator.control.ledger(pictures=False)
    query = parse_qs(urlsplit(url).query)
    assert 590 < int(query["exp"][0]) - entry.accepted_at < 660
    assert vendor.get(url, headers={"Api-Key": ""}).headers["content-type"] == "image/png"
    later = url.replace(f"exp={query['exp'][0]}", f"exp={int(query['exp'][0]) + 1}")
    forged = (url.replace("-0.png", "-1.png"), later, url[:-1] + "x", url.split("?")[0])
    assert {vendor.get(address).status_code for address in forged} == {403}


def test_an_expired_address_is_403_and_a_poll_gives_a_fresh_one(emulator, vendor):
    """Polling signs anew, unless that is switched off."""
    generation_id = buy(vendor)
    emulator.control.settings(url_life_s=0)
    dead = vendor.get(f"/v2/generations/{generation_id}").json()["data"][0]["url"]
    assert vendor.get(dead).status_code == 403
    emulator.control.settings(url_life_s=600)
    fresh = vendor.get(f"/v2/generations/{generation_id}").json()["data"][0]["url"]
    assert vendor.get(fresh).status_code == 200


def test_addresses_need_not_be_refreshed(emulator, vendor):
    """Switched off, every poll gives the address that lives from the end of the generation on."""
    emulator.control.settings(refresh_urls=False)
    poll = f"/v2/generations/{buy(vendor)}"
    assert vendor.get(poll).json() == vendor.get(poll).json()
    exp = parse_qs(urlsplit(vendor.get(poll).json()["data"][0]["url"]).query)["exp"][0]
    (entry,) = emulator.control.ledger(pictures=False)
    assert int(exp) == int(entry.ready_at + 3600)


def test_a_clock_that_is_off_changes_what_is_told_and_nothing_else(emulator, vendor):
    """`created` and `exp` follow the offset; states, limits and the life of addresses do not."""
    emulator.control.settings(clock_offset_s=-300)
    told = vendor.get(f"/v2/generations/{buy(vendor)}").json()
    (entry,) = emulator.control.ledger(pictures=False)
    exp = int(parse_qs(urlsplit(told["data"][0]["url"]).query)["exp"][0])
    assert 3200 < exp - entry.accepted_at < 3360
    assert (told["status"], vendor.get(told["data"][0]["url"]).status_code) == ("completed", 200)
    assert emulator.control.totals().in_flight.now == 0


def test_an_unsafe_image_has_a_null_an_empty_or_no_address_in_turn(emulator, vendor):
    """HTTP is 200 all the same, and all three shapes come up."""
    body = {"prompt": "a [emulator:unsafe]", "num_images": 3}
    images = vendor.post(PATH, json=body).json()["data"]
    assert [image["is_image_safe"] for image in images] == [False] * 3
    assert {image.get("url", "absent") for image in images} == {None, "", "absent"}
    (entry,) = emulator.control.ledger()
    assert entry.safe == [False] * 3
    assert entry.safe_sha256 == []


def test_a_script_can_make_some_images_unsafe(emulator, vendor):
    """`images` counts them, from the first on."""
    emulator.control.fault("unsafe", params={"images": 2})
    images = vendor.post(PATH, json={"prompt": "a", "num_images": 3}).json()["data"]
    assert [image["is_image_safe"] for image in images] == [False, False, True]


def test_the_safety_check_refuses_a_marked_prompt(emulator, vendor):
    """422 with `error` at once; with the failing marker an asynchronous request is accepted and fails by policy."""
    refused = vendor.post(PATH, json={"prompt": "a [emulator:refuse]", "async": True})
    assert (422, {"error"}) == (refused.status_code, set(refused.json()))
    assert vendor.post(PATH, json={"prompt": "a [emulator:fail]"}).status_code == 422
    assert emulator.control.totals().generations == 0
    told = vendor.get(f"/v2/generations/{buy(vendor, prompt='a [emulator:fail]')}").json()
    assert (told["status"], told["failure_reason"]) == ("failed", "content_policy_violation")


def test_magic_prompt_changes_the_prompt_only_when_it_is_on(vendor):
    """The answer tells the prompt that was used."""
    used = [
        vendor.post(PATH, json={"prompt": "a cat", "magic_prompt": option}).json()["data"][0]["prompt"]
        for option in ("off", "auto", "on")
    ]
    assert used[:2] == ["a cat", "a cat"]
    assert used[2].startswith("a cat, ")


def test_the_older_shapes_have_created_and_style_type(vendor):
    """Legacy and V3 answers carry both; V3 transparent reports the size before and after upscaling."""
    legacy = vendor.post("/generate", json={"image_request": {"prompt": "a", "style_type": "ANIME"}}).json()
    assert (set(legacy), legacy["data"][0]["style_type"]) == ({"created", "data"}, "ANIME")
    v3 = vendor.post("/v1/ideogram-v3/generate", json={"prompt": "a"}).json()["data"][0]
    assert v3["style_type"] == "GENERAL"
    body = {"prompt": "a", "upscale_factor": "X2"}
    image = vendor.post("/v1/ideogram-v3/generate-transparent", json=body).json()["data"][0]
    assert (image["resolution"], image["upscaled_resolution"]) == ("1024x1024", "2048x2048")
    png = vendor.get(image["url"]).content
    assert (int.from_bytes(png[16:20]), b"tRNS" in png) == (2048, True)
