"""Identity: who a client has proved to be, until when, and what it may do."""

import math
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, final

from .names import check_name
from .rights import EVERYTHING, Rights

# The close code of a session that is no longer anybody's; IANA has it as Unauthorized.
UNAUTHORIZED: Final = 3000


@final
@dataclass(frozen=True, slots=True, eq=False)
class Identity:
    """`expires_at` in Unix time; `claims` are what a token says besides. Raises Refusal for an unfit name."""

    user: str
    expires_at: float = math.inf
    rights: Rights = EVERYTHING
    claims: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        check_name("user", self.user)


# Who it is, or what is to be called and awaited to know it.
Judged = Identity | Callable[[], Awaitable[Identity]]
