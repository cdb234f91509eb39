"""The application as its author meets it: by which name it is found, and what its decorators take."""

import math
import sys
from pathlib import Path

import pytest
from msgspec import Raw

from server.application import (
    Action,
    Application,
    ApplicationError,
    Draft,
    Kind,
    Session,
    load_application,
)


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to import from, with one good module."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "modules", dict(sys.modules))
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "chat.py").write_text(
        "from server.application import Application\napp = Application()\nother = Application()\nnumber = 1\n"
    )
    return tmp_path


@pytest.mark.parametrize(("name", "attribute"), [("shop.chat", "app"), ("shop.chat:other", "other")])
def test_application_is_found_by_its_module_and_name(package: Path, name: str, attribute: str) -> None:
    application = load_application(name)
    assert getattr(sys.modules["shop.chat"], attribute) is application


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("nowhere", "app: there is no module 'nowhere'"),
        ("nowhere.chat", "app: there is no module 'nowhere.chat'"),
        ("shop.nothing", "app: there is no module 'shop.nothing'"),
        ("shop.chat:none", "app: 'none' in 'shop.chat' is no Application"),
        ("shop.chat:number", "app: 'number' in 'shop.chat' is no Application"),
        ("shop", "app: 'app' in 'shop' is no Application"),
    ],
)
def test_what_is_no_application_is_said_in_one_line(package: Path, name: str, reason: str) -> None:
    with pytest.raises(ApplicationError) as caught:
        load_application(name)
    assert reason == str(caught.value)


@pytest.mark.parametrize("line", ["import nowhere_at_all", "1 / 0"])
def test_what_fails_inside_of_the_module_is_raised_as_it_is(package: Path, line: str) -> None:
    (package / "shop" / "broken.py").write_text(line)
    with pytest.raises((ModuleNotFoundError, ZeroDivisionError)):
        load_application("shop.broken")


def test_draft_holds_json_and_shows_a_value() -> None:
    draft = Draft(Kind.MESSAGE, "general", Raw(b'{"n": 1}'), None)
    assert {"n": 1} == draft.value
    draft.value = [draft.value, "\u00e5"]
    assert '[{"n":1},"\u00e5"]'.encode() == bytes(draft.payload)


def test_two_actions_of_one_name_are_the_authors_mistake() -> None:
    class Roll(Action, tag="roll"):
        pass

    class AlsoRoll(Action, tag="roll"):
        pass

    class Join(Action, tag="join"):
        pass

    app = Application()

    @app.action(Roll)
    async def roll(session: Session, request: Roll) -> None: ...

    for known in (Roll, AlsoRoll, Join):
        with pytest.raises(ValueError, match="There is an action"):
            app.action(known)


def test_decorated_functions_stay_what_they_are() -> None:
    app = Application()

    async def hook(session: Session) -> None: ...

    assert hook is app.on_connect(hook)
    assert hook is app.connect_hook
    assert math.inf > len(app.actions)
