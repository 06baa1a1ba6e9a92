"""The folder list is the architecture: imports between rooms go down only, and no module cycles."""

import ast
import re
from graphlib import TopologicalSorter
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "dicomweb_gateway"

FLOORS = [
    {
        "cli",
        "cli_access",
        "cli_common",
        "cli_data_stores",
        "cli_import",
        "cli_index",
        "cli_service",
        "cli_verify",
        "cli_workflow",
        "aws_lambda",
        "__main__",
        "bootstrap",
        "app",
        "settings",
        "setting_groups",
        "checks",
        "service",
    },
    {"routes"},
    {"web"},
    {"workflow", "access"},
    {"wado", "stow"},
    {"index", "frames", "shared"},
    {"imagesets"},
    {"qido", "pixels", "tlm"},
    {"dicom"},
    {"patience", "telemetry", "aws"},
    {"errors", "sight", "release"},
]
FLOOR_OF = {room: level for level, rooms in enumerate(FLOORS) for room in rooms}
EMULATOR_MAY_IMPORT = {"emulator", "pixels", "dicom", "aws", "errors"}
MAY_IMPORT_EMULATOR = {"cli", "bootstrap"}
TOP = FLOORS[0]

ONLY_IN = {
    "flask": {"app", "routes", "web", "emulator"},
    "sqlalchemy": {"index"},
    "boto3": {"imagesets", "aws"},
    "pycurl": {"imagesets"},
    "botocore": {"imagesets", "aws"},
    "imagecodecs": {"pixels"},
    "PIL": {"pixels"},
    "jellyfish": {"qido"},
    "pymemcache": {"shared"},
    "redis": {"shared"},
    "prometheus_client": {"web"},
    "opentelemetry": {"web"},
    "jwt": {"access"},
    "cryptography": {"access"},
}


def modules() -> dict[str, Path]:
    return {
        ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts): path
        for path in PACKAGE.rglob("*.py")
        if path.name != "__init__.py" and "_migrations" not in path.parts
    }


def imports_of(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names.add(node.module or "")
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


def room_of(module: str) -> str:
    return module.split(".")[1]


def own_imports(path: Path) -> set[str]:
    known = modules()
    return {name for name in imports_of(path) if name in known}


def test_package_inits_are_empty():
    full = [p for p in PACKAGE.rglob("__init__.py") if p.read_text().strip()]
    assert not full


def test_every_room_has_a_floor():
    rooms = {room_of(name) for name in modules()} - {"emulator"}
    assert rooms <= set(FLOOR_OF), rooms - set(FLOOR_OF)


def test_rooms_import_only_downward():
    wrong = []
    for name, path in modules().items():
        room = room_of(name)
        for target in own_imports(path):
            other = room_of(target)
            if other == room:
                continue
            if room == "emulator":
                allowed = other in EMULATOR_MAY_IMPORT
            elif other == "emulator":
                allowed = room in MAY_IMPORT_EMULATOR
            elif room in TOP:
                allowed = True
            else:
                allowed = FLOOR_OF[room] < FLOOR_OF[other]
            if not allowed:
                wrong.append(f"{name} imports {target}")
    assert not wrong


def test_no_import_cycles():
    graph = {name: own_imports(path) - {name} for name, path in modules().items()}
    tuple(TopologicalSorter(graph).static_order())


def test_libraries_stay_in_their_rooms():
    wrong = []
    for name, path in modules().items():
        heads = {imported.split(".")[0] for imported in imports_of(path)}
        for library, rooms in ONLY_IN.items():
            if library in heads and room_of(name) not in rooms:
                wrong.append(f"{name} imports {library}")
    assert not wrong


def test_every_module_opens_with_a_sentence():
    silent = [n for n, p in modules().items() if not ast.get_docstring(ast.parse(p.read_text()))]
    assert not silent


def test_two_modules_never_keep_different_things_under_one_name_of_a_request():
    """The names in the WSGI environment that are ours: each is given once."""
    given = re.compile(r'^\w+ = ("dicomweb_gateway\.\w+")$', re.MULTILINE)
    names = [name for path in modules().values() for name in given.findall(path.read_text())]
    assert len(names) > 10
    assert len(names) == len(set(names)), sorted(names)
