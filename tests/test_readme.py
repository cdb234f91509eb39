"""What the documents say is what happens: their examples are run, and their commands are those of the gate.

In README.md and docs/ the `python` blocks of a file are run from top to bottom in one namespace. A `text`
block right behind one is what it prints, to the letter. A `python sketch` block is only compiled.
"""

import doctest
import re
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import NamedTuple

import pytest

import rfc6455

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
DOCUMENTS = [README, *sorted(ROOT.glob("docs/**/*.md"))]

FENCED = re.compile(r"^```(.*)\n((?:.*\n)*?)```$", re.MULTILINE)


class Block(NamedTuple):
    info: str
    line: int
    text: str
    # What a `text` block right behind it says.
    output: str | None


def blocks(document: str) -> list[Block]:
    found: list[Block] = []
    for match in FENCED.finditer(document):
        following = FENCED.match(document, match.end() + len("\n\n"))
        output = following[2] if following and following[1] == "text" else None
        found.append(Block(match[1], document.count("\n", 0, match.start()) + 1, match[2], output))
    return found


def run(document: str, name: str = "README.md") -> None:
    namespace: dict[str, object] = {"__name__": "__main__"}
    for block in blocks(document):
        language, *marks = block.info.split()
        if language != "python":
            continue
        # The lines of a traceback are those of the document.
        code = compile("\n" * block.line + block.text, name, "exec")
        if marks:
            assert ["sketch"] == marks
            continue
        printed = StringIO()
        with redirect_stdout(printed):
            exec(code, namespace)
        assert block.output is None or block.output == printed.getvalue()


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_examples_run_and_print_what_the_document_says(path: Path) -> None:
    run(path.read_text(encoding="utf-8"), str(path))


def test_readme_shows_examples_with_their_output() -> None:
    assert any(block.output for block in blocks(README.read_text(encoding="utf-8")))


def test_examples_in_the_docstring_of_the_protocol_run() -> None:
    results = doctest.testmod(rfc6455)
    assert results.attempted > 0
    assert 0 == results.failed


def test_commands_of_the_readme_are_run_by_the_gate() -> None:
    commands = [
        block.text.strip() for block in blocks(README.read_text(encoding="utf-8")) if block.info == "sh"
    ]
    installs = [command for command in commands if "pip install" in command]
    # One starts the server, one runs the tests.
    assert 2 == len(installs)
    gate = (ROOT / ".ci/run").read_text(encoding="utf-8")
    assert [] == [command for command in installs if command not in gate]


# The convention itself.


@pytest.mark.parametrize(
    "document",
    [
        "```python\na = 1\n```\n\nand\n\n```python\nprint(a)\n```\n\n```text\n1\n```\n",
        "```python\nprint(1)\n```\n\nunsaid\n\n```text\n2\n```\n",
        "```python sketch\nunknown\n```\n",
        "```sh\nfalse\n```\n",
    ],
    ids=["namespace is shared", "output is not said", "sketch is not run", "other language"],
)
def test_document_holds(document: str) -> None:
    run(document)


@pytest.mark.parametrize(
    ("document", "error"),
    [
        ("```python\nprint(1)\n```\n\n```text\n2\n```\n", AssertionError),
        ("```python\nprint(1)\n```\n\n```text\n```\n", AssertionError),
        ("```python\nunknown\n```\n", NameError),
        ("```python sketch\n1 +\n```\n", SyntaxError),
        ("```python skip\n1\n```\n", AssertionError),
    ],
    ids=["other output", "more output", "exception", "sketch that is no Python", "unknown mark"],
)
def test_document_does_not_hold(document: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        run(document)
