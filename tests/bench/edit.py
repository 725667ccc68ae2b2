#!/usr/bin/env python3
"""What `vault edit` costs before the editor is there.

    python3 tests/bench/edit.py [--vault PATH] [--rounds 100]

It builds nothing: `cargo build --release` comes before. The vault lies in a temporary folder.

- Set-up: how long the world of the tier takes, as `vault -v edit` tells it. It ends before any key is looked for.
- Opening: from the start of vault to its end, on a terminal of its own, with `true` for the editor, which opens nothing.
  That is more than what a person waits for, by the time that `true` and the end take. `true` alone on such a terminal
  is measured in turn with it.

Medians, after a first tenth of the rounds that is not counted.
"""

import os
import pathlib
import pty
import re
import statistics
import subprocess
import sys
import tempfile
import time

import bench

SETUP_LIMIT, OPENING_LIMIT = 5, 100


def on_terminal(words, folder, environment):
    """Runs it to its end: milliseconds, and what it wrote."""
    before = time.perf_counter()
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(folder)
        os.execvpe(words[0], words, environment)
    text = b""
    while True:
        try:
            part = os.read(terminal, 1 << 16)
        except OSError:
            break
        if not part:
            break
        text += part
    os.waitpid(pid, 0)
    took = 1000 * (time.perf_counter() - before)
    os.close(terminal)
    return took, text.decode(errors="replace")


def main():
    options = bench.options_of(bench.parser_of(__doc__, 100))
    vault = str(options.vault.resolve())
    with tempfile.TemporaryDirectory(prefix="vault-bench-") as folder:
        environment = {"HOME": folder, "PATH": os.environ.get("PATH", "/usr/bin:/bin"), "USER": "bench", "TERM": "xterm"}
        project = pathlib.Path(folder, "project")
        project.mkdir()

        def run(*words, text=None):
            subprocess.run([vault, *words], cwd=project, env=environment, input=text, check=True,
                           capture_output=True, text=True)

        for name, values in ("few", 10), ("many", 1000):
            run("init", "--name", "bench", "-e", name)
            lines = "".join(f"NAME_{number}=value-of-{number}-{'x' * 40}\n" for number in range(values))
            run("import", "-e", name, "-", text=lines)
        rows, setup = {}, {"namespace": [], "landlock": []}
        for round_ in range(options.rounds + options.rounds // 10):
            counted = round_ >= options.rounds // 10
            for tier in setup:
                for name in "few", "many":
                    words = [vault, "-v", "edit", name, "--isolation", tier, "--editor", "true"]
                    took, told = on_terminal(words, project, environment)
                    ready = re.search(rf"{tier} ready after ([0-9.]+) ms", told)
                    if not ready or "never opened the text" not in told:
                        sys.exit(f"{' '.join(words)} said:\n{told}")
                    if counted:
                        rows.setdefault((tier, name), []).append(took)
                        setup[tier].append(float(ready[1]))
            took, _ = on_terminal(["true"], project, environment)
            if counted:
                rows.setdefault(("true alone", ""), []).append(took)
    alone = statistics.median(rows.pop(("true alone", "")))
    print(f"{options.rounds} rounds, medians; `true` alone on a terminal: {alone:.2f} ms")
    print("| tier | set-up | 10 values, to the end | 1,000 values, to the end |")
    print("|---|---|---|---|")
    kept = True
    for tier, times in setup.items():
        median = statistics.median(times)
        few, many = (statistics.median(rows[tier, name]) for name in ("few", "many"))
        print(f"| {tier} | {median:.2f} ms | {few:.1f} ms, {few / alone:.1f} x `true` | {many:.1f} ms, {many / alone:.1f} x `true` |")
        kept = kept and many < OPENING_LIMIT and (tier != "namespace" or median <= SETUP_LIMIT)
    print(f"limits (set-up of namespace {SETUP_LIMIT} ms, 1,000 values {OPENING_LIMIT} ms): {'kept' if kept else 'NOT KEPT'}")
    sys.exit(0 if kept else 1)


if __name__ == "__main__":
    main()
