"""Who may import whom points one way: what stands lower in the house knows nothing of what stands above."""

import ast
import sys
from graphlib import TopologicalSorter
from importlib.util import find_spec
from pathlib import Path

import pytest

# Each may import those before it.
PROTOCOL = [
    "rfc6455._native",
    "rfc6455.codes",
    "rfc6455.errors",
    "rfc6455.events",
    "rfc6455.masking",
    "rfc6455.whole",
    "rfc6455.deflate",
    "rfc6455.frames",
    "rfc6455.messages",
    "rfc6455.headers",
    "rfc6455.head",
    "rfc6455.request",
    "rfc6455.response",
    "rfc6455.handshake",
    "rfc6455.client_handshake",
    "rfc6455.connection",
    "rfc6455",
]
OUTSIDE = {"asyncio", "logging", "random", "socket", "ssl", "threading", "time"}

# What a client speaks and what carries it know the session and the hub; none of these knows them.
HUB = (
    "conflation",
    "flow",
    "history",
    "hub",
    "idempotency",
    "identity",
    "memberships",
    "names",
    "outbox",
    "overflow",
    "patterns",
    "presence",
    "publication",
    "refusal",
    "registry",
    "rights",
    "room",
    "rooms",
    "session",
    "tokens",
)
CLIENTS = ("server.carriers", "server.dialects")


def sources(package: str) -> dict[str, Path]:
    """The modules of a package, as it is installed, by name."""
    spec = find_spec(package)
    folders = spec.submodule_search_locations or [] if spec else []
    found: dict[str, Path] = {}
    for folder in map(Path, folders):
        for path in folder.rglob("*.py"):
            parts = (package, *path.relative_to(folder).with_suffix("").parts)
            found[".".join(part for part in parts if part != "__init__")] = path
    return found


MODULES = {**sources("rfc6455"), **sources("server")}


def within(module: str, *packages: str) -> bool:
    return any(f"{module}.".startswith(f"{package}.") for package in packages)


def named(module: str, path: Path, tree: ast.AST) -> set[str]:
    """The modules that a source names in its imports, wherever they stand, under TYPE_CHECKING too."""
    names: set[str] = set()
    package = module.split(".") if path.name == "__init__.py" else module.split(".")[:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            parents = package[: len(package) - node.level + 1] if node.level else []
            origin = ".".join([*parents, *filter(None, [node.module])])
            submodules = {f"{origin}.{alias.name}" for alias in node.names}
            # `from . import frames` names the submodule, `from .frames import Frame` the module itself.
            names |= {name if name in MODULES or name in PROTOCOL else origin for name in submodules}
    return names


IMPORTS = {
    module: named(module, path, ast.parse(path.read_text(encoding="utf-8")))
    for module, path in MODULES.items()
}
of_protocol = pytest.mark.parametrize("module", sorted(sources("rfc6455")))
of_server = pytest.mark.parametrize("module", sorted(sources("server")))


@of_protocol
def test_protocol_imports_only_what_stands_before_it(module: str) -> None:
    before = PROTOCOL[: PROTOCOL.index(module)]
    assert set() == {name for name in IMPORTS[module] if within(name, "rfc6455")} - set(before)


@of_protocol
def test_protocol_has_no_dependency_and_does_no_io(module: str) -> None:
    roots = {name.partition(".")[0] for name in IMPORTS[module] if not within(name, "rfc6455")}
    assert set() == roots & OUTSIDE
    assert set() == roots - sys.stdlib_module_names


@of_server
def test_server_imports_only_the_public_names_of_the_protocol(module: str) -> None:
    assert {name for name in IMPORTS[module] if within(name, "rfc6455")} <= {"rfc6455"}


@pytest.mark.parametrize("module", [f"server.{name}" for name in HUB])
def test_hub_knows_neither_dialects_nor_carriers(module: str) -> None:
    reached, waiting = set[str](), [module]
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting += IMPORTS.get(name, set())
    assert set() == {name for name in reached if within(name, *CLIENTS)}


@of_server
def test_dialects_and_carriers_do_not_know_the_service_above_them(module: str) -> None:
    above = {"server.__main__", "server.http", "server.protocol", "server.service", "server.writing"}
    if within(module, *CLIENTS):
        assert set() == IMPORTS[module] & above


def test_no_cycle_is_hidden_under_type_checking_or_in_a_function() -> None:
    TopologicalSorter({module: IMPORTS[module] & set(MODULES) for module in MODULES}).prepare()
