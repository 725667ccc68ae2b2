//! Random histories of three people, merged in every order.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::crypto::keys::Identity;
use crate::crypto::plugin::Silent;
use crate::format::{Author, NewFile, VaultFile};
use crate::vault::Key;
use crate::vault::team::Changes;

/// What somebody does on a branch of his own.
#[derive(Debug, Clone)]
enum Deed {
    Set(u8, u8),
    Unset(u8),
    Rotate,
    /// Dave leaves.
    Revoke,
    Grant(u8),
}

/// Alice, bob and carol; and dave, who may be removed.
struct People {
    all: Vec<(MemberName, Identity)>,
    newcomers: Vec<Identity>,
}

type Values = BTreeMap<VarName, Vec<u8>>;

fn plugins() -> PluginAccess {
    PluginAccess { allowed: Vec::new(), interaction: Arc::new(Silent) }
}

fn member(identity: &Identity) -> NewMember {
    NewMember { key: identity.public_key().unwrap(), locked: None, issued_by: None }
}

impl People {
    fn new() -> Self {
        let names = ["alice", "bob", "carol", "dave"];
        let all = names.map(|name| (name.parse().unwrap(), Identity::generate())).into();
        Self { all, newcomers: (0..3).map(|_| Identity::generate()).collect() }
    }

    fn identity(&self, who: usize) -> Identity {
        self.all[who].1.clone()
    }

    /// The file that all three have, as `who` opens it.
    fn base(&self) -> VaultFile {
        let (me, identity) = &self.all[0];
        let key = identity.public_key().unwrap();
        let new = NewFile {
            environment: "staging".parse().unwrap(),
            made: 1000,
            members: self.all.iter().map(|(name, one)| (name.clone(), member(one))).collect(),
            former: BTreeMap::new(),
            author: Author { name: me, identity, key: &key },
        };
        let (file, opened) = VaultFile::create(new, &plugins()).unwrap();
        let mut vault = Vault { path: PathBuf::from("staging.toml"), file };
        for name in 0..4 {
            set(&mut vault, &opened, name, 0, 1000);
        }
        vault.file
    }

    fn open(&self, file: &VaultFile, who: usize) -> Version {
        // As it comes back from a text.
        let text = file.to_text().unwrap();
        let path = PathBuf::from("staging.toml");
        let vault = Vault::parse(&path, &file.environment, text.as_bytes()).unwrap();
        let opened = vault.open(&Key::Identities(vec![self.identity(who)])).unwrap();
        Version { vault, opened }
    }

    fn branch(&self, base: &VaultFile, who: usize, deeds: &[Deed]) -> VaultFile {
        let Version { mut vault, mut opened } = self.open(base, who);
        for (index, deed) in deeds.iter().enumerate() {
            let now = 2000 + 10 * u64::try_from(index).unwrap() + u64::try_from(who).unwrap();
            match deed {
                Deed::Set(name, value) => set(&mut vault, &opened, *name, *value, now),
                Deed::Unset(name) => drop(vault.file.secrets.remove(&variable(*name))),
                Deed::Rotate => {
                    opened =
                        vault.rotate(&opened, Changes::default(), now, &plugins()).unwrap().opened;
                }
                Deed::Revoke if !vault.file.members.contains_key("dave") => {}
                Deed::Revoke => {
                    let removed = BTreeSet::from(["dave".parse().unwrap()]);
                    let changes = Changes { removed, ..Changes::default() };
                    opened = vault.rotate(&opened, changes, now, &plugins()).unwrap().opened;
                }
                Deed::Grant(number) => {
                    let newcomer = &self.newcomers[usize::from(*number) % self.newcomers.len()];
                    let name = format!("new{}", usize::from(*number) % self.newcomers.len());
                    let name = name.parse().unwrap();
                    vault.grant(&opened, &name, member(newcomer), &plugins()).unwrap();
                }
            }
        }
        vault.file
    }

    fn values(&self, file: &VaultFile) -> Values {
        let Version { vault, opened } = self.open(file, 0);
        let vars = vault.vars(&opened).unwrap();
        vars.iter().map(|(name, value)| (name.clone(), value.expose().to_vec())).collect()
    }

    /// Merges as `who`, who keeps his own side where he is asked. Gives the names that were asked for, too.
    fn merge(
        &self,
        base: &VaultFile,
        ours: &VaultFile,
        theirs: &VaultFile,
        who: usize,
    ) -> (VaultFile, BTreeSet<VarName>, bool) {
        let (base, ours, theirs) =
            (self.open(base, who), self.open(ours, who), self.open(theirs, who));
        let merge = Merge { base: Some(&base), ours: &ours, theirs: &theirs };
        let mut choices = Choices::default();
        let mut asked = BTreeSet::new();
        for conflict in merge.conflicts().unwrap() {
            match conflict {
                Conflict::Value { name, .. } => {
                    choices.values.insert(name.clone(), Choice::As(Side::Ours));
                    asked.insert(name);
                }
                Conflict::Member { name, .. } => drop(choices.members.insert(name, Side::Ours)),
            }
        }
        let doubt = merge.doubt(Side::Ours).is_some() || merge.doubt(Side::Theirs).is_some();
        let outcome = merge.finish(choices, 3000, &plugins()).unwrap();
        (outcome.vault.file, asked, doubt)
    }
}

fn variable(number: u8) -> VarName {
    format!("V{}", number % 6).parse().unwrap()
}

fn set(vault: &mut Vault, opened: &Opened, name: u8, value: u8, now: u64) {
    let value = Secret::from(format!("value {value}"));
    vault.set(opened, &variable(name), &value, (None, None), now).unwrap();
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let deed = prop_oneof![
        4 => (0..6_u8, 0..4_u8).prop_map(|(name, value)| Deed::Set(name, value)),
        2 => (0..6_u8).prop_map(Deed::Unset),
        1 => Just(Deed::Rotate),
        1 => Just(Deed::Revoke),
        1 => (0..3_u8).prop_map(Deed::Grant),
    ];
    proptest::collection::vec(deed, 0..5)
}

/// Dave is removed by ours at 2010, which sets V0 to `value 2` at 2020. Theirs knows nothing of that, and sets V0 to
/// `value theirs` at 2021.
fn one_who_left(theirs: u8) -> (People, [VaultFile; 3]) {
    let people = People::new();
    let base = people.base();
    let ours = people.branch(&base, 0, &[Deed::Rotate, Deed::Revoke, Deed::Set(0, 2)]);
    let theirs = people.branch(&base, 1, &[Deed::Set(1, 1), Deed::Set(1, 2), Deed::Set(0, theirs)]);
    (people, [base, ours, theirs])
}

#[test]
fn what_both_have_set_counts_from_when_a_leaver_may_have_read_it() {
    let (people, [base, ours, theirs]) = one_who_left(2);
    let (merged, asked, _) = people.merge(&base, &ours, &theirs, 0);
    assert!(!asked.contains(&variable(0)));
    assert_eq!(merged.former.keys().map(FormerName::removed).collect::<Vec<_>>(), [2010]);
    assert_eq!(merged.secrets[&variable(0)].changed(), 2010);
}

#[test]
fn a_value_that_is_typed_in_again_is_no_new_one() {
    let (people, [base, ours, theirs]) = one_who_left(3);
    let typed = |value: u8| {
        let [base, ours, theirs] = [&base, &ours, &theirs].map(|file| people.open(file, 0));
        let merge = Merge { base: Some(&base), ours: &ours, theirs: &theirs };
        let conflicts = merge.conflicts().unwrap();
        let choices = conflicts.iter().map(|one| match one {
            Conflict::Value { name, .. } => {
                (name.clone(), Choice::New(Secret::from(format!("value {value}"))))
            }
            Conflict::Member { .. } => panic!("no member is in conflict"),
        });
        let choices = Choices { values: choices.collect(), ..Choices::default() };
        let merged = merge.finish(choices, 3000, &plugins()).unwrap().vault.file;
        merged.secrets[&variable(0)].changed()
    };
    // That of the base, of ours, of theirs, and of none.
    assert_eq!([0, 2, 3, 1].map(typed), [1000, 2020, 2010, 3000]);
}

#[test]
fn a_leaver_does_not_write_the_block_of_somebody_else_anew() {
    // Of two blocks the one with the smaller vouch would stay, which begins by the data key: a coin is tossed.
    for _ in 0..8 {
        let (people, [base, ours, theirs]) = one_who_left(3);
        let Version { mut vault, opened } = people.open(&theirs, 1);
        let locked = Some(b"of the leaver".to_vec());
        let carol = NewMember { locked, ..member(&people.identity(2)) };
        vault.grant(&opened, &"carol".parse().unwrap(), carol, &plugins()).unwrap();
        let (merged, ..) = people.merge(&base, &ours, &vault.file, 0);
        assert!(merged.members.iter().all(|(_, member)| member.locked.is_none()));
        assert!(merged.members.keys().any(|name| name.as_str() == "carol"));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn every_merge_order_ends_in_a_file_that_opens_with_each_last_change_there_or_asked_for(
        histories in [deeds(), deeds(), deeds()],
        order in Just([0_usize, 1, 2]).prop_shuffle(),
    ) {
        let people = People::new();
        let base = people.base();
        let branches: Vec<VaultFile> =
            histories.iter().enumerate().map(|(who, deeds)| people.branch(&base, who, deeds)).collect();
        let before = people.values(&base);
        let [first, second, third] = order;
        let mut merged = branches[first].clone();
        for theirs in [second, third] {
            let (ours, incoming) = (people.values(&merged), people.values(&branches[theirs]));
            let (result, asked, doubt) = people.merge(&base, &merged, &branches[theirs], first);
            let values = people.values(&result);
            let names: BTreeSet<&VarName> = before.keys().chain(ours.keys()).chain(incoming.keys()).collect();
            for name in names {
                let (b, o, t) = (before.get(name), ours.get(name), incoming.get(name));
                let changed_by_both = o != b && t != b && o != t;
                prop_assert!(asked.contains(name) == changed_by_both || (doubt && o != t), "{name}");
                let wanted = if asked.contains(name) || o != b { o } else { t };
                prop_assert_eq!(values.get(name), wanted, "{}", name);
            }
            merged = result;
        }
        // All three open it; dave does only if nobody has removed him; whoever was granted without a doubt does.
        for who in 0..3 {
            people.open(&merged, who);
        }
        let removed = branches.iter().any(|branch| !branch.members.contains_key("dave"));
        prop_assert_eq!(merged.members.contains_key("dave"), !removed);
        prop_assert_eq!(merged.former.keys().any(|entry| entry.member().as_str() == "dave"), removed);
        for branch in &branches {
            for (name, member) in &branch.members {
                if merged.former.values().any(|entry| entry.key == member.key) {
                    continue;
                }
                let asks = merged.requests.get(name) == Some(&member.key);
                let is_member = merged.members.get(name).is_some_and(|one| one.key == member.key);
                prop_assert!(asks || is_member, "{name}");
            }
            for entry in branch.former.keys() {
                prop_assert!(merged.former.contains_key(entry), "{entry}");
            }
        }
        // What comes from a branch that didn't know of his removal dave may have read there.
        let last = merged.former.keys().map(FormerName::removed).max().unwrap_or(0);
        prop_assert!(last <= merged.made);
        let (knowing, other): (Vec<_>, Vec<_>) =
            branches.iter().partition(|branch| branch.former.keys().any(|entry| entry.member().as_str() == "dave"));
        for (name, value) in people.values(&merged) {
            let holds = |branch: &&VaultFile| people.values(branch).get(&name) == Some(&value);
            if !knowing.is_empty() && other.iter().any(holds) {
                prop_assert!(merged.secrets[&name].changed() <= last, "{name}");
            }
        }
    }

    #[test]
    fn which_side_is_ours_makes_no_difference_where_nothing_is_asked(one in deeds(), other in deeds()) {
        let people = People::new();
        let base = people.base();
        let (one, other) = (people.branch(&base, 0, &one), people.branch(&base, 1, &other));
        let (left, asked, _) = people.merge(&base, &one, &other, 0);
        let (right, asked_too, _) = people.merge(&base, &other, &one, 0);
        prop_assert_eq!(&asked, &asked_too);
        prop_assert_eq!(left.members.keys().collect::<Vec<_>>(), right.members.keys().collect::<Vec<_>>());
        prop_assert!(left.former.keys().eq(right.former.keys()));
        prop_assert!(left.requests == right.requests);
        if asked.is_empty() {
            prop_assert_eq!(people.values(&left), people.values(&right));
            let times = |file: &VaultFile| -> Vec<u64> { file.secrets.values().map(crate::format::Record::changed).collect() };
            prop_assert_eq!(times(&left), times(&right));
        }
        if asked.is_empty() && one.unverified_key_id() == other.unverified_key_id() {
            // Under one data key whoever merges gets the same bytes.
            prop_assert_eq!(left.to_text().unwrap(), right.to_text().unwrap());
        }
    }
}
