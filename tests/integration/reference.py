"""gateway/openapi.yaml as the tests read it: its operations, and what it allows of an answer."""

import base64
import datetime
import json
import os
import re
import urllib.parse

import yaml
from jsonschema import Draft202012Validator, FormatChecker, RefResolver

SOURCE = os.environ.get("DUCK_SOURCE", ".")
DOCS = os.environ.get("DUCK_DOCS", "ON") == "ON"  # as the build was configured

# What any answer may carry and the reference says once, in its introduction.
COMMON_HEADERS = {"date", "connection", "content-length", "content-type", "content-encoding",
                  "cache-control", "vary", "x-content-type-options", "access-control-allow-origin",
                  "access-control-expose-headers"}

formats = FormatChecker(formats=())


@formats.checks("date-time", raises=ValueError)
def is_time(text):
    if not isinstance(text, str):
        return True
    if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?Z", text):
        return False
    datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    return True


class Operation:
    def __init__(self, method, path, spec, reference):
        self.method, self.path, self.spec, self.reference = method.upper(), path, spec, reference
        self.name = spec["operationId"]
        self.answers = {int(status): reference.resolved(answer)
                        for status, answer in spec["responses"].items()}
        self.parameters = [reference.resolved(p) for p in spec.get("parameters", ())]
        self.body = spec.get("requestBody")

    def names(self, place):
        return [p["name"] for p in self.parameters if p["in"] == place]

    @property
    def body_schema(self):
        return next(iter(self.body["content"].values()))["schema"] if self.body else None

    @property
    def members(self):
        """What a body may hold, or None where there is no body."""
        if not self.body:
            return None
        return list(self.reference.resolved(self.body_schema).get("properties", {}))

    @property
    def bearers(self):
        """Names of security schemes; with None among them, it goes without one, too."""
        schemes = self.spec.get("security", self.reference.document["security"])
        return {name for scheme in schemes for name in (scheme or {None})} or {None}

    def codes(self, status):
        """The `error` codes that are documented for a status."""
        schema = self.answers[status].get("content", {}).get("application/problem+json", {})
        for part in schema.get("schema", {}).get("allOf", ()):
            if "properties" in part:
                return set(part["properties"]["error"]["enum"])
        return set()

    def target(self, path=None, query=None):
        target = self.path
        for name, value in (path or {}).items():
            target = target.replace("{" + name + "}", value)
        assert "{" not in target, f"{self.name} needs {target}"
        return target + ("?" + urllib.parse.urlencode(query) if query else "")


class Reference:
    def __init__(self, document=None):
        if document is None:
            with open(os.path.join(SOURCE, "gateway", "openapi.yaml"), encoding="utf-8") as file:
                document = yaml.safe_load(file)
            if not DOCS:
                document["paths"] = {path: item for path, item in document["paths"].items()
                                     if not path.startswith("/docs")}
        self.document = document
        self.resolver = RefResolver("", document)
        self.operations = {}
        for path, methods in document["paths"].items():
            for method, spec in methods.items():
                operation = Operation(method, path, spec, self)
                assert operation.name not in self.operations, operation.name
                self.operations[operation.name] = operation

    def resolved(self, node):
        while "$ref" in node:
            node = self.resolver.resolve(node["$ref"])[1]
        return node

    def faults(self, schema, value):
        validator = Draft202012Validator(schema, resolver=self.resolver, format_checker=formats)
        found = [f"{'/'.join(map(str, error.absolute_path))}: {error.message[:300]}"
                 for error in validator.iter_errors(value)]
        return found + self.bad_base64(schema, value)

    def bad_base64(self, schema, value):
        """contentEncoding is only told, by the standard; here it is looked at."""
        schema = self.resolved(schema)
        if schema.get("contentEncoding") == "base64" and isinstance(value, str):
            try:
                base64.b64decode(value, validate=True)
            except ValueError:
                return [f"not base64: {value[:40]}"]
        found = []
        if isinstance(value, dict):
            for name, member in value.items():
                found += self.bad_base64(schema.get("properties", {}).get(name, {}), member)
        if isinstance(value, list):
            for member in value:
                found += self.bad_base64(schema.get("items", {}), member)
        return found

    def header_faults(self, answer, headers):
        documented = {name.lower(): self.resolved(header)
                      for name, header in answer.get("headers", {}).items()}
        found = [f"no header {name}" for name, header in documented.items()
                 if header.get("required") and name not in headers]
        for name, value in headers.items():
            if name in COMMON_HEADERS:
                continue
            if name not in documented:
                found.append(f"a header that is not documented: {name}")
                continue
            schema = documented[name]["schema"]
            if self.resolved(schema).get("type") == "integer":
                value = int(value)
            found += [f"header {name} {fault}" for fault in self.faults(schema, value)]
        return found

    def judge(self, operation, status, headers, body):
        """All that is wrong with an answer; `headers` by their names in small letters."""
        answer = operation.answers.get(status)
        if answer is None:
            return [f"status {status} is not documented"]
        found = self.header_faults(answer, headers)
        content = answer.get("content")
        if not content:
            return found + ([f"{len(body)} bytes where none are documented"] if body else [])
        type_ = headers.get("content-type", "").split(";")[0]
        if type_ not in content:
            return found + [f"content type {type_} is not documented"]
        if "json" not in type_:
            return found
        return found + self.faults(content[type_]["schema"], json.loads(body))
