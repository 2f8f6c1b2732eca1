#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Make wrong documents from libocispec's tables: one row, one mistake, one document.

The start is the complete document of each kind in accept/KIND.full.json, which must have every row of its table.
A mutant must be refused with the JSON path of its row and its value in the message.

usage: mutants.py OCIDUMP    prints the mutants that were not refused as they should be, and the number of all
"""
import copy
import functools
import json
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
TWICE = "\x01twice"
WRONG = {  # for each kind: values of another type
    "bool": ["yes", 1, {}, []], "i64": ["1", True, {}, []], "u64": ["1", True, {}, []], "i32": ["1", True, {}, []],
    "u32": ["1", False, {}, []], "string": [1, True, {}, []], "word": [1, True, {}, []], "strings": ["x", 1, {}, True],
    "words": ["x", 1, {}, True], "u32s": ["x", 1, {}, True], "objects": ["x", 1, {}, True],
    "object": ["x", 1, [], True],
    "map": ["x", 1, [], True], "object-map": ["x", 1, [], True],
}
WRONG_ELEMENT = {
    "strings": [1, None, ["x"]], "words": [1, None, {}], "u32s": ["1", None, -1, 2**32], "objects": ["x", None, []],
    "map": [1, ["x"], {}, True], "object-map": ["x", 1, []],
}
BAD_TEXT = {
    "nonempty": [""], "absolute": ["", "relative/path"], "access": ["rwx", "R"], "cpu-list": ["0;1", "all"],
    "env": ["NAME", "=VALUE", ""], "semver": ["2.0.0", "1.0", "", "1.0.0-"], "page-size": ["2M", "0MB", "2TB", "MB"],
    "mem-bw": ["L3:0=f", "MB:0=1\nMB:1=1"], "one-line": ["a\nb"], "clos-id": ["a/b", "..", ""],
    "file-name": ["a/b", "."],
    "cap-name": ["chown", "CAP_"],
}


@functools.lru_cache(maxsize=None)
def full_text(doc):
    with open(os.path.join(HERE, "accept", f"{doc}.full.json"), encoding="utf-8") as f:
        return f.read()


def full(doc):
    return json.loads(full_text(doc))


def table(ocidump):
    return json.loads(subprocess.run([ocidump, "--table"], check=True, capture_output=True, timeout=10).stdout)


def locate(document, path):
    """The first place of a row in the document: its container, its key, and its JSON path as a message writes it.
    None when the document doesn't have it."""
    at, parent, written = document, None, ""
    for part in path.split("."):
        name, suffix = re.fullmatch(r"(.+?)(\[\]|\{\})?", part).groups()
        candidates = at if isinstance(at, list) else [at]
        parent = next((c for c in candidates if name in c), None)
        if parent is None:
            return None
        if isinstance(at, list):
            written += f"[{candidates.index(parent)}]"
        written += ("." if written else "") + name
        at, key = parent[name], name
        if suffix == "{}":
            key_in_map = next(iter(at))
            container, at = at, at[key_in_map]
            if part != path.split(".")[-1]:
                written += "." + key_in_map
    return parent, key, written


def changed(row, value, element=False):
    """The row's document with another value, and the path that the message must have."""
    document = full(row["doc"])
    found = locate(document, row["path"])
    if not found:
        raise AssertionError(f"accept/{row['doc']}.full.json lacks {row['path']}")
    parent, key, written = found
    if not element:
        parent[key] = value
    elif isinstance(parent[key], dict):
        name = next(iter(parent[key]))
        parent[key][name] = value
        written += f".{name}" if re.fullmatch(r"[\w-]+", name) else f'["{name}"]'
    else:
        parent[key][0] = value
        written += "[0]"
    return json.dumps(document), written


def shown(value):
    """How the message shows a value."""
    if isinstance(value, (dict, list)):
        return "{…}" if isinstance(value, dict) else "[…]"
    text = json.dumps(value)
    return text.replace("\\n", "\\x0a")


def wrong_types(row):
    for value in WRONG.get(row["kind"], []):
        yield "type", *changed(row, value), shown(value)
    for value in WRONG_ELEMENT.get(row["kind"], []):
        yield "element", *changed(row, value, element=True), shown(value)


def out_of_range(row):
    if "min" not in row:
        return
    element = row["kind"] == "u32s"
    for value in (row["min"] - 1, row["max"] + 1, 10**30, -10**30):
        if value != row.get("unset"):
            yield "range", *changed(row, value, element), str(value)
    for text in ("1.0", "1e0", "0.5", "-1E+2"):
        document, path = changed(row, "\x01number", element)
        yield "fraction", document.replace('"\\u0001number"', text), path, text


def unknown_word(row):
    if "words" not in row:
        return
    element = row["kind"] in ("words", "strings")
    for value in ("", row["words"][0] + "X", row["words"][0].swapcase()):
        yield "word", *changed(row, value, element), shown(value)


def bad_text(row):
    for value in BAD_TEXT.get(row["text"], []):
        yield "text", *changed(row, value, row["kind"] == "strings"), shown(value)
    if row.get("min_items"):
        yield "too few", *changed(row, []), "[]"
    if row["kind"] in ("map", "object-map"):
        for name in BAD_TEXT.get(row["key_text"], []) + [""]:
            document, path = changed(row, {name: {} if row["kind"] == "object-map" else "x"})
            yield "key", document, f'{path}["{name}"]', "key"


def missing(row):
    if not row["required"]:
        return
    for value in (None, TWICE):  # null, and not there at all
        document = full(row["doc"])
        parent, key, written = locate(document, row["path"])
        if value is None:
            parent[key] = None
        else:
            del parent[key]
        yield "missing", json.dumps(document), written, "required"


def duplicate(row):
    document = full(row["doc"])
    parent, key, written = locate(document, row["path"])
    parent[key + TWICE] = copy.deepcopy(parent[key])
    yield "duplicate", json.dumps(document).replace("\\u0001twice", ""), written, "duplicate"
    parent[key.upper() if key.upper() != key else key.lower()] = parent.pop(key + TWICE)
    yield "case", json.dumps(document), written, "case"


def broken_strings(row):
    """What no string of any row may have."""
    if row["kind"] not in ("string", "strings", "map"):
        return
    element = row["kind"] != "string"
    document, path = changed(row, "\x01broken", element)
    for text in ("a\\u0000b", "\\ud800"):
        yield "escape", document.replace("\\u0001broken", text), path, "—"
    for raw in (b"\xff", b"\xc0\x80", b"\xed\xa0\x80"):
        yield "utf-8", document.encode().replace(b"\\u0001broken", raw), path, "UTF-8"


MAKERS = (wrong_types, out_of_range, unknown_word, bad_text, missing, duplicate, broken_strings)


def mutants(rows):
    """(kind of document, name, document, path, what the message must contain)"""
    for row in rows:
        if row["kind"] == "skip":
            continue
        for maker in MAKERS:
            for what, document, path, word in maker(row):
                yield row["doc"], f"{row['path']}: {what}", document, path, word


def answers(ocidump, documents, timeout):
    """The driver's line for each (kind, document), by one process."""
    data = [d if isinstance(d, bytes) else d.encode() for _, d in documents]
    stream = b"".join(b"%s %d\n%s" % (kind.encode(), len(d), d) for (kind, _), d in zip(documents, data))
    done = subprocess.run([ocidump, "--batch"], input=stream, capture_output=True, timeout=timeout)
    lines = done.stdout.decode().splitlines()
    if done.returncode or done.stderr or len(lines) != len(documents):
        raise AssertionError(f"exit status {done.returncode} after {len(lines)} of {len(documents)} documents: "
                             f"{done.stderr.decode(errors='replace')[-2000:]}")
    return lines


def verdict(line, what, path, word):
    """None when the document was refused as it must be, else what is wrong."""
    found = re.fullmatch(r"(\d+):(\d+): (.*)", line)
    if not found or found.group(1) == "0":
        return line
    rest = found.group(3)
    if what.endswith(": case"):
        return None if rest.lower().startswith(path.lower() + ": ") and "only in case" in rest else rest
    return None if rest.startswith(path + ": ") and word in rest else rest


def main(argv):
    made = list(mutants(table(argv[1])))
    bad = 0
    for (doc, what, _, path, word), line in zip(made, answers(argv[1], [(m[0], m[2]) for m in made], 60)):
        problem = verdict(line, what, path, word)
        if problem:
            bad += 1
            print(f"{doc} {what}: expected {path} and {word!r}: {problem}")
    print(f"{len(made)} mutants, {bad} not refused as they should be")
    return 1 if bad or not made else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
