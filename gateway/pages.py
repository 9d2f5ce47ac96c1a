"""Makes the header that pages.c compiles in: every file that the gateway serves as it is.

    pages.py OUT.h openapi.yaml [--without PREFIX] [PATH=FILE[,FILE…]…]

The reference is written in YAML and served as JSON, so it is turned here, without the paths that a
build does not serve. Several files become one. Each file is also
compressed here, once, and named by its hash (the ETag)."""

import gzip
import hashlib
import html
import json
import os
import re
import sys

import yaml

import errors

PLAIN = "text/plain; charset=utf-8"
TYPES = {".json": "application/json", ".html": "text/html; charset=utf-8",
         ".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8",
         ".txt": PLAIN}
PLAIN_TEXTS = {"/docs/licences"}
STYLED = {"/docs"}  # pages whose styles stand inside them
LINE = 64  # bytes of a string literal on one line


def reference(path, without):
    with open(path, encoding="utf-8") as file:
        document = yaml.safe_load(file)
    document["paths"] = {path: item for path, item in document["paths"].items()
                         if not without or not path.startswith(without)}
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def joined(names):
    texts = []
    for name in names.split(","):
        with open(name, "rb") as file:
            texts.append(file.read())
    return b"\n".join(texts)


def marked(said):
    return re.sub("`([^`]+)`", r"<code>\1</code>", html.escape(said))


def with_errors(text):
    """Each `error` in the page, under the id that the `type` of a problem points to."""
    rows = "".join(f'<dt id="{code}"><code>{code}</code></dt><dd>{marked(said)}</dd>'
                   for code, said in errors.meanings().items())
    return text.replace(b"<!-- errors -->", f'<section slot="footer"><h2>Errors</h2><dl>{rows}</dl></section>'.encode())


def type_of(path):
    extension = os.path.splitext(path)[1]
    return PLAIN if path in PLAIN_TEXTS else TYPES[extension or ".html"]


def literal(data):
    lines = (data[at:at + LINE] for at in range(0, len(data), LINE))
    return "\n".join('    "' + "".join(f"\\{byte:03o}" for byte in line) + '"' for line in lines)


def page(number, path, data):
    # No time of making in it: the same sources are the same bytes.
    zipped = gzip.compress(data, 9, mtime=0)
    tag = hashlib.sha256(data).hexdigest()[:24]
    texts = "".join(f"static const char page_{kind}_{number}[] =\n{literal(bytes_)};\n"
                    for kind, bytes_ in (("plain", data), ("zipped", zipped)))
    row = (f'    {{"{path}", "{type_of(path)}", "{tag}", {str(path in STYLED).lower()},\n'
           f"     {{(const uint8_t *)page_plain_{number}, {len(data)}}},\n"
           f"     {{(const uint8_t *)page_zipped_{number}, {len(zipped)}}}}},\n")
    return texts, row


def main(out, yaml_path, *files):
    without = None
    if files[:1] == ("--without",):
        without, files = files[1], files[2:]
    pages = [("/openapi.json", reference(yaml_path, without))]
    for file in files:
        path, _, names = file.partition("=")
        pages.append((path, with_errors(joined(names)) if path == "/docs" else joined(names)))
    made = [page(number, path, data) for number, (path, data) in enumerate(pages)]
    with open(out, "w", encoding="ascii") as header:
        header.write("".join(texts for texts, _ in made))
        header.write("static const struct page pages[] = {\n")
        header.write("".join(row for _, row in made) + "};\n")


main(*sys.argv[1:])
