"""What the data of the board are, for machines that look for data sets: Croissant's JSON-LD."""

import hashlib
from datetime import date
from typing import Any

from bench.site.frame import FILE, STORED, Column
from bench.version import __version__

NAME = "croissant.json"
CITE = """\
@software{prunebench,
  title  = {prunebench: a benchmark for the adversarial robustness of pruned image classifiers},
  author = {{The prunebench maintainers}},
  year   = {2026}
}
"""
"""As the README asks to be cited."""
_SAYS = (
    "Adversarial robustness of pruned image classifiers: for every entry of the leaderboard and every norm, how many "
    "points stand without a verified witness, and what pruning left of the network. All values are counts."
)
_TYPES = {"text": "sc:Text", "date": "sc:Date", "count": "sc:Integer"}
_OWN = ("citeAs", "column", "equivalentProperty", "extract", "field", "fileProperty", "fileObject", "fileSet", "format",
        "includes", "isLiveDataset", "jsonPath", "key", "md5", "parentField", "path", "recordSet", "references",
        "regex", "repeated", "replace", "samplingRate", "separator", "source", "subField", "transform")  # fmt: skip
"""Terms of the vocabulary that a description may use without a prefix."""
_CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "rai": "http://mlcommons.org/croissant/RAI/",
    "sc": "https://schema.org/",
    **{term: f"cr:{term}" for term in _OWN},
}


def croissant(table: bytes, published: date) -> dict[str, Any]:
    """Describe the table of all entries.

    Addresses are relative to the description itself, because a site does not know on which host it will lie.

    Source: Croissant 1.0, http://mlcommons.org/croissant/1.0, "Dataset-level Information", "Resources", "RecordSets".
    """
    return {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": "prunebench-entries",
        "description": _SAYS,
        "license": "https://spdx.org/licenses/MIT.html",
        "url": "../data.html",
        "creator": {"@type": "sc:Organization", "name": "The prunebench maintainers"},
        "datePublished": published.isoformat(),
        "version": __version__,
        "keywords": ["adversarial robustness", "pruning", "benchmark", "AutoAttack", "sparse attacks"],
        "isLiveDataset": True,
        "citeAs": CITE,
        "distribution": [
            {
                "@type": "cr:FileObject",
                "@id": FILE,
                "name": FILE,
                "description": "One row for every entry and norm; an empty cell is a missing value.",
                "contentUrl": FILE,
                "contentSize": f"{len(table)} B",
                "encodingFormat": "text/csv",
                "sha256": hashlib.sha256(table).hexdigest(),
            }
        ],
        "recordSet": [
            {
                "@type": "cr:RecordSet",
                "@id": "entries",
                "name": "entries",
                "description": "One record for every entry and norm.",
                "key": [{"@id": f"entries/{name}"} for name in ("protocol", "entry", "norm")],
                "field": [_field(column) for column in STORED],
            }
        ],
    }


def _field(column: Column) -> dict[str, Any]:
    return {
        "@type": "cr:Field",
        "@id": f"entries/{column.name}",
        "name": column.name,
        "description": column.says,
        "dataType": _TYPES[column.kind],
        "source": {"fileObject": {"@id": FILE}, "extract": {"column": column.name}},
    }
