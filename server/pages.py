"""Pages: what a plain GET is answered with, by path."""

from importlib.resources import files
from typing import Final

from rfc6455 import Request

from .context import Endpoint, Page

PAGE_HEADERS: Final = (
    (
        "Content-Security-Policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'",
    ),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cache-Control", "no-cache"),
)
JSON: Final = "application/json"
_SCRIPT: Final = "text/javascript; charset=utf-8"
_FILES: Final = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/app.js": ("app.js", _SCRIPT),
    "/client.d.ts": ("client.d.ts", "text/plain; charset=utf-8"),
    "/client.js": ("client.js", _SCRIPT),
    "/connection.js": ("connection.js", _SCRIPT),
    "/outbox.js": ("outbox.js", _SCRIPT),
    "/people.js": ("people.js", _SCRIPT),
    "/style.css": ("style.css", "text/css; charset=utf-8"),
}


def load_pages() -> dict[str, Endpoint]:
    """Read the pages that are always the same."""
    folder = files(__package__) / "static"
    pages = {path: _always(Page(kind, (folder / name).read_bytes())) for path, (name, kind) in _FILES.items()}
    pages["/healthz"] = _always(Page(JSON, b'{"status":"ok"}\n'))
    pages["/readyz"] = _always(Page(JSON, b'{"status":"ready"}\n'))
    return pages


def _always(page: Page) -> Endpoint:
    def endpoint(request: Request, address: str) -> Page:
        return page

    return endpoint
