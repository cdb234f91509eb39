"""`client.d.ts` says what there is in `client.js`, and by it the TypeScript compiler judges a page."""

import json
import re
import subprocess
from pathlib import Path
from typing import Final

import pytest

from ..conftest import require
from ..test_readme import README, blocks
from .node import path_of_node, resolve

pytestmark = pytest.mark.real

ROOT: Final = README.parent
STATIC: Final = ROOT / "server/static"
TYPES: Final = (STATIC / "client.d.ts").read_text(encoding="utf-8")
USAGE: Final = Path(__file__).with_name("client_usage.ts")


def node(*arguments: str) -> str:
    """What a program in Node prints."""
    done = subprocess.run([path_of_node(), *arguments], capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def compile_page(page: Path, folder: Path) -> str:
    """What the compiler has to say against a page that imports `/client.js`."""
    compiler = resolve("typescript/bin/tsc")
    require(compiler, "needs the package typescript in NODE_PATH")
    options = {
        "strict": True,
        "noEmit": True,
        "target": "es2022",
        "module": "nodenext",
        "lib": ["es2022", "dom"],
        "types": [],
        # As docs/client.md has it.
        "paths": {"/client.js": [str(STATIC / "client.d.ts")]},
    }
    configuration = folder / "tsconfig.json"
    configuration.write_text(json.dumps({"compilerOptions": options, "files": [str(page)]}))
    return node(compiler, "--project", str(configuration))


def declared(kind: str, name: str) -> set[str]:
    """What a class or an interface has by a name of its own."""
    found = re.search(rf"^export {kind} {name}\b.*?^}}", TYPES, re.MULTILINE | re.DOTALL)
    assert found is not None
    return set(re.findall(r"^  (?:readonly )?(\w+)\??[<(:]", found[0], re.MULTILINE))


def test_a_page_in_typescript_compiles_and_its_mistakes_do_not(tmp_path: Path) -> None:
    assert "" == compile_page(USAGE, tmp_path)


@pytest.mark.parametrize("path", ["README.md", "docs/client.md"])
def test_examples_of_the_documents_compile(path: str, tmp_path: Path) -> None:
    document = (ROOT / path).read_text(encoding="utf-8")
    examples = [block.text for block in blocks(document) if block.info == "js"]
    assert 1 == len(examples)
    page = tmp_path / "page.mts"
    page.write_text(examples[0])
    assert "" == compile_page(page, tmp_path)


def test_the_types_have_what_the_module_has() -> None:
    script = """
        import(process.argv[1]).then(({ RoomsClient, ...others }) => {
          const members = Object.getOwnPropertyNames(RoomsClient.prototype);
          console.log(JSON.stringify([members, Object.keys(others)]));
        });
    """
    members, others = json.loads(node("-e", script, str(STATIC / "client.js")))
    inherited = {"addEventListener", "removeEventListener"}
    assert {*members, *inherited} == declared("class", "RoomsClient") | {"constructor"}
    assert {"RoomsClient", *others} == set(re.findall(r"^export class (\w+)", TYPES, re.MULTILINE))


def test_the_types_have_the_options_that_are_read() -> None:
    defaults = re.search(r"^const DEFAULTS = .*?^\}", (STATIC / "client.js").read_text(), re.M | re.S)
    assert defaults is not None
    options = set(re.findall(r"^  (\w+):", defaults[0], re.MULTILINE))
    assert options | {"WebSocket"} == declared("interface", "Options")
