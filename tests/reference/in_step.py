"""What is written about the gateway, held against its sources: ERRORS.md, DEPLOYMENT.md, API_CHANGES.md."""

import os
import re
import subprocess
import sys

import yaml

SOURCE, BIN = os.environ["DUCK_SOURCE"], os.environ["DUCK_BIN"]
GATEWAY = os.path.join(SOURCE, "gateway")
sys.path.insert(0, GATEWAY)
sys.dont_write_bytecode = True

import errors  # noqa: E402


def text_of(name):
    with open(os.path.join(GATEWAY, name), encoding="utf-8") as file:
        return file.read()


def keys_of(options):
    """The keys that gate_options.c takes."""
    taken = set(re.findall(r'TEXT\("(\w+)", \w+\)', options))
    sections = re.split(r"static bool (set_gateway|set_log)\(", options)
    taken |= set(re.findall(r'strcmp\(key, "(\w+)"\)', sections[2].split("\n}\n")[0]))
    logs = set(re.findall(r'strcmp\(key, "(\w+)"\)', sections[4].split("\n}\n")[0]))
    return taken | {"[log] " + key for key in logs}


def table():
    """{key: default} as DEPLOYMENT.md has it."""
    rows = re.findall(r"^\| `([^`]+)` \| (.+?) \| .+ \|$", text_of("DEPLOYMENT.md"), re.M)
    assert len(rows) == len(dict(rows)), "a key stands there twice"
    return dict(rows)


def the_catalogue_of_errors_is_that_of_the_sources():
    assert errors.catalogue() == text_of("ERRORS.md"), "gateway/errors.py > gateway/ERRORS.md"


def a_refusal_without_a_meaning_is_found():
    planted = {'exchange_say_no(exchange, is ? 403 : 404, is ? "one" : "two", NULL, "x, (y");': {"one", "two"},
               'problem_make(409, "three", "%s", text);': {"three"},
               'form_refuse(exchange, "four", "field", "no");': {"four"},
               '    {"five", 410, 0},\n': {"five"},
               'const char *a_code(int v)\n{\n    return "six";\n}\n': {"six"}}
    for source, codes in planted.items():
        assert errors.refused_with(source) == codes, (source, errors.refused_with(source))


def each_operation_stands_in_the_changes_of_the_api():
    with open(os.path.join(GATEWAY, "openapi.yaml"), encoding="utf-8") as file:
        served = {f"{method.upper()} {path}" for path, methods in yaml.safe_load(file)["paths"].items()
                  for method in methods}
    brought = re.findall(r"`((?:GET|POST|PATCH|DELETE)\s+/\S*)`", text_of("API_CHANGES.md").split("\n## ", 1)[1])
    brought = [re.sub(r"\s+", " ", each) for each in brought]
    assert len(brought) == len(set(brought)), "an operation stands there twice"
    assert served == set(brought), f"not there: {served - set(brought)}; not served: {set(brought) - served}"


def the_checklist_has_every_setting_and_no_other():
    taken, named = keys_of(text_of("gate_options.c")), table().keys()
    assert len(taken) > 30 and taken == named, (
        f"not in DEPLOYMENT.md: {sorted(taken - named)}; not taken: {sorted(named - taken)}")


def the_checklist_has_the_defaults_that_are_built_in():
    said = subprocess.run([os.path.join(BIN, "tests", "gate_defaults")], capture_output=True,
                          text=True, check=True).stdout
    defaults, written = dict(line.split("\t") for line in said.splitlines()), table()
    assert len(defaults) >= 10
    for key, value in defaults.items():
        assert written[key] == f"`{value}`", f"{key} is {value} by default, not {written[key]}"


for test in (the_catalogue_of_errors_is_that_of_the_sources, a_refusal_without_a_meaning_is_found,
             each_operation_stands_in_the_changes_of_the_api, the_checklist_has_every_setting_and_no_other,
             the_checklist_has_the_defaults_that_are_built_in):
    test()
    print("ok   ", test.__name__.replace("_", " "))
