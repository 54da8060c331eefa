"""Pretrained networks of timm, from the hub or from a file placed by hand."""

import difflib
import os
import re
import warnings
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import nn

from bench.errors import AbsentError, InputError, UsageError
from bench.models.architecture import Architecture
from bench.models.fit import probe
from bench.models.source import SOURCES, LoadedModel, ModelRef, ModelSource, Normalised, state_digest
from bench.models.weights import file_digest, fill, model_folder, read
from bench.offline import online

_REVISION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_FILE = "model.safetensors"
_PATIENCE = 10.0
"""Seconds to wait for the hub's first answer."""


def load(ref: ModelRef) -> LoadedModel:
    """Load ``NAME.TAG`` or ``NAME.TAG@REVISION`` with its pretrained weights and its own normalisation."""
    name, at, revision = ref.name.partition("@")
    if at and not _REVISION.fullmatch(revision):
        raise UsageError(f"{ref}: {revision!r} is no revision; write a commit, a tag or a branch of the hub after @.")
    network, config = _network(name)
    path, notes = _weights(ref.name, config, revision or None)
    where = f"{ref} ({path.name})"
    fill(network, read(path), where=where, what=f"timm's {name!r}")
    channels, height, width = config["input_size"]
    probe(network, (channels, height, width), config["num_classes"], where=where, what=f"timm's {name!r}")
    classifier = Normalised(network, tuple(config["mean"]), tuple(config["std"]))
    return LoadedModel(
        ref=ref,
        classifier=classifier,
        architecture=name.partition(".")[0],
        shape=(channels, height, width),
        classes=config["num_classes"],
        digest=state_digest(classifier),
        file_digest=file_digest(path),
        notes=notes | {key: str(config[key]) for key in ("license", "origin_url") if config.get(key)},
    )


def blank(name: str) -> Architecture:
    """Return the architecture of ``NAME.TAG`` without weights."""
    plain = name.partition("@")[0]
    _, config = _network(plain)
    return Architecture(
        name=f"timm:{plain}",
        make=lambda: _network(plain)[0],
        shape=tuple(config["input_size"]),
        classes=config["num_classes"],
        says="of timm",
    )


def _library() -> ModuleType:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # timm calls interfaces that torch deprecates
        import timm
    return timm


def _network(name: str) -> tuple[nn.Module, dict[str, Any]]:
    """Build a network without weights; only names with a tag are known, for a tag says which weights."""
    timm = _library()
    known = timm.list_models(pretrained=True)
    if name not in known:
        tagged = [other for other in known if other.partition(".")[0] == name]
        if tagged:
            raise UsageError(f"timm:{name} does not say which weights; write one of timm:{', timm:'.join(tagged)}.")
        near = difflib.get_close_matches(name, known, n=3)
        hint = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
        raise UsageError(
            f"No pretrained timm model is called {name!r}.{hint} timm.list_models(pretrained=True) lists all."
        )
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        network = timm.create_model(name, pretrained=False)
    return network, network.pretrained_cfg


def _weights(name: str, config: dict[str, Any], revision: str | None) -> tuple[Path, dict[str, str]]:
    placed = model_folder() / "timm" / f"{name}.safetensors"
    if placed.is_file():
        return placed, {"source": f"placed by hand as {placed.name}"}
    hub = config.get("hf_hub_id")
    advice = (
        f"place {_FILE} of https://huggingface.co/{hub} as {placed}"
        if hub
        else f"place its weights, converted with bench convert, as {placed}"
    )
    if not hub or config.get("hf_hub_filename"):
        raise InputError(f"timm:{name} has no safetensors in timm's own layout on the hub; {advice}.")
    path = _download(name, hub, revision, advice)
    return path, {"source": f"{hub}@{path.parent.name}"}


def _download(name: str, hub: str, revision: str | None, advice: str) -> Path:
    """Return the file from the hub, or from the hub's cache where the hub does not answer."""
    from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url, try_to_load_from_cache
    from huggingface_hub.errors import LocalEntryNotFoundError

    if not online():
        found = try_to_load_from_cache(hub, _FILE, revision=revision)
        if isinstance(found, str):
            return Path(found)
        raise AbsentError(
            f"timm:{name}: its weights are not on this machine; a run fetches them from the hub, or {advice}."
        )
    endpoint = os.environ.get("HF_ENDPOINT")
    try:
        try:
            # asked once and first, for the download itself knocks at a dead line for half a minute
            get_hf_file_metadata(hf_hub_url(hub, _FILE, revision=revision, endpoint=endpoint), timeout=_PATIENCE)
        except Exception:  # what the transport raises changes with the client's release
            with suppress(LocalEntryNotFoundError):
                return Path(hf_hub_download(hub, _FILE, revision=revision, local_files_only=True))
            raise
        return Path(hf_hub_download(hub, _FILE, revision=revision, endpoint=endpoint))
    except Exception as error:  # noqa: BLE001 - as above
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
        raise InputError(f"timm:{name}: its weights cannot be fetched from the hub ({reason}); {advice}.") from None


def names() -> dict[str, str]:
    """Return nothing; timm has over a thousand."""
    return {}


SOURCES.register("timm")(
    ModelSource(
        load, names, says="timm:NAME.TAG or timm:NAME.TAG@REVISION, pretrained weights from the hub", blank=blank
    )
)
