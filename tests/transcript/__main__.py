"""Prints the transcript, after the name of the build that it is of."""

import json
from collections.abc import Callable
from itertools import groupby
from random import Random
from typing import Final

from rfc6455 import BUILD
from tests.transcript import connections, handshakes

CONVERSATIONS: Final[dict[Callable[[Random, int], list[str]], int]] = {
    connections.conversation: 3000,
    connections.parsing: 1000,
    connections.reading: 1000,
    connections.encoding: 500,
    handshakes.serving: 2000,
    handshakes.asking: 1000,
    handshakes.computing: 500,
}


def main() -> None:
    print(BUILD)
    for conversation, count in CONVERSATIONS.items():
        for number in range(count):
            steps = [
                f"{step} x{len(list(equal))}" for step, equal in groupby(conversation(Random(number), number))
            ]
            print(json.dumps([f"{conversation.__name__} {number}", *steps]))


if __name__ == "__main__":
    main()
