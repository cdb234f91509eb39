"""Rights: in which rooms a client may be, where it may publish, and whom it may address."""

from typing import Final, final

from msgspec import Struct, ValidationError, convert

from .names import ANY_REST, check_pattern, matches
from .refusal import Refusal


@final
class Rights(Struct, frozen=True):
    """Rooms by name or pattern; what isn't given isn't allowed.

    Who may not join a room can't ask for its history or its members either, nor hear it through a pattern.
    """

    join: tuple[str, ...] = ()
    publish: tuple[str, ...] = ()
    broadcast: bool = False
    direct: bool = False

    def may_join(self, name: str) -> bool:
        """Tell whether it may be in that room, or in all for which a pattern stands."""
        return any(matches(pattern, name) for pattern in self.join)

    def check_join(self, name: str) -> None:
        """Raises Refusal if it may not."""
        if not self.may_join(name):
            raise Refusal("forbidden", "You may not join that room.")

    def check_publish(self, name: str) -> None:
        """Raises Refusal if it may not publish to that room."""
        if not any(matches(pattern, name) for pattern in self.publish):
            raise Refusal("forbidden", "You may not publish to that room.")

    def check_broadcast(self) -> None:
        """Raises Refusal if it may not publish to everyone."""
        if not self.broadcast:
            raise Refusal("forbidden", "You may not broadcast.")

    def check_direct(self) -> None:
        """Raises Refusal if it may not send direct messages."""
        if not self.direct:
            raise Refusal("forbidden", "You may not send direct messages.")


EVERYTHING: Final = Rights((ANY_REST,), (ANY_REST,), broadcast=True, direct=True)


def parse_rights(claim: object) -> Rights:
    """Read rights from JSON, such as `{"join": ["team.*"]}`. Raises ValueError, which quotes no value."""
    try:
        rights = convert(claim, Rights)
        for pattern in (*rights.join, *rights.publish):
            check_pattern(pattern)
    except (ValidationError, Refusal) as error:
        raise ValueError(str(error)) from None
    return rights
