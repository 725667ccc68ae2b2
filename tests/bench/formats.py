#!/usr/bin/env python3
"""What `vault import` and `vault export` cost for 10,000 variables.

    python3 tests/bench/formats.py [--vault PATH] [--rounds 10]

It builds nothing: `cargo build --release` comes before. The vault lies in a temporary folder. The median time of each
command from start to end, and its largest memory (`ru_maxrss` of wait4). It fails where one takes over 0.2 seconds or
40 MiB.
"""

import json
import os
import pathlib
import tempfile

import bench

COUNT, SECONDS, KIB = 10_000, 0.2, 40 << 10
FORMATS = ["dotenv", "shell", "fish", "powershell", "json", "yaml", "docker", "systemd-env", "k8s", "fly", "tfvars",
           "tfvars-json", "null"]


def main():
    options = bench.options_of(bench.parser_of(__doc__, 10))
    vault = str(options.vault.resolve())
    with tempfile.TemporaryDirectory(prefix="vault-bench-") as folder:
        environment = {"HOME": folder, "PATH": os.environ.get("PATH", "/usr/bin:/bin"), "USER": "bench"}
        lines = "".join(f"NAME_{number}=value-of-{number}-{'x' * 30}\n" for number in range(COUNT))
        pathlib.Path(folder, "lines.env").write_text(lines)
        pairs = dict(line.split("=", 1) for line in lines.splitlines())
        pathlib.Path(folder, "lines.json").write_text(json.dumps(pairs, indent=1))
        pathlib.Path(folder, "lines.yaml").write_text("".join(f"{name}: {value}\n" for name, value in pairs.items()))
        bench.measured([vault, "init", "--name", "bench", "-e", "first"], folder, environment)
        rows = {}
        for round_ in range(options.rounds):
            for format_ in ["json", "yaml", "env"]:
                name = f"round{round_}-{format_}"
                bench.measured([vault, "init", "--name", "bench", "-e", name], folder, environment)
                words = [vault, "import", "-e", name, f"lines.{format_}"]
                rows.setdefault(f"import {format_}", []).append(bench.measured(words, folder, environment))
            for format_ in FORMATS:
                words = [vault, "export", "-e", name, format_]
                rows.setdefault(f"export {format_}", []).append(bench.measured(words, folder, environment))
    print(f"{COUNT} variables, {options.rounds} rounds")
    bench.within(rows, SECONDS, KIB)


if __name__ == "__main__":
    main()
