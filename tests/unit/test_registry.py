"""A registry finds by name, and helps when nothing carries it."""

import pytest

from bench.errors import UsageError
from bench.registry import Registry, unknown


def test_a_name_is_given_once():
    registry: Registry[int] = Registry("thing", "bench.protocol")
    registry.register("one")(1)
    with pytest.raises(ValueError, match="two components of kind thing are called 'one'"):
        registry.register("one")(2)


def test_a_miss_names_the_nearest_and_all():
    registry: Registry[int] = Registry("attack", "bench.protocol")
    registry.register("square")(1)
    registry.register("fab-t")(2)
    with pytest.raises(
        UsageError, match=r"No attack is called 'sqare'\. Did you mean 'square'\? Known: fab-t, square\."
    ):
        registry["sqare"]


def test_names_are_listed_in_order():
    registry: Registry[int] = Registry("thing", "bench.protocol")
    registry.register("b")(1)
    registry.register("a")(2)
    assert list(registry) == ["a", "b"]
    assert "a" in registry
    assert "c" not in registry


def test_without_a_near_miss_there_is_no_hint():
    assert unknown("recipe", "zzz", ["dense"]) == "No recipe is called 'zzz'. Known: dense."
