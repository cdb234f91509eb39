"""Policy: names are compared whole, in lower case, and never in part."""

import pytest

from server.policy import LOOPBACK_NAMES, Policy


@pytest.mark.parametrize(
    ("allowed", "host", "serves"),
    [
        ((), "anything.example", True),
        ((), "", True),
        (LOOPBACK_NAMES, "localhost", True),
        (LOOPBACK_NAMES, "LOCALHOST:8765", True),
        (LOOPBACK_NAMES, "localhost:", True),
        (LOOPBACK_NAMES, "127.0.0.1:80", True),
        (LOOPBACK_NAMES, "[::1]", True),
        (LOOPBACK_NAMES, "[::1]:8765", True),
        (LOOPBACK_NAMES, "[0:0:0:0:0:0:0:1]", False),
        (LOOPBACK_NAMES, "", False),
        (LOOPBACK_NAMES, "localhost.", False),
        (LOOPBACK_NAMES, "localhost.example", False),
        (LOOPBACK_NAMES, "notlocalhost", False),
        (LOOPBACK_NAMES, "127.0.0.11", False),
        (("example.com",), "example.com", True),
        (("example.com",), "Example.COM:443", True),
        (("example.com",), "www.example.com", False),
        (("example.com",), "example.com.evil", False),
        (("example.com",), "localhost", False),
        (("*.example.com",), "a.example.com:8765", True),
        (("*.example.com",), "A.Example.COM", True),
        (("*.example.com",), "example.com", False),
        (("*.example.com",), ".example.com", False),
        (("*.example.com",), "a.b.example.com", False),
        (("*.example.com",), "evilexample.com", False),
        (("*.example.com",), "a.example.com.evil", False),
        (("*.example.com",), "", False),
    ],
)
def test_host_is_served_if_its_name_is_listed(allowed: tuple[str, ...], host: str, serves: bool) -> None:
    policy = Policy(allowed, ())
    assert serves == policy.serves(host)
    # Whatever was asked before.
    for other in (*allowed, "evil.example", ""):
        policy.serves(other)
        assert serves == policy.serves(host)


@pytest.mark.parametrize(
    ("origin", "host", "admits"),
    [
        # Who sends none isn't a page.
        (None, "example.com", True),
        ("http://example.com", "example.com", True),
        ("https://example.com", "example.com", True),
        ("http://example.com:80", "example.com", True),
        ("https://example.com:443", "example.com", True),
        ("http://example.com", "example.com:80", True),
        ("https://example.com", "example.com:443", True),
        ("HTTP://EXAMPLE.com:8765", "example.COM:8765", True),
        ("http://[::1]:8765", "[::1]:8765", True),
        ("http://[::1]", "[::1]", True),
        ("http://example.com", "example.com:8765", False),
        ("http://example.com:8765", "example.com", False),
        ("http://example.com:443", "example.com", False),
        ("https://example.com", "example.com:80", False),
        ("http://sub.example.com", "example.com", False),
        ("http://example.com.evil", "example.com", False),
        ("http://evilexample.com", "example.com", False),
        ("http://example.com", "sub.example.com", False),
        ("http://[::1]", "[::2]", False),
        ("null", "example.com", False),
        ("null", "null", False),
        ("", "example.com", False),
        ("example.com", "example.com", False),
        ("//example.com", "example.com", False),
        ("http:example.com", "example.com", False),
        ("http://", "example.com", False),
        ("http://example.com/", "example.com", False),
        ("http://example.com?a", "example.com", False),
        ("http://example.com#a", "example.com", False),
        ("http://user@example.com", "example.com", False),
        ("http://example.com@evil.example", "example.com", False),
        ("http://example.com:0x50", "example.com", False),
        ("http://example.com:65536", "example.com", False),
        ("http://example.com:-80", "example.com", False),
        ("http://[::1", "[::1]", False),
        ("http://example.com http://example.com", "example.com", False),
        ("http://example.com,http://evil.example", "example.com", False),
        ("file://", "", False),
        ("ftp://example.com", "example.com", False),
        ("chrome-extension://abc", "abc", False),
    ],
)
def test_origin_is_admitted_if_it_is_the_hosts_own(origin: str | None, host: str, admits: bool) -> None:
    # 6455 10.2.
    assert admits == Policy((), ()).admits(origin, host)


@pytest.mark.parametrize(
    ("allowed", "origin", "admits"),
    [
        (("*",), "https://evil.example", True),
        (("*",), "null", True),
        (("*",), "", True),
        (("null",), "null", True),
        (("null",), "https://evil.example", False),
        (("null",), "", False),
        (("https://a.example",), "null", False),
        (("https://a.example",), "https://a.example", True),
        (("https://a.example",), "HTTPS://A.EXAMPLE:443", True),
        (("https://a.example:443",), "https://a.example", True),
        (("https://a.example",), "http://a.example", False),
        (("https://a.example",), "https://a.example:444", False),
        (("https://a.example",), "https://b.a.example", False),
        (("https://a.example",), "https://a.example.evil", False),
        (("https://a.example", "http://b.example:81"), "http://b.example:81", True),
        (("chrome-extension://abc",), "chrome-extension://abc", True),
        (("chrome-extension://abc",), "chrome-extension://abcd", False),
        (("https://a.example",), "http://host.example", True),
    ],
)
def test_allowed_origin_is_admitted_to_any_host(allowed: tuple[str, ...], origin: str, admits: bool) -> None:
    assert admits == Policy((), allowed).admits(origin, "host.example")


@pytest.mark.parametrize(
    ("origin", "admits"),
    [
        ("https://a.example.com", True),
        ("HTTPS://A.Example.COM:443", True),
        ("https://xn--bcher-kva.example.com", True),
        ("https://example.com", False),
        ("https://.example.com", False),
        ("https://a.b.example.com", False),
        ("https://evilexample.com", False),
        ("https://evil-example.com", False),
        ("https://a.example.com.evil", False),
        ("https://a.example.com:8443", False),
        ("http://a.example.com", False),
        ("https://a.example.com@evil.example", False),
        ("https://evil.example/.example.com", False),
        ("https://evil.example?.example.com", False),
        ("null", False),
        ("", False),
    ],
)
def test_pattern_stands_for_one_whole_label(origin: str, admits: bool) -> None:
    assert admits == Policy((), ("https://*.example.com",)).admits(origin, "host.example")


def test_port_of_a_pattern_is_compared_too() -> None:
    policy = Policy((), ("http://*.example.com:8080",))
    assert policy.admits("http://a.example.com:8080", "host.example")
    assert not policy.admits("http://a.example.com", "host.example")


@pytest.mark.parametrize(
    ("origin", "host", "admits"),
    [
        ("https://example.com", "example.com", True),
        ("https://example.com:8443", "example.com:8443", True),
        # Whoever is between the browser and the network writes such pages.
        ("http://example.com", "example.com", False),
        ("http://example.com:8443", "example.com:8443", False),
        (None, "example.com", True),
    ],
)
def test_page_that_came_without_tls_is_another_origin_where_tls_is_known(
    origin: str | None, host: str, admits: bool
) -> None:
    assert admits == Policy((), ()).admits(origin, host, is_secure=True)


def test_page_without_tls_may_be_named() -> None:
    assert Policy((), ("http://example.com",)).admits("http://example.com", "example.com", is_secure=True)
