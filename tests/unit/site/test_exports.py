"""What others read: Croissant metadata by its own reader, the Hub's files by its own client."""

import csv
import hashlib
import io
import json
import re
import warnings
from pathlib import Path

import pytest
import yaml

from bench.cli.main import run
from bench.errors import UsageError
from bench.site import croissant, frame
from bench.site.build import build
from bench.site.downloads import record
from bench.site.entries import read
from bench.site.hub import export, repository
from bench.submission.schema import Weights
from tests.support.builders import write
from tests.support.sites import submissions

ROOT = Path(__file__).resolve().parent.parent.parent.parent
WITHHOLD = {"check": "zero-gradients", "level": "withhold", "figure": 0.9, "threshold": 0.5, "says": "No gradient."}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return submissions(tmp_path_factory.mktemp("submissions"))


@pytest.fixture(scope="module")
def catalogue(root):
    return read(root)


@pytest.fixture(scope="module")
def files(root):
    return build(root)


@pytest.fixture(scope="module")
def hub(catalogue):
    return export(catalogue, "org/prunebench", "https://example.org/board/")


def test_croissants_own_reader_finds_no_fault_and_reads_the_table(files, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the libraries behind the reader
        import mlcroissant

        for name in (frame.FILE, croissant.NAME):
            (tmp_path / name).write_bytes(files[f"data/{name}"])
        found = mlcroissant.Dataset(str(tmp_path / croissant.NAME))
        records = list(found.records("entries"))
    assert (found.metadata.issues.errors, found.metadata.issues.warnings) == (set(), set())
    rows = list(csv.DictReader(io.StringIO((tmp_path / frame.FILE).read_text("utf-8"))))
    assert len(records) == len(rows) == 24
    for record_, row in zip(records, rows, strict=True):
        for column in frame.STORED:
            value = record_[f"entries/{column.name}"]
            spelt = value.decode() if isinstance(value, bytes) else "" if value is None else str(value)
            assert spelt == (f"{row['date']} 00:00:00" if column.kind == "date" else row[column.name])


def test_croissant_has_what_its_specification_requires(files):
    document = json.loads(files[f"data/{croissant.NAME}"])
    required = {"@context", "@type", "conformsTo", "description", "license", "name", "url", "creator", "datePublished"}
    assert required | {"distribution", "recordSet"} <= set(document)
    (file,) = document["distribution"]
    table = files[f"data/{file['contentUrl']}"]
    assert (file["sha256"], file["contentSize"]) == (hashlib.sha256(table).hexdigest(), f"{len(table)} B")
    assert "data.html" in files, "the page that `url` names"
    assert document["citeAs"] in (ROOT / "README.md").read_text("utf-8")


def test_the_hubs_own_client_reads_the_results(catalogue, hub):
    from huggingface_hub import parse_eval_result_entries

    tasks = {task["id"]: task for task in yaml.safe_load(hub["dataset/eval.yaml"])["tasks"]}
    results = {path: content for path, content in hub.items() if path.startswith("models/")}
    assert len(results) == 8
    for entry in catalogue:
        path = f"models/digits-v1/{entry.id}/.eval_results/prunebench.yaml"
        read_back = parse_eval_result_entries(yaml.safe_load(results[path]))
        assert [one.task_id for one in read_back] == list(tasks)
        for one, norm in zip(read_back, entry.robust, strict=True):
            assert one.dataset_id == "org/prunebench"
            assert one.value == pytest.approx(100 * entry.survivors(norm) / 500, abs=1e-12)
            assert one.notes.startswith(f"{entry.survivors(norm)} of 500 points stand under {norm} ")
            assert one.source_url == f"https://example.org/board/{entry.address}"
            assert one.date == entry.submission.date.isoformat()


def test_a_benchmark_names_configs_and_splits_that_its_card_has(hub):
    found = yaml.safe_load(hub["dataset/eval.yaml"])
    assert {"name", "description", "evaluation_framework", "tasks"} == set(found)
    card = yaml.safe_load(hub["dataset/README.md"].decode().split("---")[1])
    there = {(one["config_name"], part["split"]): part["path"] for one in card["configs"] for part in one["data_files"]}
    for task in found["tasks"]:
        points = list(csv.DictReader(io.StringIO(hub[f"dataset/{there[task['config'], task['split']]}"].decode())))
        assert len(points) == 500
        assert [int(point["id"]) for point in points] == list(range(500))


def test_what_is_withheld_or_superseded_brings_no_result(tmp_path):
    from bench.submission.schema import Flag

    write(tmp_path, id="old")
    write(tmp_path, id="new", supersedes="old")
    write(tmp_path, id="held", level=None, strength=0.8, flags=(Flag.model_validate_json(json.dumps(WITHHOLD)),))
    catalogue = read(tmp_path)
    files = export(catalogue, "org/prunebench", None)
    assert [path.split("/")[2] for path in files if path.startswith("models/")] == ["new"]
    (held,) = [record(catalogue, entry) for entry in catalogue if entry.id == "held"]
    assert [(row["best_known"], row["robust"], row["black_box"]) for row in frame.rows([held])] == 3 * [
        (None, None, None)
    ]
    assert all(
        "source" not in one for one in yaml.safe_load(files["models/digits-v1/new/.eval_results/prunebench.yaml"])
    )


def test_weights_on_the_hub_name_their_repository(catalogue):
    from dataclasses import replace

    def at(address):
        (entry, *_) = catalogue
        weights = Weights(locator=address, sha256="0a" * 32, bytes=1)
        people = entry.submission.model_copy(update={"weights": weights})
        return repository(replace(entry, folder=replace(entry.folder, submission=people)))

    pinned = f"resolve/{'0a' * 20}/net.safetensors"
    assert at(f"https://huggingface.co/org/net/{pinned}") == "org/net"
    assert at(f"https://huggingface.co/datasets/org/net/{pinned}") is None
    assert at("https://huggingface.co/org/net/resolve/main/net.safetensors") is None
    assert at("https://zenodo.org/records/1/files/net.safetensors") is None
    assert at("embedded:small, magnitude-global") is None


def test_the_command_writes_a_folder_and_refuses_names_that_are_none(root, tmp_path, capsys):
    words = ["site", "hub", "--submissions", str(root), "--out", str(tmp_path / "hub")]
    assert run([*words, "--dataset", "org/prunebench"]) == 0
    assert "8 results, 0 of whose weights lie on the Hub" in capsys.readouterr().err
    assert len(list((tmp_path / "hub").glob("models/digits-v1/*/.eval_results/prunebench.yaml"))) == 8
    assert run([*words, "--dataset", "org/prunebench", "--url", "javascript:alert(1)"]) == 2
    with pytest.raises(UsageError, match="expected ORG/NAME"):
        export(read(root), "../evil", None)


def test_the_table_is_small(files):
    assert len(files[f"data/{frame.FILE}"]) < 8 * 2_000
    assert re.search(rf'href="data/{frame.FILE}"', files["data.html"].decode())
