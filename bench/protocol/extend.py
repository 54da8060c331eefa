"""Rules that are those of another protocol but for what a file says otherwise."""

import copy
from collections.abc import Mapping
from typing import Any

from bench.protocol.origin import Place

_BY_NORM = ("threats", "curves")
"""Arrays of tables with one table a norm; a file changes the tables it names and keeps the others."""
_PINS = frozenset({"digest", "files"})
"""Fields that pin points, of which a table has one."""


def extended(base: Mapping[str, Any], own: Mapping[str, Any]) -> tuple[dict[str, Any], dict[Place, Place]]:
    """Return the rules of ``base`` with those of ``own`` in their place, and where the tables by norm lie in ``own``.

    Tables are changed field by field, with these exceptions. Points are never those of the base once a file says
    anything about data: neither what pins them, nor what pins the calibration images, nor what is held out is
    inherited, and nothing of the table is where the data set is another. A table that says what pins its points has no
    other pin. Presets are those of the base unless the file has some, without what was measured of them under its
    rules. Title and summary are the file's own. Settings of attacks that no cascade names any more are left out.
    """
    rules = copy.deepcopy(dict(base))
    for word in ("title", "summary", "status"):
        rules.pop(word, None)
    _other_points(rules, own)
    if "presets" in own:
        rules.pop("presets", None)
    for preset in rules.get("presets", {}).values():
        preset.pop("gaps", None)
    moved: dict[Place, Place] = {}
    for key, value in own.items():
        if key in _BY_NORM and isinstance(value, list):
            rules[key] = _by_norm(rules.get(key, []), value, key, moved)
        else:
            rules[key] = _changed(rules.get(key), value)
    _let_go(rules, own)
    return rules, moved


def _other_points(rules: dict[str, Any], own: Mapping[str, Any]) -> None:
    for table in ("data", "held_out", "calibration"):
        if "data" in own or not _PINS.isdisjoint(own.get(table, ())):
            rules[table] = {key: value for key, value in rules.get(table, {}).items() if key not in _PINS}
    if "data" in own:
        if "held_out" not in own:
            rules.pop("held_out", None)
            rules.get("checks", {}).pop("held-out", None)
        if "dataset" in own["data"]:
            rules["data"] = {}
            rules["calibration"] |= {"split": "train", "first": 0}  # which every data set and format may have


def _changed(before: Any, after: Any) -> Any:
    if isinstance(before, dict) and isinstance(after, Mapping):
        return before | {key: _changed(before.get(key), value) for key, value in after.items()}
    return after


def _by_norm(before: list[Any], after: list[Any], key: str, moved: dict[Place, Place]) -> list[Any]:
    tables = list(before)
    known = {table["norm"]: place for place, table in enumerate(before)}
    moved.update({(key, place): (key, norm) for norm, place in known.items()})  # not in the file at all, so far
    for place, table in enumerate(after):
        norm = table.get("norm") if isinstance(table, Mapping) else None
        if norm in known:
            where = known.pop(norm)
            tables[where] = {**tables[where], **table}
        else:
            where = len(tables)
            tables.append(table)
        moved[key, where] = (key, place)
    return tables


def _let_go(rules: dict[str, Any], own: Mapping[str, Any]) -> None:
    """Leave out the settings that were inherited for attacks which no cascade names any more."""
    tables = [*rules.get("threats", []), *rules.get("curves", [])]
    used = {name for table in tables if isinstance(table, Mapping) for name in table.get("attacks", ())}
    for key in ("attacks", "black_box"):
        settings = rules.get(key)
        if isinstance(settings, dict):
            rules[key] = {name: rule for name, rule in settings.items() if name in used or name in own.get(key, {})}
