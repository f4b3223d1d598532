"""A client that tries wrong tokens has to wait, no other does, and the memory for it is bounded."""

import pytest

from trading.hosting import tokens
from trading.hosting.tokens import (
    MAX_WRONG_TOKENS,
    WINDOW,
    Token,
    WrongTokens,
    check_strength,
    digest,
)


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_after_so_many_wrong_ones_an_address_waits_until_the_window_ends() -> None:
    clock = Clock()
    wrong = WrongTokens(clock)
    for _ in range(MAX_WRONG_TOKENS):
        assert wrong.wait("10.0.0.7") == 0
        wrong.add("10.0.0.7")
    assert 0 < wrong.wait("10.0.0.7") <= WINDOW + 1
    assert wrong.wait("10.0.0.8") == 0
    clock.now += WINDOW / 2
    assert 0 < wrong.wait("10.0.0.7") <= WINDOW / 2 + 1
    clock.now += WINDOW / 2
    assert wrong.wait("10.0.0.7") == 0
    wrong.add("10.0.0.7")
    assert wrong.wait("10.0.0.7") == 0


def test_addresses_of_one_ipv6_network_are_one_client_s() -> None:
    wrong = WrongTokens(Clock())
    for number in range(MAX_WRONG_TOKENS):
        wrong.add(f"2001:db8::{number}")
    assert wrong.wait("2001:db8::ffff")
    assert not wrong.wait("2001:db8:0:1::1")
    for number in range(MAX_WRONG_TOKENS):
        wrong.add(f"::ffff:10.0.0.{number}")
    assert not wrong.wait("::ffff:10.0.0.1")


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "_MAX_ADDRESSES", 100)
    wrong = WrongTokens(Clock())
    for number in range(1000):
        wrong.add(f"10.0.{number // 250}.{number % 250}")
    assert len(wrong) == 100


def test_a_token_that_is_not_set_matches_nothing() -> None:
    assert not Token("CHAOS_TOKEN").matches("")
    token = Token("CHAOS_TOKEN", digest("a-token-that-is-long-enough"))
    assert token.matches("a-token-that-is-long-enough")
    assert not token.matches(token.digest)


def test_a_secret_of_sixteen_visible_characters_is_strong_enough() -> None:
    check_strength("x" * 16)
    for weak in ("x" * 15, "x" * 15 + " ", "x" * 15 + "\n", "x" * 15 + "ü"):
        with pytest.raises(ValueError, match="must"):
            check_strength(weak)
