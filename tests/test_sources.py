"""What no source of ours does, because others were hurt by it."""

import ast
import re
from collections.abc import Iterator
from typing import Final

import pytest

from tests.test_imports import MODULES

TREES: Final = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in MODULES.items()}
# What reads octets of a peer as text.
HEADS: Final = ("rfc6455.head", "rfc6455.headers", "rfc6455.request", "rfc6455.response", "server.http")

# Names that are looked for, and the modules in which they are.
FORBIDDEN: Final = {
    # Objects made of octets, and code made of text: whoever writes them runs code here.
    "code": (r"pickle|marshal|shelve|eval|exec|system|popen|Popen|check_output", "server", "rfc6455"),
    # Some versions of CPython say nothing of a full buffer here (CVE-2024-12254).
    "writelines": (r"writelines", "server", "rfc6455"),
    # They take more for a line's end, a blank or a digit than HTTP does (CVE-2026-44546, CVE-2025-69224).
    "text": (r"splitlines|isnumeric|isdecimal|isspace", *HEADS),
    # Chance that can be foretold: random is for spreading loads alone.
    "random": (r"random|randbytes|getrandbits|Random", "server.tokens", "server.authentication", "rfc6455"),
}
SECRET: Final = re.compile(r"token|secret|signature|password|digest", re.IGNORECASE)


def within(module: str, places: tuple[str, ...]) -> bool:
    return any(f"{module}.".startswith(f"{place}.") for place in places)


def names(tree: ast.AST) -> Iterator[str]:
    """What a source calls or takes from elsewhere, by the last part of its name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from (alias.name for alias in node.names)
            yield from [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
        elif isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.Name):
            yield node.id


@pytest.mark.parametrize("row", FORBIDDEN)
def test_no_source_uses_what_others_were_hurt_by(row: str) -> None:
    pattern, *places = FORBIDDEN[row]
    found = {
        (module, name)
        for module, tree in TREES.items()
        if within(module, tuple(places))
        for name in names(tree)
        if re.fullmatch(pattern, name)
    }
    assert set() == found


def test_secrets_are_compared_in_constant_time() -> None:
    # websockets' CVE-2021-33880: how long == takes tells how much was right.
    found = {
        (module, ast.unparse(node))
        for module, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.Eq | ast.NotEq)
        for side in (node.left, *node.comparators)
        if isinstance(side, ast.Name | ast.Attribute) and SECRET.search(ast.unparse(side).rpartition(".")[2])
    }
    assert set() == found
