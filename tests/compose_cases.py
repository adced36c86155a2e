"""The golden cases of the loader, as tests/check-schema and tests/check-keys read them."""

import os
import re

import yaml

GOOD, BAD = "tests/golden/compose", "tests/golden/compose-bad"

# What the loader says of a value whose shape is wrong …
SHAPE = re.compile(
    r"unknown key|missing property|must be (a|an|one of|greater|less|between|\")|value must be|does not match pattern|"
    r"is reserved|unknown limit|invalid boolean|invalid duration|invalid size|missing unit|unknown unit|is no file mode|"
    r"invalid restart policy|is no host name|is no name"
)
# … and of what only sounds like it.
NOT_SHAPE = re.compile(r"absolute path|must start either|must not be empty")


class Skip(Exception):
    """A file that can't be read here."""


class Loader(yaml.SafeLoader):
    """YAML 1.2's plain scalars, as the loader reads them; 1.1's `yes` and dates are text."""


Loader.yaml_implicit_resolvers = {}
for tag, pattern, first in (
    ("null", r"^(~|null|Null|NULL|)$", ["~", "n", "N", ""]),
    ("bool", r"^(true|True|TRUE|false|False|FALSE)$", list("tTfF")),
    ("int", r"^[-+]?([0-9][0-9_]*|0o[0-7_]+|0x[0-9a-fA-F_]+|0b[01_]+)$", list("-+0123456789")),
    ("float", r"^[-+]?(\.[0-9_]*[0-9][0-9_]*|[0-9][0-9_]*(\.[0-9_]*)?)([eE][-+]?[0-9]+)?$", list("-+.0123456789")),
    ("merge", r"^<<$", ["<"]),
):
    Loader.add_implicit_resolver("tag:yaml.org,2002:" + tag, re.compile(pattern), first)


def construct_tagged(loader, node):
    raise Skip(node.tag)


def construct_mapping(loader, node):
    loader.flatten_mapping(node)
    return {key.value: loader.construct_object(value, deep=True) for key, value in node.value}


def construct_int(loader, node):
    text = node.value.replace("_", "")
    return int(text, 8) if re.match(r"^[-+]?0[0-7]+$", text) else int(text, 0)


Loader.add_constructor("!reset", construct_tagged)
Loader.add_constructor("!override", construct_tagged)
Loader.add_constructor("tag:yaml.org,2002:map", construct_mapping)
Loader.add_constructor("tag:yaml.org,2002:int", construct_int)


def read(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


def parse(path, how):
    """The file's documents by `how` (yaml.load_all, yaml.compose_all)."""
    try:
        with open(path, encoding="utf-8-sig") as file:
            return [document for document in how(file, Loader) if document is not None]
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise Skip(str(error).splitlines()[0]) from error


def compose_files(case):
    """What the case itself names: the files of -f, else those that are found."""
    args = os.path.join(case, "args")
    named = re.findall(r"^file (.*)$", read(args), re.M) if os.path.exists(args) else []
    found = ["compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml"]
    paths = [os.path.join(case, name) for name in named if name != "-"]
    if not named:
        paths = [path for path in (os.path.join(case, name) for name in found) if os.path.exists(path)][:1]
        paths += sorted(os.path.join(case, name) for name in os.listdir(case) if ".override." in name)
    return [path for path in paths if os.path.isfile(path)]


class Case:
    def __init__(self, files, said, is_refused):
        self.files = files
        self.said = said  # the errors' first lines
        self.is_refused = is_refused
        # each file may be a part of what must be whole
        self.is_part = len(files) > 1 or any(re.search(r"\b(extends|include):", read(path)) for path in files)


def cases():
    for name in sorted(os.listdir(GOOD)):
        directory = os.path.join(GOOD, name)
        want = read(os.path.join(directory, "want.txt"))
        said = re.findall(r"^\S+:\d+:\d+: error: .*$", want, re.M)
        yield Case(compose_files(directory), said, want.startswith("failed"))
    for section in read(os.path.join(BAD, "want.txt")).split("== ")[1:]:
        path = os.path.join(BAD, section.splitlines()[0])
        yield Case([path], re.findall(r"^\S+:\d+:\d+: error: .*$", section, re.M), True)
