"""Pretrained networks of timm, from the hub or from a file placed by hand."""

import difflib
import os
import re
import warnings
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import nn

from bench.atomic import write_atomic
from bench.errors import AbsentError, ArtefactError, InputError, UsageError
from bench.models.architecture import Architecture, Variant
from bench.models.probe import probe
from bench.models.source import SOURCES, LoadedModel, ModelRef, ModelSource, Normalised, placing, state_digest
from bench.models.weights import file_digest, fill, model_folder, read
from bench.offline import online

_REVISION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_FILE = "model.safetensors"
_PATIENCE = 10.0
"""Seconds to wait for the hub's first answer."""


def load(ref: ModelRef) -> LoadedModel:
    """Load ``NAME.TAG`` or ``NAME.TAG@REVISION`` with its pretrained weights and its own normalisation.

    A name without a tag means the tag that timm itself takes for it, and is recorded with it.
    """
    plain, at, revision = ref.name.partition("@")
    if at and not _REVISION.fullmatch(revision):
        raise UsageError(f"{ref}: {revision!r} is no revision; write a commit, a tag or a branch of the hub after @.")
    made, config = _described(plain)
    variant = Variant.parse(plain)
    if variant.classes or variant.channels:
        raise UsageError(
            f"{ref}: pretrained weights come with the classes and channels of their own; "
            f"for yours write --model FILE.safetensors --arch 'timm:{plain}'."
        )
    name = _tagged(variant.name)
    exact = replace(ref, name=name + (f"?{plain.partition('?')[2]}" if variant.size else "") + at + revision)
    path, notes = _weights(name + at + revision, config, revision or None)
    network, where, what = made.build(), repr(path.name), f"timm's {name!r}"
    fill(network, read(path), where=where, what=what)
    probe(network, made.shape, made.classes, where=where, what=what)
    classifier = Normalised(network, tuple(config["mean"]), tuple(config["std"]))
    return LoadedModel(
        ref=exact,
        classifier=classifier,
        architecture=variant.name.partition(".")[0],
        shape=made.shape,
        classes=made.classes,
        digest=state_digest(classifier),
        file_digest=file_digest(path),
        notes=notes | {key: str(config[key]) for key in ("license", "origin_url") if config.get(key)},
    )


def blank(name: str) -> Architecture:
    """Return the architecture of ``NAME``, with a tag or without, for the classes and images named after a ``?``."""
    return _described(name.partition("@")[0])[0]


def _described(name: str) -> tuple[Architecture, dict[str, Any]]:
    """Return an architecture of timm and what timm knows of its pretrained weights."""
    variant = Variant.parse(name)
    _known(variant.name)
    config = _library().models.get_pretrained_cfg(variant.name).to_dict()
    base = Architecture(
        name=f"timm:{variant.name}",
        make=partial(_made, variant.name, variant, fixed=bool(config.get("fixed_input_size"))),
        shape=tuple(config["input_size"]),
        classes=config["num_classes"],
        says="of timm",
    )
    return base.of(classes=variant.classes, shape=variant.shape(base.shape)), config


def _made(name: str, variant: Variant, classes: int, *, fixed: bool) -> nn.Module:
    """Build a network without weights; only some of timm's are built for images of one size."""
    options: dict[str, Any] = {"num_classes": classes}
    if variant.channels:
        options["in_chans"] = variant.channels
    if variant.size and fixed:
        options["img_size"] = variant.size
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        network: nn.Module = _library().create_model(name, pretrained=False, **options)
    return network


def _library() -> ModuleType:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # timm calls interfaces that torch deprecates
        import timm
    return timm


def _known(name: str) -> None:
    """Refuse a name that timm does not know, naming the nearest."""
    timm = _library()
    plain, dot, _ = name.partition(".")
    known = timm.list_models(pretrained=True) if dot else timm.list_models()
    if name in known:
        return
    tagged = [other for other in timm.list_models(pretrained=True) if other.partition(".")[0] == plain]
    near = difflib.get_close_matches(name, tagged or known, n=3) or tagged[:3]
    hint = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
    raise UsageError(f"No timm model is called {name!r}.{hint} timm.list_models(pretrained=True) lists all with a tag.")


def _tagged(name: str) -> str:
    """Return a name with the tag of the weights that timm takes for it."""
    if "." in name:
        return name
    tag = _library().models.get_pretrained_cfg(name).tag
    if f"{name}.{tag}" not in _library().list_models(pretrained=True):
        raise UsageError(f"timm:{name} has no pretrained weights; write --model FILE.safetensors --arch timm:{name}.")
    return f"{name}.{tag}"


def _place(name: str) -> Path:
    return model_folder() / "timm" / f"{name}.safetensors"


def _weights(name: str, config: dict[str, Any], revision: str | None) -> tuple[Path, dict[str, str]]:
    placed = _place(name)
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
        return _published(Path(hf_hub_download(hub, _FILE, revision=revision, endpoint=endpoint)), hub)
    except ArtefactError:
        raise
    except Exception as error:  # noqa: BLE001 - as above
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
        raise InputError(f"timm:{name}: its weights cannot be fetched from the hub ({reason}); {advice}.") from None


def _published(path: Path, hub: str) -> Path:
    """Hold a file against the sha256 that the hub names it by; the client itself looks at its size alone.

    Raises:
        ArtefactError: if it is another; the file is removed from the cache.
    """
    blob = path.resolve()
    if _SHA256.fullmatch(blob.name) and (found := file_digest(blob)) != blob.name:
        path.unlink()
        blob.unlink(missing_ok=True)
        raise ArtefactError(f"{_FILE} of {hub} came with sha256 {found} where the hub has {blob.name}; fetch it again.")
    return path


def fetch(name: str) -> Path:
    """Fetch the weights of a name from the hub; returns at once where they are at hand.

    Raises:
        InputError: if they cannot be had.
        ArtefactError: if what came is not what the hub published, or is of another network.
    """
    plain, at, revision = name.partition("@")
    load(ModelRef("timm", name))
    return _weights(_tagged(Variant.parse(plain).name) + at + revision, _described(plain)[1], revision or None)[0]


def place(name: str, given: Path) -> Path:
    """Copy a safetensors file to where the weights of a name are looked for, if it loads strictly.

    Raises:
        UsageError: if weights are there already.
        ArtefactError: if it is no safetensors file, or of another network.
    """
    _described(name.partition("@")[0])
    path = _place(_tagged(name.partition("@")[0]) + "".join(name.partition("@")[1:]))
    with placing(ModelRef("timm", name), path):
        read(given)
        write_atomic(path, given.read_bytes())
    return path


def names() -> dict[str, str]:
    """Return the names with pretrained weights, over a thousand."""
    return dict.fromkeys(_library().list_models(pretrained=True), "timm's")


def at_hand(name: str) -> bool:
    """Tell whether the weights of a name with its tag were placed by hand or lie in the hub's cache."""
    from huggingface_hub import try_to_load_from_cache

    hub = _library().models.get_pretrained_cfg(name).hf_hub_id
    return _place(name).is_file() or bool(hub and isinstance(try_to_load_from_cache(hub, _FILE), str))


SOURCES.register("timm")(
    ModelSource(
        load,
        names,
        says="timm:NAME, timm:NAME.TAG or timm:NAME.TAG@REVISION, pretrained weights from the hub",
        blank=blank,
        fetch=fetch,
        place=place,
        at_hand=at_hand,
    )
)
