"""Every setting, with its unit, default and reason. Nothing else in pressroom reads the environment.

Sources, strongest first: arguments, environment, `pressroom.toml` in the working directory, defaults. A group's field
is `PRESSROOM_<GROUP>__<NAME>` in the environment and `[group] name` in the file.
"""

from __future__ import annotations

import difflib
import logging
import os
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from pressroom.errors import InvalidSettings

log = logging.getLogger(__name__)

SETTINGS_FILE = "pressroom.toml"

Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]


class Group(BaseModel):
    """A group of settings; an unknown name in it is an error, not a silent nothing."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ClientSettings(Group):
    """How the vendor is spoken to."""

    connect_s: Positive = Field(5.0, description="Seconds to connect.")
    async_post_s: Positive = Field(
        20.0, description="Seconds for the answer of an asynchronous POST, which only acknowledges."
    )
    sync_post_s: Positive = Field(
        180.0,
        description="Seconds for a synchronous picture; at least 60 on a public host (vendor's advice).",
    )
    pool_s: Positive = Field(10.0, description="Seconds to wait for a free connection.")
    poll_s: Positive = Field(20.0, description="Seconds for a poll, a quote or a probe.")
    download_read_s: Positive = Field(20.0, description="Seconds of silence while a picture comes.")
    download_s: Positive = Field(120.0, description="Seconds for a picture from its first to its last byte.")
    download_limit_bytes: Count = Field(
        64 * 1024 * 1024, description="Bytes. A larger picture is refused; 8K PNGs stay well below it."
    )
    max_connections: Count = Field(64, description="Connections to the vendor at most, in one process.")


class EmulatorSettings(Group):
    """The embedded stand-in for the vendor, used when neither key nor base URL is set."""

    time_scale: float = Field(
        0.2, ge=0, description="Factor on the imitated latency; 1 is the vendor's pace, 0 answers at once."
    )
    url_life_s: Positive = Field(3600.0, description="Seconds that a result address lives.")
    inflight_limit: Count = Field(10, description="Requests in flight before it answers 429.")


class FleetSettings(Group):
    """Workers, their leases, and the one limit they share."""

    concurrency: Count = Field(
        8, description="Paid requests in flight at most, over all workers of one vendor account."
    )
    account_limit: Count = Field(
        10, description="The vendor's own limit; never exceeded, whatever concurrency says."
    )
    runs_per_worker: Count = Field(
        64,
        description="Runs in one process at most, including those that only poll, download or wait for storage.",
    )
    beat_s: Positive = Field(5.0, description="Seconds between two beats of a worker's lease.")
    dead_after_s: Positive = Field(
        20.0, description="Seconds a lease may stand still before its worker counts as dead."
    )
    fresh_s: Positive = Field(
        10.0, description="Seconds. No purchase starts when the last good beat is older."
    )
    dispatch_every_s: Positive = Field(
        0.05, description="Seconds between two looks for work when nothing wakes us."
    )
    refused_trial_s: Positive = Field(
        300.0, description="Seconds between two trials after the vendor refused key, credits or quota."
    )
    interactive_weight: Positive = Field(
        4.0, description="Turns of interactive jobs for each turn of a batch job of the same project."
    )
    switch_cache_s: Positive = Field(
        1.0, description="Seconds that a process may go by a switch as it last read it."
    )
    key_look_s: Positive = Field(1.0, description="Seconds between two looks at the key's file.")
    key_trial_s: Positive = Field(
        30.0, description="Seconds between two free probes of a key that was refused."
    )
    tidy_s: Positive = Field(60.0, description="Seconds between two looks for leftovers on a worker's spool.")
    slot_life_s: Positive = Field(
        200.0,
        description="Seconds after sending when the slot of an attempt without a known id is freed; no request lasts longer.",
    )
    drain_s: Positive = Field(30.0, description="Seconds that running work gets to finish after SIGTERM.")

    @model_validator(mode="after")
    def _in_order(self) -> FleetSettings:
        """A worker must notice that its own lease is stale before others take it for dead."""
        if not self.beat_s < self.fresh_s < self.dead_after_s:
            raise ValueError("beat_s must be below fresh_s, and fresh_s below dead_after_s")
        return self


class LimitSettings(Group):
    """How the in-flight limit follows what the vendor answers."""

    cut: float = Field(
        0.5,
        gt=0,
        lt=1,
        description="Factor on the requests in flight after a refusal; others may use the same key.",
    )
    raise_s: Positive = Field(
        6.0, description="Seconds until the limit grows by one again; from 1 to 8 in 42 s."
    )
    many: Count = Field(
        5, description="More refusals than this in a row are sustained (the documents' number)."
    )
    many_s: Positive = Field(30.0, description="Seconds that they must last, without a success between.")
    calm: Count = Field(3, description="Concurrency after sustained refusals (the documents' number).")
    calm_s: Positive = Field(900.0, description="Seconds that this switch stays set.")


class BreakerSettings(Group):
    """When purchases stop because the vendor fails, and how they begin again."""

    failures: Count = Field(5, description="Failures in a row that open it.")
    rate: float = Field(0.5, gt=0, le=1, description="Share of failures in the window that opens it.")
    window_s: Positive = Field(60.0, description="Seconds that the share is taken over.")
    minimum: Count = Field(10, description="Attempts in the window below which the share says nothing.")
    trial_s: Positive = Field(
        30.0, description="Seconds before the first trial; doubles with each that fails."
    )
    trial_max_s: Positive = Field(600.0, description="Seconds. Longest wait between two trials.")
    uncertain_trials: Count = Field(
        5,
        description="Trials with an unknown outcome after which they become rare: each may have cost money.",
    )
    uncertain_trial_s: Positive = Field(3600.0, description="Seconds between those rare trials.")
    probe_s: Positive = Field(10.0, description="Seconds between two free probes while it is open.")


class SpendSettings(Group):
    """Money."""

    daily_cap_usd: float = Field(
        25.0,
        ge=0,
        description="US dollars a day on a real key until `pressroom spend budget day` says otherwise.",
    )
    near_share: float = Field(0.8, gt=0, lt=1, description="Share of a budget at which people are told.")
    table_margin: float = Field(
        0.2, ge=0, description="Share reserved on top of a price from the table, which may be out of date."
    )
    anomaly_factor: float = Field(
        3.0, gt=1, description="Times the usual rate at which spending is told to be unusual."
    )
    anomaly_minimum_usd: Positive = Field(
        1.0, description="US dollars in the last hour below which nothing is unusual."
    )


class FallbackSettings(Group):
    """What a request gets while the vendor cannot be asked."""

    choice: Literal["wait", "placeholder", "fail"] = Field(
        "wait", description="For a request and a project that do not say."
    )
    placeholder_life_s: Positive = Field(
        86400.0,
        description="Seconds after which a job that got a placeholder and was not bought is cancelled.",
    )
    backfill_inflight: Count = Field(
        2,
        description="Purchases in flight at most that replace placeholders, so that new requests come first.",
    )


class GenerationSettings(Group):
    """One job's way through the vendor."""

    wire: Literal["auto", "v2", "v4", "v3", "legacy"] = Field(
        "auto", description="Which generation of the vendor's API carries a request that does not say."
    )
    uncertain: Literal["ask", "buy_again"] = Field(
        "ask", description="Who decides about a purchase nobody knows the outcome of: a person, or time."
    )
    buy_again_after_s: Positive = Field(
        900.0,
        description="Seconds before `buy_again` writes it off as spent; more than lease and POST can last.",
    )
    attempts: Count = Field(
        3, description="Generations that the vendor may accept and fail before the job fails."
    )
    backoff_s: Positive = Field(2.0, description="Seconds before the first repeat; doubles each time.")
    backoff_max_s: Positive = Field(300.0, description="Seconds. Longest wait between two repeats.")
    poll_first_s: Positive = Field(
        1.0, description="Seconds before the first poll while a model's usual time is not yet known."
    )
    poll_every_s: Positive = Field(
        0.5, description="Seconds between polls until the model's slowest usual time."
    )
    poll_max_s: Positive = Field(30.0, description="Seconds. Longest wait between two polls.")
    pending_limit_s: Positive = Field(
        900.0, description="Seconds. A generation pending for longer becomes uncertain and frees its slot."
    )
    lost_id_s: Positive = Field(
        60.0, description="Seconds that an unknown generation id is asked for before it is uncertain."
    )
    home_patience_s: Positive = Field(
        300.0,
        description="Seconds that one run keeps trying to bring a picture home before it lets others have a turn.",
    )
    download_tries: Count = Field(
        5, description="Tries at one picture that arrives broken before it counts as missing."
    )
    quote_s: Positive = Field(
        2.0, description="Seconds for a price quote; without one the price table is used."
    )
    quote_life_s: Positive = Field(86400.0, description="Seconds that a price quote is believed.")


class StorageSettings(Group):
    """Where pictures are kept."""

    cdn_base_url: str | None = Field(
        None, description="Public address in front of the store, e.g. https://img.example.com"
    )
    address_life_s: Positive = Field(
        3600.0, description="Seconds that a signed address lives; it is minted on each read."
    )
    spool_reserve_bytes: int = Field(
        512 * 1024 * 1024, ge=0, description="Bytes of disk that stay free; below it no purchase starts."
    )
    spool_keep_s: float = Field(
        3600.0,
        ge=0,
        description="Seconds that files of ended jobs stay on the spool after a crash left them there.",
    )
    endpoint: str | None = Field(
        None, description="Address of an S3-compatible store (R2, MinIO); default: the cloud's own."
    )
    region: str | None = Field(None, description="Region of the bucket; `auto` on R2.")
    access_key_id: SecretStr | None = Field(None, description="S3; default: the provider's own environment.")
    secret_access_key: SecretStr | None = Field(None, description="S3, together with the access key id.")
    session_token: SecretStr | None = Field(None, description="S3, with temporary credentials only.")
    service_account_key: SecretStr | None = Field(
        None, description="GCS: the JSON text of a service account."
    )
    account_name: str | None = Field(None, description="Azure storage account.")
    account_key: SecretStr | None = Field(None, description="Azure storage account key.")
    sas_token: SecretStr | None = Field(None, description="Azure; such a token cannot sign addresses.")
    allow_http: bool = Field(False, description="Plain http to hosts other than loopback.")
    max_retries: int = Field(
        2, ge=0, description="Repeats inside one request to the store; the run repeats beyond that."
    )
    retry_timeout_s: Positive = Field(
        60.0, description="Seconds after which no repeat inside one request starts."
    )
    connect_timeout_s: Positive = Field(5.0, description="Seconds to reach the store.")
    read_timeout_s: Positive = Field(
        20.0, description="Seconds without a byte before a connection counts as stalled."
    )
    request_timeout_s: Positive = Field(120.0, description="Seconds for one whole request to the store.")


class DatabaseSettings(Group):
    """How the database is used."""

    busy_s: Positive = Field(5.0, description="Seconds that a write waits for another one on SQLite.")
    pool: Count = Field(8, description="Connections of one process to Postgres, apart from the engine's.")
    engine_pool: Count = Field(4, description="Connections of the engine to Postgres; SQLite always gets 2.")
    patience_s: Positive = Field(
        2.0, description="Seconds. Longest wait between two tries while the database is away."
    )
    silent_s: Positive = Field(
        10.0,
        description="Seconds after which Postgres ends a transaction of ours that stands still, as of a paused process.",
    )


class EngineSettings(Group):
    """The durable engine."""

    poll_s: Positive = Field(
        0.02, description="Seconds between two looks into the queue; this is what a run's start costs."
    )


class LogSettings(Group):
    """Logs, always without prompts and keys."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        "warning", description="Least severe event that is written."
    )
    format: Literal["text", "json"] = Field("text", description="Lines for people or for programs.")


class Settings(BaseSettings):
    """
    Everything that can be set. Frozen; read once at start and passed on.

    Raises:
        InvalidSettings: From `load`, naming the setting and what it takes; never a secret's value.
    """

    model_config = SettingsConfigDict(
        env_prefix="PRESSROOM_",
        env_nested_delimiter="__",
        toml_file=SETTINGS_FILE,
        frozen=True,
        extra="forbid",
        populate_by_name=True,
    )

    home: Path = Field(
        Path("pressroom-data"),
        description="Folder of the SQLite file, the spool, local pictures and the emulator's books.",
    )
    database_url: SecretStr | None = Field(
        None, description="sqlite:///path or postgresql://…; default: a file in home."
    )
    storage_url: str | None = Field(
        None, description="file:, s3://, gs://, az:// or memory:; default: home/images."
    )
    ideogram_api_key: SecretStr | None = Field(
        None, validation_alias="IDEOGRAM_API_KEY", description="The vendor's key."
    )
    ideogram_api_key_file: Path | None = Field(
        None,
        validation_alias="IDEOGRAM_API_KEY_FILE",
        description="A file that holds the key, as mounted secrets do.",
    )
    ideogram_base_url: str | None = Field(
        None,
        validation_alias="IDEOGRAM_BASE_URL",
        description="The vendor's address; plain http to loopback only.",
    )
    ideogram_fallback: bool | None = Field(
        None,
        validation_alias="IDEOGRAM_FALLBACK",
        description="Sets the switch mode to fallback or live, once when it differs from the value last seen.",
    )
    ideogram_enabled: bool | None = Field(
        None,
        validation_alias="IDEOGRAM_ENABLED",
        description="Sets the switch mode to live or disabled, once when it differs from the value last seen.",
    )
    ideogram_concurrency: int | None = Field(
        None,
        ge=1,
        validation_alias="IDEOGRAM_CONCURRENCY",
        description="Sets the switch concurrency, once when it differs from the value last seen.",
    )
    rate_limit_mode: Literal["queue", "reject"] | None = Field(
        None,
        validation_alias="RATE_LIMIT_MODE",
        description="Sets the switch rate_limit_mode, once when it differs from the value last seen.",
    )
    project: str = Field("default", description="Project that a request belongs to when it does not say.")
    client: ClientSettings = ClientSettings()
    emulator: EmulatorSettings = EmulatorSettings()
    fleet: FleetSettings = FleetSettings()
    limit: LimitSettings = LimitSettings()
    breaker: BreakerSettings = BreakerSettings()
    spend: SpendSettings = SpendSettings()
    fallback: FallbackSettings = FallbackSettings()
    generation: GenerationSettings = GenerationSettings()
    storage: StorageSettings = StorageSettings()
    database: DatabaseSettings = DatabaseSettings()
    engine: EngineSettings = EngineSettings()
    log: LogSettings = LogSettings()

    @model_validator(mode="after")
    def _late_answers_first(self) -> Settings:
        """Before time writes a purchase off, every answer that could still come must have come."""
        client, wait_s = self.client, self.generation.buy_again_after_s
        longest_s = self.fleet.dead_after_s + client.connect_s + max(client.sync_post_s, client.async_post_s)
        if self.generation.uncertain == "buy_again" and wait_s <= longest_s:
            raise ValueError(
                f"PRESSROOM_GENERATION__BUY_AGAIN_AFTER_S ({wait_s:g}) must exceed PRESSROOM_FLEET__DEAD_AFTER_S, "
                f"PRESSROOM_CLIENT__CONNECT_S and the longest POST together ({longest_s:g})"
            )
        return self

    @field_validator(
        "ideogram_api_key",
        "ideogram_api_key_file",
        "ideogram_base_url",
        "ideogram_fallback",
        "ideogram_enabled",
        "ideogram_concurrency",
        "rate_limit_mode",
        mode="before",
    )
    @classmethod
    def _unset(cls, value: object) -> object:
        """An empty variable is the shell's way of not setting it."""
        return None if value == "" else value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments, environment, file; no `.env` file, which is where keys leak from."""
        del dotenv_settings, file_secret_settings
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)

    @classmethod
    def load(cls, **values: object) -> Settings:
        """
        Read all sources once.

        Args:
            values: Settings that win over every source, by field name.

        Raises:
            InvalidSettings: A value cannot be used.
        """
        try:
            return cls(**values)  # type: ignore[arg-type]
        except ValidationError as error:
            raise InvalidSettings(_explain(error)) from None
        except (SettingsError, ValueError, OSError) as error:
            raise InvalidSettings(f"settings cannot be read: {error}") from None

    @property
    def uses_emulator(self) -> bool:
        """True when nothing says which vendor to use, so the embedded emulator stands in."""
        return not (self.ideogram_api_key or self.ideogram_api_key_file or self.ideogram_base_url)

    def api_key(self) -> str:
        """
        The vendor's key.

        Raises:
            InvalidSettings: None is set, or the key file is missing, unreadable or empty.
        """
        if self.ideogram_api_key is not None:
            return self.ideogram_api_key.get_secret_value()
        if self.ideogram_api_key_file is None:
            raise InvalidSettings("no key for the vendor: set IDEOGRAM_API_KEY or IDEOGRAM_API_KEY_FILE")
        path = self.ideogram_api_key_file
        try:
            key = path.read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidSettings(
                f"IDEOGRAM_API_KEY_FILE: {path} cannot be read ({type(error).__name__}); name a readable file"
            ) from None
        if not key:
            raise InvalidSettings(f"IDEOGRAM_API_KEY_FILE: {path} is empty; put the key into it")
        return key


def _explain(error: ValidationError) -> str:
    """One line per wrong setting, without the values: one of them may be a secret."""
    lines = []
    for problem in error.errors(include_input=False, include_url=False, include_context=False):
        said = problem["msg"].removeprefix("Value error, ")
        place = tuple(str(part) for part in problem["loc"])
        about_one = bool(place)  # else about several of them, which the message names
        lines.append(f"{environment_name(place)}: {said}" if about_one else said)
    return "; ".join(lines) + f"; see docs/settings.md (environment or {SETTINGS_FILE})"


def environment_name(path: tuple[str, ...]) -> str:
    """The environment variable of a setting, e.g. `("fleet", "beat_s")` -> `PRESSROOM_FLEET__BEAT_S`."""
    if path[0] in {field.validation_alias for field in Settings.model_fields.values()}:
        return path[0]
    alias = Settings.model_fields[path[0]].validation_alias if path[0] in Settings.model_fields else None
    return alias if isinstance(alias, str) else "PRESSROOM_" + "__".join(path).upper()


def setting_paths() -> dict[tuple[str, ...], tuple[object, str]]:
    """Every setting's path with its default and description, in order; what docs/settings.md must list."""
    found: dict[tuple[str, ...], tuple[object, str]] = {}
    for name, field in Settings.model_fields.items():
        if isinstance(field.default, Group):
            for inner, inner_field in type(field.default).model_fields.items():
                found[name, inner] = (inner_field.default, inner_field.description or "")
        else:
            found[(name,)] = (field.default, field.description or "")
    return found


def misspelt_names() -> dict[str, str]:
    """
    Variables that look like one of ours and are not, with what was probably meant.

    They are pointed out, not refused: an orchestrator sets some of its own (PRESSROOM_SERVICE_HOST), other programs of the
    vendor's customers have theirs (IDEOGRAM_API_URL).
    """
    known = {environment_name(path) for path in setting_paths()}
    ours = [name for name in os.environ if name.startswith(("PRESSROOM_", "IDEOGRAM_")) and name not in known]
    meant = {name: difflib.get_close_matches(name, known, n=1, cutoff=0.85) for name in ours}
    return {name: close[0] for name, close in meant.items() if close}
