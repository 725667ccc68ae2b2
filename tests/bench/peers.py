#!/usr/bin/env python3
"""What `vault` costs beside other programs that do the same work, on one machine.

    python3 tests/bench/peers.py [--vault PATH] [--rounds 100] [--only run,start,revoke,sops,...] [--no-install]
                                 [--svg FILE] [--markdown FILE]

It builds no vault: `cargo build --release` comes before. Programs that are missing are installed into target/peers, and
nowhere else (see peers_have.py); one that can't be had is named with the reason. --only takes parts and programs. It needs
Linux. Everything else lies in a temporary folder with a fresh HOME, and nothing that was started is left.

How it measures:

- All programs of a row run in turn, A B C A B C …, so that all meet the same load, and the medians are compared. The
  ratio says how many times as long as `vault` somebody takes; behind it stands the middle half of the ratios of neighbours.
  Who takes over 100 ms, but `vault`, takes part in every fifth turn only, and who takes over 10 s in every twentieth. The
  first round of each is not counted. It shows that the work is done; who does not do it is left out, with what it said.
- CPU is what the system has counted for a command and those it has waited for. Other load on the machine changes it less.
- Each command is started by posix_spawn and waited for, with no shell between. Where work takes several commands, their
  times are added, and what lies between them (copying files back) is not counted.
- `run`: `true` is started with 10, 50 and 1,000 values of an encrypted store: by `sops exec-env --same-process`, which is
  faster than without, and by dotenvx without its lookups in other stores. The dotenv provider of secretspec is plaintext.
  `env A=1 true` is what can't be undercut. The first round looks at every value. All keys are X25519; dotenvx has its own.
- `start`: the processes of a Procfile print lines of 100 bytes, wait until all of them have, and end. The output goes to a
  file. The time is that of the whole runner. Every line is compared in every round; one that isn't there whole and in
  its order is lost. All read a plaintext .env of 50 values; `vault, encrypted` has them from its store, and looks for
  them in what the processes print.
- `revoke`: of three people who can read two environments of 50 values, one can't any more. Values are under new data keys
  afterwards, and the first round tries the keys of who has left and of who remains. For sops the list of keys in its
  configuration is changed beforehand, which is not counted, and likewise for fnox. The disk of the temporary folder counts.

What it does not measure: memory (bench.py, start.py), stores that ask a network or a keyring, and daemons that keep values
in memory between two commands.
"""

import contextlib
import dataclasses
import os
import pathlib
import re
import shlex
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

import bench
import peers_have
import start
from peers_chart import chart_of, number, times, unit

PARTS = ("run", "start", "revoke")
COUNTS = (10, 50, 1000)
WRITERS = ((4, 1), (1, 50_000), (4, 12_500))
# Seconds, and in every how many turns somebody takes part who needs more.
SLOW, PATIENCE = {0.1: 5, 10: 20}, 300
HERE = "vault"


class Failure(Exception):
    """A program did not do its work."""


@dataclasses.dataclass
class Way:
    """How a program does the work of a row: its commands, one after the other."""
    name: str
    folder: pathlib.Path
    environment: dict
    commands: list
    before: object = None       # called before each round, and not counted
    after: object = None        # called behind each round with what was printed, and not counted
    proof: object = None        # called behind the first round
    remark: object = lambda: ""


def main():
    parser = bench.parser_of(__doc__, 100)
    parser.add_argument("--only", default="", help=f"some of {', '.join(PARTS)}, and of {', '.join(peers_have.WAYS)}")
    parser.add_argument("--no-install", action="store_true", help="use what is there")
    parser.add_argument("--svg", type=pathlib.Path, help="draw the chart into this file")
    parser.add_argument("--markdown", type=pathlib.Path, help="write what is printed into this file, too")
    options = bench.options_of(parser)
    only = set(filter(None, options.only.split(",")))
    if unknown := only - {*PARTS, *peers_have.WAYS}:
        parser.error(f"--only does not know {', '.join(sorted(unknown))}")
    start.adopt_orphans()
    stops = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    for number in stops:
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    signal.signal(signal.SIGALRM, late)
    with tempfile.TemporaryDirectory(prefix="vault-bench-") as folder:
        try:
            names = [name for name in peers_have.WAYS if name in only or not only & set(peers_have.WAYS)]
            there, missing = peers_have.found(names, not options.no_install)
            table = Table(pathlib.Path(folder).resolve(), options, there)
            table.notes += [f"{name} was left out: {reason}." for name, reason in missing.items()]
            for part in [part for part in PARTS if part in only or not only & set(PARTS)]:
                getattr(table, part)()
            text, chart = table.text(), options.svg and table.chart()
        finally:
            for number in stops:
                signal.signal(number, signal.SIG_IGN)
            start.end_all()
            os.chdir(bench.ROOT)
    print(text)
    for path, what in ((options.markdown, text + "\n"), (options.svg, chart)):
        if path and what:
            path.write_text(what)
    sys.exit(1 if table.failed else 0)


def late(*_):
    raise Failure(f"it took over {PATIENCE} seconds")


class Table:
    def __init__(self, folder, options, there):
        self.folder, self.rounds, self.there = folder, max(1, options.rounds), there
        self.rows, self.notes, self.part, self.failed = [], [], "", False
        self.vault = str(options.vault.resolve())
        self.program = {name: path for name, (path, _) in there.items()}
        self.true, self.env = bench.which("true"), bench.which("env")
        for name in ("runtime", "tmp"):
            (folder / name).mkdir(mode=0o700)
        self.people = {name: self.person(name) for name in ("alice", "bob", "carol")}

    # people and files

    def person(self, name):
        """The environment of somebody with a new key."""
        home = self.folder / name
        home.mkdir()
        environment = {"HOME": str(home), "PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LANG": "C.UTF-8", "USER": name,
                       "TMPDIR": str(self.folder / "tmp"), "XDG_RUNTIME_DIR": str(self.folder / "runtime"),
                       "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}
        self.call([self.vault, "key", "new"], self.folder, environment)
        key = str(home / ".config/vault/identity")
        return environment | {"SOPS_AGE_KEY_FILE": key, "FNOX_AGE_KEY_FILE": key}

    def recipient(self, name):
        return self.call([self.vault, "key", "show"], self.folder, self.people[name]).stdout.strip()

    def call(self, words, folder, environment, text=""):
        """Runs what prepares or proves something, and is not measured."""
        done = subprocess.run(words, cwd=folder, env=environment, input=text, capture_output=True, text=True,
                              errors="replace", timeout=PATIENCE)
        if done.returncode:
            raise Failure(f"`{peers_have.shown(words)}` ended with {done.returncode}: {peers_have.told(done.stderr)}")
        return done

    def new(self, name):
        folder = self.folder / name
        folder.mkdir()
        return folder

    # running a command

    def run(self):
        for count in COUNTS:
            makers = {HERE: self.run_vault, "sops": self.run_sops, "fnox": self.run_fnox,
                      "secretspec": self.run_secretspec, "dotenvx": self.run_dotenvx}
            ways = self.made(f"run `true` with {count:,} values", makers,
                             lambda make: make(self.new(f"{make.__name__}-{count}"), values(count)))
            self.measure([*ways, Way("env A=1 true", self.folder, self.people["alice"], [[self.env, "A=1", self.true]])])

    def running(self, name, folder, wanted, words, remark=""):
        """`words` makes the command that runs another one with the values; once it is one that shows what it has got."""
        def proof():
            done = self.call(words([self.env, "-0"]), folder, self.people["alice"])
            got = dict(line.partition("=")[::2] for line in done.stdout.split("\0"))
            if wrong := [key for key, value in wanted.items() if got.get(key) != value]:
                raise Failure(f"the command got {len(wanted) - len(wrong)} of {len(wanted)} values")
        return [Way(name, folder, self.people["alice"], [words([self.true])], proof=proof, remark=lambda: remark)]

    def run_vault(self, folder, wanted):
        self.vault_project(folder, ["staging"], wanted)
        return self.running(HERE, folder, wanted, lambda command: [self.vault, "run", "-e", "staging", "--", *command])

    def run_sops(self, folder, wanted):
        sops = self.program["sops"]
        self.sops_file(folder, "staging.env", wanted, ["alice"])
        return self.running("sops", folder, wanted, lambda command: [sops, "exec-env", "--same-process", "staging.env",
                                                                    shlex.join(command)])

    def run_fnox(self, folder, wanted):
        self.fnox_file(folder, ["default"], wanted, ["alice"])
        return self.running("fnox", folder, wanted, lambda command: [self.program["fnox"], "exec", "--", *command])

    def run_dotenvx(self, folder, wanted):
        (folder / ".env").write_text(dotenv(wanted))
        self.call([self.program["dotenvx"], "encrypt", "-f", ".env"], folder, self.people["alice"])
        words = [self.program["dotenvx"], "run", "--no-armor", "--no-native", "--no-1password", "--no-bitwarden",
                 "-f", ".env"]
        return self.running("dotenvx", folder, wanted, lambda command: [*words, "--", *command])

    def run_secretspec(self, folder, wanted):
        secretspec, alice = self.program["secretspec"], self.people["alice"]
        head = '[project]\nname = "bench"\nrevision = "1.0"\n\n[profiles.default]\n'
        names = "".join(f'{name} = {{ description = "one of many" }}\n' for name in wanted)
        (folder / "secretspec.toml").write_text(head + names)
        (folder / ".env").write_text(dotenv(wanted))
        age = f"age://store.age?identity={alice['SOPS_AGE_KEY_FILE']}"
        self.call([secretspec, "import", "dotenv"], folder, alice | {"SECRETSPEC_PROVIDER": age})
        both = ("secretspec, age", age, ""), ("secretspec, dotenv", "dotenv", "plaintext")
        return [way for name, provider, remark in both for way in self.running(
            name, folder, wanted, lambda command, provider=provider: [
                secretspec, "run", "--provider", provider, "--", *command], remark)]

    # stores

    def vault_project(self, folder, environments, wanted):
        alice = self.people["alice"]
        self.call([self.vault, "init", "--name", "alice", "-e", ",".join(environments)], folder, alice)
        for name in environments:
            self.call([self.vault, "import", "-e", name, "-"], folder, alice, dotenv(wanted))

    def sops_file(self, folder, name, wanted, people):
        plain = "".join(f"{key}={value}\n" for key, value in wanted.items())
        (folder / name).write_text(plain)
        self.call([self.program["sops"], "encrypt", "-i", "--age", ",".join(map(self.recipient, people)), name], folder,
                  self.people["alice"])

    def fnox_file(self, folder, profiles, wanted, people):
        (folder / "fnox.toml").write_text(fnox_head(map(self.recipient, people)))
        for name in profiles:
            self.call([self.program["fnox"], "-P", name, "import", "-f", "-p", "age"], folder, self.people["alice"],
                      dotenv(wanted))

    # starting a Procfile

    def start(self):
        runners = {"honcho": ["start"], "hivemind": [], "overmind": ["start", "-s", "./o.sock"]}
        for writers, lines in WRITERS:
            expected = self.writers(writers, lines)
            makers = {HERE: lambda: self.starting(HERE, [self.vault, "start"], writers, expected)}
            makers |= {name: lambda name=name, more=more: self.starting(name, [self.program[name], *more], writers,
                                                                        expected) for name, more in runners.items()}
            what = f"{writers} processes" if writers > 1 else "1 process"
            ways = self.made(f"start {what}, {lines:,} line{'s' * (lines > 1)}{' each' * (writers > 1)}", makers,
                             lambda make: make())
            with self.told_of(stored := f"{HERE}, encrypted"):
                ways += self.starting(stored, [self.vault, "start", "-e", "staging"], writers, expected)
            self.measure(ways)

    def writers(self, writers, count):
        """The files that the processes print, and their lines."""
        rest = [f"{n:02} some text of some length, /as/programs=print it".ljust(86, ".") for n in range(97)]
        expected = {}
        for name in "abcd"[:writers]:
            text = "".join(f"{name} #{n:06} {rest[n % 97]}|xx\n" for n in range(count)).encode()
            (self.folder / f"{name}-{count}").write_bytes(text)
            expected[name.encode()] = text.splitlines()
        return expected

    def starting(self, name, words, writers, expected):
        count = len(expected[b"a"])
        folder = self.new(f"{name.replace(', ', '-')}-{writers}-{count}")
        if words[-1] == "staging":
            self.vault_project(folder, ["staging"], values(50))
        else:
            (folder / ".env").write_text(dotenv(values(50)))
        names = "abcd"[:writers]
        for one in names:
            os.mkfifo(folder / f"{one}.wait")
        # The end of the first is the end of all, so each waits until all others have told it that they have printed.
        (folder / "Procfile").write_text("".join(
            f"{one}: exec 3<>{one}.wait; cat {self.folder}/{one}-{count}; "
            f"for p in {' '.join(names)}; do echo > $p.wait; done; exec head -n {writers} <&3 > /dev/null\n"
            for one in names))
        total, seen = count * writers, {"lost": 0, "of": 0}

        def after(output):
            missing = lost(output, expected)
            if missing == total:
                raise Failure(f"it printed none of the lines, but {output[:200]!r}")
            seen["lost"] += missing
            seen["of"] += total

        def remark():
            seconds = statistics.median(one[0] for one in self.last[name].values())
            told = f"{seen['lost']:,} of {seen['of']:,} lines lost"
            return f"{total / seconds:,.0f} lines/s, {told}" if count > 1 else told
        return [Way(name, folder, self.people["alice"], [words], after=after, remark=remark)]

    # taking access away

    def revoke(self):
        makers = {HERE: self.revoke_vault, "sops": self.revoke_sops, "fnox": self.revoke_fnox}
        self.measure(self.made("take the access of 1 of 3 people away, 2 × 50 values", makers,
                               lambda make: make(self.new(make.__name__), values(50))))
        lacking = {"dotenvx": "an environment has one key, which all share", "secretspec": "no command for it"}
        self.notes += [f"revoke, {name}: no such thing; {why}." for name, why in lacking.items() if name in self.there]

    def revoking(self, name, folder, commands, opens, remark=""):
        """`opens` has the commands that show a value to who can read it; each round has the same files."""
        kept, state = folder.with_name(f"{folder.name}-kept"), self.folder / "alice/.local/state/vault"
        shutil.copytree(folder, kept)
        if name == HERE:
            shutil.copytree(state, kept / "state")

        def before():
            shutil.rmtree(folder)
            shutil.copytree(kept, folder)
            if name == HERE:
                shutil.rmtree(state)
                shutil.move(folder / "state", state)

        def proof():
            for who in ("alice", "carol", "bob"):
                for words in opens:
                    try:
                        there = "value number 7 " in self.call(words, folder, self.people[who]).stdout
                    except Failure:
                        there = False
                    if there is (who == "bob"):
                        raise Failure(f"{who} can{'' if there else 'not'} read afterwards")
        return Way(name, folder, self.people["alice"], commands, before=before, proof=proof, remark=lambda: remark)

    def revoke_vault(self, folder, wanted):
        self.vault_project(folder, ["staging", "production"], wanted)
        for who in ("bob", "carol"):
            self.call([self.vault, "request", "--name", who], folder, self.people[who])
            told = self.call([self.vault, "key", "show"], folder, self.people[who]).stderr.split()[-1]
            self.call([self.vault, "grant", who, "--expect", told], folder, self.people["alice"])
        opens = [[self.vault, "get", "-e", name, "VARIABLE_7"] for name in ("staging", "production")]
        return [self.revoking(HERE, folder, [[self.vault, "revoke", "-y", "bob"]], opens)]

    def revoke_sops(self, folder, wanted):
        sops, files, ways = self.program["sops"], ("staging.env", "production.env"), []
        stay, bob = ",".join(map(self.recipient, ("alice", "carol"))), self.recipient("bob")
        for name, commands, remark in (
                ("sops", [[[sops, "updatekeys", "-y", file], [sops, "rotate", "-i", file]] for file in files],
                 "`updatekeys` and `rotate`, 2 files"),
                ("sops, in one step", [[[sops, "rotate", "-i", "--rm-age", bob, file]] for file in files],
                 "`rotate --rm-age`, 2 files")):
            own = folder / f"{len(commands[0])}"
            own.mkdir()
            for file in files:
                self.sops_file(own, file, wanted, ["alice", "bob", "carol"])
            (own / ".sops.yaml").write_text(f"creation_rules:\n  - age: {stay}\n")
            ways.append(self.revoking(name, own, sum(commands, []), [[sops, "decrypt", file] for file in files], remark))
        return ways

    def revoke_fnox(self, folder, wanted):
        fnox, profiles, file = self.program["fnox"], ("staging", "production"), folder / "fnox.toml"
        self.fnox_file(folder, profiles, wanted, ["alice", "bob", "carol"])
        sealed = file.read_text().partition("\n[profiles")
        file.write_text(fnox_head(map(self.recipient, ("alice", "carol"))) + "".join(sealed[1:]))
        return [self.revoking("fnox", folder, [[fnox, "-P", name, "reencrypt", "-f"] for name in profiles],
                              [[fnox, "-P", name, "get", "VARIABLE_7"] for name in profiles], "`reencrypt`, 2 profiles")]

    # measuring

    @contextlib.contextmanager
    def told_of(self, name, dropped=None):
        """What goes wrong with one is told, and is no reason to stop."""
        try:
            yield
        except (Failure, OSError, subprocess.TimeoutExpired) as error:
            signal.alarm(0)
            self.notes.append(f"{self.part}, {name}: it failed: {error}")
            print(self.notes[-1], file=sys.stderr)
            self.failed |= name.startswith(HERE)
            if dropped is not None:
                dropped.add(name)

    def made(self, part, makers, make):
        self.part, ways = part, []
        for name, maker in makers.items():
            if name == HERE or name in self.there:
                with self.told_of(name):
                    ways += make(maker)
        return ways

    def measure(self, ways):
        """The median of each way of this part, all of them in turn."""
        dropped, every, self.last = set(), {}, {way.name: {} for way in ways}
        for way in ways:
            with self.told_of(way.name, dropped):
                took, _ = self.once(way)
                if way.proof:
                    way.proof()
                # What was slow for the first time may be fast.
                took = took if took > 1 else self.once(way)[0]
                slow = {} if way.name.startswith(HERE) else SLOW
                every[way.name] = max([1, *(turns for seconds, turns in slow.items() if took > seconds)])
        for turn in range(self.rounds):
            for way in ways:
                if way.name not in dropped and turn % every[way.name] == 0:
                    with self.told_of(way.name, dropped):
                        self.last[way.name][turn] = self.once(way)
        ours = self.last.get(HERE) if HERE not in dropped else None
        for way in ways:
            if way.name not in dropped:
                self.row(way, self.last[way.name], ours)

    def once(self, way):
        """Seconds that the commands take, by the clock and of the CPU."""
        if way.before:
            way.before()
        os.chdir(way.folder)
        took, cpu, output, complaints = 0, 0, self.folder / "output", self.folder / "complaints"
        into = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        actions = [(os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                   (os.POSIX_SPAWN_OPEN, 1, str(output) if way.after else os.devnull, into, 0o600),
                   (os.POSIX_SPAWN_OPEN, 2, str(complaints), into, 0o600)]
        for words in way.commands:
            signal.alarm(PATIENCE)
            before = time.perf_counter()
            pid = os.posix_spawn(words[0], words, way.environment, file_actions=actions)
            try:
                _, status, usage = os.wait4(pid, 0)
            except Failure:
                start.end_all()
                raise
            took += time.perf_counter() - before
            cpu += usage.ru_utime + usage.ru_stime
            signal.alarm(0)
            if code := os.waitstatus_to_exitcode(status):
                told = peers_have.told(complaints.read_text(errors="replace"))
                raise Failure(f"`{peers_have.shown(words)}` ended with {code}: {told}")
        if way.after:
            way.after(output.read_bytes())
        return took, cpu

    # rows

    def row(self, way, took, ours):
        median, cpu = (statistics.median(one[column] for one in took.values()) * 1000 for column in (0, 1))
        ratio = half = None
        if ours:
            ratio = median / 1000 / statistics.median(one[0] for one in ours.values())
            each = [took[turn][0] / ours[turn][0] for turn in took if turn in ours]
            half = statistics.quantiles(each, n=4)[::2] if len(each) > 1 else each * 2
        self.rows.append((self.part, way.name, median, ratio, half, cpu, len(took), way.remark()))
        print(f"{self.part}: {way.name} {unit(median)}", file=sys.stderr)

    def text(self):
        versions = [f"{name} {version}" for name, (_, version) in sorted(self.there.items())]
        out = [bench.machine(self.vault, self.rounds), "", f"Beside it: {', '.join(versions) or 'nobody'}.", "",
               "| work | program | median, ms | × vault | middle half | CPU, ms | rounds | remark |",
               "|---|---|---:|---:|---:|---:|---:|---|"]
        before = None
        for title, name, median, ratio, half, cpu, rounds, remark in self.rows:
            spread = f"{times(half[0])}–{times(half[1])}" if ratio and name != HERE else ""
            told = times(ratio) if ratio else ""
            out.append(f"| {title if title != before else ''} | {name} | {number(median)} | {told} | {spread} | "
                       f"{number(cpu)} | {rounds} | {remark} |")
            before = title
        return "\n".join([*out, *([""] + [f"- {note}" for note in self.notes] if self.notes else [])])

    def chart(self):
        groups = {}
        for title, name, median, ratio, _, _, _, remark in self.rows:
            figure = unit(median)
            if ratio and not name.startswith(HERE):
                figure += f" ({times(ratio)} ×)"
            if re.search(r"(^| )[1-9][\d,]* of", remark):
                figure += ", loses lines"
            kind = "ours" if name.startswith(HERE) else "floor" if name.startswith("env ") else "theirs"
            name += " (plaintext)" if "plaintext" in remark else ""
            heading = title.replace("`", "")
            groups.setdefault(heading[0].upper() + heading[1:], []).append((name, median, figure, kind))
        under = "Median time, on a logarithmic scale: shorter is better. In brackets: how many times as long as vault."
        return groups and chart_of("vault beside other programs", under, list(groups.items()))


def values(count):
    return {f"VARIABLE_{n}": f"value number {n} of some length" for n in range(count)}


def dotenv(wanted):
    return "".join(f"{name}='{value}'\n" for name, value in wanted.items())


def fnox_head(recipients):
    listed = ", ".join(f'"{one}"' for one in recipients)
    return f'root = true\n\n[providers]\nage = {{ type = "age", recipients = [{listed}] }}\n'


def lost(output, expected):
    """How many lines are not there whole, or not in the order of their process."""
    found = {name: [] for name in expected}
    for line in re.findall(rb"[a-d] #\d{6} .*\|xx", output):
        if line[:1] in found:
            found[line[:1]].append(line)
    count = 0
    for name, lines in expected.items():
        if found[name] != lines:
            place = {line: n for n, line in enumerate(lines)}
            order = [place[line] for line in found[name] if line in place]
            count += len(lines) - len(set(order)) + sum(a > b for a, b in zip(order, order[1:]))
    return count


if __name__ == "__main__":
    main()
