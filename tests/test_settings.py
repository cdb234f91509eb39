"""Every option through every source, at its limits, and every message of `server.settings`."""

from dataclasses import FrozenInstanceError, fields
from ipaddress import ip_network
from pathlib import Path

import pytest

from server.configuration import load
from server.overflow import DISCONNECT, Overflow, Strategy
from server.settings import Settings, SettingsError

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
MOST_COUNT = 1_000_000_000
DAY = 86_400

# name, default, another value as text, as TOML, as Python
OPTIONS = [
    ("host", ("localhost",), "0.0.0.0, ::1", '["0.0.0.0", "::1"]', ("0.0.0.0", "::1")),
    ("port", 8765, "9000", "9000", 9000),
    ("unix", "", "/run/server.sock", '"/run/server.sock"', "/run/server.sock"),
    ("unix_mode", 0o660, "600", '"600"', 0o600),
    (
        "trusted_proxies",
        (),
        "10.0.0.0/8, ::1",
        '["10.0.0.0/8", "::1"]',
        (ip_network("10.0.0.0/8"), ip_network("::1/128")),
    ),
    ("proxy_protocol", False, "on", "true", True),
    ("tls_certificate", "", "chain.pem", '"chain.pem"', "chain.pem"),
    ("tls_key", "", "key.pem", '"key.pem"', "key.pem"),
    (
        "allowed_origins",
        (),
        "https://Example.com:8443, https://*.a.b, null,*",
        '["https://example.com:8443", "https://*.a.b", "null", "*"]',
        ("https://example.com:8443", "https://*.a.b", "null", "*"),
    ),
    ("allowed_hosts", (), "*.Example.com,[::1]", '["*.example.com", "[::1]"]', ("*.example.com", "[::1]")),
    ("max_head", 16 * KIB, "32KiB", '"32KiB"', 32 * KIB),
    ("max_fields", 100, "50", "50", 50),
    ("max_target", 8 * KIB, "4096", "4096", 4 * KIB),
    ("handshake_timeout", 10.0, "2.5", "2.5", 2.5),
    ("auth_tokens", "", "tokens", '"tokens"', "tokens"),
    ("auth_cookie", "", "Session_id", '"Session_id"', "Session_id"),
    ("jwt_secret", "", "secret", '"secret"', "secret"),
    (
        "jwt_keys",
        "",
        "https://a.example/jwks.json",
        '"https://a.example/jwks.json"',
        "https://a.example/jwks.json",
    ),
    ("jwt_audience", (), "Chat, b", '["Chat", "b"]', ("Chat", "b")),
    ("jwt_issuer", "", "https://a.example/", '"https://a.example/"', "https://a.example/"),
    ("jwt_user_claim", "sub", "email", '"email"', "email"),
    ("jwt_required_claims", ("exp",), "exp,rooms", '["exp", "rooms"]', ("exp", "rooms")),
    ("jwt_leeway", 10.0, "0", "0", 0.0),
    ("max_message_size", MIB, "16MiB", '"16MiB"', 16 * MIB),
    ("max_fragments", 4096, "7", "7", 7),
    ("max_connections", 0, "500", "500", 500),
    ("max_connections_per_address", 1000, "12", "12", 12),
    ("message_rate", 200, "0", "0", 0),
    ("frame_rate", 1000, "0", "0", 0),
    ("byte_rate", 4 * MIB, "1 MiB", '"1 MiB"', MIB),
    ("message_rate_per_address", 20_000, "0", "0", 0),
    ("frame_rate_per_address", 50_000, "1", "1", 1),
    ("byte_rate_per_address", 64 * MIB, "1 MiB", '"1 MiB"', MIB),
    ("message_rate_per_user", 1000, "0", "0", 0),
    ("frame_rate_per_user", 5000, "1", "1", 1),
    ("byte_rate_per_user", 16 * MIB, "0", "0", 0),
    ("handshake_rate", 0, "500", "500", 500),
    ("handshake_rate_per_address", 200, "1", "1", 1),
    ("handshake_rate_per_user", 20, "1", "1", 1),
    ("memory_budget", 0, "2GiB", '"2GiB"', 2 * GIB),
    ("max_json_depth", 64, "8", "8", 8),
    ("max_json_keys", 10_000, "50", "50", 50),
    ("max_rooms_per_connection", 100, "3", "3", 3),
    ("max_rooms", 100_000, "10", "10", 10),
    ("history_messages", 100, "0", "0", 0),
    ("history_seconds", 300.0, "60", "60", 60.0),
    ("history_bytes", MIB, "64KiB", '"64KiB"', 64 * KIB),
    ("history_total_bytes", 256 * MIB, "1GiB", '"1GiB"', GIB),
    ("presence_interval", 1.0, "0.5", "0.5", 0.5),
    ("ping_interval", 30.0, "0", "0", 0.0),
    ("pong_timeout", 20.0, "5", "5", 5.0),
    ("write_high_water", 64 * KIB, "1GiB", '"1GiB"', GIB),
    ("write_low_water", 16 * KIB, "0", "0", 0),
    ("slow_readers", DISCONNECT, "conflate:a.b", '"conflate:a.b"', Overflow(Strategy.CONFLATE, ("a", "b"))),
    (
        "slow_readers_by_room",
        (),
        "Log.>=drop-oldest, a=b.*=drop-newest",
        '["Log.>=drop-oldest", "a=b.*=drop-newest"]',
        (("Log.>", Overflow(Strategy.DROP_OLDEST)), ("a=b.*", Overflow(Strategy.DROP_NEWEST))),
    ),
    ("max_queue_bytes", MIB, "100", "100", 100),
    ("max_queue_seconds", 10.0, "0.5", "0.5", 0.5),
    ("socket_send_buffer", 0, "4KiB", '"4KiB"', 4 * KIB),
    ("compression", True, "off", "false", False),
    ("compression_context_takeover", False, "TRUE", "true", True),
    ("compression_threshold", 128, "0", "0", 0),
    ("log_level", "info", "debug", '"debug"', "debug"),
    ("log_format", "text", "json", '"json"', "json"),
    ("management_token", "", "/run/token", '"/run/token"', "/run/token"),
    ("metrics_without_token", "loopback", "nobody", '"nobody"', "nobody"),
    ("app", "", "docs.example_app:app", '"docs.example_app:app"', "docs.example_app:app"),
    ("hook_timeout", 5.0, "1", "1", 1.0),
    ("loop", "auto", "asyncio", '"asyncio"', "asyncio"),
    ("close_timeout", 10.0, "1", "1", 1.0),
    ("drain_timeout", 25.0, "60", "60", 60.0),
    ("drain_delay", 0.0, "5", "5", 5.0),
]
NAMES = [name for name, *_ in OPTIONS]


def flag_of(name: str) -> str:
    return "--" + name.replace("_", "-")


def variable_of(name: str) -> str:
    return "RFC6455_SERVER_" + name.upper()


def write(folder: Path, text: str) -> str:
    path = folder / "server.toml"
    path.write_text(text)
    return str(path)


def refusal(argv: list[str], environ: dict[str, str] | None = None) -> str:
    with pytest.raises(SettingsError) as caught:
        load(argv, environ or {})
    message = str(caught.value)
    assert "\n" not in message
    return message


# Every option through every source. -------------------------------------------------------------------------


def test_the_table_above_names_every_option() -> None:
    assert [field.name for field in fields(Settings)] == [*NAMES, "sources"]


@pytest.mark.parametrize(("name", "default"), [(name, default) for name, default, *_ in OPTIONS])
def test_default(name: str, default: object) -> None:
    settings = load([], {})
    assert (default, "default") == (getattr(settings, name), settings.source(name))
    assert type(default) is type(getattr(settings, name))


@pytest.mark.parametrize(
    ("name", "text", "value"), [(name, text, value) for name, _, text, _, value in OPTIONS]
)
def test_flag(name: str, text: str, value: object) -> None:
    for argv in ([flag_of(name), text], [f"{flag_of(name)}={text}"]):
        settings = load(argv, {})
        assert value == getattr(settings, name)
        assert type(value) is type(getattr(settings, name))
        assert f"flag {flag_of(name)}" == settings.source(name)


@pytest.mark.parametrize(
    ("name", "text", "value"), [(name, text, value) for name, _, text, _, value in OPTIONS]
)
def test_environment_variable(name: str, text: str, value: object) -> None:
    settings = load([], {variable_of(name): text, "PATH": "/bin"})
    assert value == getattr(settings, name)
    assert f"environment {variable_of(name)}" == settings.source(name)


@pytest.mark.parametrize(
    ("name", "toml", "value"), [(name, toml, value) for name, _, _, toml, value in OPTIONS]
)
def test_key_of_the_file(name: str, toml: str, value: object, tmp_path: Path) -> None:
    path = write(tmp_path, f"{name} = {toml}\n")
    settings = load(["--config", path], {})
    assert value == getattr(settings, name)
    assert type(value) is type(getattr(settings, name))
    assert f"file {path}" == settings.source(name)


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, _, text, *_ in OPTIONS])
def test_what_is_shown_can_be_given_again(name: str, text: str) -> None:
    settings = load([], {variable_of(name): text})
    assert settings == load([], {variable_of(name): settings.show(name)})


@pytest.mark.parametrize(
    ("name", "value", "source"),
    [
        ("port", 3, "flag --port"),
        ("max_fields", 2, "environment RFC6455_SERVER_MAX_FIELDS"),
        ("max_rooms", 1, "file PATH"),
        ("max_fragments", 4096, "default"),
    ],
)
def test_flags_before_environment_before_file_before_default(
    name: str, value: int, source: str, tmp_path: Path
) -> None:
    path = write(tmp_path, "max_rooms = 1\nmax_fields = 1\nport = 1\n")
    environ = {variable_of("max_fields"): "2", variable_of("port"): "2"}
    settings = load(["--port", "3", "--config", path], environ)
    assert (value, source.replace("PATH", path)) == (getattr(settings, name), settings.source(name))


@pytest.mark.parametrize(
    ("name", "texts", "value"),
    [
        ("allowed_hosts", ["a.example", "b.example,c.example"], ("a.example", "b.example", "c.example")),
        ("port", ["1", "2"], 2),
    ],
)
def test_a_list_given_twice_adds_up_and_of_anything_else_the_last_holds(
    name: str, texts: list[str], value: object
) -> None:
    argv = [part for text in texts for part in (flag_of(name), text)]
    assert value == getattr(load(argv, {}), name)


@pytest.mark.parametrize("text", ["", " ", ",", " , "])
def test_an_empty_list_may_be_given(text: str) -> None:
    settings = load(["--allowed-origins", text], {variable_of("allowed_origins"): "null"})
    assert not settings.allowed_origins


@pytest.mark.parametrize(
    ("text", "value"),
    [(word, True) for word in ("true", "on", "yes", "1", "On")]
    + [(word, False) for word in ("false", "off", "no", "0", "No")],
)
def test_words_for_true_and_false(text: str, value: bool) -> None:
    assert value is load(["--compression", text], {}).compression


def test_no_limit_is_off_unless_somebody_says_so() -> None:
    # Daphne's CVE-2026-44545: a limit that has to be asked for protects nobody.
    off = {row.name for row in fields(Settings) if row.metadata.get("zero") == "off" and row.default == 0}
    # How many handshakes a second a machine takes, nobody knows but who runs it; an address's are limited.
    assert {"handshake_rate"} == off


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        Settings().port = 1  # type: ignore[misc]  # the refusal is what is tested


# Limits. ----------------------------------------------------------------------------------------------------

COUNTS = [
    "max_fields",
    "max_fragments",
    "max_connections_per_address",
    "max_json_depth",
    "max_json_keys",
    "max_rooms_per_connection",
    "max_rooms",
]
COUNTS_OR_ZERO = [
    "max_connections",
    "message_rate",
    "frame_rate",
    "message_rate_per_address",
    "frame_rate_per_address",
    "message_rate_per_user",
    "frame_rate_per_user",
    "handshake_rate",
    "handshake_rate_per_address",
    "handshake_rate_per_user",
    "history_messages",
]
SIZES = [
    "max_head",
    "max_target",
    "max_message_size",
    "history_bytes",
    "history_total_bytes",
    "max_queue_bytes",
]
SIZES_OR_ZERO = [
    "byte_rate",
    "byte_rate_per_address",
    "byte_rate_per_user",
    "socket_send_buffer",
    "compression_threshold",
]
TIMES = [
    "handshake_timeout",
    "history_seconds",
    "presence_interval",
    "pong_timeout",
    "max_queue_seconds",
    "hook_timeout",
    "close_timeout",
    "drain_timeout",
]

# name, refused below, least, most, refused above
LIMITS = [
    ("port", "-1", "0", "65535", "65536"),
    *((name, "0", "1", str(MOST_COUNT), str(MOST_COUNT + 1)) for name in COUNTS),
    *((name, "-1", "0", str(MOST_COUNT), str(MOST_COUNT + 1)) for name in COUNTS_OR_ZERO),
    *((name, "0", "1", "1GiB", str(GIB + 1)) for name in SIZES),
    *((name, "-1", "0", "1GiB", str(GIB + 1)) for name in SIZES_OR_ZERO),
    *((name, "0", "0.001", str(DAY), "86400.001") for name in TIMES),
    ("memory_budget", "1048575", "1MiB", "1024GiB", str(1024 * GIB + 1)),
    ("ping_interval", "-0.001", "0", str(DAY), "86400.001"),
    ("jwt_leeway", "-0.001", "0", "86400", "86400.001"),
    ("drain_delay", "-0.001", "0", "86399", "86400.001"),
    # The two marks also bound each other: see BESIDE.
    ("write_high_water", "0", "1", "1GiB", str(GIB + 1)),
    ("write_low_water", "-1", "0", str(GIB - 1), str(GIB + 1)),
]
BESIDE = {
    "drain_delay": ["--drain-timeout", "86400"],
    "write_high_water": ["--write-low-water", "0"],
    "write_low_water": ["--write-high-water", "1GiB"],
}


def test_the_limits_above_name_every_number() -> None:
    numbers = {name for name, _, _, _, value in OPTIONS if type(value) in (int, float)}
    # Every mode that can be written is one.
    assert numbers - {"unix_mode"} == {name for name, *_ in LIMITS}


@pytest.mark.parametrize(("name", "below", "least", "most", "above"), LIMITS)
def test_limits(name: str, below: str, least: str, most: str, above: str) -> None:
    beside = BESIDE.get(name, [])
    for text in (below, above):
        assert refusal([*beside, f"{flag_of(name)}={text}"]).startswith(f"{name}: expected ")
    for text in (least, most):
        settings = load([*beside, f"{flag_of(name)}={text}"], {})
        assert text == settings.show(name)


@pytest.mark.parametrize("text", ["nan", "inf", "-inf", "1e400"])
def test_a_time_is_finite(text: str) -> None:
    assert "expected 0.001 to 86400" in refusal(["--close-timeout=" + text])


def test_the_low_mark_is_below_the_high_one() -> None:
    load(["--write-high-water=4KiB", "--write-low-water=4095"], {})
    for low in ("4096", "4097"):
        message = refusal(["--write-high-water=4KiB", "--write-low-water", low])
        assert message.startswith("write_low_water: expected less than write_high_water, 4KiB ")


def test_settings_made_in_code_are_checked_too() -> None:
    with pytest.raises(SettingsError, match=r"^port: expected 1 to 65535, or 0 "):
        Settings(port=65_536)


# Messages. --------------------------------------------------------------------------------------------------

MESSAGES = [
    (["--port", "x"], "port: expected a whole number, got 'x' (flag --port)"),
    (["--port", "1.5"], "port: expected a whole number, got '1.5' (flag --port)"),
    (["--port", "65536"], "port: expected 1 to 65535, or 0 (any free one), got 65536 (flag --port)"),
    (["--max-fields=0"], "max_fields: expected 1 to 1000000000, got 0 (flag --max-fields)"),
    (["--max-head=2GiB"], "max_head: expected 1 to 1GiB, got 2GiB (flag --max-head)"),
    (
        ["--max-head=1MB"],
        "max_head: expected a size such as 65536, 64KiB or 1MiB, got '1MB' (flag --max-head)",
    ),
    (
        ["--close-timeout=soon"],
        "close_timeout: expected a number of seconds, got 'soon' (flag --close-timeout)",
    ),
    (["--close-timeout=-1"], "close_timeout: expected 0.001 to 86400, got -1 (flag --close-timeout)"),
    (["--compression=maybe"], "compression: expected true or false, got 'maybe' (flag --compression)"),
    (["--loop=trio"], "loop: expected one of auto, uvloop, asyncio, got 'trio' (flag --loop)"),
    (
        ["--log-level=loud"],
        "log_level: expected one of debug, info, warning, error, got 'loud' (flag --log-level)",
    ),
    (["--unix-mode=0660"], "unix_mode: expected an octal mode such as 660, got '0660' (flag --unix-mode)"),
    (["--unix-mode=668"], "unix_mode: expected an octal mode such as 660, got '668' (flag --unix-mode)"),
    (["--host=a,,b"], "host: expected names or addresses, got 'a,,b' (flag --host)"),
    (
        ["--trusted-proxies=10.0.0.1/8"],
        "trusted_proxies: expected a list of networks such as 10.0.0.0/8 or ::1, got '10.0.0.1/8' "
        "(flag --trusted-proxies)",
    ),
    (["--host="], "host: expected names or addresses, got '' (flag --host)"),
    (["--host=a\nb"], "host: expected names or addresses, got 'a\\nb' (flag --host)"),
    (
        ["--write-high-water=8KiB"],
        "write_low_water: expected less than write_high_water, 8KiB (flag --write-high-water), "
        "got 16KiB (default)",
    ),
    (["--prot=1"], "unknown argument '--prot=1'; did you mean --port?"),
    (
        ["--max-rooms-per-conection", "1"],
        "unknown argument '--max-rooms-per-conection'; did you mean --max-rooms-per-connection?",
    ),
    (["--max-room", "1"], "unknown argument '--max-room'; did you mean --max-rooms?"),
    (["8765"], "unknown argument '8765'"),
    (["--port"], "argument --port: expected one argument"),
    (["--config", "/no/such.toml"], "can't read file /no/such.toml: No such file or directory"),
    (["--config", "/"], "can't read file /: Is a directory"),
]


@pytest.mark.parametrize(("argv", "message"), MESSAGES)
def test_message_for_flags(argv: list[str], message: str) -> None:
    assert message == refusal(argv)


@pytest.mark.parametrize(
    ("variable", "text", "message"),
    [
        ("PORT", "x", "port: expected a whole number, got 'x' (environment RFC6455_SERVER_PORT)"),
        ("PORT", "", "port: expected a whole number, got '' (environment RFC6455_SERVER_PORT)"),
        (
            "MAX_ROOMS",
            "0",
            "max_rooms: expected 1 to 1000000000, got 0 (environment RFC6455_SERVER_MAX_ROOMS)",
        ),
        (
            "PROT",
            "1",
            "unknown environment variable 'RFC6455_SERVER_PROT'; did you mean RFC6455_SERVER_PORT?",
        ),
        (
            "port",
            "1",
            "unknown environment variable 'RFC6455_SERVER_port'; did you mean RFC6455_SERVER_PORT?",
        ),
    ],
)
def test_message_for_the_environment(variable: str, text: str, message: str) -> None:
    assert message == refusal([], {"RFC6455_SERVER_" + variable: text})


HOSTS = "a list of hosts without ports, such as example.com, *.example.com or [::1]"


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        (
            "max_message_sise = 1",
            "unknown key in file PATH: 'max_message_sise'; did you mean max_message_size?",
        ),
        ("max-rooms = 1", "unknown key in file PATH: 'max-rooms'; did you mean max_rooms?"),
        ("sources = 1", "unknown key in file PATH: 'sources'"),
        ('"a\\nb" = 1', "unknown key in file PATH: 'a\\nb'"),
        ("[zzz]\nport = 1", "unknown key in file PATH: 'zzz'"),
        ("port = true", "port: expected a whole number, got True (file PATH)"),
        ("port = '1'", "port: expected a whole number, got '1' (file PATH)"),
        ("port = 1.0", "port: expected a whole number, got 1.0 (file PATH)"),
        ("port = [1]", "port: expected a whole number, got [1] (file PATH)"),
        ("port = 65536", "port: expected 1 to 65535, or 0 (any free one), got 65536 (file PATH)"),
        ("max_head = '1x'", "max_head: expected a size such as 65536, 64KiB or 1MiB, got '1x' (file PATH)"),
        ("max_head = 1.5", "max_head: expected a size such as 65536, 64KiB or 1MiB, got 1.5 (file PATH)"),
        ("pong_timeout = '1'", "pong_timeout: expected a number of seconds, got '1' (file PATH)"),
        ("compression = 1", "compression: expected true or false, got 1 (file PATH)"),
        ("host = 1", "host: expected names or addresses, got 1 (file PATH)"),
        ("loop = false", "loop: expected one of auto, uvloop, asyncio, got False (file PATH)"),
        (
            "allowed_hosts = 'a'",
            "allowed_hosts: expected HOSTS, got 'a' (file PATH)",
        ),
        (
            "allowed_hosts = [1]",
            "allowed_hosts: expected HOSTS, got [1] (file PATH)",
        ),
        ("port = 1\nport = 2\n", "invalid TOML in file PATH: Cannot overwrite a value (at line 2, column 9)"),
        ("port =", "invalid TOML in file PATH: Invalid value (at end of document)"),
        (
            "port 1\n",
            "invalid TOML in file PATH: Expected '=' after a key in a key/value pair (at line 1, column 6)",
        ),
    ],
)
def test_message_for_the_file(toml: str, message: str, tmp_path: Path) -> None:
    path = write(tmp_path, toml)
    assert message.replace("PATH", path).replace("HOSTS", HOSTS) == refusal(["--config", path])


def test_a_file_that_is_not_utf_8_is_invalid_toml(tmp_path: Path) -> None:
    path = tmp_path / "server.toml"
    path.write_bytes(b"\xff")
    assert refusal(["--config", str(path)]).startswith(f"invalid TOML in file {path}: 'utf-8' codec")


@pytest.mark.parametrize(
    "origin",
    [
        "example.com",
        "https://example.com/",
        "https://a@example.com",
        "https://",
        "https://*",
        "https://*.",
        "https://*example.com",
        "https://a.*.com",
        "https://*.*.com",
        "https://.example.com",
        "*.example.com",
        "**",
    ],
)
def test_what_no_browser_sends_is_not_an_origin(origin: str) -> None:
    assert refusal(["--allowed-origins", origin]).startswith(
        "allowed_origins: expected a list of origins such as "
    )


@pytest.mark.parametrize("host", ["localhost:8765", "::1", "*", "*.", "*a.b", "a.*", ".a", "http://a", "a b"])
def test_what_is_not_a_host_name_is_refused(host: str) -> None:
    assert refusal(["--allowed-hosts", host]).startswith(
        "allowed_hosts: expected a list of hosts without ports"
    )


# Help. ------------------------------------------------------------------------------------------------------


@pytest.fixture
def help_lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    with pytest.raises(SystemExit, match=r"^0$"):
        load(["--help"], {})
    return capsys.readouterr().out.splitlines()


def test_help_has_for_every_option_its_flag_meaning_default_and_variable(help_lines: list[str]) -> None:
    for field in fields(Settings):
        if field.name == "sources":
            continue
        flag = next(n for n, line in enumerate(help_lines) if line.startswith(f"  {flag_of(field.name)} "))
        default = f"      [{Settings().show(field.name)}] {variable_of(field.name)}"
        described = " ".join(line.strip() for line in help_lines[flag + 1 : help_lines.index(default)])
        zero = field.metadata["zero"]
        assert field.metadata["help"] + (f" 0: {zero}." if zero else "") == described


def test_help_fits_80_columns(help_lines: list[str]) -> None:
    assert max(map(len, help_lines)) <= 80


def test_help_is_grouped(help_lines: list[str]) -> None:
    groups = [field.metadata["group"] + ":" for field in fields(Settings) if field.metadata.get("group")]
    assert groups == [line for line in help_lines if line in groups]
    assert len(groups) == len(set(groups)) > 1


@pytest.mark.parametrize("policy", ["", "drop", "conflate", "drop-oldest:a", "Disconnect"])
def test_what_is_no_policy_is_refused(policy: str) -> None:
    assert f"got {policy!r} (flag --slow-readers)" == refusal(["--slow-readers", policy]).split(", ")[-1]


@pytest.mark.parametrize(
    "rule", ["disconnect", "=disconnect", "a=", "a=drop", "a=conflate", ">.a=disconnect"]
)
def test_what_is_no_rule_for_rooms_is_refused(rule: str) -> None:
    assert (
        f"slow_readers_by_room: expected a list of PATTERN=POLICY, got {f'b=disconnect,{rule}'!r}"
        " (flag --slow-readers-by-room)"
    ) == refusal(["--slow-readers-by-room", f"b=disconnect,{rule}"])
