//! Requests, which carry no authority and so merge without a key.

use std::collections::{BTreeMap, BTreeSet};

use crate::crypto::keys::PublicKey;
use crate::format::VaultFile;
use crate::vars::name::MemberName;

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
pub(crate) fn without_a_key(
    base: &VaultFile,
    ours: &VaultFile,
    theirs: &VaultFile,
) -> Option<VaultFile> {
    let all_else =
        |file: &VaultFile| VaultFile { requests: BTreeMap::new(), ..file.clone() }.to_text().ok();
    let (before, we, they) = (all_else(base)?, all_else(ours)?, all_else(theirs)?);
    let side = if before == we {
        theirs
    } else if before == they || we == they {
        ours
    } else {
        return None;
    };
    let mut requests = requests(&base.requests, &ours.requests, &theirs.requests);
    requests.retain(|_, key| !side.members.values().any(|member| member.key == *key));
    Some(VaultFile { requests, ..side.clone() })
}
