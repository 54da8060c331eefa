"""Which third-party scripts the pages carry: pinned, copied into the project, checked before every build."""

import base64
import hashlib
import re
import subprocess
import tarfile
import tempfile
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from bench.errors import ArtefactError

LOCK = "vendor.lock.toml"
INTERPRETER = "2.3.2"
"""Version of vega-interpreter on the npm registry."""
VEGA_LITE = "6.4"
"""Names the runtime that vl-convert carries; the same as the figures are compiled with."""
_BORROWED = """
const isString = value => typeof value === "string";
const ascending = (a, b) => (a < b ? -1 : a > b ? 1 : 0);
const DisallowedObjectProperties = new Set(
  Object.getOwnPropertyNames(Object.prototype).filter(name => typeof Object.prototype[name] === "function"));
"""
"""What the interpreter imports from vega-util, which the bundle keeps to itself."""
_EXPORT = (
    "window.drawVega = (place, spec, options) => vegaEmbed(place, spec, {ast: true, expr: interpreter, ...options});"
)


@dataclass(frozen=True, slots=True)
class _Package:
    name: str
    version: str
    integrity: str
    files: dict[str, bytes]


def verify(files: Mapping[str, bytes]) -> None:
    """Compare the vendored files, by name, with their lock.

    Raises:
        ArtefactError: if one differs from the lock, is missing or is not named there.
    """
    lock = tomllib.loads(files[LOCK].decode())
    found = {name: hashlib.sha256(content).hexdigest() for name, content in files.items() if name != LOCK}
    if wrong := sorted({name for name, _ in lock["files"].items() ^ found.items()}):
        raise ArtefactError(f"vendored files differ from {LOCK}: {', '.join(wrong)}; restore them.")


def refresh(folder: Path) -> None:
    """Fetch the interpreter again with npm, bundle the runtime of vl-convert, write the files and their lock."""
    import vl_convert

    with tempfile.TemporaryDirectory() as scratch:
        interpreter = _fetch("vega-interpreter", INTERPRETER, Path(scratch))
    # The interpreter evaluates chart expressions without eval, so the pages' content security policy stays strict.
    source = interpreter.files["build/vega-interpreter.js"].decode()
    source = re.sub(r"import \{[^}]*\} from 'vega-util';", _BORROWED, source)
    source = re.sub(r"export \{ (\w+) as expressionInterpreter \};", r"const interpreter = \1;", source)
    source = source.partition("//# sourceMappingURL")[0]
    runtime = vl_convert.javascript_bundle(f"{source}\n{_EXPORT}", vl_version=VEGA_LITE)
    vega = vl_convert.get_vega_version()
    notice = f"Vega {vega}, vega-interpreter {interpreter.version} (BSD-3-Clause)"
    contents = {
        "LICENCES.txt": f"{notice}\n\n{interpreter.files['LICENSE'].decode().strip()}\n".encode(),
        "vega.js": f"(()=>{{{runtime}\n}})();\n".encode(),
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    (folder / LOCK).write_text(_lock(contents, interpreter, vega), "utf-8")


def _fetch(name: str, version: str, scratch: Path) -> _Package:
    command = ["npm", "pack", "--silent", f"{name}@{version}"]
    done = subprocess.run(command, cwd=scratch, check=True, capture_output=True, text=True)  # noqa: S603 - fixed words
    archive = scratch / done.stdout.strip().splitlines()[-1]
    integrity = "sha512-" + base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    files = {}
    with tarfile.open(archive) as tar:
        for member in tar:
            content = tar.extractfile(member)
            if content is not None:
                files[member.name.removeprefix("package/")] = content.read()
    return _Package(name, version, integrity, files)


def _lock(contents: Mapping[str, bytes], interpreter: _Package, vega: str) -> str:
    lines = ["# Written by python -m bench.site.vendor; compared before every build."]
    lines += ["", "[[package]]", f'name = "{interpreter.name}"', f'version = "{interpreter.version}"']
    lines += [f'integrity = "{interpreter.integrity}"', 'path = "build/vega-interpreter.js"']
    lines += ['licence = "BSD-3-Clause"', 'into = "vega.js"']
    carrier = f"vl-convert-python {metadata.version('vl-convert-python')}"
    lines += ["", "[[package]]", 'name = "vega"', f'version = "{vega}"', f'carrier = "{carrier}"']
    lines += [f'vega_lite = "{VEGA_LITE}"', 'licence = "BSD-3-Clause"', 'into = "vega.js"', "", "[files]"]
    lines += [f'"{name}" = "{hashlib.sha256(content).hexdigest()}"' for name, content in sorted(contents.items())]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    refresh(Path(__file__).parent / "static" / "vendor")
