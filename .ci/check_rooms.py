"""Check that each room of the package imports only rooms below it, and that private names stay in their room.

    python .ci/check_rooms.py [FOLDER]

FOLDER is the package, by default skaba. Every import counts, also in functions and under TYPE_CHECKING. An attribute
counts as private if it starts with one underscore, its object is not self, cls or super(), and no file of the room
defines it.
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

# From the ground up; rooms of one level do not import each other. "root" stands for the modules skaba/_*.py.
ORDER = (
    "root < modules < datasets preprocessing < network < attribution < losses < augmenters < training < estimators "
    "< testing < evaluation < plotting judge feedback < experiment < demo < inspector < cli < __main__"
)
LEVELS = {room: level for level, rooms in enumerate(ORDER.split("<")) for room in rooms.split()}
# Names that are private by their spelling only: of named tuples, torch, scikit-learn and skorch.
FOREIGN = {
    "_fields", "_replace", "_buffers", "_modules", "_parameters", "_version", "_metadata", "_forward_hooks",
    "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks", "_orig_mod", "_original_forward",
    "_get_param_names", "_get_predict_nonlinearity",
}  # fmt: skip


def is_private(name: str) -> bool:
    """Return whether a name starts with one underscore."""
    return name.startswith("_") and not name.startswith("__")


def room_of(name: str) -> str:
    """Return the room of a name in the package; its classes are the estimators, which its face offers."""
    return "root" if is_private(name) else "estimators" if name[:1].isupper() else name


def imports(tree: ast.Module, package: str) -> Iterator[tuple[int, list[str]]]:
    """Yield line and dotted path of everything that is imported from the package."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            start = "" if isinstance(node, ast.Import) else f"{package}.." if node.level else f"{node.module}."
            paths = [(start + alias.name).split(".") for alias in node.names]
            yield from ((node.lineno, path[1:]) for path in paths if path[0] == package and path[1:])


def problems(tree: ast.Module, room: str, package: str, own_names: set[str]) -> Iterator[tuple[int, str]]:
    """Yield line and description of what one file may not do."""
    for line, (top, *inner) in imports(tree, package):
        other = room_of(top)
        if other not in LEVELS:
            yield line, f"{package}.{top} is not a room in ORDER"
        elif other != room and (LEVELS[other] >= LEVELS.get(room, 0) or other == "testing"):
            yield line, f"{room} may not import {other}, which is not below it in ORDER"
        elif other != room and any(map(is_private, inner)):
            yield line, f"{package}.{'.'.join((top, *inner))} is private to {other}"
    for node in (node for node in ast.walk(tree) if isinstance(node, ast.Attribute)):
        known = node.attr in own_names | FOREIGN or ast.unparse(node.value) in ("self", "cls", "super()")
        if is_private(node.attr) and not known:
            yield node.lineno, f"{ast.unparse(node)} is private to another room"


def names_defined(tree: ast.Module) -> set[str]:
    """Return the functions, classes, variables and attributes of self that a file defines."""
    defined = {node.name for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
    stored = (node for node in ast.walk(tree) if isinstance(getattr(node, "ctx", None), ast.Store))
    return defined | {getattr(node, "attr", getattr(node, "id", "")) for node in stored}


def main() -> int:
    """Print every problem; return whether there are any."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "skaba")
    files = {file: ast.parse(file.read_text("utf-8")) for file in sorted(folder.rglob("*.py"))}
    del files[folder / "__init__.py"]  # the face of the package offers names of all rooms
    rooms = {file: room_of(file.relative_to(folder).with_suffix("").parts[0]) for file in files}
    own_names = {
        room: set[str]().union(*(names_defined(tree) for file, tree in files.items() if rooms[file] == room))
        for room in set(rooms.values())
    }
    found = [
        f"{file}:{line}: {problem}"
        for file, tree in files.items()
        for line, problem in problems(tree, rooms[file], folder.name, own_names[rooms[file]])
    ]
    print("\n".join(found) or f"{len(files)} files: all imports run through the faces of rooms below")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
