#!/usr/bin/env python3
"""What `vault log` and `vault check --against` cost on a history of 5,000 commits, beside git's own log of it.

    python3 tests/bench/git.py [--vault PATH] [--rounds 10]

It builds nothing: `cargo build --release` comes before. The repository lies in a temporary folder: an environment of 50
values, of which each commit sets one anew. The median time of each command from start to end, interleaved, and what
`vault log` takes for each second of `git log --raw`. It fails where `vault log` takes over 3 seconds.
"""

import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import time

import bench

COMMITS, VALUES, VARIANTS, SECONDS = 5_000, 50, 40, 3.0


def run(words, folder, environment, **more):
    return subprocess.run(words, cwd=folder, env=environment, check=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          **more).stdout


def history(vault, folder, environment):
    """Commits as git's fast-import takes them: each has one record of another version of the file."""
    run([vault, "init", "--name", "bench", "-e", "staging"], folder, environment)
    path = pathlib.Path(folder, "envs/staging.toml")
    names = [f"NAME_{number:02}" for number in range(VALUES)]
    run([vault, "set", "-e", "staging", *(f"{name}=value of {name}" for name in names)], folder, environment)
    variants = []
    for variant in range(VARIANTS):
        run([vault, "set", "-e", "staging", *(f"{name}={variant}" for name in names)], folder, environment)
        variants.append(dict(re.findall(r'\[secrets\.(\w+)\]\nvalue = "([^"]+)"', path.read_text())))
    head = path.read_text().split("\n[secrets.")[0]
    records = dict(variants[0])
    out = []
    for number in range(COMMITS):
        name = names[number % VALUES]
        records[name] = variants[(number // VALUES + 1) % VARIANTS][name]
        text = head + "".join(f'\n[secrets.{name}]\nvalue = "{records[name]}"\n' for name in names)
        data, message = text.encode(), f"change {name}".encode()
        out.append(f"commit refs/heads/main\ncommitter b <b@example.org> {1_700_000_000 + number} +0000\n"
                   f"data {len(message)}\n".encode() + message +
                   f"\nM 100644 inline envs/staging.toml\ndata {len(data)}\n".encode() + data + b"\n")
    run(["git", "init", "-q", "-b", "main", "."], folder, environment)
    run(["git", "fast-import", "--quiet"], folder, environment, input=b"".join(out))
    run(["git", "reset", "-q", "--hard"], folder, environment)


def main():
    options = bench.options_of(bench.parser_of(__doc__, 10))
    vault = str(options.vault.resolve())
    with tempfile.TemporaryDirectory(prefix="vault-bench-") as folder:
        environment = {"HOME": folder, "PATH": os.environ.get("PATH", "/usr/bin:/bin"), "USER": "bench",
                       "GIT_CONFIG_GLOBAL": "/dev/null"}
        history(vault, folder, environment)
        told = run([vault, "log"], folder, environment).count(b"\n  staging: ")
        if told != COMMITS:
            sys.exit(f"vault log tells of {told} commits, not of {COMMITS}")
        commands = {
            "git log --raw": ["git", "log", "--raw", "-c", "--", "envs"],
            "vault log": [vault, "log"],
            "vault log NAME_07": [vault, "log", "NAME_07"],
            "vault check --against HEAD~1000": [vault, "check", "--against", "HEAD~1000"],
        }
        rows = {name: [] for name in commands}
        for _ in range(options.rounds):
            for name, words in commands.items():
                before = time.perf_counter()
                subprocess.run(words, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                rows[name].append(time.perf_counter() - before)
    print(f"{COMMITS} commits of {VALUES} values, {options.rounds} rounds, interleaved")
    print("| command | median | of git's own |")
    print("|---|---|---|")
    medians = {name: statistics.median(all_) for name, all_ in rows.items()}
    for name, median in medians.items():
        print(f"| {name} | {median:.3f} s | {median / medians['git log --raw']:.2f} |")
    kept = medians["vault log"] < SECONDS
    print(f"limit ({SECONDS} s for `vault log`): {'kept' if kept else 'NOT KEPT'}")
    sys.exit(0 if kept else 1)


if __name__ == "__main__":
    main()
