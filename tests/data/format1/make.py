"""Makes the golden files of format 1: good/CASE/, hostile/CASE.toml and cases.json. Run it without arguments.

ONLY ITS COMMITTED OUTPUT COUNTS. Once a version of the tool is released, golden files are never made again: a file that
was readable then must be readable for ever. After that this script may only gain cases.

The output is the same at each run: every input that is random in a real file is SHA-256 of a readable label (see
format1.py). The two ssh keys are made once by ssh-keygen and kept where they exist, and so is each "message" that stands
in cases.json. All keys are public test data and must never be used.

In cases.json all paths are relative to this folder. A "generate" in a file's place is a list of parts whose bytes follow
each other: {"text": T} is T; {"text": T, "times": N} is T N times, with `{n}` in T replaced by 0, 1, 2 … each time.
`good_generated` holds good cases at the limits, of the same shape as `good`.
An identity that ends in .pass is the passphrase of a recovery member.
Each good case opens with those of its `identities` that stand in `opens`, and gives "no access" (4) to the others. A
hostile case is opened with its `identity` and asked for all values; `status` is 5 for refused and 4 for no access.
run_reader.py runs a reader over all cases.
"""

import base64
import json
import pathlib
import re
import subprocess

import format1 as f
import worked_example
from format1 import b64, fixed, u32

HERE = pathlib.Path(__file__).parent
SEED = "vault test data"
MADE = 1795435200
DAY = 86400
PASSPHRASE = "public-test-data-never-use-this-passphrase-0000000000000000"
HEADER = "# Public test data. This key is published: never use it.\n"
MIB = 1 << 20
LIMIT_FILE, LIMIT_LINE, LIMIT_HEADERS, LIMIT_STRUCTURE, LIMIT_SEALED = 8 * MIB, 2 * MIB, 20_000, MIB, 65_536
LIMIT_PLAIN = 1024

PEOPLE = "alice bob carol dave erin mallory recovery other".split()
secret = {name: fixed(f"{SEED}: {name}") for name in PEOPLE}
key = {name: f.age_recipient(secret[name]) for name in PEOPLE}

good, good_generated, hostile = [], [], []


def vault(label, environment="staging", made=MADE, data_key=None, id=None):
    label = f"{SEED}: {label}"
    return f.Vault(label, environment, fixed(f"{label}: id", 16) if id is None else id, made,
                   fixed(f"{label}: data key") if data_key is None else data_key)


def x25519_member(v, name, by="alice", **more):
    """An X25519 member with its proof, if `by` has an X25519 key of that name too."""
    v.member(name, key[name], by, proof=v.proof(secret[by], key[name]), **more)


def lock(v, name, identity, factor=10, text=None, passphrase=PASSPHRASE):
    text = f"{f.age_identity(secret[identity])}\n".encode() if text is None else text
    return v.age(f"{name} locked", lambda salt, file_key: f.stanza_scrypt(passphrase.encode(), salt[:16], factor, file_key),
                 text)


def plain_over(text):
    """The lengths of all lines over the limit for lines that are neither headers nor one-string lines."""
    lines = re.split(b"\r?\n", text if isinstance(text, bytes) else text.encode())
    return [len(line) for line in lines if len(line) > LIMIT_PLAIN and not line.lstrip(b" \t").startswith(b"[")
            and not re.fullmatch(rb'[ \t]*[A-Za-z0-9_-]+[ \t]*=[ \t]*"[^"\\]*"[ \t]*', line)]


def write(path, data):
    path = HERE / path
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data if isinstance(data, bytes) else data.encode())


def write_identity(folder, name):
    if name == "recovery.pass":
        write(f"{folder}/recovery.pass", f"{PASSPHRASE}\n")
    else:
        who = name.removesuffix(".key")
        write(f"{folder}/{name}", f"{HEADER}# public key: {key[who]}\n{f.age_identity(secret[who])}\n")
    return f"{folder}/{name}"


def ssh_key(folder, name, *options):
    """Makes an ssh key once. Gives the path and the canonical public text."""
    path = HERE / folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        subprocess.run(["ssh-keygen", "-q", *options, "-N", "", "-C", "public test data, published: never use this key", "-f",
                        str(path)], check=True)
    pub = path.with_name(path.name + ".pub")
    if not pub.exists():
        pub.write_bytes(subprocess.run(["ssh-keygen", "-y", "-f", str(path)], check=True, capture_output=True).stdout)
    return f"{folder}/{name}", " ".join(pub.read_text().split()[:2])


# ---------------------------------------------------------------- good

def expected(name, v, identities, opens, requests=None):
    facts = v.facts
    return {"name": name, "environment": v.environment, "identities": identities, "opens": opens,
            "values": {n: b64(x[0]) for n, x in facts.items()},
            "notes": {n: x[2].decode() for n, x in facts.items() if x[2]},
            "kinds": {n: x[3] for n, x in facts.items()},
            "changed": {n: x[1] for n, x in facts.items()},
            "members": sorted(v.doc["members"]), "former": sorted(v.doc["former"], key=str.encode),
            "requests": sorted(v.doc["requests"]) if requests is None else requests}


def put(v, name, value, changed=MADE - DAY, note=b"", kind=0):
    v.__dict__.setdefault("facts", {})[name] = (value, changed, note, kind)
    v.secret(name, value, changed, note, kind)


def add_good(name, v, identities=("alice.key",), opens=None, text=None, requests=None):
    v.__dict__.setdefault("facts", {})
    v.vouch()
    folder = f"good/{name}"
    text = v.text() if text is None else text(v.text())
    assert not plain_over(text), name
    write(f"{folder}/staging.toml", text)
    paths = [who if "/" in who else write_identity(folder, who) for who in identities]
    opens = paths if opens is None else [f"{folder}/{who}" for who in opens]
    case = expected(name, v, paths, opens, requests)
    good.append({"name": name, "file": f"{folder}/staging.toml"} | case)


def one(label, former=()):
    v = vault(label)
    for entry, who in former:  # before any proof, which covers the ledger
        v.former(entry, key.get(who, who))
    x25519_member(v, "alice")
    return v


def good_cases():
    v = worked_example.build()
    v.facts = {n: (*x, 0) for n, x in worked_example.values.items()}
    worked_example.main(["--write"])
    paths = [f"good/worked-example/{who}.key" for who in ("alice", "bob")]
    good.append({"name": "worked-example", "file": "good/worked-example/staging.toml"}
                | expected("worked-example", v, paths, paths))

    v = one("x25519")
    put(v, "DATABASE_URL", b"postgres://app@db/app")
    put(v, "SECRET_KEY", "päss wörd = \"quoted\" # no comment".encode())
    add_good("x25519", v, ["alice.key", "other.key"], ["alice.key"])

    v = one("two-members-proof")
    x25519_member(v, "bob")
    put(v, "TOKEN", b"abc")
    add_good("two-members-proof", v, ["alice.key", "bob.key"])

    for kind, options in (("ssh-ed25519", ["-t", "ed25519"]), ("ssh-rsa", ["-t", "rsa", "-b", "2048"])):
        path, public = ssh_key(f"good/{kind}", "bob.key", *options)
        v = one(kind)
        v.member("bob", public, "alice")
        put(v, "TOKEN", b"for an ssh key")
        add_good(kind, v, ["alice.key", path])

    v = one("plugin")
    v.member("fake", f.bech32("age1fake", fixed("vault test data: plugin key")), "alice", sealed=v.fixed("fake sealed") * 5)
    put(v, "TOKEN", b"with a plugin member")
    add_good("plugin", v)

    v = one("recovery")
    x25519_member(v, "recovery", locked=lock(v, "recovery", "recovery"), issued_by="alice")
    put(v, "TOKEN", b"with a recovery member")
    add_good("recovery", v, ["alice.key", "recovery.pass"])

    v = one("recovery-order")  # three blocks that the passphrase does not open, one that it does, and one that nobody tries
    for name in ("k1", "k2", "k3"):
        v.member(name, key["other"], "alice", locked=lock(v, name, "other", passphrase=f"not the passphrase, {name}"))
    x25519_member(v, "recovery", locked=lock(v, "recovery", "recovery"), issued_by="alice")
    v.member("z5", key["other"], "alice", locked=b"no age file, and not looked at")
    put(v, "TOKEN", b"the fourth")
    add_good("recovery-order", v, ["alice.key", "recovery.pass"])

    v = one("recovery-not-asked-for")  # `locked` is judged only where a passphrase is given
    x25519_member(v, "recovery", locked=b"no age file", issued_by="alice")
    put(v, "TOKEN", b"x")
    add_good("recovery-not-asked-for", v)

    v = vault("recovery-key-twice")  # a recovery key opens like any other: the first block does not decrypt, the second does
    x25519_member(v, "alice")
    v.member("a-broken", key["recovery"], "alice", sealed=b"not an age file")
    x25519_member(v, "recovery", locked=lock(v, "recovery", "recovery"))
    put(v, "TOKEN", b"x")
    add_good("recovery-key-twice", v, ["alice.key", "recovery.pass"])

    v = one("proof-not-judged")  # a wrong proof, and one where no reader can compute any
    v.member("bob", key["bob"], "alice", proof=bytes(32))
    v.member("carol", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFB1YmxpYyB0ZXN0IGRhdGEsIG5ldmVyIHVzZSB0aGlz", "alice",
             sealed=b"for an ssh key", proof=bytes(32))
    v.member("dave", f.bech32("age", bytes(32)), "alice", sealed=b"an all-zero shared secret", proof=bytes(32))
    put(v, "TOKEN", b"x")
    add_good("proof-not-judged", v, ["alice.key", "bob.key"])

    v = one("issued-by")
    x25519_member(v, "bob", issued_by="alice")
    x25519_member(v, "dave", by="bob", issued_by="somebody-who-is-gone")
    put(v, "TOKEN", b"made for bob and dave")
    add_good("issued-by", v, ["alice.key", "bob.key", "dave.key"])

    v = one("former", (
        ("bob.10", "bob"), ("bob.9", "carol"), (f"bob.{MADE}", "dave"), ("bob-2.5", "erin"), ("b.11", "bob"),
        ("sam.100", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFB1YmxpYyB0ZXN0IGRhdGEsIG5ldmVyIHVzZSB0aGlz")))
    put(v, "EXPOSED", b"old", 5)
    put(v, "FRESH", b"new", MADE + 1)
    add_good("former", v)

    v = one("requests")
    v.doc["requests"] = {"carol": {"key": key["carol"]}, "dave": {"key": key["dave"]},
                         "9-lives_x": {"key": "ssh-rsa AAAAB3NzaC1yc2E="}}
    put(v, "TOKEN", b"x")
    add_good("requests", v)

    v = one("requests-odd")
    put(v, "TOKEN", b"x")
    odd = f"""
[requests]
list = [1, "two", {{three = [3.0, inf, -nan]}}]
when = 1979-05-27T07:32:00Z
text = "not a table"

[requests.carol]
key = "{key['carol']}"

[requests.dave]
key = "{key['dave']}"
note = "an unknown field" # and a comment

[requests."Not A Name"]
key = "{key['dave']}"

[requests.erin]
key = 5

[requests.frank]
key = "AGE1UPPER"

[requests.gina.deep.deeper]
key = "{key['erin']}"

[[requests.hans]]
key = "{key['erin']}"

[requests.ida]

[requests.jo]
key = ""
letters = '''
========
 =======
<<<<<<
[this is a header for the scan only]
'''
"""
    add_good("requests-odd", v, text=lambda t: t + odd, requests=["carol"])
    for name, text in (("requests-array", 'requests = [1, "x", {a = []}]\n'), ("requests-scalar", "requests = 5\n"),
                       ("requests-integer", "requests = 0\n"), ("requests-false", "requests = false\n"),
                       ("requests-empty-array", "requests = []\n"), ("requests-empty-inline", "requests = {}\n"),
                       ("requests-empty-text", 'requests = ""\n')):
        v = one(name)
        put(v, "TOKEN", b"x")
        add_good(name, v, text=lambda t, text=text: t.replace("\n\n", "\n" + text + "\n", 1), requests=[])
    for name, text in (("requests-empty", "\n[requests]\n"), ("requests-array-of-tables", "\n[[requests]]\nkey = 1\n"
                                                              "\n[[requests]]\nkey = 2\n")):
        v = one(name)
        put(v, "TOKEN", b"x")
        add_good(name, v, text=lambda t, text=text: t + text, requests=[])

    v = one("notes")
    put(v, "ONE_LINE", b"1", note=b"one line")
    put(v, "MANY", b"2", note="Zoë keeps it.\n\n鍵は金庫の中 🔑\n\ttab\n two blanks above \n# a hash of its own".encode())
    put(v, "FOREVER", b"", note=b"a note, an empty value")
    put(v, "LINE_END", b"4", note=b"\n")
    put(v, "LONGEST", b"3", note=b"n" * 16384)
    add_good("notes", v)

    v = one("notes-control")  # no writer takes control characters into a note; no reader refuses them
    put(v, "ESCAPE", b"1", note=b"\x1b[31mred\x1b[0m \x1b]0;title\x07")
    put(v, "OTHERS", b"2", note="a\r\nb\0c\b\x7f\u0085\u009b\u2028\u202e".encode())
    add_good("notes-control", v)

    v = one("file-record")
    data = b"".join(f.sha256(u32(i)) for i in range(150)) + bytes(700)
    put(v, "KEYSTORE", data, kind=1, note=b"binary")
    put(v, "EMPTY_FILE", b"", kind=1)
    put(v, "TOKEN", b"x")
    add_good("file-record", v)

    v = one("empty-value")
    put(v, "EMPTY", b"")
    add_good("empty-value", v)

    v = one("borders")
    for size in (0, 1, 55, 56, 57, 119, 120, 121, 184):
        put(v, f"VALUE_{size}", b"v" * size)
    for size in (56, 57, 120):
        put(v, f"NOTE_{size}", b"v" * (size - 20), note=b"n" * 20)
        put(v, f"ONLY_NOTE_{size}", b"", note=b"n" * size)
    add_good("borders", v)

    v = one("all-bytes")
    put(v, "BYTES", bytes(range(1, 256)))
    put(v, "LINES", b"a\nb\r\nc\n")
    add_good("all-bytes", v)

    v = one("longest", [("z" * 63 + ".77", "bob")])
    v.member("m" * 63, "age1" + "q" * 4092, "alice", sealed=b"x")
    put(v, "N" * 128, b"x")
    put(v, "_", b"x")
    put(v, "VAULT_KEY", b"a name of the tool is valid in a file")
    put(v, "LATE", b"changed far ahead of any clock", (1 << 40) - 1)
    put(v, "BIG", b"b" * (131_071 - 4))
    v.doc["requests"]["r" * (200 - 11)] = {"key": key["bob"]}  # a header of 200 bytes, no member name
    add_good("longest", v, requests=[])

    for name, change in (("crlf", lambda t: t.replace("\n", "\r\n")),
                         ("line-ends-mixed", lambda t: t.replace("\n\n", "\r\n\n").replace("\nby", "\r\nby")),
                         ("no-final-line-end", lambda t: t[:-1]),
                         ("foreign-comment", lambda t: t.replace("\n[secrets", "\n# who needs this?\n[secrets").replace(
                             '"alice"\n', '"alice" # that is me\n'))):
        v = one(name)
        put(v, "TOKEN", b"a\nb\r\nc", note=b"note")
        add_good(name, v, text=change)

    v = one("one-string-lines")  # blanks, and fields of every letter, do not make such a line a plain one
    put(v, "BIG", b"b" * 2000)
    v.doc["requests"] = {"pad": {"Az_09-": "p" * 2000, "-": "# = [ ' " * 200}}
    add_good("one-string-lines", v, text=lambda t: re.sub(r'^value = (".*")$', "\t value\t =\t \\1 \t", t, flags=re.M),
             requests=[])

    v = one("notation", [("carol.100", "carol")])
    x25519_member(v, "bob")
    put(v, "INLINE", b"1")
    put(v, "DOTTED", b"2")
    put(v, "QUOTED", b"3")

    def notation(_):
        def fields(table):
            return ", ".join(f'{field} = "{text}"' for field, text in reversed(list(table.items())))
        members, records = v.doc["members"], v.doc["secrets"]
        former = v.doc["former"]["carol.100"]
        bob = "\n".join(f"'bob' .  {field} = '{text}'" for field, text in members["bob"].items())
        escaped = "".join(f"\\u{ord(c):04x}" for c in members["alice"]["key"])
        alice = fields({**members["alice"], "key": escaped})
        return (f'former = {{"carol.100" = {{ {fields(former)} }}}}\n'
                f"\"made\" = {MADE:#x}\nenvironment = '''staging'''\n"
                f"secrets.DOTTED.value = '{records['DOTTED']['value']}'\n"
                f"secrets.\"QUOTE\\u0044\".\"value\" = \"\"\"\\\n    {records['QUOTED']['value']}\"\"\"\n"
                f"secrets . INLINE = {{value = \"{records['INLINE']['value']}\"}}\n"
                f"id = \"{v.doc['id'][:10]}\\u{ord(v.doc['id'][10]):04X}{v.doc['id'][11:]}\"\nvault=+0_1\n".replace("+0_1", "+1")
                + f"\t[ members ] # a table that is only a header\nalice = {{{alice}}}\n{bob}\n")
    add_good("notation", v, ["alice.key", "bob.key"], text=notation)

    v = one("no-secrets")
    add_good("no-secrets", v)

    # bob was a member of the source and is not one here; carol had left the source before
    v = one("copied", [(f"bob.{MADE}", "bob"), (f"carol.{MADE - 9 * DAY}", "carol")])
    put(v, "TOKEN", b"copied", MADE - 30 * DAY)
    add_good("copied", v)

    v = vault("same-key-twice")  # the first block with alice's key does not open; the second one does
    v.member("a-broken", key["alice"], "alice", sealed=v.seal_to("a-broken", key["other"]),
             proof=v.proof(secret["alice"], key["alice"]))
    x25519_member(v, "alice")
    put(v, "TOKEN", b"x")
    add_good("same-key-twice", v)

    v = vault("grease")  # age files may hold stanzas that nobody knows
    file_key = v.fixed("alice file key", 16)
    x25519_member(v, "alice", sealed=f.age_file(
        [f.stanza(["unknown-type", "one", "two"], bytes(48)), f.stanza_x25519(f.unbech32(key["alice"]), fixed("g"), file_key),
         f.stanza(["joint"], b"")], file_key, v.fixed("nonce", 16), v.seal_text()))
    put(v, "TOKEN", b"x")
    add_good("grease", v)

    v = vault("stanzas-32")  # as many as there may be
    file_key = v.fixed("alice file key", 16)
    own = f.stanza_x25519(f.unbech32(key["alice"]), fixed("g"), file_key)
    x25519_member(v, "alice", sealed=f.age_file([f.stanza(["a"], b"")] * 31 + [own], file_key, v.fixed("nonce", 16),
                                                v.seal_text()))
    put(v, "TOKEN", b"x")
    add_good("stanzas-32", v)


# ---------------------------------------------------------------- hostile

def base(**options):
    """A file in which everything is right. Each hostile file differs from one like it in one thing."""
    v = vault("hostile", **options)
    fill(v)
    return v.vouch()


def fill(v, change=lambda v: None):
    v.former(f"carol.{MADE - DAY}", key["carol"])
    v.former("dave.9", key["dave"])
    x25519_member(v, "alice")
    x25519_member(v, "bob")
    x25519_member(v, "recovery", locked=lock(v, "recovery", "recovery"), issued_by="alice")
    v.doc["requests"]["erin"] = {"key": key["erin"]}
    put(v, "API_KEY", b"abc", MADE - 2 * DAY, b"a note")
    put(v, "CERT", b"\0file\0", MADE - 2 * DAY, kind=1)
    put(v, "EMPTY", b"", MADE + 5)
    change(v)


def recipe(text, pattern=None):
    """The parts of a text that is too long to be committed: runs of one letter, or of `pattern`, become one part."""
    runs = re.compile(f"((?:{re.escape(pattern)}){{100,}})" if pattern else r"(A{900,}|a{900,})")
    parts = []
    for i, piece in enumerate(runs.split(text)):
        unit = pattern or piece[:1]
        assert "{n}" not in piece
        parts.append({"text": unit, "times": len(piece) // len(unit)} if i % 2 else {"text": piece})
    return parts


def generate(parts):
    return "".join("".join(p["text"].replace("{n}", str(n)) for n in range(p["times"])) if "times" in p else p["text"]
                   for p in parts)


def bad(name, why, text, status=5, environment="staging", identity="alice.key", pattern=None):
    case = {"name": name, "environment": environment, "identity": f"hostile/{identity}", "status": status, "why": why,
            "message": ""}
    assert bool(plain_over(generate(text) if isinstance(text, list) else text)) == name.startswith("plain-line"), name
    assert not any(other["name"] == name for other in hostile), name
    if isinstance(text, list):
        case = {"name": name, "generate": text} | case
    elif isinstance(text, str) and len(text) > 60_000 and (pattern or re.search(r"A{900}|a{900}", text)):
        parts = recipe(text, pattern)
        assert generate(parts) == text
        case = {"name": name, "generate": parts} | case
    else:
        case = {"name": name, "file": f"hostile/{name}.toml"} | case
        write(f"hostile/{name}.toml", text)
    hostile.append(case)


def edit(old, new, text=None):
    text = base().text() if text is None else text
    assert text.count(old) == 1, (text.count(old), old)
    return text.replace(old, new)


def field(table, name, new):
    """The base with the line of one field put in another's place, and without it if `new` is None."""
    text = base().text()
    start = 0 if table is None else text.index(f"\n[{table}]\n") + 1
    at = re.compile(rf"^{name} = .*\n", re.M).search(text, start)
    assert at and (table is None or "\n[" not in text[start:at.start()])
    return text[:at.start()] + (f"{new}\n" if new is not None else "") + text[at.end():]


def doc(change, vouch=True, **options):
    """The base with `change(vault)` made to it, vouched for again or not."""
    v = base(**options)
    change(v)
    if vouch:
        v.vouch()
    return v.text()


def setter(member, again=True, /, **fields):
    def change(v):
        table = v.doc["members"][member]
        for name, text in fields.items():
            if text is None:
                del table[name]
            else:
                table[name] = b64(text) if isinstance(text, bytes) else text
    return doc(change, again)


def flip(text, at):
    data = bytearray(base64.b64decode(text))
    data[at] ^= 1
    return b64(bytes(data))


def size_cases():
    text = base().text()

    def strings(total):
        """One-string lines under requests up to a file of `total` bytes."""
        out = [{"text": text + "\n[requests.pad]\n"}]
        rest = total - len(generate(out)) - 5 * len('p0 = ""\n')
        for at in range(5):
            out += [{"text": f'p{at} = "'}, {"text": "a", "times": rest // 5 + (rest % 5 if at == 0 else 0)}, {"text": '"\n'}]
        assert len(generate(out)) == total
        return out

    def line(length):
        return [{"text": text + '\n[requests.pad]\np = "'}, {"text": "a", "times": length - 6}, {"text": '"\n'}]

    def headers(total):
        return [{"text": text}, {"text": "[requests.r{n}]\n", "times": total - len(re.findall(r"^[ \t]*\[", text, re.M))}]

    def structure(total):
        used = len(re.sub(r'^([ \t]*[A-Za-z0-9_-]+[ \t]*=[ \t]*")[^"\\\n]*("[ \t]*)$', r"\1\2", text, flags=re.M).encode())
        rest = total - used
        return [{"text": text}, {"text": "# " + "c" * 97 + "\n", "times": rest // 100 - 1},
                {"text": "#" + "c" * (100 + rest % 100 - 2) + "\n"}]

    for name, make, limit in (("file-size", strings, LIMIT_FILE), ("line-size", line, LIMIT_LINE),
                              ("headers", headers, LIMIT_HEADERS), ("structure", structure, LIMIT_STRUCTURE)):
        v = base()
        path = "hostile/alice.key"
        case = expected(f"{name}-at-limit", v, [path], [path])
        good_generated.append({"name": f"{name}-at-limit", "generate": make(limit)} | case | {"requests": None})
        assert not plain_over(generate(make(limit))), name
        bad(f"{name}-over", f"{name} over {limit}", make(limit + 1))
    for case in good_generated:
        # the requests that `headers` makes have no key, so only erin's is well-formed
        case["requests"] = ["erin"]
    bad("line-size-over-crlf", "a line over 2 MiB", [p if i != 2 else {"text": '"\r\n'}
                                                     for i, p in enumerate(line(LIMIT_LINE + 1))])
    bad("structure-over-escaped", "a string with an escape counts as structure",
        [{"text": text + "\n[requests.pad]\n"}, {"text": f'p{{n}} = "\\t{"a" * 1000}"\n', "times": MIB // 1000}])
    bad("structure-over-array", "an array counts as structure",
        [{"text": text + "\n[requests.pad]\np = [\n"}, {"text": '"x",' * 250 + "\n", "times": MIB // 1000}, {"text": "]\n"}])

    def plain(length, end="\n"):
        """Plain lines of that length: a comment and an array, a string with a comment behind it, one in other quotes."""
        lines = ("# " + "c" * (length - 2), "p = [" + "1," * ((length - 7) // 2) + " " * ((length - 7) % 2) + "1]",
                 'q = "' + "q" * (length - 9) + '" # ', "r = '" + "r" * (length - 6) + "'",
                 's = "\\t' + "s" * (length - 8) + '"', "t.u = \"" + "u" * (length - 8) + '"')
        assert all(len(line) == length for line in lines)
        return [f"{text}\n[requests.pad]\n{line}{end}" for line in lines]
    case = expected("plain-line-at-limit", v, [path], [path]) | {"requests": ["erin"]}
    at_limit = text + "\n[requests.pad]\n" + "".join(x.rpartition("[requests.pad]\n")[2] for x in plain(LIMIT_PLAIN, "\r\n"))
    assert not plain_over(at_limit)
    write("good/plain-line-at-limit/staging.toml", at_limit)
    good.append({"name": "plain-line-at-limit", "file": "good/plain-line-at-limit/staging.toml"} | case)
    for name, body in zip(("comment", "array", "comment-behind", "literal", "escape", "dotted"), plain(LIMIT_PLAIN + 1), strict=True):
        bad(f"plain-line-{name}", "a plain line over 1,024 bytes", body)
    bad("plain-line-dotted-600", "a dotted key of 600 parts", [{"text": text + "\n[requests]\na"}, {"text": ".a", "times": 599},
                                                              {"text": " = 1\n"}])
    bad("plain-line-in-string", "a plain line over 1,024 bytes, inside a string too",
        [{"text": text + "\n[requests.pad]\np = '''\n"}, {"text": "a", "times": LIMIT_PLAIN + 1}, {"text": "\n'''\n"}])
    bad("plain-line-genuine", "a value in other quotes", doc(lambda v: put(v, "BIG", b"b" * 2000)).replace(
        'BIG]\nvalue = "', "BIG]\nvalue = '").replace('"\n\n[secrets.CERT]', "'\n\n[secrets.CERT]"))
    bad("header-201-bytes", "a header over 200 bytes", text + f"\n[requests.{'r' * 190}]\n")
    bad("header-201-bytes-in-string", "a header line is told by its first character", text + "\n[requests.pad]\np = '''\n \t["
        + "r" * 198 + "\n'''\n")


def text_cases():
    text = base().text()
    for name, marker in (("ours", "<<<<<<< HEAD"), ("base", "||||||| 1234567"), ("equals", "======="), ("theirs", ">>>>>>> topic")):
        bad(f"conflict-{name}", f"conflict marker {marker[:7]}", f"{text}{marker}\n")
        bad(f"conflict-{name}-in-string", f"conflict marker {marker[:7]}, inside a string too",
            f"{text}\n[requests.pad]\np = '''\n{marker}\n'''\n")
    bad("conflict-equals-crlf", "conflict marker =======, CRLF", f"{text}\n[requests.pad]\np = '''\n=======\r\n'''\n")
    bad("conflict-whole", "a file with an open merge conflict",
        edit("made = 1795435200\n", "<<<<<<< HEAD\nmade = 1795435200\n=======\nmade = 1795435201\n>>>>>>> topic\n"))
    bad("not-utf8", "not UTF-8", text.encode() + b"# \xff\n")
    bad("utf8-surrogate", "not UTF-8", text.encode() + b"# \xed\xa0\x80\n")
    bad("bom", "byte order mark", b"\xef\xbb\xbf" + text.encode())
    bad("utf16", "not UTF-8", text.encode("utf-16"))
    bad("not-toml", "not TOML", text + "what is this\n")
    bad("bare-cr", "a bare CR is no line end in TOML", edit('environment = "staging"\n', 'environment = "staging"\r'))
    bad("nul-in-comment", "a NUL is not TOML", text + "# \0\n")
    bad("empty-file", "not a vault file", b"")
    for name, new in (("absent", None), ("0", "0"), ("minus-1", "-1"), ("text", '"1"'), ("float", "1.0"), ("true", "true"),
                      ("array", "[1]")):
        bad(f"vault-{name}", "not a vault file", field(None, "vault", None if new is None else f"vault = {new}"))
    bad("vault-2", "made by a newer vault", field(None, "vault", "vault = 2"))
    bad("vault-huge", "made by a newer vault", field(None, "vault", "vault = 9223372036854775807"))
    bad("vault-2-other-shape", "made by a newer vault", 'vault = 2\nmembers = 7\n\n[[environment]]\nnew = "shape"\n')
    bad("duplicate-table", "a duplicate", edit("\n[secrets.CERT]", "\n[secrets.API_KEY]"))
    bad("duplicate-table-requests", "a duplicate", text + f'\n[requests.erin]\nkey = "{key["erin"]}"\n')
    bad("duplicate-field", "a duplicate", edit("made = 1795435200\n", "made = 1795435200\nmade = 1795435200\n"))
    bad("duplicate-field-in-member", "a duplicate", field("members.bob", "by", 'by = "alice"\nby = "alice"'))


def field_cases():
    text = base().text()
    carol = f'former."carol.{MADE - DAY}"'
    tables = {"top": None, "member": "members.bob", "former": carol, "secret": "secrets.API_KEY"}
    first = {"top": "id", "member": "key", "former": "key", "secret": "value"}
    for where, table in tables.items():
        old = re.search(rf"^{first[where]} = .*$", text[text.index(f"[{table}]") if table else 0:], re.M)[0]
        bad(f"unknown-field-{where}", "unknown field", field(table, first[where], f'{old}\nextra = "x"'))
    bad("unknown-table", "unknown table", text + '\n[extra.x]\ny = "z"\n')
    bad("unknown-table-in-member", "unknown table", text + '\n[members.bob.extra]\ny = "z"\n')
    bad("unknown-table-in-secret", "unknown table", text + '\n[secrets.API_KEY.extra]\ny = "z"\n')
    for table, name in ((None, "environment"), (None, "id"), (None, "made"), ("members.bob", "key"), ("members.bob", "sealed"),
                        ("members.bob", "by"), ("members.bob", "vouch"), (carol, "key"), (carol, "vouch"),
                        ("secrets.API_KEY", "value")):
        where = {None: "top", "members.bob": "member", carol: "former"}.get(table, "secret")
        if where != "secret":
            bad(f"missing-{where}-{name}", "missing field", field(table, name, None))
        if name != "made":
            bad(f"integer-{where}-{name}", "wrong type", field(table, name, f"{name} = 5"))
            bad(f"empty-{where}-{name}", "empty string", field(table, name, f'{name} = ""'))
    for name in ("locked", "issued_by", "proof"):
        bad(f"integer-member-{name}", "wrong type", field("members.recovery", name, f"{name} = 5"))
        member = "alice" if name != "proof" else "recovery"
        # an absent field counts as empty in the vouch, so only the empty string itself is wrong here

        def clear(v, name=name, member=member):
            v.doc["members"][member].pop(name, None)
            v.vouch()
            v.doc["members"][member][name] = ""
        bad(f"empty-member-{name}", "empty string", doc(clear, vouch=False))
    bad("array-member-key", "wrong type", field("members.bob", "key", f'key = ["{key["bob"]}"]'))
    for name, new in (("text", '"1795435200"'), ("float", "1795435200.0"), ("negative", "-1"), ("true", "true"),
                      ("datetime", "2026-11-23T12:00:00Z")):
        bad(f"made-{name}", "wrong type" if new != "-1" else "a time below 0", field(None, "made", f"made = {new}"))
    bad("made-2-to-40", "a time of 2^40", base(made=1 << 40).text())
    bad("array-of-tables-members-bob", "an array in a table's place", edit("\n[members.bob]\n", "\n[[members.bob]]\n"))
    bad("array-of-tables-secret", "an array in a table's place", edit("\n[secrets.API_KEY]\n", "\n[[secrets.API_KEY]]\n"))
    bad("array-of-tables-former", "an array in a table's place", edit(f"\n[{carol}]\n", f"\n[[{carol}]]\n"))
    bare = {kind: re.sub(rf"\n\[{kind}\..*\n(?:[a-z_]+ = .*\n)+", "", text) for kind in ("members", "former", "secrets")}

    def without(kind):
        return doc(lambda v: v.doc[kind].clear())
    bare["former"] = without("former")
    for kind in ("members", "former", "secrets"):
        bad(f"table-{kind}-array", "an array in a table's place", edit("\nvault = 1\n", f"\nvault = 1\n{kind} = []\n", bare[kind]))
        bad(f"table-{kind}-text", "wrong type", edit("\nvault = 1\n", f'\nvault = 1\n{kind} = "x"\n', bare[kind]))
        bad(f"table-{kind}-array-of-tables", "an array in a table's place", bare[kind] + f"\n[[{kind}]]\n")
        bad(f"table-{kind}-empty", "empty table", bare[kind] + f"\n[{kind}]\n")
    bad("secret-is-text", "wrong type", bare["secrets"] + '\n[secrets]\nAPI_KEY = "x"\n')
    bad("member-is-text", "wrong type", edit("\n[members.alice]", '\n[members]\nzed = "x"\n\n[members.alice]'))
    bad("member-empty-table", "empty table", text + "\n[members.zed]\n")
    bad("secret-empty-table", "empty table", text + "\n[secrets.ZED]\n")
    bad("no-member", "no member", bare["members"])
    for name, environment in (("upper-case", "Staging"), ("dot", "sta.ging"), ("64-bytes", "s" * 64), ("leading-hyphen", "-staging"),
                              ("leading-underscore", "_staging"), ("slash", "sta/ging"), ("not-ascii", "stägïng")):
        bad(f"environment-{name}", "invalid environment name", base(environment=environment).text(), environment=environment)
    bad("environment-is-another", "the field is not the file's name", text, environment="production")
    bad("renamed-file", "a whole file under another name, the field edited",
        text.replace('"staging"', '"production"').replace("edit staging`", "edit production`"), environment="production")
    bad("id-15-bytes", "id is not 16 bytes", base(id=fixed("short", 15)).text())
    bad("id-17-bytes", "id is not 16 bytes", base(id=fixed("long", 17)).text())
    id = base().doc["id"]
    last = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    nonzero = id[:-3] + last[last.index(id[-3]) + 1] + "=="
    for name, new in (("space", id[:9] + " " + id[9:]), ("line-end", id + "\\n"), ("no-padding", id[:-2]), ("half-padding", id[:-1]),
                      ("surplus-padding", id + "="), ("unused-bits", nonzero), ("letter", "*" + id[1:])):
        bad(f"id-{name}", "not strict base64", field(None, "id", f'id = "{new}"'))
    v = base()
    value, vouch = v.doc["secrets"]["API_KEY"]["value"], v.doc["members"]["bob"]["vouch"]
    sealed = v.doc["members"]["bob"]["sealed"]
    bad("value-line-end", "not strict base64", field("secrets.API_KEY", "value", f'value = "{value}\\n"'))
    bad("value-surplus-padding", "not strict base64", field("secrets.API_KEY", "value", f'value = "{value}===="'))
    bad("vouch-space", "not strict base64", field("members.bob", "vouch", f'vouch = " {vouch}"'))
    bad("sealed-no-padding", "not strict base64", field("members.bob", "sealed", f'sealed = "{sealed.rstrip("=")}"'))
    url = b64(b"\xfb\xff\xfe" * 12).replace("+", "-").replace("/", "_")
    bad("proof-url-alphabet", "not strict base64", field("members.bob", "proof", f'proof = "{url}"'))


def name_cases():
    def member(name, toml):
        def change(v):
            v.member(name, key["other"], "alice", proof=v.proof(secret["alice"], key["other"]))
        return edit(f"\n[members.{name}]\n", f'\n[members."{toml}"]\n', doc(change))
    for case, name, toml in (("dot", "z.ed", None), ("upper-case", "Zed", None), ("64-bytes", "z" * 64, None), ("empty", "", None),
                             ("leading-hyphen", "-zed", None), ("space", "z ed", None), ("line-end", "zed\n", "zed\\n"),
                             ("not-ascii", "zéd", None), ("escape", "z\x1bed", "z\\u001bed")):
        bad(f"member-name-{case}", "bad member name", member(name, name if toml is None else toml))
    for case, name, toml in (("equals", "A=B", None), ("nul", "A\0", "A\\u0000"), ("line-end", "A\nB", "A\\nB"),
                             ("final-line-end", "A\n", "A\\n"), ("escape", "A\x1b[2J", "A\\u001b[2J"), ("empty", "", None),
                             ("129-bytes", "N" * 129, None), ("leading-digit", "1A", None), ("hyphen", "A-B", None),
                             ("dot", "A.B", None), ("not-ascii", "É", None), ("other-digit", "A٣", None)):
        text = doc(lambda v, name=name: v.secret(name, b"x", MADE))
        bad(f"variable-name-{case}", "bad variable name",
            edit(f"\n[secrets.{name}]\n", f'\n[secrets."{name if toml is None else toml}"]\n', text))
    for case, name in (("no-dot", "zed"), ("leading-zero", "zed.07"), ("upper-case", "Zed.7"), ("2-to-40", f"zed.{1 << 40}"),
                       ("later-than-made", f"zed.{MADE + 1}"), ("no-time", "zed."), ("sign", "zed.+7"), ("negative", "zed.-7"),
                       ("hexadecimal", "zed.0x7"), ("space", "zed. 7"), ("two-dots", "zed.7.7"), ("no-name", ".7"),
                       ("64-bytes", "z" * 64 + ".7"), ("underscore", "zed.1_0"), ("other-digit", "zed.٣"),
                       ("2-to-64", f"zed.{(1 << 64) + 7}")):
        bad(f"former-name-{case}", "bad former name", doc(lambda v, name=name: v.former(name, key["other"])))
    bad("former-name-line-end", "bad former name", doc(lambda v: v.former("zed.7\n", key["other"])).replace("zed.7\n", "zed.7\\n"))
    ssh = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFB1YmxpYyB0ZXN0IGRhdGEsIG5ldmVyIHVzZSB0aGlz"
    for case, new in (("upper-case", key["other"].upper()), ("mixed-case", key["other"][:-1] + key["other"][-1].upper() + "Q"),
                      ("escape", "age1\x1b[2Jxyz"), ("4097-bytes", "age1" + "a" * 4093), ("ssh-comment", f"{ssh} zed@laptop"),
                      ("ssh-final-space", f"{ssh} "), ("ssh-two-spaces", ssh.replace(" ", "  ")), ("ssh-tab", ssh.replace(" ", "\t")),
                      ("ssh-dss", ssh.replace("ed25519", "dss")), ("unknown-type", "pgp1abcdef"),
                      ("ecdsa", "ecdsa-sha2-nistp256 AAAA"), ("line-end", key["other"] + "\n"), ("space-first", " " + key["other"]),
                      ("secret", f.age_identity(secret["other"])), ("two", f"{key['other']} {key['other']}"),
                      ("not-ascii", "age1é")):
        def change(v, new=new):
            v.member("zed", new, "alice", sealed=b"not opened by anybody")
        shown = new.replace("\x1b", "\\u001b").replace("\n", "\\n").replace("\t", "\\t")
        bad(f"key-{case}", "bad key shape", edit(f'key = "{new}"', f'key = "{shown}"', doc(change)))
    bad("former-key-upper-case", "bad key shape", doc(lambda v: v.former("zed.7", key["other"].upper())))


def seal_cases():
    v = base()
    alice = f.unbech32(key["alice"])
    bad("sealed-empty-bytes", "empty string", setter("bob", sealed=""))
    bad("sealed-65537-bytes", "sealed over 65,536 bytes", setter("bob", sealed=bytes(LIMIT_SEALED + 1)))
    bad("locked-65537-bytes", "locked over 65,536 bytes", setter("recovery", locked=bytes(LIMIT_SEALED + 1)))
    # 10,000 key agreements: over the limit of `sealed` long before that
    file_key = v.fixed("alice file key", 16)
    many = f.stanza_x25519(f.unbech32(key["mallory"]), fixed("many"), file_key)
    period = b64(many * 3)
    start = [f.stanza(["pad" + "x" * n], b"") for n in range(3)]
    start = next(s for s in start if (len(b"age-encryption.org/v1\n") + len(s)) % 3 == 0)
    sealed = f.age_file([start] + [many] * 9999 + [f.stanza_x25519(alice, fixed("own"), file_key)], file_key,
                        v.fixed("nonce", 16), v.seal_text())
    bad("sealed-10000-stanzas", "sealed over 65,536 bytes", setter("alice", sealed=sealed), pattern=period)
    own = f.stanza_x25519(alice, fixed("own"), file_key)
    sealed = f.age_file([f.stanza(["a"], b"")] * 32 + [own], file_key, v.fixed("nonce", 16), v.seal_text())
    bad("sealed-33-stanzas", "sealed with more than 32 stanzas", setter("alice", sealed=sealed))
    locked = f.age_file([f.stanza(["a"], b"")] * 33, file_key, v.fixed("nonce", 16), b"")
    bad("locked-33-stanzas", "locked with more than 32 stanzas", setter("recovery", locked=locked))
    bad("sealed-other-key", "own block, sealed to another key", setter("alice", sealed=v.seal_to("alice", key["mallory"])))
    bad("sealed-not-age", "own block, no age file", setter("alice", sealed=b"not an age file"))
    right = v.seal_to("alice", key["alice"])
    bad("sealed-cut", "own block, cut", setter("alice", sealed=right[:-5]))
    bad("sealed-header-flipped", "own block, the header's MAC is wrong",
        setter("alice", sealed=right.replace(b"--- ", b"-> x\n\n--- ")))
    armored = b"-----BEGIN AGE ENCRYPTED FILE-----\n" + re.sub(b"(.{1,64})", rb"\1\n", b64(right).encode()) \
        + b"-----END AGE ENCRYPTED FILE-----\n"
    bad("sealed-armored", "own block, an age file that is not binary", setter("alice", sealed=armored))
    bad("sealed-not-age-not-mine", "another member's block, altered after it was vouched for",
        setter("bob", False, sealed=b"not an age file"))

    def twin(sealed, name="zed"):
        return lambda v: v.member(name, key["alice"], "alice", sealed=sealed)
    bad("same-key-twice-none", "two own blocks, neither decrypts", doc(lambda v: (
        v.doc["members"]["alice"].update(sealed=b64(right[:-5])), twin(b"not an age file")(v))))
    bad("same-key-twice-wrong-first", "the first own block that decrypts has a wrong text", doc(
        twin(v.seal_to("a", key["alice"], b"hello\n"), "a")))
    bad("not-a-member", "no block has this key: no access", v.text(), status=4, identity="mallory.key")
    bad("not-a-member-former", "a former member: no access", v.text(), status=4, identity="carol.key")

    good_text = v.seal_text().decode()
    other_id = b64(fixed("other id", 16))
    for name, text in (
            ("version", good_text.replace("vault-seal 1", "vault-seal 2")),
            ("environment", good_text.replace("staging", "production")),
            ("id", good_text.replace(v.doc["id"], other_id)),
            ("key-short", good_text.replace(b64(v.data_key), b64(v.data_key[:31]))),
            ("key-long", good_text.replace(b64(v.data_key), b64(v.data_key + b"x"))),
            ("key-not-base64", good_text.replace(b64(v.data_key), b64(v.data_key)[:-1])),
            ("key-other", good_text.replace(b64(v.data_key), b64(fixed("other data key")))),
            ("five-lines", good_text + "more 1\n"), ("three-lines", good_text.replace("vault-seal 1\n", "")),
            ("empty-line", good_text + "\n"), ("no-final-line-end", good_text[:-1]), ("crlf", good_text.replace("\n", "\r\n")),
            ("space", good_text.replace("staging\n", "staging \n")), ("two-spaces", good_text.replace("key ", "key  ")),
            ("order", "".join(sorted(good_text.splitlines(True), reverse=True))), ("empty", ""),
            ("line-end-first", "\n" + good_text), ("not-utf8", None)):
        payload = v.seal_text() + b"\xff" if text is None else text.encode()
        assert payload != v.seal_text()
        bad(f"seal-{name}", "the seal's text is wrong" if name != "key-other" else "the seal holds another data key",
            setter("alice", sealed=v.seal_to("alice", key["alice"], payload)))

    def locked(factor=10, text=None, who="recovery"):
        return lock(v, "recovery", who, factor, text)
    bad("locked-other-key", "the key inside is not the member's", setter("recovery", locked=locked(who="mallory")),
        identity="recovery.pass")
    # the body is not what work factor 21 gives (that takes 2 GiB): it must be refused before anybody computes it
    bad("locked-work-factor-21", "work factor over 20",
        setter("recovery", locked=locked().replace(b" 10\n", b" 21\n")), identity="recovery.pass")
    bad("locked-not-a-key", "no private key inside", setter("recovery", locked=locked(text=b"hello\n")),
        identity="recovery.pass")


    bad("locked-not-age", "locked is no age file", setter("recovery", locked=b"not an age file"), identity="recovery.pass")
    bad("locked-x25519", "locked is not encrypted to a passphrase",
        setter("recovery", locked=v.seal_to("recovery locked", key["recovery"], f.age_identity(secret["recovery"]).encode() + b"\n")),
        identity="recovery.pass")
    bad("locked-work-factor-99", "work factor over 20",
        setter("recovery", locked=locked().replace(b" 10\n", b" 99\n")), identity="recovery.pass")
    bad("locked-other-passphrase", "no block opens with this passphrase: no access",
        setter("recovery", locked=lock(v, "recovery", "recovery", passphrase="another")), status=4, identity="recovery.pass")
    bad("locked-none", "no member has locked: no access", setter("recovery", locked=None), status=4, identity="recovery.pass")
    bad("locked-sealed-cut", "the recovery member's own block is cut",
        setter("recovery", sealed=v.seal_to("recovery", key["recovery"])[:-5]), identity="recovery.pass")

    def before(*blocks):
        def change(v):
            for name, block in zip(("k1", "k2", "k3", "k4"), blocks):
                v.member(name, key["other"], "alice", locked=block)
        return doc(change)
    wrong = [lock(v, f"k{n}", "other", passphrase=f"not the passphrase, k{n}") for n in (1, 2, 3, 4)]
    bad("locked-fifth", "only the first four are tried: no access", before(*wrong), status=4, identity="recovery.pass")
    bad("locked-bad-before", "a block that is tried is no age file", before(wrong[0], b"not an age file"), identity="recovery.pass")
    bad("locked-bad-fourth", "the fourth block holds another key and is tried before the fifth",
        before(*wrong[:3], lock(v, "k4", "mallory")), identity="recovery.pass")


def vouch_cases():
    v = base()
    m, fm = v.doc["members"], v.doc["former"]
    carol = f"carol.{MADE - DAY}"
    old = base(made=MADE - 3 * DAY, data_key=fixed("earlier data key"))
    attacker = base(data_key=fixed("attacker's data key"))

    def former(entry, rename=None, **fields):
        def change(v):
            table = v.doc["former"].pop(entry)
            v.doc["former"][rename or entry] = table | fields
        return doc(change, False)

    bad("by-unknown", "by names nobody here", setter("bob", by="zed", proof=None))
    bad("by-former", "by names a former member", setter("bob", by="carol", proof=None))
    bad("issued-by-bad-name", "issued_by is no member name", setter("bob", issued_by="Not.A.Name"))
    bad("proof-31-bytes", "proof is not 32 bytes", setter("bob", proof=bytes(31)))
    bad("proof-33-bytes", "proof is not 32 bytes", setter("bob", proof=bytes(33)))
    for name, data in (("35-bytes", base64.b64decode(m["bob"]["vouch"])[:35]), ("37-bytes", base64.b64decode(m["bob"]["vouch"]) + b"x"),
                       ("4-bytes", v.key_id)):
        bad(f"vouch-{name}", "vouch is not 36 bytes", setter("bob", False, vouch=data))
    bad("former-vouch-35-bytes", "vouch is not 36 bytes", former(carol, vouch=b64(base64.b64decode(fm[carol]["vouch"])[:35])))
    for at, what in ((4, "first"), (35, "last")):
        bad(f"vouch-tag-flipped-{what}", "altered", setter("bob", False, vouch=flip(m["bob"]["vouch"], at)))
        bad(f"former-vouch-tag-flipped-{what}", "altered", former(carol, vouch=flip(fm[carol]["vouch"], at)))
    bad("vouch-key-id-flipped", "written under an earlier key", setter("bob", False, vouch=flip(m["bob"]["vouch"], 0)))
    for name, source in (("earlier", old), ("attackers", attacker)):
        bad(f"vouch-key-id-{name}", "the key-id of another data key on one member",
            setter("bob", False, vouch=b64(source.key_id + base64.b64decode(m["bob"]["vouch"])[4:])))
    bad("former-vouch-key-id-earlier", "the key-id of another data key on one former entry",
        former(carol, vouch=b64(old.key_id + base64.b64decode(fm[carol]["vouch"])[4:])))
    # `made` is in every derived key: nothing in the file fits any more
    for name, new in (("later", MADE + 1), ("earlier", MADE - 1), ("far-ahead", (1 << 40) - 1)):
        bad(f"made-altered-{name}", "everything else is genuine", field(None, "made", f"made = {new}"))
    bad("vouch-own-flipped", "altered", setter("alice", False, vouch=flip(m["alice"]["vouch"], 9)))
    bad("vouch-of-an-earlier-key", "written under an earlier key", doc(lambda v: v.doc["members"].update(bob=old.doc["members"]["bob"]),
                                                                      False))
    bad("former-vouch-of-an-earlier-key", "written under an earlier key",
        doc(lambda v: v.doc["former"].update({carol: old.doc["former"][carol]}), False))
    bad("vouches-exchanged", "altered", doc(lambda v: (v.doc["members"]["alice"].update(vouch=m["bob"]["vouch"]),
                                                       v.doc["members"]["bob"].update(vouch=m["alice"]["vouch"])), False))

    def plant(name, vouch, **fields):
        def change(v):
            v.member(name, key["mallory"], "alice", sealed=v.fixed("planted") * 8)
            v.doc["members"][name] |= fields | {"vouch": vouch(v)}
        return doc(change, False)

    def foreign(v, key_id):
        return b64(key_id + f.hmac256(attacker.keys["vouch"], v.member_message("zed")))
    bad("planted-with-anothers-vouch", "planted", plant("zed", lambda v: m["bob"]["vouch"]))
    bad("planted-with-zeros", "planted", plant("zed", lambda v: b64(bytes(36))))
    bad("planted-under-own-data-key", "planted", plant("zed", lambda v: foreign(v, attacker.key_id)))
    bad("planted-under-own-data-key-right-key-id", "planted", plant("zed", lambda v: foreign(v, v.key_id)))
    bad("planted-copy-of-a-member", "planted", doc(lambda v: v.doc["members"].update(zed=dict(m["bob"])), False))
    bad("member-renamed", "altered", doc(lambda v: v.doc["members"].update(rob=v.doc["members"].pop("bob")), False))
    bad("member-first-planted", "planted, and the first by name",
        edit("[members.zed]", "[members.aaa]", plant("zed", lambda v: m["bob"]["vouch"])))
    bad("member-key-replaced", "altered", setter("bob", False, key=key["mallory"]))
    bad("member-key-and-seal-replaced", "altered", setter("bob", False, key=key["mallory"], sealed=bytes(300)))
    bad("member-sealed-replaced", "altered", setter("bob", False, sealed=v.seal_to("bob again", key["bob"])))
    bad("member-by-altered", "altered", setter("bob", False, by="recovery"))
    bad("member-issued-by-altered", "altered", setter("recovery", False, issued_by="bob"))
    bad("member-issued-by-added", "altered", setter("bob", False, issued_by="alice"))
    bad("member-issued-by-removed", "altered", setter("recovery", False, issued_by=None))
    bad("member-locked-altered", "altered", setter("recovery", False, locked=flip(m["recovery"]["locked"], -1)))
    bad("member-locked-added", "altered", setter("bob", False, locked=m["recovery"]["locked"]))
    bad("member-locked-removed", "altered", setter("recovery", False, locked=None))
    bad("member-proof-altered", "altered", setter("bob", False, proof=flip(m["bob"]["proof"], 0)))
    ssh = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFB1YmxpYyB0ZXN0IGRhdGEsIG5ldmVyIHVzZSB0aGlz"

    def add_proof(v):
        v.member("zed", ssh, "alice", sealed=b"for an ssh key")
        v.vouch()
        v.doc["members"]["zed"]["proof"] = m["bob"]["proof"]
    bad("member-proof-added", "altered", doc(add_proof, False))
    bad("member-proof-removed", "altered", setter("bob", False, proof=None))
    bad("former-removed", "altered", doc(lambda v: v.doc["former"].pop(carol), False))
    bad("former-all-removed", "altered", doc(lambda v: v.doc["former"].clear(), False))

    def add(v, vouch):
        v.former("mallory.7", key["mallory"])
        v.doc["former"]["mallory.7"]["vouch"] = vouch(v)
    bad("former-added", "planted", doc(lambda v: add(v, lambda v: fm["dave.9"]["vouch"]), False))
    # its own vouch is right (taken from another version of the file), but the members' vouches do not cover it
    bad("former-added-with-right-vouch", "the members' vouches cover another ledger",
        doc(lambda v: add(v, lambda v: b64(v.tag(v.former_message("mallory.7")))), False))
    bad("former-renamed", "altered", former("dave.9", rename="dave.8"))
    bad("former-renamed-other-member", "altered", former("dave.9", rename="mallory.9"))
    bad("former-key-edited", "altered", former("dave.9", key=key["mallory"]))
    bad("former-moved-to-members-order", "the vouch of a member is none of a former entry",
        former("dave.9", vouch=m["bob"]["vouch"]))


def record_cases():
    v = base()
    s = v.doc["secrets"]

    def value(text, name="API_KEY", other=None):
        def change(v):
            v.doc["secrets"][name]["value"] = text if isinstance(text, str) else b64(text)
        return doc(change, False)

    def other(**options):
        return base(**options).doc["secrets"]["API_KEY"]["value"]

    def rekey(text):
        return v.key_id + base64.b64decode(text)[4:]
    bad("record-copied", "another name", doc(lambda v: v.doc["secrets"].update(SECOND=dict(s["API_KEY"])), False))
    bad("record-moved", "another name", doc(lambda v: v.doc["secrets"].update(SECOND=v.doc["secrets"].pop("API_KEY")), False))
    bad("records-exchanged", "another name", doc(lambda v: v.doc["secrets"].update(API_KEY=s["EMPTY"], EMPTY=s["API_KEY"]), False))
    sources = {"other-environment": other(environment="production"),
               "other-environment-own-key": other(environment="production", id=fixed("p", 16), data_key=fixed("production")),
               "other-project": other(id=fixed("other project", 16)),
               "other-made": other(made=MADE - 1),
               "earlier-key": other(made=MADE - 3 * DAY, data_key=fixed("earlier data key"))}
    for name, text in sources.items():
        bad(f"record-of-{name}", "written under another key", value(text))
        bad(f"record-of-{name}-right-key-id", "altered", value(rekey(text)))
    right = base64.b64decode(s["API_KEY"]["value"])
    empty = f.plaintext(b"")
    for name, data in (("52-and-64", right[:-1]), ("53-and-65", right + b"x"), ("53", right[:53]), ("52", right[:52]), ("1", right[:1]),
                       ("12", right[:12])):
        bad(f"record-length-{name}", "the length is not 53 + 64 n", value(data))
    bad("record-no-plaintext", "the length is not 53 + 64 n", value(v.record("API_KEY", b"", MADE)))
    bad("record-plaintext-63", "the length is not 53 + 64 n", value(v.record("API_KEY", empty[:-1], MADE)))
    bad("record-kind-2", "made by a newer vault", value(v.record("API_KEY", f.plaintext(b"x"), MADE, kind=2)))
    bad("record-kind-255", "made by a newer vault", value(v.record("API_KEY", f.plaintext(b"x"), MADE, kind=255)))
    bad("record-changed-2-to-40", "a time of 2^40", value(v.record("API_KEY", f.plaintext(b"x"), 1 << 40)))
    bad("record-changed-2-to-63", "a time of 2^40", value(v.record("API_KEY", f.plaintext(b"x"), 1 << 63)))
    # what is checked on reading, without a key, comes before "no access"; what needs the value asked for does not
    for name, data, status in (("kind-2", v.record("API_KEY", empty, MADE, kind=2), 5), ("length", right[:-1], 5),
                               ("changed", v.record("API_KEY", empty, 1 << 40), 5),
                               ("key-id", bytes(4) + right[4:], 4),
                               ("tag", right[:-1] + bytes([right[-1] ^ 1]), 4)):
        bad(f"record-{name}-not-a-member", "wrong without a key: refused" if status == 5 else "not asked for: no access", value(data),
            status=status, identity="mallory.key")
    for name, at, why in (("key-id", 0, "written under another key"), ("kind", 4, "altered"), ("changed", 5, "altered"),
                          ("nonce-first", 13, "altered"), ("nonce-last", 36, "altered"), ("ciphertext", 37, "altered"),
                          ("tag", -1, "altered")):
        bad(f"record-{name}-flipped", why, value(flip(s["API_KEY"]["value"], at)))
    bad("record-kind-flipped-back", "altered", value(flip(s["CERT"]["value"], 4), "CERT"))

    def wrong(name, why, text, kind=0, pad=True):
        text += bytes(-len(text) % 64) if pad else b""
        bad(f"plaintext-{name}", why, value(v.record("API_KEY", text, MADE, kind)))
    two = u32(0) + u32(3) + b"abc"
    wrong("note-length", "lengths do not fit", u32(61) + b"n" * 60)
    wrong("note-length-max", "lengths do not fit", u32(0xFFFFFFFF) + u32(3) + b"abc")
    wrong("note-length-wraps", "lengths do not fit", u32(0xFFFFFFFC) + u32(3) + b"abc")
    wrong("no-value-length", "lengths do not fit", u32(60) + b"n" * 60)
    wrong("half-value-length", "lengths do not fit", u32(58) + b"n" * 58)
    wrong("value-length", "lengths do not fit", u32(0) + u32(57) + b"v" * 56)
    wrong("value-length-max", "lengths do not fit", u32(0) + u32(0xFFFFFFFF) + b"v" * 56)
    wrong("padding-first", "padding is not zero", two + b"\x01")
    wrong("padding-last", "padding is not zero", two + bytes(52) + b"\x01")
    wrong("padding-too-long", "more than the fewest zeros", two + bytes(53) + bytes(64), pad=False)
    wrong("padding-whole-block", "more than the fewest zeros", u32(0) + u32(56) + b"v" * 56 + bytes(64), pad=False)
    wrong("nul", "a variable holds a NUL", u32(0) + u32(3) + b"a\0b")
    wrong("nul-last", "a variable holds a NUL", u32(0) + u32(2) + b"a\0")
    wrong("too-large", "NAME=value over 131,071 bytes", f.plaintext(b"v" * (131_072 - 8)))
    wrong("note-not-utf8", "the note is not UTF-8", f.plaintext(b"x", b"caf\xe9"))
    wrong("note-surrogate", "the note is not UTF-8", f.plaintext(b"x", b"\xed\xa0\x80"))
    wrong("note-16385", "the note is over 16,384 bytes", f.plaintext(b"x", b"n" * 16_385))
    wrong("note-16385-file", "the note is over 16,384 bytes", f.plaintext(b"\0", b"n" * 16_385), kind=1)
    bad("one-bad-record-among-good", "one record is altered, all values are asked for", value(flip(s["EMPTY"]["value"], -1), "EMPTY"))


def main():
    path = HERE / "cases.json"
    told = {c["name"]: c["message"] for c in json.loads(path.read_text())["hostile"]} if path.exists() else {}
    for old in [*HERE.glob("hostile/*.toml"), *HERE.glob("good/*/staging.toml")]:
        old.unlink()
    good_cases()
    for name in ("alice.key", "mallory.key", "carol.key", "recovery.pass"):
        write_identity("hostile", name)
    v = base()
    path_alice = ["hostile/alice.key"]
    write("good/hostile-base/staging.toml", v.text())
    good.append({"name": "hostile-base", "file": "good/hostile-base/staging.toml"}
                | expected("hostile-base", v, path_alice, path_alice))
    size_cases(), text_cases(), field_cases(), name_cases(), seal_cases(), vouch_cases(), record_cases()
    for case in hostile:
        case["message"] = told.get(case["name"], "")
    cases = {"good": good, "good_generated": good_generated, "hostile": hostile}
    # one case a line: reviews show which case changed
    path.write_text("{\n" + ",\n".join(f"{json.dumps(kind)}: [\n" + ",\n".join(json.dumps(c, ensure_ascii=False) for c in list_)
                                       + "\n]" for kind, list_ in cases.items()) + "\n}\n", "utf-8")


if __name__ == "__main__":
    main()
