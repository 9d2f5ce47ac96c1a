"""What is written, held against the sources: ERRORS.md, DEPLOYMENT.md, API_CHANGES.md; the configuration file."""

import os
import re
import subprocess
import sys
import tempfile

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


BY_HAND = {"socket", "state_dir", "url_file"}  # the node says them to its own gateway


def in_force(text):
    """What `ducknode run --check-config` says of a configuration, and what of its lines it refuses."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "ducknode.conf")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        done = subprocess.run([os.path.join(BIN, "ducknode"), "run", "--check-config", "--config", path,
                               "--state-dir", os.path.join(folder, "none")], capture_output=True, text=True)
        return (done.stdout.replace(folder, ""),
                [line for line in done.stderr.splitlines() if line.startswith(f"ducknode: {path}:")])


def node_keys():
    """{section: keys} that node/options.c and handler_table.c take."""
    with open(os.path.join(SOURCE, "node", "options.c"), encoding="utf-8") as file:
        options = file.read()
    with open(os.path.join(SOURCE, "node", "handler_table.c"), encoding="utf-8") as file:
        handlers = file.read()
    taken = re.findall(r'^    \{"(\w+)", "(\w+)", KEY', options, re.M)
    taken += [("gateway", key) for key in re.findall(r'^    PASSED\("(\w+)"\)', options, re.M)]
    taken += [("handler", key) for key in re.findall(r'^    \{"(\w+)", offsetof', handlers, re.M) +
              re.findall(r'strcmp\(key, "(\w+)"\)', handlers)]
    return {section: {key for each, key in taken if each == section} for section, _ in taken}


def example():
    with open(os.path.join(SOURCE, "docker", "ducknode.conf.example"), encoding="utf-8") as file:
        return file.read()


def the_node_takes_what_the_checklist_says():
    named = {key for key in table() if not key.startswith("[log]")}
    assert BY_HAND <= named and node_keys()["gateway"] == named - BY_HAND, node_keys()["gateway"] ^ (named - BY_HAND)


def the_example_of_a_configuration_has_every_key():
    section, found = "", set()
    for line in example().splitlines():
        if opened := re.match(r"(?:#e\.g\. )?\[(\w+)", line):
            section = opened[1]
        if key := re.match(r"#(?:e\.g\. )?(\w+) =", line):
            found.add((section, key[1]))
    taken = {(section, key) for section, keys in node_keys().items() for key in keys if section != "gateway"}
    assert len(taken) > 25 and found - {("gateway", "enabled"), ("gateway", "listen")} == taken - {("handler", "url")}, (
        found ^ taken)


def the_example_has_the_defaults_that_are_built_in():
    defaults = re.sub(r"^#(?!e\.g\.)(?=\w+ =)", "", example(), flags=re.M)
    assert defaults.count("\n") == example().count("\n") and defaults != example()
    assert in_force(defaults) == in_force(""), (in_force(defaults), in_force(""))
    everything = re.sub(r"^#e\.g\. (?!state_dir|passphrase_file|membership_file)", "", defaults, flags=re.M)  # which must be there
    said, refused = in_force(everything.replace("/opt/weather", "/bin/true"))
    assert not refused and "\nargv = /bin/true --units si\n" in said, (said, refused)


def what_readme_says_to_configure_is_taken():
    with open(os.path.join(SOURCE, "README.md"), encoding="utf-8") as file:
        blocks = re.findall(r"(?:^    .*\n)+", file.read(), re.M)
    blocks = [re.sub("^    ", "", block, flags=re.M) for block in blocks if block.startswith("    [")]
    assert len(blocks) >= 2, blocks
    for block in blocks:
        assert not in_force(block.replace("dkl_…", "dkl_" + "a" * 32))[1], in_force(block)


def the_unit_and_the_image_look_where_root_does():
    for name, form in (("ducknode.service", r"^Environment=(.*)$"), ("Dockerfile", r"^ENV (.*)$")):
        with open(os.path.join(SOURCE, "docker", name), encoding="utf-8") as file:
            told = dict(word.split("=") for word in re.search(form, file.read(), re.M)[1].split())
        assert told == {"XDG_CONFIG_HOME": "/etc", "XDG_STATE_HOME": "/var/lib"}, (name, told)


for test in (the_catalogue_of_errors_is_that_of_the_sources, a_refusal_without_a_meaning_is_found,
             each_operation_stands_in_the_changes_of_the_api, the_checklist_has_every_setting_and_no_other,
             the_checklist_has_the_defaults_that_are_built_in, the_node_takes_what_the_checklist_says,
             the_example_of_a_configuration_has_every_key, the_example_has_the_defaults_that_are_built_in,
             what_readme_says_to_configure_is_taken, the_unit_and_the_image_look_where_root_does):
    test()
    print("ok   ", test.__name__.replace("_", " "))
