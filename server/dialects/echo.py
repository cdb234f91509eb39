"""Echo: every message comes back as it went."""

from typing import final

from ..publication import Shared
from ..session import Session
from ..tick import Message


@final
class EchoDialect:
    """Stands apart from the hub: its sessions neither publish nor hear."""

    name = "echo"

    def connected(self, session: Session) -> None:
        """Wait for the client to begin."""

    def receive(self, session: Session, message: Message) -> None:
        """Send it back."""
        session.send(message)

    def encode(self, item: Shared) -> Message:
        """Never asked for: nothing is published to a session that isn't in the hub."""
        raise NotImplementedError

    def refuse(self, session: Session, code: str, reason: str) -> None:
        """Leave it to the Close, which says the same."""

    def octets_held(self, session: Session) -> int:
        """Nothing is kept."""
        return 0

    def disconnected(self, session: Session, code: int) -> None:
        """Nothing was kept."""
