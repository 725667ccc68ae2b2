//! What has to hold of every text that somebody else may have written, whatever is in it.
//!
//! Nothing of the program calls this. The tests do, with a corpus and what a generator of random numbers
//! makes of it, and so does a fuzzer. Each function fails by a panic, and tells whether the text was one.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::format::{Record, VaultFile};
use crate::process::procfile::{ProcessType, Procfile};
use crate::secret::Secret;
use crate::vars::dotenv::buffer::{self, Stored};
use crate::vars::dotenv::{self, Entry, Problem, example};
use crate::vars::import;
use crate::vars::lines::lines;
use crate::vars::name::{EnvName, VarName};

/// A dotenv text, in the strict dialect and as the text that is edited.
pub fn dialect(text: &[u8]) -> bool {
    let edited = buffer::read(text);
    if let Ok(entries) = &edited {
        let stored: Vec<_> = entries.iter().map(stored).collect();
        let again = buffer::read(&buffer::compose(&[], &stored));
        let all_text = stored.iter().all(Stored::is_text);
        assert!(!all_text || again.is_ok_and(|again| same_entries(entries, &again)), "edited");
    }
    for problems in edited.err().iter().chain(dotenv::parse(text).err().iter()) {
        check_problems(text, problems);
    }
    let Ok(entries) = dotenv::parse(text) else { return false };
    let names: BTreeSet<_> = entries.iter().map(|entry| &entry.name).collect();
    assert_eq!(names.len(), entries.len(), "a name is there twice");
    let written = write(&entries);
    let again = dotenv::parse(&written);
    assert!(again.as_ref().is_ok_and(|again| same_entries(&entries, again)), "read back");
    assert_eq!(again.map(|again| write(&again)), Ok(written), "the writer's own text");
    true
}

fn stored(entry: &Entry) -> Stored<'_> {
    Stored { name: &entry.name, value: entry.value.expose(), note: &entry.note, is_file: false }
}

/// What was read can be written, so the empty text stands for a failure and is seen as one.
fn write(entries: &[Entry]) -> Vec<u8> {
    let all = entries.iter().map(|one| (&one.name, one.value.expose(), one.note.as_str()));
    let written = dotenv::write(all);
    assert!(written.is_ok(), "what was read can't be written");
    written.map(|text| text.to_vec()).unwrap_or_default()
}

fn same_entries(one: &[Entry], other: &[Entry]) -> bool {
    let parts = |entry: &Entry| (entry.name.clone(), entry.value.clone(), entry.note.clone());
    one.iter().map(parts).eq(other.iter().map(parts))
}

fn check_problems(text: &[u8], problems: &[Problem]) {
    let lines = text.split(|byte| *byte == b'\n').count();
    assert!(!problems.is_empty(), "refused for nothing");
    assert!(problems.iter().all(|one| (1..=lines).contains(&one.line)), "a line that isn't there");
    assert!(
        problems.is_sorted_by_key(|one| one.line),
        "problems in another order than their lines"
    );
}

/// The file of the environment `staging`.
pub fn vault_file(text: &[u8]) -> bool {
    let Ok(staging) = "staging".parse::<EnvName>() else { return false };
    if let (Ok(short), long) =
        (VaultFile::parse(text, &staging), VaultFile::parse_toml(text, &staging))
    {
        let same = |long: &VaultFile| {
            let left = |file: &VaultFile| (file.comments.clone(), file.odd_requests.clone());
            same_files(&short, long)
                && lines_of(&short) == lines_of(long)
                && left(&short) == left(long)
        };
        assert!(long.is_ok_and(|long| same(&long)), "the two readers differ");
    }
    let file = match VaultFile::parse(text, &staging) {
        Ok(file) => file,
        Err(fault) => {
            let lines = text.split(|byte| *byte == b'\n').count();
            assert!(
                fault.line().is_none_or(|line| (1..=lines).contains(&line)),
                "a line that isn't there"
            );
            return false;
        }
    };
    let Ok(written) = file.to_text() else {
        // The canonical form can be over a limit that another notation is below. It is never much longer.
        assert!(text.len() > 64 << 10, "what was read can't be written");
        return true;
    };
    let again = VaultFile::parse(written.as_bytes(), &staging);
    assert!(again.is_ok(), "the writer's own text is refused");
    let Ok(again) = again else { return true };
    assert!(same_files(&file, &again), "the writer's own text says something else");
    assert!(again.comments.is_empty() && again.odd_requests.is_empty(), "something was left over");
    assert!(again.to_text().is_ok_and(|twice| twice == written), "the writer's own text");
    true
}

/// All but the lines.
fn same_files(one: &VaultFile, other: &VaultFile) -> bool {
    let members = |file: &VaultFile| {
        let all = file.members.iter().map(|(name, member)| {
            let blocks = (member.locked.clone(), member.sealed.clone());
            let people = (member.by.clone(), member.issued_by.clone());
            let key = member.key.as_str().to_owned();
            (name.clone(), key, blocks, people, member.proof, member.vouch)
        });
        all.collect::<Vec<_>>()
    };
    let former = |file: &VaultFile| {
        let all = file.former.iter().map(|(name, former)| {
            (name.as_str().to_owned(), former.key.as_str().to_owned(), former.vouch)
        });
        all.collect::<Vec<_>>()
    };
    let secrets = |file: &VaultFile| {
        let all = file.secrets.iter();
        all.map(|(name, record)| (name.clone(), record.bytes().to_vec())).collect::<Vec<_>>()
    };
    let requests = |file: &VaultFile| {
        let all = file.requests.iter();
        all.map(|(name, key)| (name.clone(), key.as_str().to_owned())).collect::<Vec<_>>()
    };
    let head = |file: &VaultFile| (file.environment.clone(), file.id, file.made);
    head(one) == head(other)
        && members(one) == members(other)
        && former(one) == former(other)
        && requests(one) == requests(other)
        && secrets(one) == secrets(other)
}

/// Where each block begins.
fn lines_of(file: &VaultFile) -> Vec<usize> {
    let members = file.members.values().map(|member| member.line);
    let former = file.former.values().map(|former| former.line);
    members.chain(former).chain(file.secrets.values().map(Record::line)).collect()
}

/// A flat file of JSON or YAML that is imported, or an `.env.example`.
pub fn flat(text: &[u8]) -> bool {
    let lines = text.split(|byte| *byte == b'\n').count();
    let carriage_returns = text.split(|byte| *byte == b'\r').count();
    let mut taken = false;
    for read in [import::json(text), import::yaml(text)] {
        match read {
            Ok(pairs) => {
                let names: BTreeSet<_> = pairs.iter().map(|(name, _)| name).collect();
                assert_eq!(names.len(), pairs.len(), "a name is there twice");
                taken = true;
            }
            Err(problems) => {
                assert!(!problems.is_empty(), "refused for nothing");
                // Other readers of YAML end a line at a carriage return, too, and one line after the last.
                let within = |line: usize| (1..=lines + carriage_returns + 1).contains(&line);
                assert!(problems.iter().all(|one| one.line.is_none_or(within)), "no such line");
            }
        }
    }
    if let Ok(pairs) = import::json(text) {
        let text = std::str::from_utf8(text).unwrap_or_default();
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let whole: Option<BTreeMap<String, String>> = serde_json::from_str(text).ok();
        let same = |(name, value): &(VarName, Secret)| {
            let wanted = whole.as_ref().and_then(|whole| whole.get(name.as_str()));
            wanted.map(String::as_bytes) == Some(value.expose())
        };
        assert!(pairs.iter().all(same), "another value than serde_json reads");
    }
    let names = example::names(text);
    assert!(names.len() <= lines + carriage_returns, "more names than lines");
    taken
}

/// A Procfile.
pub fn procfile(text: &[u8]) -> bool {
    let path = Path::new("Procfile");
    let Ok(procfile) = Procfile::parse(text, path) else { return false };
    let text = std::str::from_utf8(text);
    assert!(text.is_ok(), "not UTF-8, and taken");
    let count = lines(text.unwrap_or_default()).count();
    let names: BTreeSet<_> = procfile.names().collect();
    assert_eq!(names.len(), procfile.types.len(), "a name is there twice");
    let numbers: Vec<usize> = procfile.types.iter().map(|one| one.line).collect();
    let ignored: Vec<usize> = procfile.ignored.iter().map(|one| one.line).collect();
    for found in [&numbers, &ignored] {
        assert!(found.iter().all(|line| (1..=count).contains(line)), "a line that isn't there");
        assert!(found.is_sorted_by(|one, next| one < next), "a line that is there twice");
    }
    assert!(!numbers.iter().any(|line| ignored.contains(line)), "taken and left out");
    assert_eq!(procfile.notices(path).count(), ignored.len());
    for one in &procfile.types {
        assert!(procfile.find(&one.name) == Some(one), "another type of this name");
        assert!(!one.command.is_empty() && lines(&one.command).count() == 1, "not one line");
    }
    let written: Vec<_> =
        procfile.types.iter().map(|one| format!("{}: {}\n", one.name, one.command)).collect();
    let written = written.concat();
    let again = Procfile::parse(written.as_bytes(), path);
    let said = |all: &[ProcessType]| -> Vec<_> {
        all.iter().map(|one| (one.name.clone(), one.command.clone())).collect()
    };
    assert!(
        again.is_ok_and(
            |again| said(&again.types) == said(&procfile.types) && again.ignored.is_empty()
        ),
        "read back"
    );
    true
}
