"""Options of a command as the specs have them, read without loading these: ``--help`` must not wait for JAX.

An option is a field of a spec, with the type, default and description that stand there.
"""

import ast
import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Group, Parameter

from mis.cli.inputs import convert

__all__ = ["ALIASES", "Option", "options_of", "options_of_variants", "with_options"]

PACKAGE = Path(__file__).parents[1]

KINDS: dict[str, type] = {"int": int, "float": float, "str": str, "bool": bool}

# Other names of options, on the command line and in a config.
ALIASES = {
    "releases": ("quantizers",),
    "num_networks": ("networks", "models"),
    "num_steps": ("steps",),
    "num_folds": ("folds",),
    "batch_size": ("batch",),
    "learning_rate": ("rate",),
    "pool": ("n",),
}


@dataclass(frozen=True, kw_only=True)
class Option:
    """One option: its name in Python, its type, and what ``--help`` says of it."""

    name: str
    kind: type
    help: str


def options_of(place: str, spec: str, **defaults: str) -> list[Option]:
    """Return the options of one spec; ``defaults`` says in words those that depend on others.

    Examples
    --------
    >>> options_of("training/learner.py", "Learner", num_steps="some")[2]
    Option(name='num_steps', kind=<class 'int'>, help='Number of steps [some].')
    """
    known = _classes([PACKAGE / place])
    return [
        Option(name=name, kind=kind, help=_said(text, defaults.get(name, default)))
        for name, (kind, default, text) in _fields(spec, known).items()
    ]


def options_of_variants(folder: str, registry: str, without: str, **others: str) -> list[Option]:
    """Return the options of all specs in a registry, and of ``others`` by class, each with the variants that have it.

    One field is no option, ``without``.

    Examples
    --------
    >>> options_of_variants("models", "MODELS", without="num_classes")[2].help.split(". Of")[0]
    'Of mlp: number of hidden layers, at most 100 [1]'
    """
    known = _classes(sorted((PACKAGE / folder).glob("*.py")))
    variants = _registry(PACKAGE / folder / "__init__.py", registry) | others
    kinds: dict[str, type] = {}
    said: dict[str, dict[str, list[str]]] = {}
    for variant, spec in variants.items():
        for name, (kind, default, text) in _fields(spec, known).items():
            if name != without:
                kinds[name] = kind
                what = _said(text[:1].lower() + text[1:], default)
                said.setdefault(name, {}).setdefault(what, []).append(variant)
    helps = {name: [f"Of {_listed(who)}: {what}" for what, who in of.items()] for name, of in said.items()}
    return [Option(name=name, kind=kinds[name], help=" ".join(helps[name])) for name in helps]


def with_options(groups: Mapping[str, Iterable[Option]]) -> Callable:
    """Give a command that takes ``**options`` these, in groups of these titles."""

    def show(command: Any) -> Callable:
        *own, _ = inspect.signature(command).parameters.values()
        added = [
            _parameter(option, Group(title, sort_key=place))
            for place, (title, options) in enumerate(groups.items(), start=1)
            for option in options
        ]
        command.__signature__ = inspect.Signature([*own, *added])
        return command

    return show


def _parameter(option: Option, group: Group) -> inspect.Parameter:
    names = [f"--{name.replace('_', '-')}" for name in (option.name, *ALIASES.get(option.name, ()))]
    switch: dict[str, Any] = {"negative": ""} if option.kind is bool else {"converter": convert}
    shown = Parameter(name=names, help=option.help, group=group, show_default=False, **switch)
    kind = bool if option.kind is bool else option.kind | None
    return inspect.Parameter(
        option.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=False if option.kind is bool else None,
        annotation=Annotated[kind, shown],
    )


def _classes(paths: Iterable[Path]) -> dict[str, ast.ClassDef]:
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in paths]
    return {node.name: node for tree in trees for node in tree.body if isinstance(node, ast.ClassDef)}


def _registry(path: Path, name: str) -> dict[str, str]:
    """Return what a registry calls each class."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        target = node.target if isinstance(node, ast.AnnAssign) else None
        if isinstance(target, ast.Name) and target.id == name:
            return {ast.literal_eval(key): ast.unparse(value) for key, value in _items(node)}
    raise LookupError(f"{path} has no {name}.")


def _items(node: Any) -> Iterable[tuple[Any, ast.expr]]:
    return zip(node.value.keys, node.value.values, strict=True)


def _fields(spec: str, known: Mapping[str, ast.ClassDef]) -> dict[str, tuple[type, Any, str]]:
    """Return type, default and description of each field that is a number, a text or a switch, inherited ones first."""
    node = known[spec]
    found: dict[str, tuple[type, Any, str]] = {}
    for base in map(ast.unparse, node.bases):
        found |= _fields(base, known) if base in known else {}
    texts = _descriptions(ast.get_docstring(node) or "")
    for field in node.body:
        if (
            isinstance(field, ast.AnnAssign)
            and isinstance(field.target, ast.Name)
            and field.value is not None
        ):
            name = field.target.id
            kind = KINDS.get(ast.unparse(field.annotation).partition(" | ")[0])
            inherited = found[name][2] if name in found else ""
            if kind is not None and (text := texts.get(name, inherited)):
                found[name] = kind, ast.literal_eval(field.value), text
    return found


def _descriptions(docstring: str) -> dict[str, str]:
    """Return what a numpydoc docstring says of each parameter, in a line."""
    _, _, section = docstring.partition("Parameters\n----------\n")
    texts: dict[str, str] = {}
    names: list[str] = []
    for line in section.partition("\n\n")[0].splitlines():
        if not line.startswith(" "):
            names = line.split(", ")
        else:
            texts |= {name: f"{texts.get(name, '')} {line.strip()}".strip() for name in names}
    return {name: text.replace("``", "") for name, text in texts.items()}


def _said(text: str, default: Any) -> str:
    """Return the first sentence of a description, and the default."""
    first = re.split(r"\.(?:\s|$)", text)[0]
    return f"{first}." if default is None or default is False or default == "" else f"{first} [{default}]."


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
