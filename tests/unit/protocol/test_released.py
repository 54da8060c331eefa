import re

import pytest

from bench.errors import ProtocolError
from bench.models import manifest
from bench.protocol import load as loading
from bench.protocol import released
from bench.protocol.load import digest, load, names, read, shipped
from bench.protocol.origin import Origin

NAME = "digits-v1"


@pytest.fixture
def rules(monkeypatch):
    """Return a way to load other text under the name of released rules."""
    text = shipped(NAME).replace('status = "draft"', 'status = "released"')
    listed = {"protocols": {NAME: digest(read(Origin(NAME, text))[0])}, "networks": {}}
    monkeypatch.setattr(released, "lock", lambda: listed)

    def change(old, new, count=1):
        assert old in text
        monkeypatch.setattr(loading, "shipped", lambda _: text.replace(old, new, count))
        return load.__wrapped__(NAME)

    return change


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("steps = 100", "steps = 101"),
        ('epsilon = "1/10"', 'epsilon = "1/11"'),
        ("points = 500", "points = 50"),
        ("seed = 0", "seed = 1"),
        ('"fab-t", "square"]', '"square", "fab-t"]'),
        ("tolerance = 1e-4", "tolerance = 1e-3"),
        ("d7e5b0c5", "d7e5b0c4"),
        ('"1/64", ', ""),
        ('scenarios = ["transfer", "black-box"]', 'scenarios = ["transfer"]'),
        ("epochs = 20", "epochs = 21"),
        ('"hydra",', ""),
    ],
)
def test_one_character_that_matters_and_no_command_takes_the_rules(rules, old, new):
    with pytest.raises(ProtocolError, match=r"digits-v1\.toml is not what was released .* give the new rules the next"):
        rules(old, new)


@pytest.mark.parametrize(
    ("old", "new"),
    [("# ", "#  "), ('title = "Digits"', 'title = "Digits, small"'), ("preliminary figures", "first figures")],
)
def test_words_may_be_mended(rules, old, new):
    assert rules(old, new).status == "released"


def test_what_is_released_is_no_draft_again(rules):
    with pytest.raises(ProtocolError, match="calls itself a draft"):
        rules('status = "released"', 'status = "draft"')


def test_nothing_is_released_that_is_not_listed(monkeypatch):
    text = shipped(NAME).replace('status = "draft"', 'status = "released"')
    monkeypatch.setattr(released, "lock", lambda: {"protocols": {}, "networks": {}})
    monkeypatch.setattr(loading, "shipped", lambda _: text)
    with pytest.raises(ProtocolError, match=r"released\.json does not list it"):
        load.__wrapped__(NAME)


def test_every_listed_protocol_is_there_and_networks_are_the_files_of_their_day():
    listed = released.lock()
    assert set(listed) == {"networks", "protocols"}
    assert set(listed["protocols"]) <= set(names())
    assert all(re.fullmatch("[0-9a-f]{64}", value) for table in listed.values() for value in table.values())
    outcomes = manifest.outcomes()
    assert {name: outcomes[name].sha256 for name in listed["networks"]} == listed["networks"]
