#!/usr/bin/env python3
"""What `vault run` costs, as ratios on one machine.

    python3 tests/bench/bench.py [--vault PATH] [--static PATH] [--rounds 200]

It builds nothing: `cargo build --release` comes before. All vaults lie in a temporary folder.

How it measures:

- Time: the two commands of a row run in turn, A B A B …, so that both meet the same load, and the medians are
  compared. Each is started by posix_spawn and waited for by wait4, with no shell between. A first tenth of the rounds
  warms the caches up and is not counted.
- Memory: exec starts the peak anew, and what wait4 tells of a child begins with the peak of whoever spawned it, so
  neither is of use. Instead `vault run` is told to run a script whose interpreter does not exist: everything is
  decrypted and prepared, exec is tried and fails, and vault ends with 127. It is traced (PTRACE_O_TRACEEXIT), so that
  it stops once more before its memory goes away, and there VmHWM in /proc is the peak of vault and of nothing else.
  This needs Linux and the right to trace a child; without them the column stays empty.
- Members: the command line makes no vault with 100 members, so tests/data/format1/format1.py writes it. That needs the
  Python package `cryptography`; without it the row is left out, which is said.
"""

import argparse
import ctypes
import os
import pathlib
import platform
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/data/format1"))
MADE = 1_795_435_200
VALUES, MANY_VALUES, MANY_MEMBERS = 50, 1000, 100


def parser_of(page, rounds):
    """The arguments that all measurements have; `page` is the docstring of one."""
    parser = argparse.ArgumentParser(description=page.splitlines()[0])
    parser.add_argument("--vault", type=pathlib.Path, default=ROOT / "target/release/vault")
    parser.add_argument("--rounds", type=int, default=rounds)
    return parser


def options_of(parser):
    """The arguments, once it is sure that there is something to measure."""
    options = parser.parse_args()
    if not options.vault.is_file():
        sys.exit(f"there is no {options.vault}: build it, or name another with --vault")
    return options


def measured(words, folder, environment, status=0):
    """Runs the words, which end with this status: seconds, and the largest memory in KiB."""
    with open(os.devnull, "w") as nowhere:
        before = time.perf_counter()
        process = subprocess.Popen(words, cwd=folder, env=environment, stdout=nowhere, stderr=nowhere)
        _, ended, usage = os.wait4(process.pid, 0)
        took = time.perf_counter() - before
    process.returncode = os.waitstatus_to_exitcode(ended)
    if process.returncode != status:
        sys.exit(f"{' '.join(words)} ended with {process.returncode}")
    return took, usage.ru_maxrss


def within(rows, seconds, kib):
    """Prints the median time and the largest memory of each command, and ends with 1 where one is over a limit."""
    kept = True
    print("| command | median | largest memory |")
    print("|---|---|---|")
    for command, all_ in rows.items():
        took, memory = statistics.median(row[0] for row in all_), max(row[1] for row in all_)
        print(f"| {command} | {took:.3f} s | {memory / 1024:.1f} MiB |")
        kept = kept and took < seconds and memory < kib
    print(f"limits ({seconds} s, {kib >> 10} MiB): {'kept' if kept else 'NOT KEPT'}")
    sys.exit(0 if kept else 1)


def main():
    parser = parser_of(__doc__, 200)
    parser.add_argument("--static", type=pathlib.Path, help="a second build, measured against the first")
    options = options_of(parser)
    with tempfile.TemporaryDirectory(prefix="vault-bench-") as folder:
        bench = Bench(pathlib.Path(folder).resolve(), options.vault.resolve(), options.rounds)
        rows = bench.rows(options.static.resolve() if options.static else None)
        print(report(options, bench, rows))


class Bench:
    def __init__(self, folder, vault, rounds):
        self.folder, self.vault, self.rounds, self.notes = folder, str(vault), rounds, []
        self.environment = {"HOME": str(folder), "PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LANG": "C.UTF-8",
                            "USER": "bench", "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}
        self.script = folder / "no-interpreter"
        self.script.write_text(f"#!{folder}/there-is-none\n")
        self.script.chmod(0o755)
        self.true, self.env = which("true"), which("env")

    def rows(self, static):
        small = self.project("values-50", VALUES)
        large = self.project("values-1000", MANY_VALUES)
        base = ("`env A=1 true`", [self.env, "A=1", self.true], self.folder, None, self.environment)
        of_small = self.run(f"{VALUES} values", small)
        pairs = [(of_small, base), (self.run(f"{MANY_VALUES} values", large), base),
                 (self.run(f"{MANY_VALUES} values", large), of_small)]
        people = self.member_projects()
        if people:
            one, many = people
            key = {"VAULT_KEY_FILE": str(self.folder / "member.key")}
            pairs.append((self.run(f"{MANY_MEMBERS} members, {VALUES} values", many, more=key),
                          self.run(f"1 member, {VALUES} values", one, more=key)))
        if static:
            pairs.append((self.run(f"{VALUES} values, --static", small, str(static)), of_small))
        return [self.compare(*pair) for pair in pairs]

    def run(self, name, project, vault=None, more=()):
        """`vault run` with `true`, and how to measure its memory."""
        words = [vault or self.vault, "run", "-e", "staging", "--"]
        return f"`vault run`, {name}", [*words, self.true], project, [*words, str(self.script)], {**self.environment, **dict(more)}

    # vaults

    def project(self, name, values):
        """A vault made by the program itself."""
        project = self.folder / name
        project.mkdir()
        text = "".join(f"VARIABLE_{n}='value number {n} of some length'\n" for n in range(values))
        for words in (["init", "-e", "staging"], ["import", "-e", "staging", "-"]):
            subprocess.run([self.vault, *words], cwd=project, env=self.environment, input=text.encode(), check=True,
                           stderr=subprocess.DEVNULL)
        return project

    def member_projects(self):
        """Two vaults that differ in nothing but the number of members, or None."""
        try:
            import format1
        except ImportError as error:
            self.notes.append(f"No row for {MANY_MEMBERS} members: tests/data/format1/format1.py needs {error.name}.")
            return None
        projects = []
        for count in (1, MANY_MEMBERS):
            project = self.folder / f"members-{count}"
            (project / "envs").mkdir(parents=True)
            (project / "envs/staging.toml").write_text(vault_text(format1, count))
            projects.append(project)
        # The reader is the last member in the order of names, the worst place.
        (self.folder / "member.key").write_text(format1.age_identity(format1.fixed("bench: member z")) + "\n")
        return projects

    # measuring

    def compare(self, one, other):
        times = ([], [])
        warm = max(1, self.rounds // 10)
        for turn in range(warm + self.rounds):
            for side, what in enumerate((one, other)):
                seconds = self.once(what)
                if turn >= warm:
                    times[side].append(seconds)
        medians = [statistics.median(side) for side in times]
        # Neighbours met the same load, so their ratios say how sure the ratio of the medians is.
        spread = statistics.quantiles([a / b for a, b in zip(*times)], n=4)
        peaks = [what[3] and self.peak(what) for what in (one, other)]
        return one[0], other[0], medians, (spread[0], spread[2]), peaks

    def once(self, what):
        name, words, project, _, environment = what
        os.chdir(project)
        start = time.perf_counter()
        pid = os.posix_spawn(words[0], words, environment)
        _, status, _ = os.wait4(pid, 0)
        seconds = time.perf_counter() - start
        if status != 0:
            sys.exit(f"{name}: it ended with {os.waitstatus_to_exitcode(status)}")
        return seconds

    def peak(self, what):
        """The peak of resident memory in KiB at the end of the process, or None."""
        name, _, project, words, environment = what
        os.chdir(project)
        try:
            kib, status = peak_at_exit(words, environment)
        except (OSError, AttributeError) as error:
            note = f"No memory: this machine does not let a child be traced ({error})."
            self.notes += [] if note in self.notes else [note]
            return None
        if status != 127:
            sys.exit(f"{name}: with the script it ended with {status} instead of 127")
        return kib


def vault_text(format1, members):
    secret = {name: format1.fixed(f"bench: member {name}")
              for name in ["z", *(f"m{n:03}" for n in range(members - 1))]}
    v = format1.Vault("bench", "staging", format1.fixed(f"bench: id of {members}", 16), MADE, format1.fixed("bench: data key"))
    for name in sorted(secret):
        key = format1.age_recipient(secret[name])
        v.member(name, key, "z", proof=v.proof(secret["z"], key))
    for n in range(VALUES):
        v.secret(f"VARIABLE_{n}", f"value number {n} of some length".encode(), MADE)
    return v.vouch().text()


def peak_at_exit(words, environment):
    """Runs the words traced; VmHWM in KiB as they end, and the exit status."""
    trace_me, resume, set_options, trace_exit, event_exit = 0, 7, 0x4200, 0x40, 6
    ptrace = ctypes.CDLL(None, use_errno=True).ptrace
    ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    ptrace.restype = ctypes.c_long

    def call(request, pid, data=0):
        if ptrace(request, pid, None, data) < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

    pid = os.fork()
    if pid == 0:
        try:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, 2)
            call(trace_me, 0)
            os.execve(words[0], words, environment)
        finally:
            os._exit(99)
    kib = None
    _, status = os.waitpid(pid, 0)
    if os.WIFSTOPPED(status):
        call(set_options, pid, trace_exit)
    while os.WIFSTOPPED(status):
        number = os.WSTOPSIG(status)
        if status >> 16 == event_exit:
            for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
                if line.startswith("VmHWM:"):
                    kib = int(line.split()[1])
        call(resume, pid, 0 if number == signal.SIGTRAP else number)
        _, status = os.waitpid(pid, 0)
    if kib is None:
        raise OSError("no trace")
    return kib, os.waitstatus_to_exitcode(status)


def which(name):
    found = shutil.which(name)
    return found or sys.exit(f"there is no {name} here")


def machine(vault, rounds):
    """What was measured, where, and under which load, in one line."""
    version = subprocess.run([vault, "version"], capture_output=True, text=True, check=True).stdout.strip()
    model = next((line.partition(":")[2].strip() for line in lines("/proc/cpuinfo") if line.startswith("model name")),
                 platform.processor() or "unknown processor")
    return (f"{version}; {model}, {os.cpu_count()} cores; {platform.system()} {platform.release()}; "
            f"{' '.join(platform.libc_ver())}; Python {platform.python_version()}; {rounds} rounds; "
            f"load {os.getloadavg()[0]:.1f} at the end")


def report(options, bench, rows):
    out = [machine(bench.vault, options.rounds), "",
           "| A | B | A, ms | B, ms | time A / B | middle half | peak A, KiB | peak B, KiB |",
           "|---|---|---:|---:|---:|---:|---:|---:|"]
    for one, other, (a, b), (low, high), peaks in rows:
        peak = [f"{value:,}" if value else "–" for value in peaks]
        out.append(f"| {one} | {other} | {a * 1000:.2f} | {b * 1000:.2f} | {a / b:.2f} | {low:.2f}–{high:.2f} | "
                   f"{peak[0]} | {peak[1]} |")
    return "\n".join([*out, *([""] + bench.notes if bench.notes else [])])


def lines(path):
    try:
        return pathlib.Path(path).read_text().splitlines()
    except OSError:
        return []


if __name__ == "__main__":
    main()
