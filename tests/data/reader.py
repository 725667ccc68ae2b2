"""An independent reader for vault files, format 1.

This program is written from docs/format.md alone: its author has not seen the source of `vault`. It exists to
show that the specification is enough, and to disagree with `vault` where the specification is not.

    python reader.py FILE [-i IDENTITY_FILE]... [--recovery-passphrase-file F] [--as NAME]

It prints one JSON object and exits with 0, or with 5 (refused), 4 (no access), or 2 (used wrongly). Without an
identity and without a passphrase it checks what can be checked without a key, and says "unverified".
Python 3.11 with pyrage (age), cryptography (ssh keys) and PyNaCl (XChaCha20-Poly1305, X25519).
"""

import argparse
import base64
import collections
import hashlib
import hmac
import json
import os
import re
import struct
import sys
import tomllib

import nacl.bindings as sodium
import pyrage
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_ssh_private_key
from nacl.exceptions import CryptoError

MIB = 1024 * 1024
TIME_END = 1 << 40
RECORD_HEAD = 4 + 1 + 8 + 24  # key-id, kind, changed, nonce
VARIABLE, FILE_SECRET = 0, 1
AGE_MAGIC = b"age-encryption.org/v1\n"
SCRYPT_HEAD = re.compile(re.escape(AGE_MAGIC) + rb"-> scrypt .{22} ([1-9][0-9]*)\n.{43}\n--- .{43}\n")
ONE_STRING_LINE = re.compile(rb'[ \t]*[A-Za-z0-9_-]+[ \t]*=[ \t]*"([^"\\]*)"[ \t]*')
VARIABLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
MEMBER_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
FORMER_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}\.(0|[1-9][0-9]{0,12})")
KEY_SHAPE = re.compile(r"age1[a-z0-9+._-]+|(ssh-ed25519|ssh-rsa) [A-Za-z0-9+/=]+")


class Stop(Exception):
    """Ends the program with an exit code and one line on stderr."""

    def __init__(self, code, line):
        self.code, self.line = code, line


def refused(reason):
    return Stop(5, f"refused: {reason}")


def need(condition, reason):
    if not condition:
        raise refused(reason)


def lp(data):
    return struct.pack("<Q", len(data)) + data


def hkdf(key, info, length=32):
    """HKDF-SHA256 without salt, for at most 32 bytes: one block of output is enough."""
    return hmac.digest(hmac.digest(bytes(32), key, "sha256"), info + b"\x01", "sha256")[:length]


def strict_base64(text):
    """The bytes, or None where the text is not the one strict form of them."""
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError:
        return None
    return data if base64.b64encode(data).decode() == text else None


def shown(name):
    """A name as it may stand in a message: one line, plain ASCII, short."""
    return json.dumps(name if len(name) <= 130 else name[:130] + "...")[1:-1]


def bech32_32_bytes(text, expected_prefix):
    """The 32 bytes of a Bech32 text with that prefix, or None."""
    prefix, _, rest = text.lower().rpartition("1")
    values = ["qpzry9x8gf2tvdw0s3jn54khce6mua7l".find(c) for c in rest]
    if text not in (text.lower(), text.upper()) or prefix != expected_prefix or len(rest) != 52 + 6 or -1 in values:
        return None
    check = 1
    for value in [ord(c) >> 5 for c in prefix] + [0] + [ord(c) & 31 for c in prefix] + values:
        top, check = check >> 25, (check & 0x1FFFFFF) << 5 ^ value
        for bit, generator in enumerate((0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)):
            check ^= generator * (top >> bit & 1)
    number = int("".join(f"{value:05b}" for value in values[:52]), 2)  # 260 bits: the last four are zeros that fill up
    return (number >> 4).to_bytes(32, "big") if check == 1 and number % 16 == 0 else None


# A private key: `key` is its public key in canonical text; `scalar` is there for X25519 only.
Identity = collections.namedtuple("Identity", "key age scalar", defaults=[None])
Record = collections.namedtuple("Record", "data kind changed")


def x25519_identity(text):
    """From AGE-SECRET-KEY-1..., or None where it is not one."""
    scalar = bech32_32_bytes(text, "age-secret-key-")
    if scalar is None or text != text.upper() or not text.isascii():
        return None
    age = pyrage.x25519.Identity.from_str(text)
    return Identity(str(age.to_public()), age, scalar)


def ssh_identity(data):
    try:
        public = load_ssh_private_key(data, None).public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
        return Identity(public.decode(), pyrage.ssh.Identity.from_buffer(data))
    except (ValueError, TypeError, UnsupportedAlgorithm, pyrage.IdentityError):
        raise Stop(2, "an OpenSSH identity is encrypted, or cannot be read") from None


def read_identities(path):
    data = read_bytes(path)
    if b"-----BEGIN OPENSSH PRIVATE KEY-----" in data:
        return [ssh_identity(data)]
    lines = [line.strip() for line in data.decode("utf-8", "replace").splitlines()]
    found = [x25519_identity(line) for line in lines if line and not line.startswith("#")]
    if None in found:
        raise Stop(2, f"{path}: a line is not an AGE-SECRET-KEY-1 line")
    return found


def read_bytes(path, limit=MIB):
    try:
        with open(path, "rb") as file:
            return file.read(limit)
    except OSError as error:
        raise Stop(2, f"{path}: {error.strerror}") from None


def scan_lines(data):
    """The limits that hold before any TOML is read."""
    need(len(data) <= 8 * MIB, "the file is larger than 8 MiB")
    headers, structure = 0, len(data)
    lines = data.split(b"\n")
    for number, line in enumerate(lines, 1):
        if number < len(lines):  # the last part has no line end, so a CR there belongs to the line
            line = line.removesuffix(b"\r")
        need(len(line) <= 2 * MIB, f"line {number} is longer than 2 MiB")
        one_string = ONE_STRING_LINE.fullmatch(line)
        if one_string:
            structure -= len(one_string[1])
        elif line.lstrip(b" \t").startswith(b"["):
            headers += 1
            need(len(line) <= 200, f"line {number} is a header of more than 200 bytes")
            need(headers <= 20_000, f"line {number} is one header too many: more than 20,000")
        else:
            need(len(line) <= 1024, f"line {number} is longer than 1,024 bytes and is not a one-string line")
        conflict = line.startswith((b"<<<<<<<", b"|||||||", b">>>>>>>")) or line == b"======="
        need(not conflict, f"line {number} is a git conflict marker")
    need(structure <= MIB, "the file has more than 1 MiB outside of one-string lines")


def parse_text(data):
    scan_lines(data)
    need(not data.startswith(b"\xef\xbb\xbf"), "line 1 begins with a byte order mark")
    try:
        top = tomllib.loads(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise refused(f"line {data.count(10, 0, error.start) + 1} is not UTF-8") from None
    except (ValueError, RecursionError) as error:
        at = re.search(r"\(at line ([0-9]+)", str(error))
        raise refused(f"line {at[1]} is not TOML" if at else "the file is not TOML") from None
    version = top.pop("vault", None)
    need(type(version) is int and version >= 1, "not a vault file")
    need(version == 1, "made by a newer vault")
    return top


class Table:
    """One table while it is checked: every field is taken once, and what is left over is refused."""

    def __init__(self, value, where):
        need(isinstance(value, dict), f"{where} is absent or is not a table")
        need(value, f"{where} is an empty table")
        self.left, self.where = dict(value), where

    def text(self, field, shape=None, optional=False):
        value = self.left.pop(field, None)
        if value is None and optional:
            return None
        need(isinstance(value, str) and value, f"{self.where}: {field} is absent, empty or not a string")
        need(shape is None or shape.fullmatch(value), f"{self.where}: {field} is not well-formed")
        return value

    def bytes(self, field, least=0, most=8 * MIB, optional=False):
        text = self.text(field, optional=optional)
        if text is None:
            return None
        data = strict_base64(text)
        need(data is not None, f"{self.where}: {field} is not strict base64")
        need(least <= len(data) <= most, f"{self.where}: {field} has a wrong length")
        return data

    def age_file(self, field, optional=False):
        data = self.bytes(field, most=65_536, optional=optional)
        stanzas = 0
        for line in (data or b"").split(b"\n"):
            if line.startswith(b"---"):
                break
            stanzas += line.startswith(b"-> ")
        need(stanzas <= 32, f"{self.where}: {field} has more than 32 stanzas")
        return data

    def key(self):
        text = self.text("key", KEY_SHAPE)
        need(len(text) <= 4096, f"{self.where}: key is longer than 4,096 bytes")
        return text

    def time(self, field):
        value = self.left.pop(field, None)
        need(type(value) is int and 0 <= value < TIME_END, f"{self.where}: {field} is absent or is not a time")
        return value

    def tables(self, field, shape, read, optional=True):
        """What `read` makes of each table under a field, by name and sorted by name."""
        if optional and field not in self.left:
            return {}
        found = {}
        for name, value in sorted(Table(self.left.pop(field, None), field).left.items()):
            where = f"{field}.{shown(name)}"
            need(shape.fullmatch(name), f"{where} is not a well-formed name")
            table = Table(value, where)
            found[name] = read(table)
            table.end()
        return found

    def end(self):
        need(not self.left, f"{self.where}: unknown field or table {shown(min(self.left, default=''))}")


class VaultFile:
    """All fields of a file, checked as far as that is possible without a key."""

    def __init__(self, parsed, environment):
        top = Table(parsed, "the top table")
        self.environment = top.text("environment", MEMBER_NAME)
        need(self.environment == environment, "the top table: environment is not the file's own name")
        self.id = top.bytes("id", 16, 16)
        self.made = top.time("made")
        self.members = top.tables("members", MEMBER_NAME, read_member, optional=False)
        self.former = top.tables("former", FORMER_NAME, read_former)
        self.requests = well_formed_requests(top.left.pop("requests", None))
        self.records = top.tables("secrets", VARIABLE_NAME, read_record)
        top.end()
        for name, member in self.members.items():
            need(member["by"] in self.members, f"members.{name}: by is not the name of a member")
        for name in self.former:
            removed = int(name.split(".")[1])
            need(removed < TIME_END, f"former.{name}: the name does not end in a time")
            need(removed <= self.made, f"former.{name} was removed later than made")

    def vouched(self):
        """(table, vouch, authenticated bytes) of every member and former entry."""
        digest = self.ledger()
        for name, member in self.members.items():
            fields = [b"member", name.encode()]
            for field in ("key", "locked", "sealed", "by", "issued_by", "proof"):
                value = member[field] or b""
                fields.append(value.encode() if isinstance(value, str) else value)
            yield f"members.{name}", member["vouch"], b"".join(map(lp, [*fields, digest]))
        for name, former in self.former.items():
            yield f"former.{name}", former["vouch"], b"".join(lp(x.encode()) for x in ("former", name, former["key"]))

    def ledger(self):
        """F, the digest over all former entries."""
        parts = (x.encode() for name, entry in self.former.items() for x in (name, entry["key"]))
        return hashlib.sha256(b"".join(map(lp, parts))).digest()


def read_member(table):
    return {
        "key": table.key(),
        "locked": table.age_file("locked", optional=True),
        "sealed": table.age_file("sealed"),
        "by": table.text("by", MEMBER_NAME),
        "issued_by": table.text("issued_by", MEMBER_NAME, optional=True),
        "proof": table.bytes("proof", 32, 32, optional=True),
        "vouch": table.bytes("vouch", 36, 36),
    }


def read_former(table):
    return {"key": table.key(), "vouch": table.bytes("vouch", 36, 36)}


def read_record(table):
    """A record, checked as far as that is possible without a key."""
    data = table.bytes("value")
    body = len(data) - RECORD_HEAD - 16
    need(body >= 64 and body % 64 == 0, f"{table.where} is a record of a wrong length")
    kind, changed = struct.unpack_from("<BQ", data, 4)
    need(kind in (VARIABLE, FILE_SECRET), f"{table.where} is of a kind made by a newer vault")
    need(changed < TIME_END, f"{table.where}: changed is not a time")
    return Record(data, kind, changed)


def well_formed_requests(requests):
    """Requests carry no authority, and nothing in them can stop a read."""
    found = []
    for name, value in requests.items() if isinstance(requests, dict) else ():
        key = value.get("key") if isinstance(value, dict) and len(value) == 1 else None
        if MEMBER_NAME.fullmatch(name) and isinstance(key, str) and len(key) <= 4096 and KEY_SHAPE.fullmatch(key):
            found.append(name)
    return sorted(found)


def unseal(file, identities, passphrase):
    """(identity, data key) of the first block that opens."""
    if passphrase is not None:
        identities = [*identities, *unlock(file, passphrase)]
    own = [(name, i) for i in identities for name in [n for n, m in file.members.items() if m["key"] == i.key][:4]]
    for name, identity in own:
        if (text := age_decrypt(file.members[name]["sealed"], identity)) is not None:
            return identity, read_seal(file, name, text)
    raise refused("no block of this key decrypts: the file is damaged") if own else Stop(4, "no access")


def unlock(file, passphrase):
    """A list of the identity in the first `locked` block that the passphrase opens; only four blocks are tried."""
    for name in [name for name, member in file.members.items() if member["locked"] is not None][:4]:
        where, member = f"members.{name}: locked", file.members[name]
        head = SCRYPT_HEAD.match(member["locked"])
        need(head, f"{where} is not an age file for a passphrase")
        need(len(head[1]) <= 2 and int(head[1]) <= 20, f"{where} has a work factor of more than 20")
        if (text := age_decrypt(member["locked"], passphrase=passphrase)) is not None:
            identity = x25519_identity(text.decode("utf-8", "replace").removesuffix("\n"))
            need(identity and identity.key == member["key"], f"{where} does not hold the member's own key")
            return [identity]
    return []


def age_decrypt(data, identity=None, passphrase=None):
    """The plaintext, or None. Only the binary form of age counts."""
    if not data.startswith(AGE_MAGIC):
        return None
    try:
        return pyrage.decrypt(data, [identity.age]) if identity else pyrage.passphrase.decrypt(data, passphrase)
    except pyrage.DecryptError:
        return None


def read_seal(file, name, text):
    where, lines = f"members.{name}: the seal", text.split(b"\n")
    need(len(lines) == 5 and not lines[4] and lines[0] == b"vault-seal 1", f"{where} does not hold its four lines")
    need(lines[1] == b"environment " + file.environment.encode(), f"{where} is of another environment")
    need(lines[2] == b"id " + base64.b64encode(file.id), f"{where} is of another id")
    key = strict_base64(lines[3].removeprefix(b"key ").decode("utf-8", "replace"))
    need(lines[3].startswith(b"key ") and key and len(key) == 32, f"{where} does not hold a key of 32 bytes")
    return key


def check_vouches(file, key_id, vouch_key=None):
    """Every vouch; without a key only the key-ids."""
    for where, vouch, message in file.vouched():
        need(hmac.compare_digest(vouch[:4], key_id), f"{where} was written under another data key")
        if vouch_key is not None:
            tag = hmac.digest(vouch_key, message, "sha256")
            need(hmac.compare_digest(vouch[4:], tag), f"{where} was altered or planted: its vouch is wrong")


def proof_ok(file, member, identity, fingerprint):
    """For information: True or False; None where there is no proof or this opener cannot compute it."""
    keys = [file.members[member["by"]]["key"], member["key"]]
    if member["proof"] is None or identity.scalar is None or identity.key not in keys:
        return None
    point = bech32_32_bytes(keys[1 - keys.index(identity.key)], "age")
    if point is None:
        return None
    try:
        shared = sodium.crypto_scalarmult(identity.scalar, point)
    except RuntimeError:  # libsodium refuses an all-zero shared secret
        return False
    info = b"vault/1 proof" + b"".join(lp(x) for x in (file.id, *(t.encode() for t in (file.environment, *keys))))
    return hmac.compare_digest(hmac.digest(hkdf(shared, info), lp(fingerprint) + lp(file.ledger()), "sha256"), member["proof"])


def open_record(name, record, key_id, values_key):
    where, data, kind = f"secrets.{name}", record.data, record.kind
    need(data[:4] == key_id, f"{where} was written under another data key")
    associated = struct.pack("<BQ", kind, record.changed) + lp(name.encode())
    nonce, sealed = data[RECORD_HEAD - 24 : RECORD_HEAD], data[RECORD_HEAD:]
    try:
        plain = sodium.crypto_aead_xchacha20poly1305_ietf_decrypt(sealed, associated, nonce, values_key)
    except CryptoError:
        raise refused(f"{where} was altered: its tag is wrong") from None
    note, at = take_part(where, plain, 0)
    value, at = take_part(where, plain, at)
    need(len(plain) - at < 64, f"{where} has more zeros than the fewest")
    need(not any(plain[at:]), f"{where} has padding that is not zero")
    need(len(note) <= 16_384, f"{where}: the note is longer than 16,384 bytes")
    try:
        note = note.decode("utf-8")
    except UnicodeDecodeError:
        raise refused(f"{where}: the note is not UTF-8") from None
    if kind == VARIABLE:
        need(0 not in value, f"{where}: a variable holds a NUL byte")
        need(len(name) + 1 + len(value) <= 131_071, f"{where}: name and value are longer than 131,071 bytes")
    need(len(value) <= 1_048_576, f"{where}: the value is longer than 1,048,576 bytes")
    return {"kind": kind, "changed": record.changed, "note": note, "value_base64": base64.b64encode(value).decode()}


def take_part(where, plain, at):
    """A length (4) and that many bytes: (the bytes, where they end)."""
    end = at + 4 + int.from_bytes(plain[at : at + 4], "little")
    need(at + 4 <= len(plain) and end <= len(plain), f"{where}: the lengths inside do not fit")
    return plain[at + 4 : end], end


def describe(file, opened=None):
    """The JSON object; `opened` is (identity, data key), or None to say what can be said without a key."""
    context = lp(file.id) + lp(file.environment.encode()) + struct.pack("<Q", file.made)
    result, fingerprint = {"environment": file.environment}, b""
    if opened is None:
        key_id = file.members[min(file.members)]["vouch"][:4]
        check_vouches(file, key_id)
        secrets = {name: {"kind": r.kind, "changed": r.changed} for name, r in file.records.items()}
        result["unverified"] = True
    else:
        key_id = hkdf(opened[1], b"vault/1 key-id" + context, 4)
        check_vouches(file, key_id, hkdf(opened[1], b"vault/1 vouch" + context))
        values_key = hkdf(opened[1], b"vault/1 values" + context)
        secrets = {name: open_record(name, r, key_id, values_key) for name, r in file.records.items()}
        fingerprint = hkdf(opened[1], b"vault/1 fingerprint" + context)
        result["fingerprint"] = re.sub("(....)(?=.)", r"\1-", fingerprint[:16].hex())
    members = {}
    for name, member in file.members.items():
        members[name] = {field: member[field] for field in ("key", "by", "issued_by")}
        members[name]["has_proof"] = member["proof"] is not None
        members[name]["proof_ok"] = proof_ok(file, member, opened[0], fingerprint) if opened else None
    result |= {"id": base64.b64encode(file.id).decode(), "made": file.made, "key_id": key_id.hex()}
    return result | {"members": members, "former": list(file.former), "requests": file.requests, "secrets": secrets}


def main():
    parser = argparse.ArgumentParser(description="Reads a vault file, format 1.")
    parser.add_argument("file", metavar="FILE")
    parser.add_argument("-i", "--identity", metavar="IDENTITY_FILE", action="append", default=[])
    parser.add_argument("--recovery-passphrase-file", metavar="F")
    parser.add_argument("--as", metavar="NAME", dest="environment")
    options = parser.parse_args()
    try:
        identities = [identity for path in options.identity for identity in read_identities(path)]
        secret = options.recovery_passphrase_file
        passphrase = read_bytes(secret).decode("utf-8", "replace").rstrip("\r\n") if secret else None
        data = read_bytes(options.file, 8 * MIB + 1)
        file = VaultFile(parse_text(data), options.environment or os.path.basename(options.file).removesuffix(".toml"))
        asked = options.identity or passphrase is not None
        print(json.dumps(describe(file, unseal(file, identities, passphrase) if asked else None), indent=2))
    except Stop as stop:
        print(stop.line, file=sys.stderr)
        sys.exit(stop.code)


if __name__ == "__main__":
    main()
