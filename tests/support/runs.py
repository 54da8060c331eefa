"""What two runs of one cell must have alike, to the byte."""

import json
from pathlib import Path

RESULT_FILES = {"result.json", "points.npz", "witnesses.npz"}


def told(folder: Path, *, passes: bool = True) -> dict[str, object]:
    """Return all that a finished run says but for its clock and its environment, and the bytes of the files beside it.

    With ``passes=False`` what it cost is left out: work that was cut otherwise costs otherwise.
    """
    result = json.loads((folder / "result.json").read_bytes())
    del result["environment"]
    cost = result.pop("cost")
    if passes:
        result["passes"] = cost["forwards"], cost["backwards"]
    else:
        for attack in (attack for threat in result["threats"] for attack in threat["attacks"]):
            del attack["forwards"], attack["backwards"]
        for scenario in result["scenarios"].values():
            del scenario["forwards"]
    assert {path.name for path in folder.iterdir()} == {*RESULT_FILES, "journal"}
    return {"result": result, **{name: (folder / name).read_bytes() for name in ("points.npz", "witnesses.npz")}}
