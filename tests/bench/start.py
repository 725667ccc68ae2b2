#!/usr/bin/env python3
"""What `vault start` is worth beside other runners of a Procfile, as ratios on one machine.

    python3 tests/bench/start.py [--vault PATH] [--honcho PATH] [--rounds 3] [--only one,four,...]

It builds and installs nothing: `cargo build --release` and, in a virtual environment, `pip install honcho==2.0.0` come
before. hivemind and overmind are measured where they are found. It needs Linux. Every program that it starts, and
everything that those start, is gone when it ends, also when it is interrupted. It ends with 1 if a bar is missed.

How it measures:

- The runners of a row run in turn, A B A B …, so that all meet the same load. The medians are compared; behind a ratio
  stand the smallest and the largest ratio of neighbours, which say how sure it is. A ratio says how much better we
  are: of rates it is ours to theirs, of times and sizes theirs to ours.
- Lines per second: each process is `cat` of a file of 200,000 lines of 100 bytes, and then waits to be ended. Output
  goes to a file. The time is from the start of the runner until the file was last written to, when the last line of
  each process stands in it. Then every line is compared. A line that isn't there whole is lost; one that is there in
  part is torn.
- Peak memory: a round that isn't timed, in which the PSS of the runner (of all processes that run its program, without
  those of the Procfile) is looked at again and again. `reader asleep` is the same with an output that nobody reads for
  two seconds.
- Redaction: an encrypted environment of 50 values, with and without `--no-redact`. The lines hold none of the values,
  as most lines do. That values are hidden at all is looked at first.
- First line: from the start until a line of the process can be read from the pipe, above the same with `env` and a
  shell alone.
- 100 processes: up when each has made a file; PSS two seconds later; then SIGTERM, until the runner is gone.
- Loss: 2,000 lines, and the process ends right after the last one.
"""

import contextlib
import ctypes
import os
import pathlib
import random
import shutil
import signal
import statistics
import sys
import tempfile
import time

import bench

LINES, SHORT, WIDTH = 200_000, 2_000, 100
PATIENCE = 180
MIB = 1 << 20
PARTS = ("one", "four", "redaction", "memory", "first", "hundred", "loss")


def main():
    parser = bench.parser_of(__doc__, 3)
    for other in ("honcho", "hivemind", "overmind"):
        parser.add_argument(f"--{other}", default=shutil.which(other), help="if it is not the one in PATH")
    parser.add_argument("--only", default=",".join(PARTS), help=f"some of {', '.join(PARTS)}")
    options = bench.options_of(parser)
    parts = options.only.split(",")
    if unknown := set(parts) - set(PARTS):
        parser.error(f"--only knows {', '.join(PARTS)}, and not {', '.join(sorted(unknown))}")
    if not options.honcho:
        sys.exit("there is no honcho: install it (`pip install honcho==2.0.0`), and name it with --honcho")
    adopt_orphans()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    with tempfile.TemporaryDirectory(prefix="vault-bench-") as folder:
        try:
            table = Table(pathlib.Path(folder).resolve(), options)
            for part in parts:
                getattr(table, part)()
            print(table.text())
        finally:
            # Whoever wants to interrupt this too has to be patient, or something stays behind.
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, signal.SIG_IGN)
            end_all()
            os.chdir("/")
    sys.exit(1 if table.missed else 0)


class Table:
    def __init__(self, folder, options):
        self.folder, self.rounds, self.rows, self.notes, self.missed = folder, max(1, options.rounds), [], [], False
        self.vault = str(options.vault.resolve())
        self.environment = {"HOME": str(folder), "PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LANG": "C.UTF-8",
                            "USER": "bench", "XDG_RUNTIME_DIR": str(folder / "runtime"),
                            "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}
        (folder / "runtime").mkdir(mode=0o700)
        self.runners = {"vault": [self.vault, "start"]}
        for name, more in (("honcho", ["start"]), ("hivemind", []), ("overmind", ["start", "-s", "./o.sock"])):
            if path := getattr(options, name):
                # A relative path would be another one in the folder of a project.
                self.runners[name] = [os.path.abspath(path), *more]
            else:
                self.notes.append(f"No {name}: it is not in PATH, and `--{name}` does not name it.")
        self.writers = {}

    # parts

    def one(self):
        self.throughput(1, 6)

    def four(self):
        self.throughput(4, 10)

    def throughput(self, writers, bar):
        project = self.project(f"writers-{writers}", self.cats(writers))
        rates, wrong = self.interleaved(self.runners, project, writers)
        ours = rates.pop("vault")
        what = "1 writer" if writers == 1 else f"{writers} writers"
        for name, theirs in rates.items():
            ratio = compared(ours, theirs)
            self.row(f"{what}, against {name}", f"{rate(ours)} against {rate(theirs)}", ratio,
                     *((f"≥ {bar}", ratio[0] >= bar) if name == "honcho" else (None, None)))
        self.lost(f"{what}, lines lost and torn", wrong)

    def redaction(self):
        words = self.encrypted()
        runners = {"hidden": words, "shown": [*words, "--no-redact"]}
        if not self.hides(words):
            self.row("redaction: values are hidden", "no", None, "yes", False)
            return
        for writers in (1, 4):
            project = self.with_vault(f"hidden-{writers}", self.cats(writers))
            rates, wrong = self.interleaved(runners, project, writers)
            ratio = compared(rates["hidden"], rates["shown"])
            what = f"redaction of 50 values, {writers} writer{'s' * (writers > 1)}"
            self.row(what, f"{rate(rates['hidden'])} against {rate(rates['shown'])}", ratio, "≥ 0.5", ratio[0] >= 0.5)
            self.lost(f"{what}, lines lost and torn", {"vault": wrong["hidden"]})

    def memory(self):
        project = self.project("memory", self.cats(4))
        for what, asleep in (("peak PSS, 4 writers", False), ("peak PSS, 4 writers, reader asleep", True)):
            peaks = {name: self.peak(words, project, asleep) for name, words in self.runners.items()}
            self.size(what, peaks)

    def first(self):
        """The runners against `env` with a shell, which nothing that starts processes can undercut."""
        rounds = 10 * self.rounds
        command = "echo FIRSTLINE; exec sleep 20"
        plain = self.project("first", {"a": command})
        (plain / ".env").write_text("A=1\n")
        stored = self.with_vault("first-stored", {"a": command})
        shell = [bench.which("env"), "A=1", bench.which("sh"), "-c", command]
        what = {"env": (shell, plain), "vault, encrypted": (self.encrypted(), stored)}
        what |= {name: (words, plain) for name, words in self.runners.items()}
        times = {name: [] for name in what}
        for turn in range(rounds + 1):
            for name, (words, project) in what.items():
                seconds = self.first_line(words, project)
                if turn:
                    times[name].append(seconds)
        base = times.pop("env")
        for name, found in times.items():
            above = statistics.median(found) - statistics.median(base)
            bar = ("≤ 10 ms above", above <= 0.010) if name.startswith("vault") else (None, None)
            self.row(f"first line, {name}", f"{ms(statistics.median(found))}, {ms(above)} above `env`",
                     compared(base, found), *bar)

    def hundred(self):
        project = self.project("hundred", {f"p{n}": f"touch up.{n}; exec sleep 300" for n in range(100)})
        found = {name: [] for name in self.runners}
        for _ in range(self.rounds):
            for name, words in self.runners.items():
                found[name].append(self.up_and_down(name, words, project))
        for column, what in ((0, "up"), (3, "SIGTERM to end")):
            times = {name: [one[column] for one in all] for name, all in found.items()}
            medians = {name: statistics.median(all) for name, all in times.items()}
            ratio = compared(times["honcho"], times["vault"])
            self.row(f"100 processes, {what}", listed({name: ms(median) for name, median in medians.items()}), ratio,
                     *(("≤ 100 ms", medians["vault"] <= 0.1) if column else ("≥ 2", ratio[0] >= 2)))
        self.size("100 processes, PSS of the runner", {n: max(one[1] for one in all) for n, all in found.items()})
        processes = {name: max(one[2] for one in all) for name, all in found.items()}
        self.row("100 processes, of the runner itself", listed(processes), None, "≤ 2", processes["vault"] <= 2)
        left = {name: sum(one[4] for one in all) for name, all in found.items()}
        self.row("100 processes, left behind", listed(left), None, "0", left["vault"] == 0)

    def loss(self):
        rounds = 10 * self.rounds
        plain = self.project("loss", {"a": f"cat {self.lines('a', SHORT)}"})
        stored = self.with_vault("loss-stored", {"a": f"cat {self.lines('a', SHORT)}"})
        cases = {"pipe": (self.runners["vault"], plain), "pty": ([*self.runners["vault"], "--pty"], plain),
                 "pipe, encrypted": (self.encrypted(), stored)}
        cases |= {name: (words, plain) for name, words in self.runners.items() if name != "vault"}
        counts = {name: [0, 0] for name in cases}
        for _ in range(rounds):
            for name, (words, project) in cases.items():
                lost = self.lost_at_the_end(words, project)
                counts[name][0] += lost > 0
                counts[name][1] += lost
        for name, (runs, lost) in counts.items():
            ours = name.startswith("p")
            self.row(f"loss at the end, {'vault, ' * ours}{name}", f"{lost:,} lines in {runs} of {rounds} runs", None,
                     *(("0", lost == 0) if ours else (None, None)))

    # projects

    def project(self, name, processes):
        project = self.folder / name
        project.mkdir()
        (project / "Procfile").write_text("".join(f"{name}: {command}\n" for name, command in processes.items()))
        return project

    def with_vault(self, name, processes):
        """A project with an encrypted environment of 50 values."""
        project = self.project(name, processes)
        chance = random.Random(50)
        values = [f"VALUE_{n}={chance.randbytes(chance.randint(6, 32)).hex()}\n" for n in range(50)]
        for words, text in ((["init", "-e", "staging"], ""), (["import", "-e", "staging", "-"], "".join(values))):
            bench.subprocess.run([self.vault, *words], cwd=project, env=self.environment, input=text.encode(),
                                 check=True, stderr=bench.subprocess.DEVNULL)
        return project

    def encrypted(self):
        return [*self.runners["vault"], "-e", "staging"]

    def cats(self, writers):
        return {name: f"cat {self.lines(name, LINES)}; exec sleep 300" for name in "abcd"[:writers]}

    def lines(self, name, count):
        """The path of a file of lines that say whose they are, which, and something. Made once."""
        path = self.folder / f"{name}-{count}"
        if path not in self.writers:
            chance = random.Random(7)
            letters = "abcdefghijklmnopqrstuvwxyz0123456789     /=:.-"
            rest = ["".join(chance.choices(letters, k=WIDTH - 14)) for _ in range(97)]
            text = "".join(f"{name} #{n:06} {rest[n % 97]}|xx\n" for n in range(count)).encode()
            path.write_bytes(text)
            self.writers[path] = text.split(b"\n")[:-1]
        return path

    # measuring

    def interleaved(self, runners, project, writers):
        """Lines per second of each, one figure for a round, and how many lines were lost and torn."""
        rates, wrong = {name: [] for name in runners}, dict.fromkeys(runners, (0, 0))
        for _ in range(self.rounds):
            for name, words in runners.items():
                output = self.folder / "output"
                seconds = self.until_written(words, project, writers, output)
                rates[name].append(writers * LINES / seconds)
                lost, torn = self.judged(output, writers)
                wrong[name] = (wrong[name][0] + lost, wrong[name][1] + torn)
        return rates, wrong

    def until_written(self, words, project, writers, output):
        with open(output, "w+b") as file:
            start = time.time()
            pid = self.spawn(words, project, file.fileno())
            size, until = -1, start + PATIENCE
            # It is looked at when it has stopped growing, and then says itself when that was: so looking costs nothing.
            while size != (size := os.fstat(file.fileno()).st_size) or not ends(file, writers):
                if time.time() > until:
                    break
                time.sleep(0.1)
            seconds = os.fstat(file.fileno()).st_mtime - start
            self.stop(pid)
        return seconds

    def judged(self, output, writers):
        """How many of the lines are lost, and how many others look like a part of one."""
        lost = torn = 0
        found = {name.encode(): [] for name in "abcd"[:writers]}
        for line in output.read_bytes().split(b"\n"):
            body = line.rstrip(b"\r")[1 - WIDTH:]
            if body[1:3] == b" #" and body[:1] in found:
                found[body[:1]].append(body)
            elif b"|xx" in line or b" #" in line:
                torn += 1
        for name, lines in found.items():
            expected = self.writers[self.lines(name.decode(), LINES)]
            if lines != expected:
                torn += len(set(lines) - set(expected))
                # A line that stands in the wrong place is as good as lost.
                place = dict(zip(expected, range(LINES)))
                order = [place[line] for line in lines if line in place]
                lost += LINES - len(set(order)) + sum(a > b for a, b in zip(order, order[1:]))
        return lost, torn

    def peak(self, words, project, asleep):
        with contextlib.ExitStack() as stack:
            if asleep:
                reader, writer = os.pipe()
                stack.callback(os.close, reader)
                pid = self.spawn(words, project, writer)
                os.close(writer)
                until, is_done = time.perf_counter() + 2, lambda: False
            else:
                file = stack.enter_context(open(self.folder / "output", "w+b"))
                pid = self.spawn(words, project, file.fileno())
                until, is_done = time.perf_counter() + PATIENCE, lambda: ends(file, 4)
            most = 0
            while time.perf_counter() < until and not is_done():
                most = max(most, memory(pid)[0])
                time.sleep(0.005)
            end_all()
        return most

    def first_line(self, words, project):
        reader, writer = os.pipe()
        start = time.perf_counter()
        pid = self.spawn(words, project, writer)
        os.close(writer)
        text = b""
        # overmind's lines come by way of a server that may not be there yet, so others may come before.
        while b"FIRSTLINE" not in text:
            piece = os.read(reader, 4096)
            if not piece:
                sys.exit(f"{words[0]}: it ended without a line")
            text += piece
        seconds = time.perf_counter() - start
        self.stop(pid)
        os.close(reader)
        return seconds

    def up_and_down(self, name, words, project):
        """Seconds until all are up, PSS and number of the runner's processes, seconds to the end, who is left."""
        for path in project.glob("up.*"):
            path.unlink()
        with open(self.folder / "output", "w+b") as file:
            start = time.perf_counter()
            pid = self.spawn(words, project, file.fileno())
            files = [str(project / f"up.{n}") for n in range(100)]
            wait_until(lambda: all(map(os.path.exists, files)), start + PATIENCE)
            up = time.perf_counter() - start
            time.sleep(2)
            pss, processes = memory(pid)
            start = time.perf_counter()
            os.kill(pid, signal.SIGTERM)
            if not self.has_ended(pid, PATIENCE):
                self.notes.append(f"{name} did not end.")
            down = time.perf_counter() - start
            left = sum(is_alive(one) for one in descendants(os.getpid()))
            end_all()
        return up, pss, processes, down, left

    def lost_at_the_end(self, words, project):
        with open(self.folder / "output", "w+b") as file:
            pid = self.spawn(words, project, file.fileno())
            if not self.has_ended(pid, PATIENCE):
                self.notes.append(f"{words[0]} did not end.")
            end_all()
            file.seek(0)
            found = {line.rstrip(b"\r")[1 - WIDTH:] for line in file.read().split(b"\n")}
        return sum(line not in found for line in self.writers[self.folder / f"a-{SHORT}"])

    def hides(self, words):
        project = self.with_vault("hides", {"a": "echo $VALUE_7"})
        with open(self.folder / "output", "w+b") as file:
            self.has_ended(self.spawn(words, project, file.fileno()), PATIENCE)
            file.seek(0)
            return b"[redacted VALUE_7]" in file.read()

    # processes

    def spawn(self, words, project, output):
        os.chdir(project)
        actions = [(os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0), (os.POSIX_SPAWN_DUP2, output, 1),
                   (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0)]
        return os.posix_spawn(words[0], words, self.environment, file_actions=actions)

    def stop(self, pid):
        """Ends a runner as its user would, and then whoever is left."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        self.has_ended(pid, 10)
        end_all()

    def has_ended(self, pid, seconds):
        return wait_until(lambda: os.waitpid(pid, os.WNOHANG)[0], time.perf_counter() + seconds, 0.001)

    # rows

    def row(self, what, figure, ratio=None, bar=None, good=None):
        self.missed |= good is False
        told = f"{ratio[0]:.2f} ({ratio[1]:.2f}–{ratio[2]:.2f})" if ratio else ""
        verdict = {None: "", True: "met", False: "MISSED"}[good]
        self.rows.append(f"| {what} | {figure} | {told} | {bar or ''} | {verdict} |")
        print(f"{what}: {figure} {told} {verdict}", file=sys.stderr)

    def lost(self, what, wrong):
        self.row(what, ", ".join(f"{name} {lost:,} and {torn:,}" for name, (lost, torn) in wrong.items()), None,
                 "0 and 0", wrong["vault"] == (0, 0))

    def size(self, what, sizes):
        figure = ", ".join(f"{name} {size / MIB:.1f} MiB" for name, size in sizes.items())
        ratio = (sizes["honcho"] / sizes["vault"],) * 3 if sizes["vault"] else None
        self.row(what, figure, ratio, "< 15 MiB", 0 < sizes["vault"] < 15 * MIB)

    def text(self):
        return "\n".join([bench.machine(self.vault, self.rounds), "", "| name | figure | ratio | bar | verdict |",
                          "|---|---|---|---|---|", *self.rows, *([""] + self.notes if self.notes else [])])


def compared(ours, theirs):
    """The ratio of the medians, and the smallest and the largest of neighbours."""
    each = [a / b for a, b in zip(ours, theirs)]
    return statistics.median(ours) / statistics.median(theirs), min(each), max(each)


def rate(figures):
    return f"{round(statistics.median(figures), -3):,.0f} lines/s"


def ms(seconds):
    return f"{seconds * 1000:.1f} ms"


def listed(numbers):
    return ", ".join(f"{name} {number}" for name, number in numbers.items())


def ends(file, writers):
    """Whether the last line of each process stands in the file, whose end alone is read."""
    size = os.fstat(file.fileno()).st_size
    if size < writers * LINES * WIDTH:
        return False
    # The writers end at different times, so the last line of the first may stand far from the end.
    last = f" #{LINES - 1:06} ".encode()
    found, at = 0, size
    while at > 0 and found < writers:
        start = max(0, at - MIB)
        found += os.pread(file.fileno(), at - start + len(last) - 1, start).count(last)
        at = start
    return found >= writers


def wait_until(condition, until, pause=0.004):
    while not (true := condition()) and time.perf_counter() < until:
        time.sleep(pause)
    return bool(true)


def adopt_orphans():
    """Makes every descendant that loses its parent a child of this process, so that none can get away."""
    set_child_subreaper = 36
    try:
        done = ctypes.CDLL(None).prctl(set_child_subreaper, 1, 0, 0, 0) == 0
    except AttributeError:
        done = False
    if not done:
        sys.exit("this needs Linux: without PR_SET_CHILD_SUBREAPER processes could stay behind")


def descendants(root):
    """The processes below this one."""
    children = {}
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                # The name of the program, in brackets, may hold anything.
                parent = int((entry / "stat").read_text(errors="replace").rpartition(")")[2].split()[1])
                children.setdefault(parent, []).append(int(entry.name))
    found, todo = [], [root]
    while todo:
        below = children.get(todo.pop(), [])
        found += below
        todo += below
    return found


def is_alive(pid):
    with contextlib.suppress(OSError):
        return pathlib.Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[0] != "Z"
    return False


def end_all():
    """Kills all descendants and takes their statuses, until there is none."""
    while below := descendants(os.getpid()):
        for pid in below:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        time.sleep(0.002)


def memory(runner):
    """The PSS of all processes that run the runner's program, in bytes, and their number."""
    total = count = 0
    with contextlib.suppress(OSError):
        program = os.readlink(f"/proc/{runner}/exe")
        for pid in [runner, *descendants(runner)]:
            with contextlib.suppress(OSError):
                if os.readlink(f"/proc/{pid}/exe") == program:
                    for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                        if line.startswith("Pss:"):
                            total += int(line.split()[1]) * 1024
                            count += 1
    return total, count


if __name__ == "__main__":
    main()
