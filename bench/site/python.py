"""What Python code can call, as Markdown made of the sources: they are read and never imported."""

import ast
import inspect
from collections.abc import Iterator, Mapping
from importlib import resources

from bench.site.markdown import plain, slug

_HEAD = """\
# Python reference

What `import bench` gives, for networks and tensors in memory; the same as the command line does, in notebooks, too. \
Nothing heavy is imported before one of these names is used. How they are put to use stands in \
[Measure](measure.md) and [Extend](extend.md).

```python
import bench
import torch

network = bench.load("embedded:digits-cnn-linf")
pruned = bench.prune(network, "magnitude-global", 0.5, example=torch.zeros(2, 1, 8, 8))
result = bench.evaluate(pruned, protocol="digits-v1", points=100, threats=["Linf"], preset="fast")
print(result.table())
board = bench.load_board()
```
"""


def reference(homes: Mapping[str, str]) -> str:
    """Return the page about public names, given with the module that each is written in."""
    found = {name: _written(name, module) for name, module in homes.items()}
    functions = {name: node for name, node in found.items() if isinstance(node, ast.FunctionDef)}
    classes = {name: node for name, node in found.items() if isinstance(node, ast.ClassDef)}
    parts = [_HEAD, "| Name | What it does |\n|---|---|"]
    parts += [
        f"| [`bench.{name}`](#{slug('bench.' + name)}) | {_first(node)} |"
        for name, node in (functions | classes).items()
    ]
    parts.append("")
    for name, node in functions.items():
        parts += [f"## bench.{name}\n", _signature(f"bench.{name}", node), *_described(node)]
    for name, made in classes.items():
        parts += [f"## bench.{name}\n", *_described(made), *_members(made)]
    return "\n".join(parts)


def page() -> str:
    """Return the page about the public names of this package."""
    tree = ast.parse((resources.files("bench") / "__init__.py").read_text("utf-8"))
    (homes,) = [
        each.value for each in tree.body if isinstance(each, ast.Assign) and "_HOMES" in map(_name, each.targets)
    ]
    return reference(ast.literal_eval(homes))


def _name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else ""


def _written(name: str, module: str) -> ast.FunctionDef | ast.ClassDef:
    package, _, file = module.rpartition(".")
    tree = ast.parse((resources.files(package) / f"{file}.py").read_text("utf-8"))
    kinds = (ast.FunctionDef, ast.ClassDef)
    return next(node for node in tree.body if isinstance(node, kinds) and node.name == name)


def _signature(name: str, node: ast.FunctionDef) -> str:
    """Return how a function is called, one argument a line."""
    args = node.args
    bare = [arg for arg in args.posonlyargs + args.args if arg.arg not in {"self", "cls"}]
    defaults: list[ast.expr | None] = [None] * (len(bare) - len(args.defaults)) + list(args.defaults)
    given = [_argument(arg, default) for arg, default in zip(bare, defaults, strict=True)]
    given += ["*"] * bool(args.kwonlyargs)
    given += [_argument(arg, default) for arg, default in zip(args.kwonlyargs, args.kw_defaults, strict=True)]
    returns = "" if node.returns is None else f" -> {ast.unparse(node.returns)}"
    lines = "".join(f"    {one},\n" for one in given)
    return f"```python\n{name}(\n{lines}){returns}\n```\n"


def _argument(arg: ast.arg, default: ast.expr | None) -> str:
    kind = "" if arg.annotation is None else f": {ast.unparse(arg.annotation)}"
    return f"{arg.arg}{kind}" + ("" if default is None else f" = {ast.unparse(default)}")


def _first(node: ast.FunctionDef | ast.ClassDef) -> str:
    """Return the first line of a docstring, as a cell of a table."""
    return plain((ast.get_docstring(node) or "").split("\n\n")[0])


def _described(node: ast.FunctionDef | ast.ClassDef) -> Iterator[str]:
    """Yield a docstring paragraph by paragraph; what it lists by name is a list here, too."""
    for paragraph in inspect.cleandoc(ast.get_docstring(node) or "").split("\n\n"):
        head, _, rest = paragraph.partition("\n")
        if head not in {"Args:", "Attributes:", "Raises:"}:
            yield f"{plain(paragraph)}\n"
            continue
        yield f"{head.replace('Args', 'Arguments')}\n"
        items = list[str]()
        for line in inspect.cleandoc(rest).splitlines():
            if line.startswith(" ") and items:
                items[-1] += f" {line.strip()}"
            else:
                items.append(line)
        yield "".join(f"- {plain(item)}\n" for item in items)


def _members(node: ast.ClassDef) -> Iterator[str]:
    """Yield a table of what a class lets one read and call."""
    public = [each for each in node.body if isinstance(each, ast.FunctionDef) and not each.name.startswith("_")]
    if not public:
        return
    yield "| Member | What it does |\n|---|---|"
    for each in public:
        read = any(isinstance(mark, ast.Name) and mark.id == "property" for mark in each.decorator_list)
        args = [arg.arg for arg in each.args.args + each.args.kwonlyargs if arg.arg not in {"self", "cls"}]
        call = "" if read else f"({', '.join(args)})"
        yield f"| `{each.name}{call}` | {_first(each)} |"
    yield ""
