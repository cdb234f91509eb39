"""An application that does what none should: it blocks the event loop, for as long as it is asked to."""

import time

from server.application import Action, Application, Session

app = Application()


class Block(Action, tag="block"):
    """Do nothing, and let nobody else do anything."""

    seconds: float


@app.action(Block)
async def block(session: Session, request: Block) -> None:
    time.sleep(request.seconds)  # noqa: ASYNC251 - that is what it is for.
