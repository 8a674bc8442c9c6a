"""Settings: where they come from, which source wins, what is said when one is wrong, and what is never shown."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest
from pydantic import SecretStr

from pressroom.errors import InvalidSettings
from pressroom.settings import Settings, environment_name, misspelt_names, setting_paths

SECRET = "sk-do-not-show-2718281828"


@pytest.fixture
def toml(tmp_path):
    def write(text):
        (tmp_path / "pressroom.toml").write_text(text)

    return write


def test_without_anything_set_the_embedded_emulator_is_used():
    """A first try costs nothing."""
    settings = Settings.load()

    assert settings.uses_emulator
    assert Path("pressroom-data") == settings.home


def test_arguments_win_over_the_environment_and_that_over_the_file(monkeypatch, toml):
    """The order that the module states."""
    toml('project = "file"\nhome = "from-file"\n[fleet]\nconcurrency = 3\nbeat_s = 9.0\n')
    monkeypatch.setenv("PRESSROOM_PROJECT", "environment")
    monkeypatch.setenv("PRESSROOM_FLEET__CONCURRENCY", "4")
    settings = Settings.load(project="argument")

    assert ("argument", Path("from-file")) == (settings.project, settings.home)
    assert (settings.fleet.concurrency, settings.fleet.beat_s) == (4, 9.0)
    assert Settings.load().project == "environment"


def test_an_argument_for_one_of_a_group_leaves_the_others_to_the_environment(monkeypatch):
    """Groups are merged field by field."""
    monkeypatch.setenv("PRESSROOM_FLEET__BEAT_S", "7")
    settings = Settings.load(fleet={"concurrency": 2})

    assert (settings.fleet.concurrency, settings.fleet.beat_s) == (2, 7.0)


SPECIAL = {
    "beat_s": "1.5",
    "dead_after_s": "70.5",  # with fresh_s they have an order
    "wire": "v2",
    "level": "debug",
    "choice": "placeholder",
    "uncertain": "ask",
    "cut": "0.7",
    "rate": "0.7",
    "near_share": "0.7",  # shares
    "ideogram_fallback": "true",
    "ideogram_enabled": "true",
    "ideogram_concurrency": "7",
    "rate_limit_mode": "reject",
}
"""Values of settings that do not take every number, or every word."""


def test_every_setting_can_be_given_in_the_environment(monkeypatch):
    """The name that messages and docs give is the name that is read, for each of them."""
    texts = {"url": "http://127.0.0.1:1", "path": "/tmp/x"}
    for path, (default, _) in setting_paths().items():
        name = environment_name(path)
        value = {bool: "true", int: "7", float: "7.5"}.get(type(default), "")
        value = SPECIAL.get(path[-1], value) or "json"
        if path[-1] not in SPECIAL and (default is None or isinstance(default, Path)):
            value = texts["url"] if "url" in path[-1] else texts["path"]
        monkeypatch.setenv(name, value)
        found = Settings.load()
        for part in path:
            found = getattr(found, part)
        shown = found.get_secret_value() if isinstance(found, SecretStr) else str(found).lower()
        assert value == shown, name
        monkeypatch.delenv(name)


@pytest.mark.parametrize("name", ["IDEOGRAM_API_KEY", "IDEOGRAM_API_KEY_FILE", "IDEOGRAM_BASE_URL"])
def test_an_empty_variable_is_not_set(monkeypatch, name):
    """`export NAME=` is the shell's way to take it away."""
    monkeypatch.setenv(name, "")

    assert Settings.load().uses_emulator


@pytest.mark.parametrize("name", ["IDEOGRAM_API_KEY", "IDEOGRAM_API_KEY_FILE", "IDEOGRAM_BASE_URL"])
def test_whatever_names_a_vendor_ends_the_emulator(monkeypatch, name):
    """A named key file that is missing is an error later, and never a silent emulator."""
    monkeypatch.setenv(name, "http://127.0.0.1:1")

    assert not Settings.load().uses_emulator


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("PRESSROOM_FLEET__CONCURRENCY", "0", "greater than or equal to 1"),
        ("PRESSROOM_FLEET__BEAT_S", "-1", "greater than 0"),
        ("PRESSROOM_FLEET__BEAT_S", "soon", "valid number"),
        ("PRESSROOM_GENERATION__WIRE", "v5", "'auto', 'v2', 'v4', 'v3' or 'legacy'"),
        ("PRESSROOM_LOG__LEVEL", "loud", "'debug'"),
        ("PRESSROOM_FLEET__CONCURENCY", "3", "not permitted"),
    ],
)
def test_a_wrong_value_is_named_with_what_it_takes(monkeypatch, name, value, words):
    """By the variable's own name, and with the page that lists them all."""
    monkeypatch.setenv(name, value)
    with pytest.raises(InvalidSettings) as caught:
        Settings.load()

    assert name in str(caught.value)
    assert words in str(caught.value)
    assert "docs/settings.md" in str(caught.value)


def test_all_that_is_wrong_is_told_at_once(monkeypatch):
    """Not one by one."""
    monkeypatch.setenv("PRESSROOM_FLEET__CONCURRENCY", "0")
    monkeypatch.setenv("PRESSROOM_CLIENT__POLL_S", "0")
    with pytest.raises(InvalidSettings, match=r"CLIENT__POLL_S.*FLEET__CONCURRENCY"):
        Settings.load()


@pytest.mark.parametrize("text", ["[fleet\n", "colour = 'red'\n", "[fleet]\ncolour = 'red'\n", "fleet = 3\n"])
def test_a_file_that_cannot_be_used_is_said_to_be(toml, text):
    """Neither TOML's error nor pydantic's escapes."""
    toml(text)
    with pytest.raises(InvalidSettings):
        Settings.load()


def test_a_file_that_cannot_be_read_is_said_to_be(tmp_path):
    """Bytes that are no text, or a folder in its place."""
    (tmp_path / "pressroom.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InvalidSettings):
        Settings.load()


def test_a_group_given_as_text_is_said_to_be_wrong(monkeypatch):
    """`PRESSROOM_FLEET=3` means nothing."""
    monkeypatch.setenv("PRESSROOM_FLEET", "3")
    with pytest.raises(InvalidSettings):
        Settings.load()


@pytest.mark.parametrize(
    ("name", "value"),
    [("PRESSROOM_FLEETS__BEAT_S", "1"), ("PRESSROOM_DATABASEURL", "x"), ("PRESSROOM_PROJEKT", "x")],
)
def test_a_misspelt_variable_is_found(monkeypatch, name, value):
    """It cannot be refused: an orchestrator sets variables of its own under our prefix."""
    monkeypatch.setenv(name, value)

    assert list(misspelt_names()) == [name]


def test_an_orchestrators_variables_are_left_alone(monkeypatch):
    """Kubernetes sets these for a service that is called pressroom."""
    monkeypatch.setenv("PRESSROOM_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("PRESSROOM_PORT_8080_TCP_ADDR", "10.0.0.1")

    assert misspelt_names() == {}


def test_settings_do_not_change():
    """They are read once and passed on."""
    settings = Settings.load()
    for holder, name in ((settings, "project"), (settings.fleet, "concurrency")):
        with pytest.raises(ValueError, match="frozen"):
            setattr(holder, name, 1)


SECRET_SETTINGS = [
    path
    for path in setting_paths()
    if ("key" in path[-1] or "token" in path[-1]) and not path[-1].endswith("_s")  # seconds are no secret
] + [("database_url",)]


@pytest.mark.parametrize("path", SECRET_SETTINGS, ids="/".join)
def test_a_secret_is_in_no_text(monkeypatch, path):
    """Neither in `repr` nor in `str`, nor in a dump as JSON."""
    if path[-1] == "ideogram_api_key_file":
        pytest.skip("the path of a key file is no secret")
    monkeypatch.setenv(environment_name(path), f"postgresql://u:{SECRET}@h/d")
    settings = Settings.load()
    shown = f"{settings!r} {settings} {settings.model_dump_json()}"

    assert SECRET not in shown


def test_a_wrong_secret_is_not_quoted(monkeypatch, toml):
    """An error says which setting, never what stood there."""
    for text in (f"[storage]\nsecret_access_key = ['{SECRET}']\n", f"storage = '{SECRET}'\n"):
        toml(text)
        with pytest.raises(InvalidSettings) as caught:
            Settings.load()
        assert SECRET not in f"{caught.value!r} {caught.value} {caught.value.__cause__}"
        assert caught.value.__suppress_context__


def test_a_broken_file_is_not_quoted(toml):
    """A secret may stand on the line that TOML cannot read."""
    toml(f"ideogram_api_key = {SECRET}\n")
    with pytest.raises(InvalidSettings) as caught:
        Settings.load()

    assert SECRET not in str(caught.value)


def test_the_key_comes_from_its_variable_first(monkeypatch, tmp_path):
    """Then from its file, without the newline that editors add."""
    (tmp_path / "key").write_text("from-file\n")
    monkeypatch.setenv("IDEOGRAM_API_KEY_FILE", str(tmp_path / "key"))
    assert Settings.load().api_key() == "from-file"
    monkeypatch.setenv("IDEOGRAM_API_KEY", "from-variable")
    assert Settings.load().api_key() == "from-variable"


def test_a_key_file_is_read_again_when_it_changes(monkeypatch, tmp_path):
    """A mounted secret is replaced while the process runs."""
    key = tmp_path / "key"
    key.write_text("old")
    monkeypatch.setenv("IDEOGRAM_API_KEY_FILE", str(key))
    settings = Settings.load()
    assert settings.api_key() == "old"
    key.write_text("new")

    assert settings.api_key() == "new"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "FileNotFoundError"),
        (b"", "is empty"),
        (b" \n\n", "is empty"),
        (b"\xff\xfe", "UnicodeDecodeError"),
    ],
)
def test_a_key_file_that_holds_no_key_is_named(monkeypatch, tmp_path, content, words):
    """With its path and what is wrong with it."""
    key = tmp_path / "key"
    if content is not None:
        key.write_bytes(content)
    monkeypatch.setenv("IDEOGRAM_API_KEY_FILE", str(key))
    with pytest.raises(InvalidSettings) as caught:
        Settings.load().api_key()

    assert "IDEOGRAM_API_KEY_FILE" in str(caught.value)
    assert str(key) in str(caught.value)
    assert words in str(caught.value)


def test_a_folder_in_place_of_the_key_file_is_named(monkeypatch, tmp_path):
    """Container runtimes make one where the mounted file is missing."""
    monkeypatch.setenv("IDEOGRAM_API_KEY_FILE", str(tmp_path))
    with pytest.raises(InvalidSettings, match="cannot be read"):
        Settings.load().api_key()


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every file")
def test_a_key_file_without_permission_is_named(monkeypatch, tmp_path):
    """Told by the kind of the operating system's error."""
    key = tmp_path / "key"
    key.write_text("x")
    key.chmod(0)
    monkeypatch.setenv("IDEOGRAM_API_KEY_FILE", str(key))
    with pytest.raises(InvalidSettings, match="PermissionError"):
        Settings.load().api_key()


def test_no_key_at_all_is_said_with_both_names(monkeypatch):
    """A base URL alone does not buy."""
    monkeypatch.setenv("IDEOGRAM_BASE_URL", "http://127.0.0.1:1")
    with pytest.raises(InvalidSettings, match="IDEOGRAM_API_KEY or IDEOGRAM_API_KEY_FILE"):
        Settings.load().api_key()


def test_every_setting_says_what_it_is():
    """Times name their unit, in the name and in the words."""
    for path, (_, description) in setting_paths().items():
        assert description.endswith((".", "com", "images", "home")), path
        if path[-1].endswith("_s"):
            assert "econds" in description, path


def test_settings_survive_a_pickle():
    """They may travel to a process of the same user."""
    settings = Settings.load(project="p")

    assert settings == pickle.loads(pickle.dumps(settings))


@pytest.mark.parametrize(
    "wrong",
    [
        {"beat_s": 10.0, "fresh_s": 10.0},
        {"fresh_s": 20.0, "dead_after_s": 20.0},
        {"beat_s": 30.0, "fresh_s": 10.0, "dead_after_s": 20.0},
    ],
)
def test_a_worker_knows_that_it_is_stale_before_others_bury_it(wrong):
    """Else it could buy after its work was handed on."""
    with pytest.raises(InvalidSettings, match="beat_s must be below fresh_s, and fresh_s below dead_after_s"):
        Settings.load(fleet=wrong)


@pytest.mark.parametrize("name", ["IDEOGRAM_FALLBACK", "IDEOGRAM_CONCURRENCY", "RATE_LIMIT_MODE"])
def test_a_wrong_value_of_the_documents_variables_names_the_variable(monkeypatch, name):
    """As it stands in the environment, without a prefix of ours."""
    monkeypatch.setenv(name, "perhaps")
    with pytest.raises(InvalidSettings, match=f"^{name}: "):
        Settings.load()
