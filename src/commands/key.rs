//! `vault key …`: this user's own private key.

use clap::{Args, Subcommand};

use super::Context;
use crate::crypto;
use crate::crypto::keys::Identity;
use crate::error::{Error, Result, shown_path};
use crate::format::Fingerprint;
use crate::secret::Secret;
use crate::store::identity;

/// Show or make your private key
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
    /// Make a private key in its default place, and print the public key
    New {
        /// Protect it with a passphrase
        #[arg(long)]
        passphrase: bool,
    },
    Recovery(super::recovery::RecoveryArgs),
}

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
        KeyCommand::New { passphrase } => show(&make(context, *passphrase)?, context),
        KeyCommand::Recovery(args) => super::recovery::run(args, context),
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

/// Makes an identity in the default place.
pub(super) fn make(context: &Context, passphrase: bool) -> Result<Identity> {
    let path = context.identity_path().ok_or_else(|| {
        Error::failed("there is no home folder to keep an identity in")
            .hint("set HOME, or pass a key by `VAULT_KEY`")
    })?;
    if path.symlink_metadata().is_ok() {
        return Err(Error::failed(format!(
            "there is an identity already: `{}`",
            shown_path(&path)
        ))
        .hint("`vault key show` prints its public key"));
    }
    let generated = Identity::generate();
    let (Some(line), Some(public)) = (generated.secret_line(), generated.public_key()) else {
        return Err(Error::failed("cannot write the new key"));
    };
    let text =
        [b"# public key: ", public.as_str().as_bytes(), b"\n", line.expose(), b"\n"].concat();
    let text = if passphrase {
        crypto::lock(Secret::new(text).expose(), &context.new_passphrase("passphrase")?)?
    } else {
        text
    };
    identity::write_new(&path, &Secret::new(text))?;
    context.ui.say(&format!("made your private key: {}", shown_path(&path)));
    Ok(generated)
}
