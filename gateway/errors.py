"""Makes ERRORS.md: each `error` of a problem, its status, its meaning (errors.yaml), and who answers it
(openapi.yaml). Codes and meanings are held against what the sources refuse with: none is missing, none left over.

    errors.py > ERRORS.md"""

import glob
import os
import re
import sys

import yaml

HERE = os.path.dirname(os.path.abspath(__file__))
# Which argument of a call is the code.
CALLS = {"exchange_say_no": 2, "problem_make": 1, "problem_of_node": 0, "form_refuse": 1}
# Words of verdicts that no caller is told: nothing was refused, the forms ask for a password first, and keys
# made outside are refused as such.
UNTOLD = {"taken", "unknown", "password_missing", "bad_public_key"}
SHARED = 10  # operations; what more of them answer is not said one by one
HEAD = """# Errors

Every refusal is a problem (RFC 9457), `application/problem+json`. `error` is stable, for programs; `type` is `/docs#` and the same
word; `detail` is a sentence for people, and may change; `field` names the member at fault. By `errors.py`; do not edit.

| `error` | status | means | answered by |
|---|---|---|---|
"""


def arguments(text, at):
    """Of the call whose parenthesis opens before `at`."""
    found, depth, begin, is_text = [], 0, at, False
    while depth >= 0:
        char = text[at]
        if char == '"' and text[at - 1] != "\\":
            is_text = not is_text
        elif not is_text:
            depth += (char == "(") - (char == ")")
            if char == "," and depth == 0 or depth < 0:
                found.append(text[begin:at])
                begin = at + 1
        at += 1
    return found


def literals(text):
    return set(re.findall(r'"([a-z]+(?:_[a-z]+)*)"', text))


def refused_with(text):
    """The codes in a source."""
    codes = set()
    for call, place in CALLS.items():
        for match in re.finditer(rf"\b{call}\(", text):
            given = arguments(text, match.end())
            codes |= literals(given[place]) if len(given) > place else set()
    codes |= set(re.findall(r'\.code = "(\w+)"', text))
    codes |= set(re.findall(r'\{"(\w+)", \d{3}, \d+\}', text))
    for match in re.finditer(r"_code\([^)]*\)\n\{\n(.*?)\n\}\n", text, re.S):
        codes |= set(re.findall(r'return "(\w+)";', match[1]))
    return codes


def sources():
    codes = set()
    for path in glob.glob(os.path.join(HERE, "*.c")):
        with open(path, encoding="utf-8") as file:
            codes |= refused_with(file.read())
    return codes - UNTOLD


def documented(reference):
    """{code: {status: [operation, …]}}"""
    found = {}
    for path, methods in reference["paths"].items():
        for method, operation in methods.items():
            for status, answer in operation["responses"].items():
                name = answer.get("$ref", "").rpartition("/")[2]
                answer = reference["components"]["responses"].get(name, answer)
                schema = answer.get("content", {}).get("application/problem+json", {}).get("schema", {})
                for part in schema.get("allOf", ()):
                    for code in part.get("properties", {}).get("error", {}).get("enum", ()):
                        found.setdefault(code, {}).setdefault(int(status), []).append(
                            f"{method.upper()} {path}")
    return found


# Answered wherever no operation is, so no operation documents them.
OUTSIDE = {"method_not_allowed": 405, "expired": 410}


def row(code, meaning, where):
    statuses = sorted(where) or [OUTSIDE[code]]
    operations = sorted({each for list_ in where.values() for each in list_})
    said = "many" if len(operations) > SHARED else ", ".join(f"`{each}`" for each in operations)
    return f"| <a id=\"{code}\"></a>`{code}` | {', '.join(map(str, statuses))} | {meaning} | {said or 'any path'} |\n"


def meanings():
    with open(os.path.join(HERE, "errors.yaml"), encoding="utf-8") as file:
        return yaml.safe_load(file)


def catalogue():
    said = meanings()
    with open(os.path.join(HERE, "openapi.yaml"), encoding="utf-8") as file:
        where = documented(yaml.safe_load(file))
    faults = [f"{code} is refused with, and has no meaning" for code in sources() - said.keys()]
    faults += [f"{code} has a meaning, and nothing refuses with it" for code in said.keys() - sources()]
    faults += [f"{code} is documented, and has no meaning" for code in where.keys() - said.keys()]
    faults += [f"{code} is refused with, and not documented"
               for code in said.keys() - where.keys() - OUTSIDE.keys()]
    if faults:
        sys.exit("\n".join(sorted(faults)))
    return HEAD + "".join(row(code, said[code], where.get(code, {})) for code in sorted(said))


if __name__ == "__main__":
    sys.stdout.write(catalogue())
