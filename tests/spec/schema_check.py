#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Compare libocispec's tables with runtime-spec's JSON schema.

Every property of the schema needs a row, or a line with a reason in not_supported.txt. Type, required, vocabulary,
range, pattern and least number of entries must be the schema's, or a line in deviations.txt says why not. Rows that the
schema doesn't know need such a line too, and a line that nothing needs any more is an error.

usage: schema_check.py OCIDUMP [SCHEMA_FOLDER]    exit status 77: no schema there, nothing was compared
"""
import json
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
DOCUMENTS = {"config": "config-schema.json", "state": "state-schema.json", "features": "features-schema.json"}
PATTERNS = {  # the text rule that is the same as the schema's pattern
    "^[0-9, -]*$": "cpu-list",
    "^[1-9][0-9]*[KMG]B$": "page-size",
    "^MB:[^\\n]*$": "mem-bw",
    "^CAP_[A-Z_]+$": "cap-name",
}
I64, U64 = (-2**63, 2**63 - 1), (0, 2**64 - 1)
LIMITS = {"i64": I64, "u64": U64, "i32": (-2**31, 2**31 - 1), "u32": (0, 2**32 - 1), "u32s": (0, 2**32 - 1)}
TYPES = {
    "bool": "boolean", "string": "string", "word": "string", "i64": "integer", "u64": "integer", "i32": "integer",
    "u32": "integer", "strings": "array of string", "words": "array of string", "u32s": "array of integer",
    "objects": "array of object", "object": "object", "map": "map of string", "object-map": "map of object",
}


def schema_folder(argv):
    if len(argv) > 2:
        return argv[2]
    return os.environ.get("HULL_SPEC_SCHEMA") or os.path.join(HERE, "../../../shared/spec/schema")


class Schema:
    def __init__(self, folder):
        self.folder, self.files = folder, {}

    def load(self, name):
        if name not in self.files:
            with open(os.path.join(self.folder, name), encoding="utf-8") as f:
                self.files[name] = json.load(f)
        return self.files[name]

    def resolve(self, node, file):
        """The node with $ref, allOf and one-branch anyOf folded in; and the file that its own references count from."""
        node = dict(node)
        merged, home = {}, file
        if "$ref" in node:
            target, _, fragment = node.pop("$ref").partition("#")
            home = target or file
            found = self.load(home)
            for part in fragment.strip("/").split("/"):
                found = found[part]
            merged, home = self.resolve(found, home)
        for branch in node.pop("allOf", []) + node.pop("anyOf", []):
            other, other_home = self.resolve(branch, file)
            if merged and other_home != home:
                raise ValueError(f"branches from two files in {file}")
            home = other_home
            merged = self.merge(merged, other)
        return self.merge(merged, node), home

    @staticmethod
    def merge(a, b):
        out = {**a, **b}
        if "properties" in a and "properties" in b:
            out["properties"] = {**a["properties"], **b["properties"]}
        if "required" in a and "required" in b:
            out["required"] = a["required"] + b["required"]
        return out

    def properties(self, node, file, prefix, skipped, out):
        for name, child in node.get("properties", {}).items():
            path = f"{prefix}.{name}" if prefix else name
            required = name in node.get("required", [])
            if path in skipped:
                out[path] = {"type": "skipped", "required": required}
                continue
            self.add(path, *self.resolve(child, file), required, skipped, out)

    def add(self, path, node, file, required, skipped, out):
        """One property: what it is itself, then what is below it."""
        kind, inner, inner_file, suffix = node.get("type"), node, file, ""
        if kind == "array":
            inner, inner_file = self.resolve(node["items"], file)
            kind, suffix = f"array of {inner['type']}", "[]"
        elif "patternProperties" in node or "additionalProperties" in node:
            inner, inner_file = self.resolve(
                node.get("additionalProperties") or next(iter(node["patternProperties"].values())), file)
            kind, suffix = f"map of {inner['type']}", "{}"
        out[path] = {"type": kind, "required": required, "enum": inner.get("enum"), "min": inner.get("minimum"),
                     "max": inner.get("maximum"), "pattern": inner.get("pattern"), "min_items": node.get("minItems", 0)}
        self.properties(inner, inner_file, path + suffix, skipped, out)


def read_lines(name, columns):
    """Lines of `columns` words and a reason."""
    lines = {}
    with open(os.path.join(HERE, name), encoding="utf-8") as f:
        for number, line in enumerate(f, 1):
            if not line.strip() or line.startswith("#"):
                continue
            words = line.split(None, columns)
            if len(words) <= columns or not words[columns].strip():
                raise SystemExit(f"{name}:{number}: a reason is missing")
            key = tuple(words[:columns])
            if key in lines:
                raise SystemExit(f"{name}:{number}: {' '.join(key)} is there twice")
            lines[key] = number
    return lines


def path_matches(pattern, path):
    """A star stands for one name or a part of it."""
    return re.fullmatch("[A-Za-z0-9]*".join(re.escape(part) for part in pattern.split("*")), path)


def row_range(row):
    return (row["min"], row["max"])


def schema_range(want, row):
    lo, hi = LIMITS[row["kind"]]
    return (lo if want["min"] is None else want["min"], hi if want["max"] is None else want["max"])


def text_matches(want, row):
    if want["pattern"] is None:
        return row["text"] == "any"
    if "words" in row:
        return all(re.fullmatch(want["pattern"].strip("^$"), w) for w in row["words"])
    return PATTERNS.get(want["pattern"]) == row["text"]


def differences(want, row):
    """What of a row isn't as the schema wants it: pairs of the deviation's name and a sentence."""
    if TYPES[row["kind"]] != want["type"]:
        yield "type", f"the schema has {want['type']}, the row {row['kind']}"
        return
    if want["required"] != row["required"]:
        yield "required", f"required is {want['required']} in the schema, {row['required']} in the row"
    if (want["enum"] or want["pattern"] is None) and sorted(want["enum"] or []) != sorted(row.get("words", [])):
        yield "enum", f"the schema has {want['enum']}, the row {row.get('words')}"
    if "min" in row and row_range(row) != schema_range(want, row):
        yield "range", f"the schema has {schema_range(want, row)}, the row {row_range(row)}"
    if not text_matches(want, row):
        yield "text", f"the schema has pattern {want['pattern']}, the row {row['text']}"
    if want["min_items"] != row.get("min_items", 0):
        yield "min_items", f"the schema has {want['min_items']}, the row {row.get('min_items', 0)}"
    if row["key_text"] != "any":
        yield "keys", f"the row wants keys to be {row['key_text']}"
    if "unset" in row:
        yield "unset", f"the row takes {row['unset']} for absent"


class Check:
    def __init__(self, rows, skipped, allowed):
        self.rows, self.skipped, self.allowed = rows, skipped, allowed
        self.used, self.problems, self.compared = set(), [], 0

    def deviation(self, doc, path, what, sentence):
        for key in self.allowed:
            if (key[0], key[2]) == (doc, what) and path_matches(key[1], path):
                self.used.add(key)
                return
        self.problems.append(f"{doc} {path}: {what}: {sentence}")

    def document(self, doc, properties):
        rows = {r["path"]: r for r in self.rows if r["doc"] == doc}
        for path, want in properties.items():
            self.compared += 1
            row = rows.pop(path, None)
            if (doc, path) in self.skipped:
                self.used.add((doc, path))
                if row and row["kind"] != "skip":
                    self.problems.append(f"{doc} {path}: has a row and a line in not_supported.txt")
            elif row is None:
                self.problems.append(f"{doc} {path}: neither a row nor a line in not_supported.txt")
            elif row["kind"] == "skip":
                self.problems.append(f"{doc} {path}: skipped without a line in not_supported.txt")
            else:
                for what, sentence in differences(want, row):
                    self.deviation(doc, path, what, sentence)
        for path in rows:
            self.deviation(doc, path, "extra", "not in the schema")

    def stale(self):
        for key in sorted((set(self.allowed) | set(self.skipped)) - self.used):
            self.problems.append(f"{' '.join(key)}: a line in not_supported.txt or deviations.txt that nothing needs")


def main(argv):
    folder = schema_folder(argv)
    if not os.path.isfile(os.path.join(folder, "config-schema.json")):
        print(f"skipped: the specification's JSON schema is not in {folder}; HULL_SPEC_SCHEMA can name its folder")
        return 77
    rows = json.loads(subprocess.run([argv[1], "--table"], check=True, capture_output=True, timeout=10).stdout)
    skipped, allowed = read_lines("not_supported.txt", 2), read_lines("deviations.txt", 3)
    check = Check(rows, skipped, allowed)
    for doc, file in DOCUMENTS.items():
        schema, properties = Schema(folder), {}
        schema.properties(*schema.resolve(schema.load(file), file), "", {p for d, p in skipped if d == doc}, properties)
        check.document(doc, properties)
    check.stale()
    for problem in check.problems:
        print(problem)
    print(f"{check.compared} properties compared, {len(check.used)} lines of reasons used, "
          f"{len(check.problems)} problems")
    return 1 if check.problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
