"""Every option of the server, said once, with its default and its help."""

# ruff: noqa: RUF009 - `option` makes a dataclass field, which ruff can't see.

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Annotated, Final, TypeVar, final, get_type_hints

from .json_bounds import MAX_DEPTH, MAX_KEYS
from .kinds import (
    KIB,
    MIB,
    Addresses,
    Bytes,
    Cookie,
    Count,
    Hosts,
    Keys,
    Kind,
    LogFormat,
    LogLevel,
    Loop,
    Memory,
    MetricsReaders,
    Mode,
    Module,
    Networks,
    Origins,
    Path,
    Port,
    Seconds,
    SlowReaders,
    SlowReadersByRoom,
    Switch,
    Text,
    Words,
    one_of,
)
from .overflow import DISCONNECT

T = TypeVar("T")

ENVIRONMENT_PREFIX: Final = "RFC6455_SERVER_"


class SettingsError(Exception):
    """What was given can't be used; the message is one line for the person who gave it."""


def option(default: T, help: str, *, zero: str = "", group: str = "") -> T:
    """A row of the table. `zero` says what 0 means where it is allowed; `group` holds until the next one."""
    return field(default=default, metadata={"help": help, "zero": zero, "group": group})


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The server's options; raises SettingsError for values out of range or at odds with each other."""

    host: Addresses = option(
        ("localhost",), "Where to listen; localhost is 127.0.0.1 and ::1.", group="Listening"
    )
    port: Port = option(8765, "TCP port.", zero="any free one")
    unix: Path = option("", "Unix socket to listen on, in place of host and port.")
    unix_mode: Mode = option(0o660, "Who may connect to it, by the mode of its file.")
    trusted_proxies: Networks = option(
        (), "Networks of proxies whose X-Forwarded-For or Forwarded tells who the client is."
    )
    proxy_protocol: Switch = option(
        False, "Their connections, and those to the unix socket, begin with a PROXY header."
    )
    tls_certificate: Path = option(
        "", "Certificate chain in PEM, to serve https and wss; SIGHUP reads it anew."
    )
    tls_key: Path = option("", "Its key in PEM, unless that stands in the same file.")
    allowed_origins: Origins = option(
        (),
        "Origins of pages that may connect, besides the same host: names, https://*.name, null, * for any.",
    )
    allowed_hosts: Hosts = option(
        (), "Hosts served, also *.name; unless named, localhost, 127.0.0.1 and [::1] on loopback, else any."
    )

    max_head: Bytes = option(16 * KIB, "Size of a request's head.", group="Handshake")
    max_fields: Count = option(100, "Header fields in a request.")
    max_target: Bytes = option(8 * KIB, "Length of a request's target.")
    handshake_timeout: Seconds = option(
        10.0, "From accepting a connection to the end of its request's head, and to knowing who asks."
    )

    auth_tokens: Path = option(
        "", "Users and tokens, one of each to a line; SIGHUP reads it anew.", group="Authentication"
    )
    auth_cookie: Cookie = option("", "Cookie that may hold a token; none unless named.")
    jwt_secret: Path = option("", "JWT signed with HS256: the file of the secret, 32 bytes or more.")
    jwt_keys: Keys = option("", "JWT signed with RS256 or EdDSA: a public key in PEM, or a JWKS.")
    jwt_audience: Words = option(
        (), "Audiences, one of which a JWT must name; unless given, it may name none."
    )
    jwt_issuer: Text = option("", "Issuer that a JWT must be of; any unless named.")
    jwt_user_claim: Text = option("sub", "The claim of a JWT that is the user's name.")
    jwt_required_claims: Words = option(("exp",), "Claims without which a JWT is refused; empty: none.")
    jwt_leeway: Seconds = option(
        10.0, "What clocks may differ by when a JWT begins and expires.", zero="none"
    )

    max_message_size: Bytes = option(1 * MIB, "Size of a message, also while inflating.", group="Limits")
    max_fragments: Count = option(4096, "Frames in a message, empty ones too.")
    max_connections: Count = option(0, "Connections at a time.", zero="the descriptor limit less 256")
    max_connections_per_address: Count = option(1000, "Connections at a time from one address.")
    message_rate: Count = option(200, "Messages a second per connection, twice that in a burst.", zero="off")
    frame_rate: Count = option(1000, "Frames a second per connection, twice that in a burst.", zero="off")
    byte_rate: Bytes = option(
        4 * MIB, "Bytes a second, also once inflated; twice that in a burst.", zero="off"
    )
    message_rate_per_address: Count = option(20_000, "The same for all from one address.", zero="off")
    frame_rate_per_address: Count = option(50_000, "The same for all from one address.", zero="off")
    byte_rate_per_address: Bytes = option(64 * MIB, "The same for all from one address.", zero="off")
    message_rate_per_user: Count = option(1000, "The same for all connections of one user.", zero="off")
    frame_rate_per_user: Count = option(5000, "The same for all connections of one user.", zero="off")
    byte_rate_per_user: Bytes = option(16 * MIB, "The same for all connections of one user.", zero="off")
    handshake_rate: Count = option(0, "Handshakes a second, twice that in a burst.", zero="off")
    handshake_rate_per_address: Count = option(200, "The same for all from one address.", zero="off")
    handshake_rate_per_user: Count = option(20, "The same for all of one user.", zero="off")
    memory_budget: Memory = option(
        0,
        "What all queues and unfinished messages may take together.",
        zero="a quarter of the memory there is",
    )
    max_json_depth: Count = option(MAX_DEPTH, "Objects and arrays in each other in a message of JSON.")
    max_json_keys: Count = option(MAX_KEYS, "Names, objects and arrays in a message of JSON.")
    max_rooms_per_connection: Count = option(100, "Rooms that one connection may be in.")
    max_rooms: Count = option(100_000, "Rooms at a time.")

    history_messages: Count = option(100, "Messages kept per room.", zero="none", group="Rooms")
    history_seconds: Seconds = option(300.0, "How long messages, and rooms without members, are kept.")
    history_bytes: Bytes = option(1 * MIB, "What the messages kept in a room take.")
    history_total_bytes: Bytes = option(
        256 * MIB, "What those of all rooms take, or a quarter of all memory."
    )
    presence_interval: Seconds = option(1.0, "Between two tellings of who came and went.")

    ping_interval: Seconds = option(30.0, "Between pings to a silent peer.", zero="off", group="Heartbeat")
    pong_timeout: Seconds = option(20.0, "From a ping to the first byte that must follow.")

    write_high_water: Bytes = option(64 * KIB, "Unsent bytes that pause a session.", group="Slow readers")
    write_low_water: Bytes = option(16 * KIB, "Unsent bytes at which it goes on.", zero="when all is sent")
    slow_readers: SlowReaders = option(
        DISCONNECT, "What becomes of what waits when it is too much; PATH leads to a field of the message."
    )
    slow_readers_by_room: SlowReadersByRoom = option(
        (), "The same for rooms by name or pattern; the first that matches holds."
    )
    max_queue_bytes: Bytes = option(1 * MIB, "What others may leave waiting for a paused session.")
    max_queue_seconds: Seconds = option(10.0, "How far a paused session may fall behind.")
    socket_send_buffer: Bytes = option(0, "A socket's send buffer.", zero="the kernel's default")

    compression: Switch = option(True, "Agree to permessage-deflate (RFC 7692).", group="Compression")
    compression_context_takeover: Switch = option(False, "Keep contexts: smaller messages, more memory.")
    compression_threshold: Bytes = option(128, "Smallest message that is compressed.", zero="compress all")

    log_level: Annotated[LogLevel, one_of(LogLevel)] = option(
        "info", "Least serious message logged.", group="Seeing"
    )
    log_format: Annotated[LogFormat, one_of(LogFormat)] = option("text", "Lines for people, or for programs.")
    management_token: Path = option("", "The file of the token that /debug asks for.")
    metrics_without_token: Annotated[MetricsReaders, one_of(MetricsReaders)] = option(
        "loopback", "Who may read /metrics without that token."
    )

    app: Module = option("", "Your application, as package.module or package.module:name.", group="Running")
    hook_timeout: Seconds = option(5.0, "What each call of your application may take.")
    loop: Annotated[Loop, one_of(Loop)] = option("auto", "Event loop; auto: uvloop, if any.")
    close_timeout: Seconds = option(10.0, "From our Close to the end of the connection.")
    drain_timeout: Seconds = option(25.0, "From SIGTERM to the exit, all in all.")
    drain_delay: Seconds = option(
        0.0, "From SIGTERM, unready, to the first Close: what balancers take to notice.", zero="none"
    )

    sources: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        for name, kind in KINDS.items():
            value, limits, zero = getattr(self, name), kind.limits, OPTIONS[name].metadata["zero"]
            if limits is None or limits[0] <= value <= limits[1] or (zero and value == 0):
                continue
            expected = " to ".join(map(kind.show, limits)) + (f", or 0 ({zero})" if zero else "")
            raise SettingsError(f"{name}: expected {expected}, got {self.describe(name)}")
        if self.drain_delay >= self.drain_timeout:
            delay, timeout = self.describe("drain_delay"), self.describe("drain_timeout")
            raise SettingsError(f"drain_delay: expected less than drain_timeout, {timeout}, got {delay}")
        # 6455 10.2: a cookie is sent for whatever page connects.
        if self.auth_cookie and {"*", "null"} & set(self.allowed_origins):
            raise SettingsError("auth_cookie: expected allowed_origins without * and null, which any page is")
        if self.write_low_water >= self.write_high_water:
            low, high = self.describe("write_low_water"), self.describe("write_high_water")
            raise SettingsError(f"write_low_water: expected less than write_high_water, {high}, got {low}")

    def source(self, name: str) -> str:
        """Where the value came from: default, file PATH, environment VARIABLE or flag --NAME."""
        return self.sources.get(name, "default")

    def show(self, name: str) -> str:
        """The value as a person would write it."""
        return KINDS[name].show(getattr(self, name))

    def describe(self, name: str) -> str:
        return f"{self.show(name)} ({self.source(name)})"


OPTIONS: Final = {row.name: row for row in fields(Settings) if row.name != "sources"}
KINDS: Final[dict[str, Kind]] = {
    name: hint.__metadata__[0]
    for name, hint in get_type_hints(Settings, include_extras=True).items()
    if name in OPTIONS
}
