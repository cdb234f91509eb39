"""kosoku, with a fault mended: it breaks off cases of 12 and 13 in which an answer comes uncompressed.

Those cases want the octets of every answer. kosoku gives them to them where it inflated, and a `str` where
it didn't: of a text its characters, of a binary message one for each octet. A peer needn't compress all
that it sends, and ours doesn't what is long. This runs in kosoku's environment and takes its arguments.
"""

import importlib
from collections.abc import Callable
from typing import Any

OnMessage = Callable[[Any, str | bytes, bool], None]


def mend(on_message: OnMessage) -> OnMessage:
    """Return a case's reaction to an answer that is given as octets or as a `str`."""

    def reaction(case: Any, message: str | bytes, binary: bool) -> None:
        if isinstance(message, str):
            message = message.encode("latin-1" if binary else "utf-8")
        on_message(case, message, binary)

    return reaction


if __name__ == "__main__":
    importlib.import_module("kosoku._caseindex").initialize_shims()
    module = importlib.import_module("case12_x_x")
    for case in (*module.Case12_X_X, *module.Case13_X_X):
        case.onMessage = mend(case.onMessage)
    importlib.import_module("kosoku._cli").main()
