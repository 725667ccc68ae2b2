"""Prints the end of docs/format.md: one complete file with every intermediate value.

    worked_example.py                 print the Markdown
    worked_example.py --check DOC     exit 1 if DOC differs from it after the marker line
    worked_example.py --append DOC    put it after DOC's marker line
    worked_example.py --write         write good/worked-example/{staging.toml,alice.key,bob.key}
"""

import pathlib
import sys

import format1 as f
from format1 import fixed

LABEL = "vault worked example"
MARKER = "<!-- worked-example:"
HERE = pathlib.Path(__file__).parent
MADE = 1795435200
KEY_FILE = """# Public test data. This key is published: never use it.
# public key: {}
{}
"""

secrets = {name: fixed(f"{LABEL}: {name}") for name in ("alice", "bob", "carol", "dave")}
keys = {name: f.age_recipient(secret) for name, secret in secrets.items()}
values = {
    "DATABASE_URL": (b"postgres://app:correct-horse@db/app", 1795000000, "Ask Zoë before you change it.".encode()),
    "SECRET_KEY": (b"s3cr3t", 1795435260, b""),
}


def build():
    vault = f.Vault(LABEL, "staging", fixed(f"{LABEL}: id", 16), MADE, fixed(f"{LABEL}: data key"))
    vault.former(f"carol.{MADE}", keys["carol"])
    for name in ("alice", "bob"):
        vault.member(name, keys[name], "alice", proof=vault.proof(secrets["alice"], keys[name]))
    vault.doc["requests"]["dave"] = {"key": keys["dave"]}
    for name, (value, changed, note) in values.items():
        vault.secret(name, value, changed, note)
    return vault.vouch()


def row(label, data):
    """One value in hex, 68 bytes a line."""
    text = data.hex()
    return "\n".join(f"{'' if i else label:<24}{text[i:i + 136]}" for i in range(0, len(text), 136))


def block(*rows, kind="text"):
    return f"```{kind}\n" + "\n".join(rows) + "\n```\n"


def markdown():
    vault = build()
    out = [f"""
The keys below are published. **They must never be used.** Every input that is random in a real file is here the beginning
of SHA-256 over the text `{LABEL}: WHAT`, as long as needed. WHAT is `data key`; `id` (16 bytes); `NAME`, for
that person's X25519 secret; `NAME file key` (16), `NAME ephemeral secret` and `NAME payload nonce` (16), for an age file;
and `VARIABLE nonce` (24). So the data key is SHA-256 over `{LABEL}: data key`. Long hex runs over several
lines.

Alice made this data key when she removed carol, and granted bob. Dave asks for access. DATABASE_URL is exposed to
carol, SECRET_KEY is not. The identities of alice and bob, and the X25519 secrets inside:
"""]
    out.append(block(*[text for name in ("alice", "bob") for text in (
        f"{name:<24}{f.age_identity(secrets[name])}", row("", secrets[name]))]))
    out.append("The file, in canonical text:\n")
    out.append(block(vault.text().rstrip("\n"), kind="toml"))
    out.append(f"The keys. Each info is label ‖ lp(id) ‖ lp(`staging`) ‖ {MADE} as 8 bytes:\n")
    rows = [row("data key", vault.data_key), row("id", vault.id)]
    for name in f.LABELS:
        rows += [row(f"info {name}", vault.info(name)), row(name, vault.keys[name])]
    rows += [f"{'shown':<24}{f.shown(vault.keys['fingerprint'])}",
             f"{'shown, alice key':<24}{f.shown(f.sha256(keys['alice'].encode()))}",
             f"{'shown, bob key':<24}{f.shown(f.sha256(keys['bob'].encode()))}"]
    out.append(block(*rows))
    out.append("The seal's text, the same for both members, and the fixed inputs of the two age files:\n")
    rows = [vault.seal_text().decode().rstrip("\n"), ""]
    for name in ("alice", "bob"):
        rows += [row(f"{name} {what}", vault.fixed(f"{name} {what}", size))
                 for what, size in (("file key", 16), ("ephemeral secret", 32), ("payload nonce", 16))]
    out.append(block(*rows))
    entry = f"carol.{MADE}"
    out.append("The proofs. F is SHA-256 over what stands before it, and the message of both proofs is lp(fingerprint) ‖ lp(F); alice"
               "\nis `by` in both, so her own one is made with her own public key:\n")
    rows = [row("F message", f.lp(entry) + f.lp(keys["carol"])), row("F", vault.ledger()),
            row("message", vault.proof_message())]
    for name in ("alice", "bob"):
        shared, info = f.x25519(secrets["alice"], f.unbech32(keys[name])), vault.proof_info(keys["alice"], keys[name])
        rows += [row(f"{name} shared", shared), row(f"{name} info", info), row(f"{name} HMAC key", f.hkdf(shared, b"", info, 32)),
                 row(f"{name} proof", vault.proof(secrets["alice"], keys[name]))]
    out.append(block(*rows))
    out.append("The vouches. F is that of the proofs:\n")
    rows = []
    for name in ("alice", "bob"):
        rows += [row(f"{name} message", vault.member_message(name)), row(f"{name} vouch", vault.tag(vault.member_message(name)))]
    rows += [row("carol message", vault.former_message(entry)), row("carol vouch", vault.tag(vault.former_message(entry)))]
    out.append(block(*rows))
    for name, (value, changed, note) in values.items():
        what = f"note `{note.decode()}`" if note else "no note"
        out.append(f"The record {name}, key-id ‖ kind ‖ changed ‖ nonce ‖ ciphertext ‖ tag: kind 0, changed {changed},\n"
                   f"{what}, value `{value.decode()}`:\n")
        record = vault.record(name, f.plaintext(value, note), changed)
        out.append(block(row("plaintext", f.plaintext(value, note)), row("associated data", vault.associated(name, 0, changed)),
                         row("nonce", record[13:37]), row("ciphertext", record[37:-16]), row("tag", record[-16:])))
    return "\n".join(out)


def split(path):
    """The text up to and with the marker line, and the text after it."""
    text = path.read_text("utf-8")
    marker = text.find("\n" + MARKER)
    if marker < 0:
        sys.exit(f"{path}: no marker line {MARKER}")
    end = text.index("\n", marker + 1) + 1
    return text[:end], text[end:]


def main(arguments):
    match arguments:
        case []:
            sys.stdout.write(markdown())
        case ["--check", doc]:
            if split(pathlib.Path(doc))[1] != markdown():
                sys.exit(f"{doc}: the worked example differs from the output of worked_example.py")
        case ["--append", doc]:
            pathlib.Path(doc).write_text(split(pathlib.Path(doc))[0] + markdown(), "utf-8")
        case ["--write"]:
            folder = HERE / "good" / "worked-example"
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "staging.toml").write_text(build().text(), "utf-8")
            for name in ("alice", "bob"):
                text = KEY_FILE.format(keys[name], f.age_identity(secrets[name]))
                (folder / f"{name}.key").write_text(text, "utf-8")
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
