#!/usr/bin/env python3
"""What `vault scan` costs for 1,000 staged files, and for what they are in the history.

    python3 tests/bench/scan.py [--vault PATH] [--rounds 10]

It builds nothing: `cargo build --release` comes before. The repository lies in a temporary folder: files of 10 KiB, half of
them text as in a program, half base64, which is the worst for a search, and a vault of 50 values. The median time of each
command from start to end, and its largest memory (`ru_maxrss` of wait4; that of git is not in it). It fails where one takes
over a second or 64 MiB. Once it plants a value, and fails where that is not found.
"""

import base64
import os
import pathlib
import random
import tempfile

import bench

FILES, SIZE, VALUES, SECONDS, KIB = 1000, 10 << 10, 50, 1.0, 64 << 10
PLANTED = "planted-value-of-the-bench-7f3a"
COMMANDS = {"scan --staged": ["--staged"], "scan": [], "scan --history": ["--history"], "scan .": ["."]}


def text(random_):
    """As in a program: words, signs, blanks."""
    words = ["token", "postgres://", "self.", "sk-", "value", "=", "(", ")", "\n", "    ", "AGE-", "---", "key", "npm_config"]
    return "".join(random_.choice(words) + random_.choice([" ", "", "_"]) for _ in range(SIZE // 5))[:SIZE]


def main():
    options = bench.options_of(bench.parser_of(__doc__, 10))
    vault, random_ = str(options.vault.resolve()), random.Random(1)
    with tempfile.TemporaryDirectory(prefix="vault-bench-") as folder:
        project = pathlib.Path(folder, "project")
        project.mkdir()
        environment = {"HOME": folder, "PATH": os.environ.get("PATH", "/usr/bin:/bin"), "USER": "bench",
                       "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1", "GIT_CEILING_DIRECTORIES": folder}

        def run(*words):
            bench.measured(words, project, environment)

        run(vault, "init", "--name", "bench", "-e", "staging")
        lines = "".join(f"NAME_{number}='value-of-{number}-{random_.random()}'\n" for number in range(VALUES))
        pathlib.Path(folder, "lines.env").write_text(f"{lines}PLANTED={PLANTED}\n")
        run(vault, "import", "-e", "staging", "../lines.env")
        run("git", "init", "-q")
        for number in range(FILES):
            place = project / f"folder{number % 20}"
            place.mkdir(exist_ok=True)
            random_bytes = base64.b64encode(random_.randbytes(SIZE * 3 // 4)).decode()
            (place / f"{number}.txt").write_text(random_bytes if number % 2 else text(random_))
        run("git", "add", ".")
        rows = {}
        for command, words in COMMANDS.items():
            if command == "scan --history":
                run("git", "-c", "user.name=bench", "-c", "user.email=bench@example.org", "commit", "-qm", "all")
            for _ in range(options.rounds):
                rows.setdefault(command, []).append(bench.measured([vault, "scan", *words], project, environment))
        (project / "planted").write_text(f"x {PLANTED}\n")
        run("git", "add", "planted")
        bench.measured([vault, "scan", "--staged"], project, environment, status=1)
    print(f"{FILES} files of {SIZE >> 10} KiB, {VALUES} values, {options.rounds} rounds")
    bench.within(rows, SECONDS, KIB)


if __name__ == "__main__":
    main()
