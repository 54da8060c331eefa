import pytest

from bench.errors import UsageError
from bench.models.naming import Changes, parts_renamed, patterns, prefixes, suggest, unwrapped

WANTED = ["conv.weight", "bn.weight", "bn.num_batches_tracked", "fc.weight", "fc.bias"]


def test_wrappers_are_cut_at_any_depth_and_layers_that_sound_alike_stay():
    assert unwrapped("_orig_mod.module.layer1._orig_mod.0.weight") == "module.layer1.0.weight"
    assert unwrapped("_fsdp_wrapped_module.a._checkpoint_wrapped_module.w") == "a.w"
    assert unwrapped("orig_mod.w") == "orig_mod.w"


def test_a_prefix_is_found_by_the_names_that_are_wanted():
    assert prefixes([f"a.b.{name}" for name in WANTED], WANTED) == ["a.b."]
    assert prefixes([f"{who}.{name}" for who in "ab" for name in WANTED], WANTED) == ["a.", "b."]
    assert prefixes(WANTED, WANTED) == [""]
    assert prefixes(["x", "y"], WANTED) == []


def test_suggested_flags_do_what_they_promise():
    found = [f"model.{name}" for name in WANTED] + ["n_averaged", "acc.tp", "acc.fp", "model.extra", "model.bn.weights"]
    (changes,) = suggest(found, WANTED)
    out = changes.dropped(found)
    assert sorted(changes.renamed(name) for name in found if name not in out) == sorted(WANTED)
    assert str(changes) == "--drop n_averaged --drop 'acc.*' --drop model.extra --drop model.bn.weights --strip model."


def test_many_extras_of_one_kind_are_one_pattern():
    found = WANTED + [f"layer{index}.select.indexes" for index in range(9)] + ["bn.indexes"]
    (changes,) = suggest(found, WANTED)
    assert changes.drop == ("*.indexes",)
    assert changes.dropped(found) == set(found) - set(WANTED)
    assert patterns(["a[0]", "b*"], ["a0", "bb"]) == ("a[[]0]", "b[*]")


def test_nothing_is_suggested_where_a_tensor_is_missing():
    assert suggest(WANTED[:-1], WANTED) == ()
    assert suggest([name for name in WANTED if "tracked" not in name], WANTED) == (Changes(),)
    assert suggest(WANTED[:-1], WANTED, optional=["fc.bias"]) == (Changes(),)


def test_parts_are_renamed_only_where_every_tensor_then_has_its_place():
    wanted = {"conv.weight": (3,), "down.0.weight": (4,), "fc.weight": (5,), "fc.bias": (6,)}
    found = {"conv.weight": (3,), "shortcut.0.weight": (4,), "head.weight": (5,), "head.bias": (6,)}
    assert parts_renamed(found, wanted) == (("shortcut", "down"), ("head", "fc"))
    assert parts_renamed(found | {"head.bias": (7,)}, wanted) == ()
    assert parts_renamed(found | {"extra": (6,)}, wanted) == ()
    assert parts_renamed(wanted, wanted) == ()
    assert parts_renamed({name.partition(".")[2]: shape for name, shape in wanted.items()}, wanted) == ()
    mixed = {("head." if name.startswith("fc") else "backbone.") + name: shape for name, shape in wanted.items()}
    assert parts_renamed(mixed, wanted) == (("backbone", ""), ("head", ""))
    assert Changes(rename=(("a.b", "c"), ("x", ""))).renamed("x.a.b.ab.x.w") == "c.ab.w"


def test_a_pattern_may_speak_of_a_name_as_it_stands_or_as_it_becomes():
    names = ["_orig_mod.model.n", "_orig_mod.model.w"]
    for pattern in ("_orig_mod.model.n", "model.n", "n", "*n"):
        assert Changes(drop=(pattern,), strip="model.").dropped(names) == {"_orig_mod.model.n"}
    with pytest.raises(UsageError, match=r"--drop 'z' meets no name; there are '_orig_mod\.model\.n'"):
        Changes(drop=("z",)).dropped(names)
