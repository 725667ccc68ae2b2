//! A plugin of age for the tests, `age-plugin-fake`. Its identity and its recipient
//! are the same sixteen bytes, and hide a file key by XOR: nothing to learn from.
//!
//! `FAKE_PLUGIN=dead` makes it end at once, `FAKE_PLUGIN=hang` say nothing for ever.
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a program of its own, which age starts"
)]

use std::collections::{HashMap, HashSet};
use std::io;

use age_core::format::{FileKey, Stanza};
use age_core::secrecy::ExposeSecret as _;
use age_plugin::identity::{self, IdentityPluginV1};
use age_plugin::recipient::{self, RecipientPluginV1};
use age_plugin::{Callbacks, PluginHandler, print_new_identity, run_state_machine};

const NAME: &str = "fake";

struct Fake;

impl PluginHandler for Fake {
    type RecipientV1 = Keys;
    type IdentityV1 = Keys;

    fn recipient_v1(self) -> io::Result<Keys> {
        Ok(Keys(Vec::new()))
    }

    fn identity_v1(self) -> io::Result<Keys> {
        Ok(Keys(Vec::new()))
    }
}

/// The keys that age has named.
struct Keys(Vec<Vec<u8>>);

/// Hides sixteen bytes, or shows them again.
fn hidden(file_key: &[u8], key: &[u8]) -> Vec<u8> {
    file_key.iter().zip(key.iter().cycle()).map(|(a, b)| a ^ b).collect()
}

/// What stands in a stanza for people to see whose it is.
fn tag_of(key: &[u8]) -> String {
    key.iter().take(4).map(ToString::to_string).collect::<Vec<_>>().join("-")
}

impl RecipientPluginV1 for Keys {
    fn add_recipient(&mut self, _: usize, _: &str, bytes: &[u8]) -> Result<(), recipient::Error> {
        self.0.push(bytes.to_vec());
        Ok(())
    }

    fn add_identity(&mut self, _: usize, _: &str, bytes: &[u8]) -> Result<(), recipient::Error> {
        self.0.push(bytes.to_vec());
        Ok(())
    }

    fn labels(&mut self) -> HashSet<String> {
        HashSet::new()
    }

    fn wrap_file_keys(
        &mut self,
        file_keys: Vec<FileKey>,
        _: impl Callbacks<recipient::Error>,
    ) -> io::Result<Result<Vec<Vec<Stanza>>, Vec<recipient::Error>>> {
        let stanza = |file_key: &FileKey, key: &Vec<u8>| Stanza {
            tag: NAME.to_owned(),
            args: vec![tag_of(key)],
            body: hidden(file_key.expose_secret(), key),
        };
        let all = file_keys
            .iter()
            .map(|file_key| self.0.iter().map(|key| stanza(file_key, key)).collect());
        Ok(Ok(all.collect()))
    }
}

impl IdentityPluginV1 for Keys {
    fn add_identity(&mut self, _: usize, _: &str, bytes: &[u8]) -> Result<(), identity::Error> {
        self.0.push(bytes.to_vec());
        Ok(())
    }

    fn unwrap_file_keys(
        &mut self,
        files: Vec<Vec<Stanza>>,
        _: impl Callbacks<identity::Error>,
    ) -> io::Result<HashMap<usize, Result<FileKey, Vec<identity::Error>>>> {
        let mut found = HashMap::new();
        for (index, stanzas) in files.into_iter().enumerate() {
            for stanza in stanzas.iter().filter(|stanza| stanza.tag == NAME) {
                let mine = self.0.iter().find(|key| stanza.args.first() == Some(&tag_of(key)));
                let Some(key) = mine.filter(|_| stanza.body.len() == 16) else { continue };
                let plain = hidden(&stanza.body, key);
                found.insert(
                    index,
                    Ok(FileKey::init_with_mut(|file_key| file_key.copy_from_slice(&plain))),
                );
            }
        }
        Ok(found)
    }
}

fn main() -> io::Result<()> {
    match std::env::var("FAKE_PLUGIN").as_deref() {
        Ok("dead") => return Ok(()),
        Ok("hang") => loop {
            std::thread::park();
        },
        _ => {}
    }
    let machine =
        std::env::args().find_map(|word| word.strip_prefix("--age-plugin=").map(str::to_owned));
    if let Some(machine) = machine {
        return run_state_machine(&machine, Fake);
    }
    let key = *b"sixteen bytes of";
    print_new_identity(NAME, &key, &key);
    Ok(())
}
