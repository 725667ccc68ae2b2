#!/usr/bin/env python3
"""The licences of everything that is linked into the binary for a target, on standard output.

    .packaging/licences.py TARGET
"""

import json
import pathlib
import re
import subprocess
import sys

NAMES = re.compile(r"^(licen[cs]e|copying|notice|unlicense|copyright)", re.IGNORECASE)


def main():
    (target,) = sys.argv[1:]
    words = ["cargo", "metadata", "--locked", "--format-version", "1", "--filter-platform", target]
    metadata = json.loads(subprocess.run(words, check=True, capture_output=True).stdout)
    packages = {package["id"]: package for package in metadata["packages"]}
    linked = needed(metadata["resolve"])
    texts = {}
    print("Programs of others that are part of `vault`, with their licences.\n")
    for package in sorted((packages[one] for one in linked), key=lambda package: (package["name"], package["version"])):
        print(f"{package['name']} {package['version']}: {package['license'] or 'see its licence file'}")
        folder = pathlib.Path(package["manifest_path"]).parent
        for file in sorted(folder.iterdir()):
            if file.is_file() and NAMES.match(file.name):
                text = "\n".join(line.rstrip() for line in file.read_text(errors="replace").strip().splitlines())
                texts.setdefault(text, []).append(f"{package['name']} {package['version']}")
    for text, of in texts.items():
        print(f"\n{'=' * 80}\n{', '.join(of)}\n{'=' * 80}\n\n{text}")


def needed(resolve):
    """Every package below the root that is neither for tests nor for building alone."""
    nodes = {node["id"]: node for node in resolve["nodes"]}
    found, waiting = set(), [resolve["root"]]
    while waiting:
        for dep in nodes[waiting.pop()]["deps"]:
            if any(kind["kind"] is None for kind in dep["dep_kinds"]) and dep["pkg"] not in found:
                found.add(dep["pkg"])
                waiting.append(dep["pkg"])
    return found


if __name__ == "__main__":
    main()
