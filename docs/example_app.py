"""An application: rooms with a door, manners, and dice.

python -m server --app docs.example_app
"""

import random
from typing import Annotated

from msgspec import Meta

from server.application import Action, Application, Draft, Refusal, Session

app = Application()


class Roll(Action, tag="roll"):
    """{"action":"roll","sides":20} is answered with {"type":"answer","action":"roll","result":...}."""

    room: str
    sides: Annotated[int, Meta(ge=2, le=1000)] = 6


@app.on_join
async def mind_the_door(session: Session, room: str) -> None:
    """A hook that raises Refusal refuses what was asked for."""
    if room.startswith("private.") and session.user is None:
        raise Refusal("members_only", "Sign in to enter that room.")


@app.on_publish
async def mind_the_manners(session: Session, draft: Draft) -> None:
    """What it changes in the draft is what everybody hears."""
    if isinstance(draft.value, str) and draft.value.isupper():
        draft.value = draft.value.capitalize()


@app.action(Roll)
async def roll(session: Session, request: Roll) -> int:
    """Tell the room, and answer who asked."""
    result = random.randint(1, request.sides)
    app.publish(request.room, {"roll": result, "sides": request.sides}, user="dice")
    return result
