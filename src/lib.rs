//! Encrypted, per-environment secrets for twelve-factor apps, kept in git.
//!
//! A program can read an environment without starting the `vault` binary:
//!
//! ```no_run
//! # fn main() -> vault::Result<()> {
//! use std::path::Path;
//!
//! let project = vault::Project::discover(Path::new(".")).expect("a vault above this folder");
//! let staging = "staging".parse().expect("a valid name");
//! let vars = project.open(&staging, &vault::Identity::generate())?;
//! for (name, value) in vars.iter() {
//!     println!("{name} has {} bytes", value.expose().len());
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Files written by any released version open with every later one.
//!
//! # The rooms
//!
//! Each folder of `src` is a room with one subject. Arrows go one way; `docs/architecture.md` has the
//! table, and a test holds the code to it.
//!
//! - `secret`, `error`, `vars`: the ground floor. Values, names, and the texts that carry them.
//! - `crypto`: the primitives; the only importer of `age`.
//! - `format`: the vault file to the byte, as `docs/format.md` specifies it.
//! - `platform`: system calls, and all unsafe code.
//! - `store`: files replaced whole or not at all; where private keys lie.
//! - `vault`: what people do with a vault: the domain.
//! - `process`: the child's environment, and how a command is found and becomes us.
//! - `commands`: one file for each subcommand.
//! - `cli`: arguments, terminal, exit statuses.
//! - `fuzz`: what has to hold of every text from outside, for the tests.

mod cli;
mod commands;
mod crypto;
mod error;
mod format;
#[doc(hidden)]
pub mod fuzz;
mod platform;
mod process;
mod secret;
mod store;
mod vars;
mod vault;

pub use crate::cli::main;
pub use crate::crypto::keys::{Identity, PublicKey};
pub use crate::error::{Error, Kind, Result};
pub use crate::format::Fingerprint;
#[doc(hidden)]
pub use crate::platform::WipingAllocator;
pub use crate::secret::Secret;
pub use crate::vars::Vars;
pub use crate::vars::name::{EnvName, MemberName, NameError, VarName};
pub use crate::vault::Project;
