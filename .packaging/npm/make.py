#!/usr/bin/env python3
"""Makes the folders of two npm packages: procvault, and the one with the binary for a platform.

    .packaging/npm/make.py VERSION PLATFORM BINARY FOLDER

PLATFORM is Node's, as linux-x64. Neither package has a script that runs while it is installed.
"""

import json
import pathlib
import shutil
import sys

# Only what every release makes: a name in this list that nobody publishes could be published by anybody.
PLATFORMS = ["linux-x64", "linux-arm64", "darwin-x64", "darwin-arm64"]
HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]


def main():
    version, platform, binary, folder = sys.argv[1:]
    system, cpu = platform.split("-")
    common = {"version": version, "license": "MIT OR Apache-2.0"}

    main_package = pathlib.Path(folder) / "procvault"
    write(main_package, {
        "name": "procvault", **common,
        "description": "Encrypted, per-environment secrets for twelve-factor apps, kept in git",
        "bin": {"vault": "bin/vault.js", "procvault": "bin/vault.js"},
        "files": ["bin"],
        "engines": {"node": ">=18"},
        "optionalDependencies": {f"procvault-{one}": version for one in PLATFORMS},
    })
    put(HERE / "vault.js", main_package / "bin/vault.js")
    put(ROOT / "README.md", main_package / "README.md", 0o644)

    of_platform = pathlib.Path(folder) / f"procvault-{platform}"
    write(of_platform, {
        "name": f"procvault-{platform}", **common,
        "description": f"The binary of procvault for {system} on {cpu}",
        "os": [system], "cpu": [cpu], "files": ["bin"],
        # npm looks for a file that can't be executed otherwise; nobody is to call it by this name.
        "preferUnplugged": True,
    })
    put(pathlib.Path(binary), of_platform / "bin" / pathlib.Path(binary).name)


def write(folder, package):
    folder.mkdir(parents=True)
    (folder / "package.json").write_text(json.dumps(package, indent=2) + "\n")
    for licence in ("LICENSE-APACHE", "LICENSE-MIT"):
        put(ROOT / licence, folder / licence, 0o644)


def put(source, target, mode=0o755):
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    target.chmod(mode)


if __name__ == "__main__":
    main()
