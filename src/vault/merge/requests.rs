//! Requests, which carry no authority and so merge without a key.

use std::collections::{BTreeMap, BTreeSet};

use crate::crypto::keys::PublicKey;
use crate::format::VaultFile;
use crate::vars::name::MemberName;
use crate::vault::Vault;

type Requests = BTreeMap<MemberName, PublicKey>;

/// By name against the base. Where both sides have changed one, ours stays.
pub(super) fn requests(base: &Requests, ours: &Requests, theirs: &Requests) -> Requests {
    let names: BTreeSet<&MemberName> = ours.keys().chain(theirs.keys()).collect();
    let kept = |name: &MemberName| {
        let (base, ours, theirs) = (base.get(name), ours.get(name), theirs.get(name));
        let kept = if ours == base { theirs } else { ours };
        kept.map(|key| (name.clone(), key.clone()))
    };
    names.into_iter().filter_map(kept).collect()
}

/// The merged version, where one side has changed nothing but requests: all else is the other side's, to the byte,
/// as git takes a file that one side alone has changed. None where both sides have changed more.
pub(crate) fn without_a_key(base: &Vault, ours: &Vault, theirs: &Vault) -> Option<Vault> {
    let all_else = |vault: &Vault| {
        VaultFile { requests: BTreeMap::new(), ..vault.file.clone() }.to_text().ok()
    };
    let (before, we, they) = (all_else(base)?, all_else(ours)?, all_else(theirs)?);
    let side = if before == we {
        theirs
    } else if before == they || we == they {
        ours
    } else {
        return None;
    };
    let requests = requests(&base.file.requests, &ours.file.requests, &theirs.file.requests);
    let file = VaultFile { requests, ..side.file.clone() };
    let mut merged = Vault { path: side.path.clone(), file };
    merged.drop_fulfilled_requests();
    Some(merged)
}
