"""Runs a program to its end and looks for secrets in the memory that it leaves.

    exit_scan.py REPORT [--bytes LABEL=HEX] [--key LABEL=PATH] [--stdout PATH] -- PROGRAM ARGUMENT...

The program is traced. Just before the kernel takes its memory away
(PTRACE_EVENT_EXIT), every mapping that can be read is searched for each
secret. So is the memory of what the program has forked and that has not become
another program. A secret is given as bytes, or as a file that is read at that
moment, since the program may have made it: the age key in it is searched for as
text, in either case, and as the 32 bytes that it stands for.

What is searched for is never an argument of the program or in its environment:
those stay in memory until the end, and rightly so. A word of ours stands in the
environment and has to be found every time, or the search says nothing. Of what
the program has started with an empty environment, its name has to be found.

REPORT gets a line for each process that was searched and for each copy:

    searched PID BYTES
    copy LABEL MAPPING ADDRESS

The exit status is that of the program, or 70 if it could not be searched.
"""

import ctypes
import os
import re
import signal
import sys

SEIZE, CONTINUE, DETACH, LISTEN = 0x4206, 7, 17, 0x4208
FORK, VFORK, CLONE, EXEC, EXIT, STOP = 1, 2, 3, 4, 6, 128
OPTIONS = 1 << FORK | 1 << VFORK | 1 << CLONE | 1 << EXEC | 1 << EXIT | 1 << 20  # EXITKILL
ALL_THREADS = 0x40000000  # __WALL
STOPPING = {signal.SIGSTOP, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU}

CONTROL_NAME = "EXIT_SCAN_CONTROL"
CONTROL = b"control-of-the-search-" + os.urandom(16).hex().encode()

# A block that was freed begins with the words of the allocator's list, so a
# copy may lack its beginning. Every piece of this length counts as a copy.
PIECE = 16
CHUNK = 1 << 20

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.restype = ctypes.c_long
libc.ptrace.argtypes = [ctypes.c_long] * 2 + [ctypes.c_void_p] * 2


def ptrace(request, pid, data=0):
    if libc.ptrace(request, pid, None, data) == -1:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def proceed(request, pid, data=0):
    """A process that was killed meanwhile needs no answer."""
    try:
        ptrace(request, pid, data)
    except ProcessLookupError:
        pass


def pieces(secret):
    """Pieces that don't overlap; a short secret is one."""
    if len(secret) < PIECE:
        return [secret]
    return [secret[at : at + PIECE] for at in range(0, len(secret) - PIECE + 1, PIECE)]


def memory(pid):
    """Each mapping's name, and its content in parts that overlap, with their addresses."""
    with open(f"/proc/{pid}/maps") as maps:
        lines = maps.read().splitlines()
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as mem:
        for line in lines:
            match = re.match(r"([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ \S+ \S+ *(.*)", line)
            start, end = int(match[1], 16), int(match[2], 16)
            name = match[4] or "(anonymous)"
            # What is the kernel's own can't be read, or is the same for all.
            if match[3][0] != "r" or name in ("[vvar]", "[vvar_vclock]", "[vsyscall]"):
                continue
            at, tail = start, b""
            while at < end:
                mem.seek(at)
                try:
                    part = mem.read(min(CHUNK, end - at))
                except OSError:
                    part = b""
                if not part:
                    # A page that isn't there, as behind the end of a mapped file.
                    at, tail = at + 4096 - at % 4096, b""
                    continue
                yield name, at - len(tail), tail + part
                at, tail = at + len(part), part[-PIECE * 2 :]


def control_of(pid):
    with open(f"/proc/{pid}/environ", "rb") as environment:
        if environment.read():
            return CONTROL
    with open(f"/proc/{pid}/cmdline", "rb") as words:
        return words.read().split(b"\0")[0]


def search(pid, secrets, report):
    total, controls, copies = 0, 0, set()
    control = control_of(pid)
    for name, address, content in memory(pid):
        total += len(content)
        controls += content.count(control)
        for label, secret in secrets:
            for piece in pieces(secret):
                at = content.find(piece)
                while at >= 0:
                    copies.add((label, name, address + at))
                    at = content.find(piece, at + 1)
    if not controls:
        raise RuntimeError("the search doesn't find what is there")
    report.write(f"searched {pid} {total}\n")
    for label, name, address in sorted(copies):
        report.write(f"copy {label} {name} {address:x}\n")
    report.flush()


def is_leader(pid):
    with open(f"/proc/{pid}/status") as status:
        return f"\nTgid:\t{pid}\n" in status.read()


def scalar(text):
    """The bytes that the body of an age key stands for, without its checksum."""
    number = 0
    for letter in text[:-6]:
        number = number << 5 | b"qpzry9x8gf2tvdw0s3jn54khce6mua7l".index(letter)
    return (number >> (len(text) - 6) * 5 % 8).to_bytes((len(text) - 6) * 5 // 8, "big")


def secrets_of(options):
    secrets = []
    for kind, argument in options:
        label, _, rest = argument.partition("=")
        if kind == "--bytes":
            secrets.append((label, bytes.fromhex(rest)))
        elif kind == "--key":
            with open(rest, "rb") as file:
                # The word before it stands in every program that reads keys.
                body = re.search(rb"AGE-SECRET-KEY-1([A-Z0-9]+)", file.read())[1]
            secrets += [(f"{label}-text", body), (f"{label}-text", body.lower())]
            # Without the ends, in which the key exchange sets some bits.
            secrets.append((f"{label}-bytes", scalar(body.lower())[1:-1]))
    return secrets


def start(words, options):
    """The program, traced from its first instruction on."""
    ready, go = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.read(ready, 1)
            for kind, argument in options:
                if kind == "--stdout":
                    os.dup2(os.open(argument, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), 1)
            environment = {**os.environ, CONTROL_NAME: CONTROL.decode()}
            os.execvpe(words[0], words, environment)
        finally:
            os._exit(70)
    ptrace(SEIZE, pid, OPTIONS)
    os.write(go, b"x")
    return pid


def main():
    split = sys.argv.index("--")
    words, before = sys.argv[split + 1 :], sys.argv[2:split]
    options = list(zip(before[::2], before[1::2]))
    program = start(words, options)
    executable, result = None, 70
    with open(sys.argv[1], "w") as report:
        while True:
            try:
                pid, status = os.waitpid(-1, ALL_THREADS)
            except ChildProcessError:
                return result
            if not os.WIFSTOPPED(status):
                if pid == program:
                    code = os.waitstatus_to_exitcode(status)
                    result = code if code >= 0 else 128 - code
                continue
            event, number = status >> 16, os.WSTOPSIG(status)
            if event == EXEC:
                now = os.readlink(f"/proc/{pid}/exe")
                executable = executable or now
                proceed(CONTINUE if now == executable else DETACH, pid)
            elif event == EXIT:
                if executable and is_leader(pid):
                    search(pid, secrets_of(options), report)
                proceed(CONTINUE, pid)
            elif event == STOP and number in STOPPING:
                proceed(LISTEN, pid)
            else:
                proceed(CONTINUE, pid, 0 if event else number)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Exception as error:  # noqa: BLE001: whatever it is, nothing was shown
        print(f"exit_scan: {error!r}", file=sys.stderr)
        sys.exit(70)
