"""Words that the record of a result cannot hold are refused before the run."""

from dataclasses import replace

import pytest

from bench.errors import InputError, UsageError
from bench.evaluation.plan.plan import Origin, Request, plan
from bench.evaluation.plan.words import hold_words
from bench.models.source import ModelRef
from bench.protocol.load import load

REQUEST = Request(model=ModelRef("embedded", "digits-cnn-linf"), protocol=load("digits-v1"))


@pytest.mark.parametrize("method", ["", " ", "x" * 101, "two\nlines", "\u202eevil", "\ud800"])
def test_a_method_is_a_line_of_a_hundred_characters(method):
    with pytest.raises(UsageError, match="--method should be one line of at most 100 characters"):
        plan(replace(REQUEST, origin=Origin(method=method)))
    with pytest.raises(UsageError, match="--method should be one line"):
        hold_words([], None, method, ())


def test_a_file_whose_name_does_not_show_is_named_anew_first():
    with pytest.raises(UsageError, match=r"the model 'a\\u202eb\.safetensors' holds characters that do not show"):
        hold_words(["a\u202eb.safetensors"], None, None, ())
    with pytest.raises(UsageError, match="the architecture"):
        hold_words([], "x" * 101, None, ())


def test_a_class_is_named_by_a_line():
    with pytest.raises(InputError, match="the class 'cat ' holds white space at its ends"):
        hold_words([], None, None, ("dog", "cat "))
    hold_words(["embedded:x"], "timm:resnet18", "LAMP + TRADES", ("dog", "Katze", "猫"))
