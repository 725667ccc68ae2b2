"""What Honcho's own reader of `.env` files makes of random texts: the source of honcho_env.json.

    python honcho_env.py FIRST COUNT > honcho_env.json      (the file: 0 400)

Python 3.11 with honcho 2.0.0. It prints a JSON list with a case a line, one for each seed from FIRST on: the text, and
the pairs or, where Honcho ends with an error, `"error": true`. The same seed makes the same text.
"""

import json
import random
import sys

from honcho.environ import parse

KEYS = [*"AAAAAABBBB", "_c1", "F\u00e9", "\u00c9", "1A", "A-B", "A.B", "'A B'", '"A"', "\\A", "A'='", "export", ""]
BEGINNINGS = [""] * 24 + ["export ", " ", "\t", "\ufeff", "# ", "export\t", "\u00a0"]
OPERATORS = ["="] * 30 + [" = ", "= ", " =", "", ":", ": ", "==", '"="', "\\=", "'='", "#="]
PIECES = [
    *"abnrt019_-=#'\"\\$:/{}[]()`,.;&|<>*?!%^~@+ ",
    *["''", '""', "' '", '" "', " #", "# ", "\\n", "\\t", "\\\\", "\\'", '\\"', "\\ ", "\\#", "\\\\n", "'a b'", '"a b"'],
    *["'#'", '"#"', '"\\n"', "'\\t'", '"\\\\n"', '"\\""', "'\\''", "$HOME", "${A}", "\t", "  ", "\x01", "\x1f", "\x7f"],
    *"\u00e9\u00df\u00c0\u00de\u00ff\u00d7\u00f7\u00a0\u00aa\u00b5\u00ba\u0100\u0130\u03b1\u2713\u3000\u200b\ufeff",
    "\U0001f511",
]
BOUNDARIES = ["\n"] * 12 + ["\r\n", "\r", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029", "\n\n"]
BALANCED = ["a", "b c", "a#b", " # c", "\\n", "\\\\", "'a b'", '"a b"', "'#'", '"\\n"', "x=y", "\u00e9", "\u2713", "{", "'' "]


def line(chance):
    pieces = chance.choices(chance.choice([PIECES, BALANCED]), k=chance.randrange(6))
    if chance.random() < 0.15:
        return "".join(pieces)
    head = [chance.choice(BEGINNINGS), chance.choice(KEYS), chance.choice(OPERATORS)]
    return "".join(head + pieces)


def case(seed):
    chance = random.Random(seed)
    text = "".join(line(chance) + chance.choice(BOUNDARIES) for _ in range(chance.randrange(1, 6)))
    if chance.random() < 0.3:
        text = text[:-1]
    try:
        return {"text": text, "pairs": parse(text)}
    except ValueError:
        return {"text": text, "error": True}


def main(first, count):
    cases = (json.dumps(case(seed), separators=(",", ":")) for seed in range(first, first + count))
    print("[", ",\n".join(cases), "]", sep="\n")


main(int(sys.argv[1]), int(sys.argv[2]))
