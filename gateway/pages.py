"""Makes the header that pages.c compiles in: every file that the gateway serves as it is.

    pages.py OUT.h openapi.yaml [PATH=FILE…]

The reference is written in YAML and served as JSON, so it is turned here. Each file is also
compressed here, once, and named by its hash (the ETag)."""

import gzip
import hashlib
import json
import os
import sys

import yaml

TYPES = {".json": "application/json", ".html": "text/html; charset=utf-8",
         ".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8",
         ".txt": "text/plain; charset=utf-8"}
LINE = 64  # bytes of a string literal on one line


def reference(path):
    with open(path, encoding="utf-8") as file:
        return json.dumps(yaml.safe_load(file), ensure_ascii=False, separators=(",", ":")).encode()


def literal(data):
    lines = (data[at:at + LINE] for at in range(0, len(data), LINE))
    return "\n".join('    "' + "".join(f"\\{byte:03o}" for byte in line) + '"' for line in lines)


def page(number, path, data):
    # No time of making in it: the same sources are the same bytes.
    zipped = gzip.compress(data, 9, mtime=0)
    tag = hashlib.sha256(data).hexdigest()[:24]
    type_ = TYPES[os.path.splitext(path)[1] or ".html"]
    texts = "".join(f"static const char page_{kind}_{number}[] =\n{literal(bytes_)};\n"
                    for kind, bytes_ in (("plain", data), ("zipped", zipped)))
    row = (f'    {{"{path}", "{type_}", "{tag}",\n'
           f"     {{(const uint8_t *)page_plain_{number}, {len(data)}}},\n"
           f"     {{(const uint8_t *)page_zipped_{number}, {len(zipped)}}}}},\n")
    return texts, row


def main(out, yaml_path, *files):
    pages = [("/openapi.json", reference(yaml_path))]
    for file in files:
        path, _, name = file.partition("=")
        with open(name, "rb") as opened:
            pages.append((path, opened.read()))
    made = [page(number, path, data) for number, (path, data) in enumerate(pages)]
    with open(out, "w", encoding="ascii") as header:
        header.write("".join(texts for texts, _ in made))
        header.write("static const struct page pages[] = {\n")
        header.write("".join(row for _, row in made) + "};\n")


main(*sys.argv[1:])
