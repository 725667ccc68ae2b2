//! Members and former members: the sealed data key, the vouch, the proof (format.md, Seal to Vouch).

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use smallvec::SmallVec;
use zeroize::Zeroizing;

use super::data_key::{DataKey, KEY_ID_LEN, Keys};
use super::{Fault, TIME_LIMIT, VaultFile, lp};
use crate::crypto::keys::{Identity, PublicKey};
use crate::crypto::plugin::PluginAccess;
use crate::crypto::{self, MacKey};
use crate::vars::name::{EnvName, MemberName};

/// key-id and HMAC-SHA256.
pub(crate) const VOUCH_LEN: usize = KEY_ID_LEN + 32;
/// The longest sealed or locked block: age's header parser takes quadratic time.
pub(crate) const BLOCK_LIMIT: usize = 64 << 10;

/// The most stanzas of an age header: age's parser takes quadratic time in them too.
pub(crate) const STANZAS_LIMIT: usize = 32;

/// The stanzas of an age file's header: the lines that begin with `-> `, up to the first that begins
/// with `---`.
pub(crate) fn stanzas(file: &[u8]) -> usize {
    let starts = std::iter::once(0).chain(memchr::memchr_iter(b'\n', file).map(|end| end + 1));
    let lines = starts.filter_map(|start| file.get(start..));
    let header = lines.take_while(|line| !line.starts_with(b"---"));
    header.filter(|line| line.starts_with(b"-> ")).count()
}

/// Somebody who may open the environment, as the file says.
#[derive(Clone)]
pub(crate) struct Member {
    /// The public key.
    pub(crate) key: PublicKey,
    /// The private key under a passphrase, for a recovery member.
    pub(crate) locked: Option<Vec<u8>>,
    /// The data key, sealed to `key`.
    pub(crate) sealed: Vec<u8>,
    /// Who wrote this block.
    pub(crate) by: MemberName,
    /// Who made this member's private key, if somebody else did.
    pub(crate) issued_by: Option<MemberName>,
    /// What shows to this member that `by` put this ledger beside this data key.
    pub(crate) proof: Option<[u8; 32]>,
    /// What shows that somebody with the data key wrote this block.
    pub(crate) vouch: [u8; VOUCH_LEN],
    /// The line of its header; 0 for one that is not in a file yet.
    pub(crate) line: usize,
}

/// Somebody who could open the environment.
#[derive(Clone)]
pub(crate) struct Former {
    /// The public key that he had.
    pub(crate) key: PublicKey,
    /// As a member's.
    pub(crate) vouch: [u8; VOUCH_LEN],
    /// The line of its header; 0 for one that is not in a file yet.
    pub(crate) line: usize,
}

/// The name of an entry in the ledger, `NAME.REMOVED`, ordered bytewise as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FormerName {
    text: String,
    member: MemberName,
    removed: u64,
}

impl FormerName {
    /// The entry of a member who was removed at that time.
    pub(crate) fn new(member: &MemberName, removed: u64) -> Self {
        Self { text: format!("{member}.{removed}"), member: member.clone(), removed }
    }

    /// The whole name.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// Who it was.
    pub(crate) fn member(&self) -> &MemberName {
        &self.member
    }

    /// When he was removed.
    pub(crate) fn removed(&self) -> u64 {
        self.removed
    }
}

impl Ord for FormerName {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.text.cmp(&other.text)
    }
}

impl PartialOrd for FormerName {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for FormerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for FormerName {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let wrong = "a former entry is named `NAME.REMOVED`, a member name and a time in seconds";
        let (member, removed) = text.split_once('.').ok_or(wrong)?;
        let member = member.parse().map_err(|_| wrong)?;
        let digits = !removed.is_empty() && removed.bytes().all(|byte| byte.is_ascii_digit());
        if !digits || (removed.len() > 1 && removed.starts_with('0')) {
            return Err(wrong);
        }
        let removed = removed.parse().ok().filter(|time| *time < TIME_LIMIT);
        let removed =
            removed.ok_or("the time in the name of this former entry is no possible one")?;
        Ok(Self { text: text.to_owned(), member, removed })
    }
}

/// A member to be written: everything but what the writer makes.
pub(crate) struct NewMember {
    /// The public key.
    pub(crate) key: PublicKey,
    /// The private key under a passphrase, for a recovery member.
    pub(crate) locked: Option<Vec<u8>>,
    /// Who made the private key, if somebody else did.
    pub(crate) issued_by: Option<MemberName>,
}

/// Who writes a block.
pub(crate) struct Author<'a> {
    /// The author's member name.
    pub(crate) name: &'a MemberName,
    /// The author's private key, which makes the proofs.
    pub(crate) identity: &'a Identity,
    /// The author's public key.
    pub(crate) key: &'a PublicKey,
}

/// What is authenticated of one block: for each, so mostly on the stack.
type Row = SmallVec<[u8; 1024]>;

/// What every block of a file is bound to.
pub(super) struct Binding<'a> {
    pub(super) environment: &'a EnvName,
    pub(super) id: &'a [u8; 16],
    pub(super) keys: &'a Keys,
    /// The digest over all former entries.
    pub(super) ledger: [u8; 32],
    /// The key of every vouch.
    vouching: MacKey,
}

impl<'a> Binding<'a> {
    /// That of the blocks in a file.
    pub(super) fn of(file: &'a VaultFile, keys: &'a Keys) -> Self {
        Self::new(&file.environment, &file.id, keys, ledger_digest(&file.former))
    }

    /// That of the blocks in a file that is yet to be made.
    pub(super) fn new(
        environment: &'a EnvName,
        id: &'a [u8; 16],
        keys: &'a Keys,
        ledger: [u8; 32],
    ) -> Self {
        Self { environment, id, keys, ledger, vouching: MacKey::new(&keys.vouch) }
    }

    /// Seals the data key to a new member and vouches for the block.
    pub(super) fn member(
        &self,
        name: &MemberName,
        new: NewMember,
        data_key: &DataKey,
        author: &Author<'_>,
        plugins: &PluginAccess,
    ) -> Result<Member, Fault> {
        let text = seal_text(self.environment, self.id, data_key);
        let sealed = new.key.seal(&text, plugins).map_err(|error| {
            let fault = Fault::from(error);
            Fault { message: format!("member {name}: {}", fault.message), ..fault }
        })?;
        let proof = new
            .key
            .x25519()
            .and_then(|_| self.proof_key(author.identity, author.key, &new.key, &new.key))
            .map(|key| MacKey::new(&key).tag(&self.proof_parts()));
        let mut member = Member {
            key: new.key,
            locked: new.locked,
            sealed,
            by: author.name.clone(),
            issued_by: new.issued_by,
            proof,
            vouch: [0; VOUCH_LEN],
            line: 0,
        };
        member.vouch = self.vouch(&self.member_message(name, &member));
        Ok(member)
    }

    /// Vouches for an entry of the ledger.
    pub(super) fn former(&self, name: &FormerName, key: PublicKey) -> Former {
        let vouch = self.vouch(&former_message(name, &key));
        Former { key, vouch, line: 0 }
    }

    /// Checks the vouch of a member.
    pub(super) fn check_member(&self, name: &MemberName, member: &Member) -> Result<(), Fault> {
        let message = self.member_message(name, member);
        self.check(&message, &member.vouch, member.line, || format!("member {name}"))
    }

    /// Checks the vouch of a former entry.
    pub(super) fn check_former(&self, name: &FormerName, former: &Former) -> Result<(), Fault> {
        let message = former_message(name, &former.key);
        self.check(&message, &former.vouch, former.line, || format!("the former member {name}"))
    }

    fn vouch(&self, message: &[u8]) -> [u8; VOUCH_LEN] {
        let mut vouch = [0; VOUCH_LEN];
        let (key_id, tag) = vouch.split_at_mut(KEY_ID_LEN);
        key_id.copy_from_slice(&self.keys.key_id);
        tag.copy_from_slice(&self.vouching.tag(&[message]));
        vouch
    }

    fn check(
        &self,
        message: &[u8],
        vouch: &[u8; VOUCH_LEN],
        line: usize,
        what: impl Fn() -> String,
    ) -> Result<(), Fault> {
        let (key_id, tag) = vouch.split_at(KEY_ID_LEN);
        if key_id != self.keys.key_id {
            return Err(Fault::earlier_key(Some(line), &what()));
        }
        if !self.vouching.matches(&[message], tag) {
            return Err(Fault::integrity(
                Some(line),
                format!("{} was added or altered by somebody without a key, or the list of former members was", what()),
            )
            .hint("look at the last changes of this file in git, and take back the one that nobody can explain"));
        }
        Ok(())
    }

    /// What a member's vouch is a tag over.
    fn member_message(&self, name: &MemberName, member: &Member) -> Row {
        with_lengths(&[
            b"member",
            name.as_str().as_bytes(),
            member.key.as_str().as_bytes(),
            member.locked.as_deref().unwrap_or_default(),
            &member.sealed,
            member.by.as_str().as_bytes(),
            member.issued_by.as_ref().map_or("", MemberName::as_str).as_bytes(),
            member.proof.as_ref().map(<[u8; 32]>::as_slice).unwrap_or_default(),
            &self.ledger,
        ])
    }

    /// The key of the proof that `by` gives to `member`, from the private key of either.
    pub(super) fn proof_key(
        &self,
        mine: &Identity,
        by: &PublicKey,
        member: &PublicKey,
        other: &PublicKey,
    ) -> Option<Zeroizing<[u8; 32]>> {
        let bound_to = with_lengths(&[
            self.id,
            self.environment.as_str().as_bytes(),
            by.as_str().as_bytes(),
            member.as_str().as_bytes(),
        ]);
        mine.shared_key(other, &[b"vault/1 proof", &bound_to])
    }

    /// What the proof is a tag over: the data key, and the ledger beside it.
    pub(super) fn proof_parts(&self) -> [&[u8]; 4] {
        const LEN: [u8; 8] = 32_u64.to_le_bytes();
        [&LEN, &self.keys.fingerprint.0, &LEN, &self.ledger]
    }
}

/// What the vouch of a former entry is a tag over.
fn former_message(name: &FormerName, key: &PublicKey) -> Row {
    with_lengths(&[b"former", name.as_str().as_bytes(), key.as_str().as_bytes()])
}

/// The parts in a row, each behind its length.
fn with_lengths(parts: &[&[u8]]) -> Row {
    let mut row = Row::new();
    row.reserve(parts.iter().map(|part| lp(part).len() + part.len()).sum());
    for part in parts {
        row.extend_from_slice(&lp(part));
        row.extend_from_slice(part);
    }
    row
}

/// SHA-256 over the name and key of every former entry, in the order of the names.
pub(super) fn ledger_digest(former: &BTreeMap<FormerName, Former>) -> [u8; 32] {
    let parts: Vec<&[u8]> = former
        .iter()
        .flat_map(|(name, entry)| [name.as_str().as_bytes(), entry.key.as_str().as_bytes()])
        .collect();
    crypto::sha256([&with_lengths(&parts)[..]])
}

/// The four lines that are sealed.
fn seal_text(environment: &EnvName, id: &[u8; 16], key: &DataKey) -> Zeroizing<Vec<u8>> {
    let key = Zeroizing::new(BASE64.encode(key.expose()));
    let id = BASE64.encode(id);
    let text = format!("vault-seal 1\nenvironment {environment}\nid {id}\nkey {}\n", key.as_str());
    Zeroizing::new(text.into_bytes())
}

/// Reads the four lines back and checks that they are this file's.
pub(super) fn read_seal(
    text: &[u8],
    file: &VaultFile,
    line: usize,
    name: &MemberName,
) -> Result<DataKey, Fault> {
    let malformed = || {
        Fault::integrity(
            Some(line),
            format!("the seal of member {name} holds something that no vault writes"),
        )
    };
    let text = std::str::from_utf8(text).map_err(|_| malformed())?;
    let lines: Vec<&str> = text.strip_suffix('\n').ok_or_else(malformed)?.split('\n').collect();
    let [first, environment, id, key] = lines[..] else { return Err(malformed()) };
    let field = |line: &'static str, text: &str| -> Result<String, Fault> {
        text.strip_prefix(line).map(str::to_owned).ok_or_else(malformed)
    };
    if first != "vault-seal 1" {
        return Err(malformed());
    }
    let environment: EnvName =
        field("environment ", environment)?.parse().map_err(|_| malformed())?;
    if environment != file.environment {
        let message = format!(
            "this file was made for the environment {environment}, not for {}",
            file.environment
        );
        return Err(Fault::integrity(Some(line), message)
            .hint(format!("put the file back under its own name, `{environment}.toml`")));
    }
    if field("id ", id)? != BASE64.encode(file.id) {
        let message = format!(
            "the seal of member {name} belongs to another vault: its `id` is not this file's"
        );
        return Err(Fault::integrity(Some(line), message));
    }
    let key = Zeroizing::new(field("key ", key)?);
    let decoded = Zeroizing::new(BASE64.decode(key.as_bytes()).map_err(|_| malformed())?);
    let mut bytes = Zeroizing::new([0; 32]);
    if decoded.len() != bytes.len() {
        return Err(malformed());
    }
    bytes.copy_from_slice(&decoded);
    Ok(DataKey::from_bytes(bytes))
}

impl Member {
    /// Which data key the block was made under, as it says.
    pub(crate) fn key_id(&self) -> [u8; KEY_ID_LEN] {
        let mut id = [0; KEY_ID_LEN];
        id.copy_from_slice(&self.vouch[..KEY_ID_LEN]);
        id
    }
}
