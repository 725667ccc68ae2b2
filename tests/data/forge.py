"""Builds a vault file as somebody would who should not, with the writer that was made from docs/format.md alone.

    forge.py < RECIPE.json > FILE.toml

The recipe is one JSON object:

    like      a genuine file; its environment, id, members and former entries are taken, which are all public
    data_key  any text: a data key that the forger has made up. Or, where it is absent:
    old       a file that `identity` opens: its data key is used again
    identity  the forger's identity file, for `old` and for proofs
    made      when the data key was made; absent: as in `like`
    by        who is said to have written every block; absent: as in `like`
    proof     "own": made with the forger's private key; "kept": those of `like`; "junk"; absent: none
    add       {name: public key}, new members or other keys for old ones
    rename    {old name: new name}
    remove    [names of members]
    former    {entry: public key}, in the place of the ledger of `like`
    issued_by {name: name}
    locked    [names of members], as if they were recovery keys
    keep      true: the values of `like` stay, which needs its own data key
    values    {name: text}

Needs Python 3.11 with what reader.py needs. Test data only: nothing in it is random.
"""

import base64
import json
import pathlib
import sys
import tomllib

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE / "format1")]

import format1 as f  # noqa: E402
import reader  # noqa: E402


def data_key_of(path, identity, environment):
    """The data key of a file that this identity opens, whatever its vouches say."""
    file = reader.VaultFile(reader.parse_text(pathlib.Path(path).read_bytes()), environment)
    return reader.unseal(file, [identity], None)[1]


def proof(vault, kind, identity, by_key, key):
    if kind == "junk":
        return bytes(32)
    if kind != "own" or not key.startswith("age1") or not by_key.startswith("age1"):
        return b""
    return vault.proof(identity.scalar, key, by_key)


def main():
    recipe = json.load(sys.stdin)
    like = tomllib.loads(pathlib.Path(recipe["like"]).read_text())
    environment, identity = like["environment"], None
    if "identity" in recipe:
        identity = reader.read_identities(recipe["identity"])[0]
    if "data_key" in recipe:
        data_key = f.fixed(recipe["data_key"])
    else:
        data_key = data_key_of(recipe["old"], identity, environment)
    vault = f.Vault("forged", environment, base64.b64decode(like["id"]), recipe.get("made", like["made"]), data_key)

    former = recipe.get("former", {entry: table["key"] for entry, table in like.get("former", {}).items()})
    for entry, key in former.items():  # before the proofs, which cover it
        vault.former(entry, key)
    rename = recipe.get("rename", {})
    members = {rename.get(name, name): table for name, table in like["members"].items()
               if name not in recipe.get("remove", [])}
    for name, key in recipe.get("add", {}).items():
        members[name] = members.get(name, {"by": name}) | {"key": key}
    for name, table in members.items():
        by = recipe.get("by", rename.get(table["by"], table["by"]))
        by_key = members[by]["key"]
        issued_by = recipe.get("issued_by", {}).get(name, table.get("issued_by", ""))
        locked = b"no age file" if name in recipe.get("locked", []) else b""
        tag = proof(vault, recipe.get("proof"), identity, by_key, table["key"])
        if recipe.get("proof") == "kept":
            tag = base64.b64decode(table.get("proof", ""))
        vault.member(name, table["key"], by, issued_by=issued_by, locked=locked, proof=tag)
    if recipe.get("keep"):
        vault.doc["secrets"] = like["secrets"]
    for name, value in recipe.get("values", {}).items():
        vault.secret(name, value.encode(), vault.made)
    sys.stdout.write(vault.vouch().text())


if __name__ == "__main__":
    main()
