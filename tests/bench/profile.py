#!/usr/bin/env python3
"""Where the instructions of `vault run` go, and whether they have become more.

    python3 tests/bench/profile.py                 the table of docs/performance.md
    python3 tests/bench/profile.py --check         ends with 1 where a count is over its budget
    python3 tests/bench/profile.py --write         writes the counts of today as the budget

It builds nothing: `cargo build --locked --profile dist --target x86_64-unknown-linux-musl` comes before.

callgrind counts instructions, not seconds: the same binary with the same input gives the same count, whatever else the
machine is doing. All inputs are made by tests/data/format1/format1.py out of fixed keys, and the environment is empty
but for five variables. What is counted is everything up to execve(2), where the command takes over. The processor that
callgrind plays has no instructions for SHA-256, so a real one needs fewer for the rows `hashes` and `100 members`.

A count may grow by 3 % of what tests/bench/instructions.json says. A change that needs more changes that file, in the
same commit, where everybody can see it.
"""

import argparse
import collections
import json
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/data/format1"))
TARGET = "x86_64-unknown-linux-musl"
BUDGET = ROOT / "tests/bench/instructions.json"
GROWTH = 1.03
MADE = 1_795_435_200
# Name, values, members.
CASES = [("50 values", 50, 1), ("1,000 values", 1000, 1), ("100 members, 50 values", 50, 100)]
# A part of the program, and the source files whose instructions are counted to it: the first that fits. What the
# standard library does inside of a function is counted to that function, by its name.
PARTS = [
    ("X25519", r"/(curve25519|x25519)-dalek-|/subtle-"),
    ("hashes (SHA-256, HMAC, HKDF)", r"/(sha2|hmac|hkdf|digest|block-buffer)-"),
    ("ciphers (XChaCha20-Poly1305)", r"/(chacha20|chacha20poly1305|poly1305|cipher|universal-hash|aead|inout|zeroize)-"),
    ("age, Bech32", r"/(age|age-core|bech32|cookie-factory|nom|secrecy)-"),
    ("base64", r"/base64-"),
    ("TOML reader", r"/(toml|toml_parser|winnow|serde|serde_core|serde_spanned)-|/toml_"),
    ("arguments (clap)", r"/(clap|clap_builder|clap_complete|anstyle|strsim)-"),
    ("memory", r"/dlmalloc-|/platform/alloc\.rs|/(malloc|thread)/|pthread_"),
    ("copying and comparing", r"/platform/bytes\.rs|/string/|mem(cpy|set|cmp|move)"),
    ("start of the process", r"dlstart|rcrt1|__libc_start_main|/env/|/crt/"),
    ("vault: the file format", r"/src/format/"),
    ("vault: everything else", r"/src/(cli|commands|crypto|error|platform|process|secret|store|vars|vault|main|lib)"),
    ("standard library", r"/rustc/|/library/|/memchr-|/generic-array-|/crypto-common-|/typenum-|/rustix-"),
]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--vault", type=pathlib.Path, default=ROOT / f"target/{TARGET}/dist/vault")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    if not options.vault.is_file():
        sys.exit(f"there is no {options.vault}: build it, or name another with --vault")
    with tempfile.TemporaryDirectory(prefix="vault-profile-") as folder:
        profiles = {name: profile(options.vault.resolve(), pathlib.Path(folder).resolve(), values, members)
                    for name, values, members in CASES}
    counts = {name: sum(parts.values()) for name, parts in profiles.items()}
    if options.write:
        BUDGET.write_text(json.dumps({"compiler": compiler(), "instructions": counts}, indent=2) + "\n")
    if options.check:
        sys.exit(check(counts))
    print(table(profiles, counts))


def profile(vault, folder, values, members):
    """The instructions of each part of one run."""
    home = folder / f"{values}-{members}"
    (home / "project/envs").mkdir(parents=True)
    text, key = inputs(values, members)
    (home / "project/envs/staging.toml").write_text(text)
    (home / "key").write_text(key)
    environment = {"HOME": str(home), "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "USER": "bench",
                   "VAULT_KEY_FILE": str(home / "key")}
    command = [vault, "run", "-e", "staging", "--", "/bin/true"]
    # Once without, so that the machine has accepted the data key.
    run(command, home, environment)
    out = home / "callgrind"
    run(["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", "--dump-before=execve", *command],
        home, environment)
    dump = pathlib.Path(f"{out}.1")
    if not dump.is_file():
        sys.exit("callgrind has written nothing: has the binary lost the names of its functions?")
    return by_part(dump.read_text(errors="replace"))


def run(command, home, environment):
    ended = subprocess.run(command, cwd=home / "project", env=environment, capture_output=True, text=True)
    if ended.returncode != 0:
        sys.exit(f"{command[0]} ended with {ended.returncode}: {ended.stderr}")


def inputs(values, members):
    """A vault file, and the identity file of the member who is last in the order of names."""
    import format1
    secret = {name: format1.fixed(f"profile: member {name}") for name in ["z", *(f"m{n:03}" for n in range(members - 1))]}
    vault = format1.Vault("profile", "staging", format1.fixed(f"profile: id of {members}", 16), MADE,
                          format1.fixed("profile: data key"))
    for name in sorted(secret):
        key = format1.age_recipient(secret[name])
        vault.member(name, key, "z", proof=vault.proof(secret["z"], key))
    for n in range(values):
        vault.secret(f"VARIABLE_{n:04}", f"value number {n} of some length".encode(), MADE)
    mine = secret["z"]
    return vault.vouch().text(), f"# public key: {format1.age_recipient(mine)}\n{format1.age_identity(mine)}\n"


def by_part(dump):
    """Sums a dump up by source file (callgrind's format: a line behind `calls=` is of what was called)."""
    parts, names, current, called = collections.Counter(), ({}, {}), ["", ""], False
    for line in dump.splitlines():
        if found := re.match(r"(c?)(fl|fi|fe|fn)=(?:\((\d+)\))? ?(.*)", line):
            # A name stands in full once and then by its number, also where it is that of a called function.
            of_called, kind, number, name = found.groups()
            which = 1 if kind == "fn" else 0
            name = names[which].setdefault(number, name) if name else names[which].get(number, "")
            current[which] = current[which] if of_called else name
        elif line.startswith("calls="):
            called = True
        elif re.match(r"[+*\-0-9]", line):
            if not called:
                parts[part_of(*current)] += int(line.split()[1])
            called = False
    return parts


def part_of(path, function):
    by_path = next((part for part, pattern in PARTS if re.search(pattern, path)), "other")
    if by_path not in ("standard library", "other"):
        return by_path
    # `<sha2::Sha256 as …>::f` and `sha2::f`: as a path of the crate.
    found = re.match(r"[<&]*(?:mut )?([a-z_0-9]+)((?:::[a-z_0-9]+)*)", function)
    crate, modules = found.groups() if found else ("", "")
    path = f"/src{modules.replace('::', '/')}/" if crate == "vault" else f"/{crate.replace('_', '-')}-"
    return next((part for part, pattern in PARTS if re.search(pattern, path)), by_path)


def check(counts):
    budget = json.loads(BUDGET.read_text())
    allowed, over = budget["instructions"], False
    for name, count in counts.items():
        ratio = count / allowed[name]
        print(f"{name}: {count:,} instructions, {ratio - 1:+.1%} of the budget")
        over = over or ratio > GROWTH
    if over and budget["compiler"] != compiler():
        print(f"the budget was measured with {budget['compiler']}, this is {compiler()}")
    if over:
        print("over the budget: find what became slower, or write the budget anew with --write and say why")
    return 1 if over else 0


def compiler():
    return subprocess.run(["rustc", "--version"], capture_output=True, text=True, check=True).stdout.strip()


def table(profiles, counts):
    out = ["| part of `vault run` | " + " | ".join(profiles) + " |", "|---|" + "---:|" * len(profiles)]
    for part, _ in [*PARTS, ("other", "")]:
        if any(parts[part] for parts in profiles.values()):
            out.append(f"| {part} | " + " | ".join(f"{parts[part]:,}" for parts in profiles.values()) + " |")
    out.append("| all | " + " | ".join(f"{count:,}" for count in counts.values()) + " |")
    return "\n".join([f"{compiler()}; {TARGET}; instructions", "", *out])


if __name__ == "__main__":
    main()
