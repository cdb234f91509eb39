"""Tokens: only what this server issued is taken, and for the session that it was issued to."""

import pytest

from server.refusal import Refusal
from server.tokens import Tokens


def test_token_tells_whose_it_is() -> None:
    tokens = Tokens()
    for id in ("a", "b", "a.b", "\u00e5"):
        assert id == tokens.verify(tokens.issue(id))


def test_every_other_token_is_refused() -> None:
    tokens, others = Tokens(), Tokens()
    good = tokens.issue("a")
    forged = [
        "",
        ".",
        "a",
        "a.",
        good[:-1],
        good + "0",
        "b" + good[1:],
        good.upper(),
        others.issue("a"),
        "\ud800.",
    ]
    for token in forged:
        with pytest.raises(Refusal) as caught:
            tokens.verify(token)
        assert "invalid_token" == caught.value.code
