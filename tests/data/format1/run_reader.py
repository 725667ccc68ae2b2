"""Runs a reader of format 1 over all cases in cases.json, and compares.

    run_reader.py [--reader READER.py]          the default is ../reader.py

A reader is a Python program that is called like ../reader.py. Each case runs in a fresh namespace with its own arguments
and output, but in this process (two of them), because to start Python for every case takes minutes. Prints one line for
each failure and `N passed, M failed`; exits with 1 where anything failed.
"""

import argparse
import contextlib
import io
import json
import multiprocessing
import pathlib
import runpy
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
OPENED, NO_ACCESS, REFUSED = 0, 4, 5


def run(reader, arguments):
    """(status, stdout) of one call. A crash is a status of its own."""
    out, status = io.StringIO(), OPENED
    sys.argv = [reader, *arguments]
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(io.StringIO()):
        try:
            runpy.run_path(reader, run_name="__main__")
        except SystemExit as end:
            status = end.code or OPENED
        except BaseException as error:  # pyo3 panics are no Exception
            status = f"a crash: {error!r:.200}"
    return status, out.getvalue()


def text_of(parts):
    return "".join("".join(p["text"].replace("{n}", str(n)) for n in range(p["times"])) if "times" in p else p["text"]
                   for p in parts)


def identity_options(identity):
    option = "--recovery-passphrase-file" if identity.endswith(".pass") else "--identity"
    return [option, str(HERE / identity)]


def compare(case, output, verified):
    """What differs from what the case expects, as lines."""
    told = json.loads(output)
    secrets = told["secrets"]
    pairs = {"members": (sorted(told["members"]), case["members"]),
             "former": (sorted(told["former"], key=str.encode), case["former"]),
             "requests": (sorted(told["requests"]), case["requests"]),
             "environment": (told["environment"], case["environment"]),
             "unverified": (told.get("unverified", False), not verified),
             "kinds": ({n: s["kind"] for n, s in secrets.items()}, case["kinds"]),
             "changed": ({n: s["changed"] for n, s in secrets.items()}, case["changed"])}
    if verified:
        pairs["values"] = {n: s["value_base64"] for n, s in secrets.items()}, case["values"]
        pairs["notes"] = {n: s["note"] for n, s in secrets.items() if s["note"]}, case["notes"]
    return [f"{what} is {got!r:.100}, expected {expected!r:.100}" for what, (got, expected) in pairs.items() if got != expected]


def check_good(reader, case, path):
    for identity in [None, *case["identities"]]:
        options = [] if identity is None else identity_options(identity)
        status, output = run(reader, [path, f"--as={case['environment']}", *options])
        expected = OPENED if identity is None or identity in case["opens"] else NO_ACCESS
        wrong = [f"status {status}, expected {expected}"] if status != expected else []
        if status == expected == OPENED:
            wrong = compare(case, output, identity is not None)
        yield from (f"{identity or 'without a key'}: {line}" for line in wrong)


def check_hostile(reader, case, path):
    status, output = run(reader, [path, f"--as={case['environment']}", *identity_options(case["identity"])])
    if status != case["status"]:
        yield f"status {status}, expected {case['status']}: {case['why']}"
    if output:
        yield "something of the file was printed"


def check(job):
    """(name, failures) of one case."""
    reader, group, case = job
    with tempfile.TemporaryDirectory() as folder:
        if "file" in case:
            path = HERE / case["file"]
        else:
            path = pathlib.Path(folder, "generated.toml")
            path.write_bytes(text_of(case["generate"]).encode())
        judge = check_hostile if group == "hostile" else check_good
        try:
            return f"{group}/{case['name']}", list(judge(reader, case, str(path)))
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            return f"{group}/{case['name']}", [f"the output cannot be used: {error!r:.200}"]


def main():
    parser = argparse.ArgumentParser(description="Runs a reader over all cases in cases.json.")
    parser.add_argument("--reader", default=str(HERE.parent / "reader.py"))
    reader = str(pathlib.Path(parser.parse_args().reader).resolve())
    cases = json.loads((HERE / "cases.json").read_text("utf-8"))
    jobs = [(reader, group, case) for group, found in cases.items() for case in found]
    jobs.sort(key=lambda job: "generate" not in job[2])  # the large ones first
    with multiprocessing.Pool(2) as pool:
        results = list(pool.imap_unordered(check, jobs))
    for name, failures in sorted(results):
        for line in failures:
            print(f"{name}: {line}")
    failed = sum(1 for _, failures in results if failures)
    print(f"{len(results) - failed} passed, {failed} failed")
    sys.exit(1 if failed or not results else 0)


if __name__ == "__main__":
    main()
