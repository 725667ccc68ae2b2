#!/usr/bin/env python3
"""What the work with members costs: `grant` and `revoke` over many environments.

    python3 tests/bench/team.py [--vault PATH] [--without-keyring PATH] [--rounds 20]

It builds nothing: `cargo build --release` comes before. All vaults lie in a temporary folder, whose disk counts: each file
that is written is synced.

- `grant` and `revoke` run over the same vault, each time a fresh copy of it: 20 environments of 50 values, members with X25519
  keys. Beside the time stands its ratio to `vault --version`, run in turn with it.
- With --without-keyring, a build without that cargo feature, `vault run` of both builds is compared, in turn, on one vault.
"""

import os
import pathlib
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

from bench import options_of, parser_of

ENVIRONMENTS, VALUES = 20, 50


class Bench:
    def __init__(self, folder, vault, rounds):
        self.folder, self.vault, self.rounds = folder, str(vault), rounds

    def person(self, name):
        home = self.folder / name
        home.mkdir(exist_ok=True)
        return {"HOME": str(home), "PATH": os.environ["PATH"], "LANG": "C.UTF-8", "USER": name,
                "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}

    def call(self, who, project, *words, text=None, vault=None):
        start = time.perf_counter()
        done = subprocess.run([vault or self.vault, *words], cwd=project, env=self.person(who), input=text, text=True,
                              capture_output=True)
        seconds = time.perf_counter() - start
        if done.returncode != 0:
            sys.exit(f"vault {' '.join(words)}: it ended with {done.returncode}: {done.stderr}")
        return seconds, done

    def team(self):
        """Alice's vault, in which bob is a member and carol asks to be one."""
        project = self.folder / "project"
        project.mkdir()
        names = ",".join(f"e{n:02}" for n in range(ENVIRONMENTS))
        self.call("alice", project, "init", "--name", "alice", "-e", names)
        lines = "".join(f"VARIABLE_{n}='value number {n} of some length'\n" for n in range(VALUES))
        for name in names.split(","):
            self.call("alice", project, "import", "-e", name, "-", text=lines)
        for who in ("bob", "carol"):
            self.call(who, project, "request", "--name", who)
        self.call("alice", project, "grant", "bob", "--expect", self.fingerprint("bob", project))
        return project

    def fingerprint(self, who, project):
        return self.call(who, project, "key", "show")[1].stderr.rsplit(" ", 1)[1].strip()

    def change(self, project, *words):
        """Medians of a change and of `vault --version`, in turn; each change on a copy of the same files and memory."""
        times, base = [], []
        state = self.folder / "alice/.local/state/vault"
        for turn in range(self.rounds + 2):
            shutil.rmtree(project / "envs")
            shutil.copytree(self.folder / "envs", project / "envs")
            shutil.rmtree(state)
            shutil.copytree(self.folder / "state", state)
            seconds, _ = self.call("alice", project, *words)
            empty, _ = self.call("alice", project, "--version")
            if turn >= 2:
                times.append(seconds)
                base.append(empty)
        return statistics.median(times), statistics.median(base)

    def compare_runs(self, project, other):
        sides = ([], [])
        for _ in range(self.rounds * 10):
            for side, vault in zip(sides, (self.vault, str(other))):
                side.append(self.call("alice", project, "run", "-e", "e00", "--", "true", vault=vault)[0])
        return statistics.median(sides[0]) / statistics.median(sides[1])


def main():
    parser = parser_of(__doc__, 20)
    parser.add_argument("--without-keyring", type=pathlib.Path, help="a build without that cargo feature")
    options = options_of(parser)
    with tempfile.TemporaryDirectory(prefix="vault-bench-") as folder:
        folder = pathlib.Path(folder).resolve()
        bench = Bench(folder, options.vault.resolve(), options.rounds)
        project = bench.team()
        shutil.copytree(project / "envs", folder / "envs")
        shutil.copytree(folder / "alice/.local/state/vault", folder / "state")
        told = bench.fingerprint("carol", project)
        print(f"{ENVIRONMENTS} environments of {VALUES} values, {options.rounds} rounds, {os.cpu_count()} cores, {platform.machine()}")
        print(f"{'command':24} {'median':>9}  ratio to `vault --version`")
        for name, words in (("grant", ("grant", "carol", "--expect", told)), ("revoke", ("revoke", "-y", "bob")),
                            ("rotate", ("rotate", "--all"))):
            seconds, base = bench.change(project, *words)
            print(f"{name:24} {seconds * 1000:6.1f} ms  {seconds / base:.1f}")
        if options.without_keyring:
            ratio = bench.compare_runs(project, options.without_keyring.resolve())
            print(f"`vault run`, with the keyring in the build / without: {ratio:.3f}")


if __name__ == "__main__":
    main()
