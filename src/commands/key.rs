//! `vault key …`: this user's own private key.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::json;

use super::keys::in_keyring;
use super::{Context, recovery};
use crate::cli::prompt;
use crate::crypto;
use crate::crypto::keys::{Identity, PublicKey};
use crate::error::{Error, Result, reason, shown_path};
use crate::format::Fingerprint;
use crate::platform;
use crate::secret::Secret;
use crate::store::{identity, keyring};
use crate::vars::name::shown;

/// Show, make or move your private key
#[derive(Debug, Args)]
pub(crate) struct KeyArgs {
    #[command(subcommand)]
    command: KeyCommand,
}

#[derive(Debug, Subcommand)]
enum KeyCommand {
    /// Print your public key
    ///
    /// Its fingerprint, which you compare with somebody who grants you access, goes to stderr.
    Show,
    /// List your keys: the fingerprint, the sort, and where each comes from
    List,
    /// Make a private key in its default place, and print the public key
    New {
        /// Protect it with a passphrase
        #[arg(long)]
        passphrase: bool,
        /// Keep it in the system's keyring
        #[arg(long, conflicts_with = "passphrase")]
        keyring: bool,
        /// The account in the keyring
        #[arg(long, value_name = "NAME", default_value = ACCOUNT, requires = "keyring")]
        account: String,
    },
    /// Print your private key under a passphrase, for another machine or a safe
    Export,
    /// Put a private key into its default place: one that was exported, or an age or ssh key
    Import {
        /// The file, or `-` for the standard input
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Move your private key between its file and the system's keyring
    Move {
        /// Where to
        #[arg(long, value_enum)]
        to: Destination,
        /// The account in the keyring
        #[arg(long, value_name = "NAME", default_value = ACCOUNT)]
        account: String,
    },
    Recovery(recovery::RecoveryArgs),
}

/// Where a private key can lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Destination {
    /// The system's keyring
    Keyring,
    /// The identity file in its default place
    File,
}

/// The account in the keyring if none is named.
const ACCOUNT: &str = "default";

/// Runs it.
pub(crate) fn run(args: &KeyArgs, context: &Context) -> Result<()> {
    match &args.command {
        KeyCommand::Show => {
            let identities = context.identities()?;
            for identity in &identities {
                show(identity, context)?;
            }
            Ok(())
        }
        KeyCommand::List => list(context),
        KeyCommand::New { keyring: true, account, .. } => {
            show(&make_in_keyring(context, account)?, context)
        }
        KeyCommand::New { passphrase, .. } => show(&make(context, *passphrase)?, context),
        KeyCommand::Export => export(context),
        KeyCommand::Import { file } => import(context, file),
        KeyCommand::Move { to: Destination::Keyring, account } => to_keyring(context, account),
        KeyCommand::Move { to: Destination::File, .. } => to_file(context),
        KeyCommand::Recovery(args) => recovery::run(args, context),
    }
}

fn show(identity: &Identity, context: &Context) -> Result<()> {
    let key = identity.public_key().ok_or_else(|| {
        Error::failed("the public key of this plugin identity is not known")
            .hint("write it above the identity as `# public key: age1…`")
    })?;
    context.ui.out(format!("{key}\n").as_bytes())?;
    context.ui.say(&format!("{} key, fingerprint {}", key.sort(), Fingerprint::of_key(&key)));
    Ok(())
}

fn list(context: &Context) -> Result<()> {
    let mut lines = Vec::new();
    for source in context.find_sources()?.unwrap_or_default() {
        for identity in &source.identities {
            let key = identity.public_key();
            let fingerprint = key.as_ref().map(|key| Fingerprint::of_key(key).to_string());
            let sort = key.as_ref().map_or("plugin", PublicKey::sort);
            lines.push(if context.ui.json {
                let key = key.as_ref().map(PublicKey::as_str);
                json!({ "key": key, "sort": sort, "fingerprint": fingerprint, "from": source.told })
                    .to_string()
            } else {
                let fingerprint = fingerprint.as_deref().unwrap_or("not known");
                format!("{fingerprint}\t{sort}\t{}\n", source.told)
            });
        }
    }
    if context.ui.json {
        return context.ui.out(format!("{{\"keys\":[{}]}}\n", lines.join(",")).as_bytes());
    }
    context.ui.out(lines.concat().as_bytes())
}

/// Makes an identity in the default place.
pub(super) fn make(context: &Context, passphrase: bool) -> Result<Identity> {
    let path = free_place(context)?;
    let (generated, text) = generate()?;
    let text = if passphrase {
        Secret::new(crypto::lock(text.expose(), &context.new_passphrase("passphrase")?)?)
    } else {
        text
    };
    identity::write_new(&path, &text)?;
    context.ui.say(&format!("made your private key: {}", shown_path(&path)));
    Ok(generated)
}

/// Makes an identity in the keyring, and the file that names it.
fn make_in_keyring(context: &Context, account: &str) -> Result<Identity> {
    let path = free_place(context)?;
    check_free(account)?;
    let (generated, text) = generate()?;
    keyring::write(account, &text)?;
    if let Err(error) = identity::write_new(&path, &names_account(account)) {
        // Nothing leads to it, and nobody has it.
        drop(keyring::delete(account));
        return Err(error);
    }
    context.ui.say(&format!(
        "made your private key in the system's keyring, account `{}`",
        shown(account)
    ));
    Ok(generated)
}

fn generate() -> Result<(Identity, Secret)> {
    let generated = Identity::generate();
    let text = as_text(&generated).ok_or_else(|| Error::failed("cannot write the new key"))?;
    Ok((generated, text))
}

/// The text of an identity file for this key. None for one that came from elsewhere.
fn as_text(identity: &Identity) -> Option<Secret> {
    let (line, public) = (identity.secret_line()?, identity.public_key()?);
    let parts = [b"# public key: ", public.as_str().as_bytes(), b"\n", line.expose(), b"\n"];
    Some(Secret::new(parts.concat()))
}

fn names_account(account: &str) -> Secret {
    Secret::from(format!("keyring:{account}\n"))
}

/// The default place, with nothing in it.
fn free_place(context: &Context) -> Result<PathBuf> {
    let path = place(context)?;
    if path.symlink_metadata().is_ok() {
        return Err(Error::failed(format!(
            "there is an identity already: `{}`",
            shown_path(&path)
        ))
        .hint("`vault key show` prints its public key"));
    }
    Ok(path)
}

fn place(context: &Context) -> Result<PathBuf> {
    context.identity_path().ok_or_else(|| {
        Error::failed("there is no home folder to keep an identity in")
            .hint("set HOME, or pass a key by `VAULT_KEY`")
    })
}

/// Refuses an account in which a key is, or whose name can't stand in an identity file.
fn check_free(account: &str) -> Result<()> {
    if account.is_empty() || account.trim() != account || account.chars().any(char::is_control) {
        return Err(Error::usage("the account is no name for a keyring"));
    }
    if keyring::has(account)? {
        let message = format!("the keyring has a key for the account `{}` already", shown(account));
        return Err(Error::failed(message).hint("choose another account with `--account`"));
    }
    Ok(())
}

fn export(context: &Context) -> Result<()> {
    let identities = context.identities()?;
    let texts: Option<Vec<Secret>> = identities.iter().map(as_text).collect();
    let texts = texts.ok_or_else(|| {
        Error::failed("an ssh key or a plugin's is not exported here")
            .hint("copy an ssh key with its own tools; a plugin's secret lies in its device")
    })?;
    let all = Secret::new(texts.iter().flat_map(|text| text.expose().iter().copied()).collect());
    let locked = crypto::lock_as_text(all.expose(), &context.new_passphrase("passphrase")?)?;
    context.ui.out(locked.as_bytes())
}

fn import(context: &Context, file: &Path) -> Result<()> {
    const LIMIT: u64 = 64 << 10;
    let path = free_place(context)?;
    let text = if file == Path::new("-") {
        let mut bytes = Vec::with_capacity(64 << 10);
        let read = platform::standard_input().take(LIMIT).read_to_end(&mut bytes);
        read.map_err(|error| {
            Error::failed(format!("cannot read the standard input: {}", reason(&error)))
        })?;
        Secret::new(bytes)
    } else {
        identity::read_named(file, identity::KEY_FILE)?.text
    };
    if in_keyring(&text).is_some() {
        return Err(Error::usage("this file only names an account of the keyring"));
    }
    // Read before anything is written: a key that can't be used is no key.
    let mut text = text;
    let mut source = context.parse("the imported key", &text)?;
    if let [only] = &source.identities[..]
        && only.public_key().is_none()
    {
        text = with_public_key(&text)?;
        source = context.parse("the imported key", &text)?;
    }
    identity::write_new(&path, &text)?;
    context.ui.say(&format!("your private key is in its place: {}", shown_path(&path)));
    source.identities.iter().try_for_each(|identity| show(identity, context))
}

/// A plugin doesn't tell the public key of its identity, and its owner knows it.
fn with_public_key(text: &Secret) -> Result<Secret> {
    if !prompt::possible() {
        return Err(Error::failed("the public key of this plugin identity is not known")
            .hint("write it above the identity as `# public key: age1…`"));
    }
    let answer = prompt::shown("Public key of this plugin identity (age1…): ")?;
    let key: PublicKey = answer.trim().parse()?;
    let head = format!("# public key: {key}\n");
    Ok(Secret::new([head.as_bytes(), text.expose()].concat()))
}

/// The identity file in its default place.
fn default_file(context: &Context) -> Result<(PathBuf, Secret)> {
    let path = place(context)?;
    let file = identity::read_default(&path)?.ok_or_else(|| {
        Error::not_found(format!("there is no identity to move: `{}`", shown_path(&path)))
            .hint("`vault key new` makes one")
    })?;
    Ok((path, file.text))
}

/// The keyring has the key, and gives it back, before the file loses it.
fn to_keyring(context: &Context, account: &str) -> Result<()> {
    let (path, text) = default_file(context)?;
    if in_keyring(&text).is_some() {
        return Err(Error::failed("your private key is in the keyring already"));
    }
    if text.expose_str().is_none() {
        return Err(Error::failed("your private key is protected by a passphrase, which the keyring can't hold")
            .hint("the keyring protects a key itself: `vault key export`, then `age --decrypt` makes a plain one"));
    }
    check_free(account)?;
    keyring::write(account, &text)?;
    identity::replace(&path, &names_account(account)).map_err(|error| {
        Error::failed(format!("{error}; the keyring has your key, too"))
            .hint("look at the file, and try again")
    })?;
    context
        .ui
        .say(&format!("your private key is in the system's keyring, account `{}`", shown(account)));
    Ok(())
}

/// The file has the key before the keyring loses it.
fn to_file(context: &Context) -> Result<()> {
    let (path, text) = default_file(context)?;
    let account = in_keyring(&text)
        .ok_or_else(|| Error::failed("your private key is in its file already"))?;
    let key = keyring::read(account)?;
    context.parse("the keyring", &key)?;
    identity::replace(&path, &key)?;
    keyring::delete(account).map_err(|error| {
        Error::failed(format!("{error}; your private key is in its file again, and there too"))
            .hint("remove the entry from the keyring")
    })?;
    context.ui.say(&format!("your private key is in its file: {}", shown_path(&path)));
    Ok(())
}
