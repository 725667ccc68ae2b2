#!/usr/bin/env python3
"""Draws the pictures of terminal sessions in the book: runs the commands below and writes what they print as SVG.

    docs/pictures/make.py VAULT [--check]

Every command works on the committed example with its published key, so that the same program prints the same. With
--check nothing is written, and a picture that would be another ends it with 1.
"""

import html
import os
import pathlib
import pty
import re
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
COLORS = {"31": "failure", "32": "good", "33": "warning", "36": "hint", "1": "strong", "2": "faint"}
STYLE = """
  text { font: 14px ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace; white-space: pre; fill: #1f2328 }
  .paper { fill: #f6f8fa; stroke: #d0d7de } .prompt { fill: #57606a } .typed { font-weight: 600 }
  .failure { fill: #b42318; font-weight: 600 } .warning { fill: #8a5a00 } .hint { fill: #0b6e75 }
  .good { fill: #1a7f37 } .strong { font-weight: 600 } .faint { fill: #57606a }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } .paper { fill: #161b22; stroke: #30363d } .prompt { fill: #8b949e }
    .failure { fill: #ff7b72 } .warning { fill: #e3b341 } .hint { fill: #56d4dd } .good { fill: #56d364 } .faint { fill: #8b949e }
  }
"""
PICTURES = {
    "run": ("Names are visible, values are not, and a command gets them", [
        "vault list -e staging",
        "vault run -e staging -- sh -c 'echo \"serving $ALLOWED_HOSTS\"'",
        "vault run -e staging --redact -- sh -c 'echo \"database: $DATABASE_URL\"'",
    ]),
    "mistakes": ("What went wrong, where, and the one thing to do", [
        "vault run -e stagin -- true",
        "vault get -e staging SECRET_KYE",
        "vault run -e staging -m pytest",
        "vault get -e production SECRET_KEY",
    ]),
}


def main():
    vault, check = pathlib.Path(sys.argv[1]).resolve(), "--check" in sys.argv[2:]
    changed = []
    for name, (title, commands) in PICTURES.items():
        with tempfile.TemporaryDirectory(prefix="vault-picture-") as folder:
            text = draw(title, session(vault, pathlib.Path(folder), commands))
        file = HERE / f"{name}.svg"
        if check:
            changed += [] if file.is_file() and file.read_text() == text else [name]
        else:
            file.write_text(text)
    if changed:
        sys.exit(f"other pictures than are committed: {', '.join(changed)}; draw them with docs/pictures/make.py VAULT")


def session(vault, folder, commands):
    """The lines of a session, each as pieces of text with a class."""
    (folder / "bin").mkdir()
    (folder / "bin/vault").symlink_to(vault)
    shutil.copytree(ROOT / "envs", folder / "project/envs")
    environment = {"PATH": f"{folder}/bin:/usr/bin:/bin", "HOME": str(folder), "TERM": "xterm", "LANG": "C.UTF-8",
                   "VAULT_KEY_FILE": "envs/demo.key", "CLICOLOR_FORCE": "1"}
    # A first look at the example would be told on a terminal.
    subprocess.run(["vault", "get", "-e", "staging", "ALLOWED_HOSTS"], cwd=folder / "project", env=environment, check=True,
                   stdout=subprocess.DEVNULL)
    lines = []
    for command in commands:
        lines.append([("prompt", "$ "), ("typed", command)])
        lines += [pieces(line) for line in typed(command, folder / "project", environment).splitlines()]
        lines.append([])
    return lines[:-1]


def typed(command, folder, environment):
    """What a command prints on a terminal."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(["sh", "-c", command], cwd=folder, env=environment, stdin=theirs, stdout=theirs, stderr=theirs,
                               start_new_session=True)
    os.close(theirs)
    said = b""
    while True:
        try:
            more = os.read(ours, 4096)
        except OSError:
            break
        if not more:
            break
        said += more
    process.wait()
    os.close(ours)
    return said.decode().replace("\r\n", "\n")


def pieces(line):
    found, style = [], ""
    for part in re.split(r"(\x1b\[[0-9;]*m)", line):
        if code := re.fullmatch(r"\x1b\[([0-9;]*)m", part):
            styles = [COLORS[one] for one in code.group(1).split(";") if one in COLORS]
            style = (styles[-1] if styles != ["strong"] else style or "strong") if styles else ""
        elif part:
            found.append((style, part))
    return found


def draw(title, lines):
    width = max(sum(len(text) for _, text in line) for line in lines)
    across, down, edge = 8.43, 21, 16
    size = (round(width * across + 2 * edge), len(lines) * down + 2 * edge - 4)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size[0]} {size[1]}" width="{size[0]}" role="img">',
           f"<title>{html.escape(title)}</title>", f"<style>{STYLE}</style>",
           f'<rect class="paper" x=".5" y=".5" width="{size[0] - 1}" height="{size[1] - 1}" rx="8"/>']
    for number, line in enumerate(lines):
        spans = "".join(f'<tspan class="{style}">{html.escape(text)}</tspan>' if style else f"<tspan>{html.escape(text)}</tspan>"
                        for style, text in line)
        if spans:
            out.append(f'<text x="{edge}" y="{edge + 12 + number * down}">{spans}</text>')
    return "\n".join([*out, "</svg>"]) + "\n"


if __name__ == "__main__":
    main()
