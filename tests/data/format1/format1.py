"""An independent writer of the vault file, format 1, made from docs/format.md alone.

Nothing here is random: every ephemeral secret, file key, nonce and salt is given by the caller, so that every byte of
what it writes can be computed again. That is right for test data and wrong for anything else. Never use it to keep a
secret.

It needs Python 3.11 and `cryptography` (X25519, ChaCha20-Poly1305). Everything else is spelled out: HKDF, HChaCha20,
Bech32, the age file format v1 with its X25519, scrypt, ssh-ed25519 and ssh-rsa stanzas, OAEP.
"""

import base64
import hashlib
import hmac
import struct

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305


# ---------------------------------------------------------------- bytes

def fixed(label, length=32):
    """The first bytes of SHA-256 of a readable label: nothing up the sleeve."""
    return hashlib.sha256(label.encode()).digest()[:length]


def sha256(data):
    return hashlib.sha256(data).digest()


def b64(data):
    return base64.b64encode(data).decode()


def u32(number):
    return struct.pack("<I", number)


def u64(number):
    return struct.pack("<Q", number)


def lp(data):
    if isinstance(data, str):
        data = data.encode()
    return u64(len(data)) + data


def hmac256(key, message):
    return hmac.new(key, message, hashlib.sha256).digest()


def hkdf(key, salt, info, length):
    pseudo = hmac256(salt or bytes(32), key)
    out, block, count = b"", b"", 1
    while len(out) < length:
        block = hmac256(pseudo, block + info + bytes([count]))
        out, count = out + block, count + 1
    return out[:length]


# ---------------------------------------------------------------- X25519 and XChaCha20-Poly1305

def x25519(secret, public):
    return X25519PrivateKey.from_private_bytes(secret).exchange(X25519PublicKey.from_public_bytes(public))


def x25519_public(secret):
    return X25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw()


def hchacha20(key, nonce):
    assert len(key) == 32 and len(nonce) == 16
    s = list(struct.unpack("<16I", b"expand 32-byte k" + key + nonce))

    def quarter(a, b, c, d):
        for x, y, z, turn in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
            s[x] = (s[x] + s[y]) & 0xFFFFFFFF
            mixed = s[z] ^ s[x]
            s[z] = ((mixed << turn) | (mixed >> (32 - turn))) & 0xFFFFFFFF

    for _ in range(10):
        quarter(0, 4, 8, 12), quarter(1, 5, 9, 13), quarter(2, 6, 10, 14), quarter(3, 7, 11, 15)
        quarter(0, 5, 10, 15), quarter(1, 6, 11, 12), quarter(2, 7, 8, 13), quarter(3, 4, 9, 14)
    return struct.pack("<8I", *s[:4], *s[12:])


def xchacha20poly1305(key, nonce, plaintext, associated):
    assert len(nonce) == 24
    return ChaCha20Poly1305(hchacha20(key, nonce[:16])).encrypt(bytes(4) + nonce[16:], plaintext, associated)


# ---------------------------------------------------------------- Bech32 (BIP 173, without its length limit)

ALPHABET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"


def bech32(prefix, data):
    bits, value, words = 0, 0, []
    for byte in data:
        value, bits = (value << 8) | byte, bits + 8
        while bits >= 5:
            bits -= 5
            words.append((value >> bits) & 31)
    if bits:
        words.append((value << (5 - bits)) & 31)
    check = 1
    for word in [ord(c) >> 5 for c in prefix] + [0] + [ord(c) & 31 for c in prefix] + words + [0] * 6:
        top = check >> 25
        check = ((check & 0x1FFFFFF) << 5) ^ word
        for i, generator in enumerate((0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)):
            check ^= generator if (top >> i) & 1 else 0
    check ^= 1
    return prefix + "1" + "".join(ALPHABET[w] for w in words + [(check >> 5 * (5 - i)) & 31 for i in range(6)])


def age_recipient(secret):
    return bech32("age", x25519_public(secret))


def age_identity(secret):
    return bech32("age-secret-key-", secret).upper()


# ---------------------------------------------------------------- the age file, v1

def raw64(data):
    return b64(data).rstrip("=")


def stanza(arguments, body):
    text = raw64(body)
    lines = [text[i:i + 64] for i in range(0, len(text), 64)]
    if not lines or len(lines[-1]) == 64:
        lines.append("")
    return ("-> " + " ".join(arguments) + "\n" + "\n".join(lines) + "\n").encode()


def wrap(key, file_key):
    return ChaCha20Poly1305(key).encrypt(bytes(12), file_key, b"")


def stanza_x25519(public, ephemeral, file_key):
    share = x25519_public(ephemeral)
    key = hkdf(x25519(ephemeral, public), share + public, b"age-encryption.org/v1/X25519", 32)
    return stanza(["X25519", raw64(share)], wrap(key, file_key))


def stanza_scrypt(passphrase, salt, work_factor, file_key):
    key = hashlib.scrypt(passphrase, salt=b"age-encryption.org/v1/scrypt" + salt, n=1 << work_factor, r=8, p=1,
                         maxmem=(1 << work_factor) * 1024 + (1 << 22), dklen=32)
    return stanza(["scrypt", raw64(salt), str(work_factor)], wrap(key, file_key))


def ssh_tag(wire):
    return raw64(sha256(wire)[:4])


def stanza_ssh_ed25519(wire, ephemeral, file_key):
    """`wire` is the decoded BASE64 of `ssh-ed25519 BASE64`."""
    label, p = b"age-encryption.org/v1/ssh-ed25519", 2**255 - 19
    y = int.from_bytes(wire[-32:], "little") & (2**255 - 1)
    public = ((1 + y) * pow(1 - y, -1, p) % p).to_bytes(32, "little")
    share = x25519_public(ephemeral)
    shared = x25519(hkdf(b"", wire, label, 32), x25519(ephemeral, public))
    key = hkdf(shared, share + public, label, 32)
    return stanza(["ssh-ed25519", ssh_tag(wire), raw64(share)], wrap(key, file_key))


def stanza_ssh_rsa(wire, seed, file_key):
    """RSAES-OAEP with SHA-256 and a given seed of 32 bytes."""
    parts, rest = [], wire
    while rest:
        size = int.from_bytes(rest[:4], "big")
        parts, rest = parts + [rest[4:4 + size]], rest[4 + size:]
    e, n = int.from_bytes(parts[1], "big"), int.from_bytes(parts[2], "big")
    size = (n.bit_length() + 7) // 8

    def mask(data, length):
        out = b"".join(sha256(data + struct.pack(">I", i)) for i in range(length // 32 + 1))
        return out[:length]

    def xor(a, b):
        return bytes(x ^ y for x, y in zip(a, b, strict=True))

    label = sha256(b"age-encryption.org/v1/ssh-rsa")
    block = label + bytes(size - len(file_key) - 66) + b"\x01" + file_key
    masked = xor(block, mask(seed, len(block)))
    padded = b"\x00" + xor(seed, mask(masked, 32)) + masked
    return stanza(["ssh-rsa", ssh_tag(wire)], pow(int.from_bytes(padded, "big"), e, n).to_bytes(size, "big"))


def age_file(stanzas, file_key, nonce, payload):
    assert len(file_key) == 16 and len(nonce) == 16
    head = b"age-encryption.org/v1\n" + b"".join(stanzas) + b"---"
    mac = hmac256(hkdf(file_key, b"", b"header", 32), head)
    key = ChaCha20Poly1305(hkdf(file_key, nonce, b"payload", 32))
    chunks = [payload[i:i + 65536] for i in range(0, len(payload), 65536)] or [b""]
    body = b"".join(key.encrypt(i.to_bytes(11, "big") + bytes([i == len(chunks) - 1]), chunk, b"")
                    for i, chunk in enumerate(chunks))
    return head + b" " + raw64(mac).encode() + b"\n" + nonce + body


# ---------------------------------------------------------------- the vault file

LABELS = {"values": 32, "vouch": 32, "key-id": 4, "fingerprint": 32}
ORDER = {
    "members": ("key", "locked", "sealed", "by", "issued_by", "proof", "vouch"),
    "former": ("key", "vouch"),
    "requests": ("key",),
    "secrets": ("value",),
}


def shown(fingerprint):
    text = fingerprint[:16].hex()
    return "-".join(text[i:i + 4] for i in range(0, 32, 4))


def plaintext(value, note=b""):
    text = u32(len(note)) + note + u32(len(value)) + value
    return text + bytes(-len(text) % 64)


def canonical(doc):
    """`doc` is the parsed file. Fields that the format does not know come last, which only hostile files need."""

    def line(field, value):
        return f'{field} = "{value}"\n' if isinstance(value, str) else f"{field} = {value}\n"

    out = f"# Encrypted environment. Read and change it with `vault edit {doc['environment']}`.\n"
    out += "".join(line(f, doc[f]) for f in ("vault", "environment", "id", "made") if f in doc)
    for kind, order in ORDER.items():
        for name in sorted(doc.get(kind, {}), key=str.encode):
            table = doc[kind][name]
            out += f'\n[{kind}."{name}"]\n' if kind == "former" else f"\n[{kind}.{name}]\n"
            out += "".join(line(f, table[f]) for f in sorted(table, key=lambda f: order.index(f) if f in order else 99))
    return out


class Vault:
    """One file under one data key. `label` begins the label of every fixed input."""

    def __init__(self, label, environment, id, made, data_key):
        self.label, self.environment, self.id, self.made, self.data_key = label, environment, id, made, data_key
        self.scope = lp(id) + lp(environment)
        self.keys = {name: hkdf(data_key, b"", self.info(name), size) for name, size in LABELS.items()}
        self.key_id = self.keys["key-id"]
        self.doc = {"vault": 1, "environment": environment, "id": b64(id), "made": made,
                    "members": {}, "former": {}, "requests": {}, "secrets": {}}

    def info(self, name):
        return b"vault/1 " + name.encode() + self.scope + u64(self.made)

    def fixed(self, what, length=32):
        return fixed(f"{self.label}: {what}", length)

    def seal_text(self):
        return (f"vault-seal 1\nenvironment {self.environment}\nid {b64(self.id)}\n"
                f"key {b64(self.data_key)}\n").encode()

    def age(self, who, make_stanza, payload):
        """An age file whose inputs are fixed: make_stanza(ephemeral or seed, file_key)."""
        file_key = self.fixed(f"{who} file key", 16)
        return age_file([make_stanza(self.fixed(f"{who} ephemeral secret"), file_key)], file_key,
                        self.fixed(f"{who} payload nonce", 16), payload)

    def seal_to(self, name, key, payload=None):
        payload = self.seal_text() if payload is None else payload
        kind, _, rest = key.partition(" ")
        if kind == "ssh-ed25519":
            return self.age(name, lambda e, f: stanza_ssh_ed25519(base64.b64decode(rest), e, f), payload)
        if kind == "ssh-rsa":
            return self.age(name, lambda e, f: stanza_ssh_rsa(base64.b64decode(rest), e, f), payload)
        return self.age(name, lambda e, f: stanza_x25519(unbech32(key), e, f), payload)

    # proof

    def proof_info(self, by_key, key):
        return b"vault/1 proof" + self.scope + lp(by_key) + lp(key)

    def proof_message(self):
        return lp(self.keys["fingerprint"]) + lp(self.ledger())

    def proof(self, by_secret, key, by_key=None):
        """Beside the ledger as it now stands. `by_key` may be another's than that of `by_secret`, in a forgery."""
        info = self.proof_info(by_key or age_recipient(by_secret), key)
        return hmac256(hkdf(x25519(by_secret, unbech32(key)), b"", info, 32), self.proof_message())

    # blocks

    def member(self, name, key, by, sealed=None, locked=b"", issued_by="", proof=b""):
        sealed = self.seal_to(name, key) if sealed is None else sealed
        table = {"key": key, "locked": b64(locked), "sealed": b64(sealed), "by": by, "issued_by": issued_by,
                 "proof": b64(proof)}
        self.doc["members"][name] = {field: text for field, text in table.items() if text}

    def former(self, entry, key):
        self.doc["former"][entry] = {"key": key}

    def ledger(self):
        entries = self.doc["former"]
        return sha256(b"".join(lp(e) + lp(entries[e]["key"]) for e in sorted(entries, key=str.encode)))

    def member_message(self, name):
        table = self.doc["members"][name]
        data = {f: base64.b64decode(table.get(f, "")) for f in ("locked", "sealed", "proof")}
        return b"".join(map(lp, ("member", name, table["key"], data["locked"], data["sealed"], table["by"],
                                 table.get("issued_by", ""), data["proof"], self.ledger())))

    def former_message(self, entry):
        return lp("former") + lp(entry) + lp(self.doc["former"][entry]["key"])

    def tag(self, message):
        return self.key_id + hmac256(self.keys["vouch"], message)

    def vouch(self):
        """Vouch for every member and former entry, as they now stand."""
        for name, table in self.doc["members"].items():
            table["vouch"] = b64(self.tag(self.member_message(name)))
        for entry, table in self.doc["former"].items():
            table["vouch"] = b64(self.tag(self.former_message(entry)))
        return self

    def associated(self, name, kind, changed):
        return bytes([kind]) + u64(changed) + lp(name)

    def record(self, name, text, changed, kind=0):
        nonce = self.fixed(f"{name} nonce", 24)
        sealed = xchacha20poly1305(self.keys["values"], nonce, text, self.associated(name, kind, changed))
        return self.key_id + bytes([kind]) + u64(changed) + nonce + sealed

    def secret(self, name, value, changed, note=b"", kind=0):
        self.doc["secrets"][name] = {"value": b64(self.record(name, plaintext(value, note), changed, kind))}

    def text(self):
        return canonical(self.doc)


def unbech32(recipient):
    """The bytes of an X25519 recipient; what the checksum guards is the caller's own text."""
    words = [ALPHABET.index(c) for c in recipient[recipient.rindex("1") + 1:-6]]
    number = 0
    for word in words:
        number = (number << 5) | word
    extra = len(words) * 5 % 8
    return (number >> extra).to_bytes(len(words) * 5 // 8, "big")
