//! The harness: a sandboxed home, bounded programs, real terminals, handshakes.
//!
//! Nothing in here knows what `vault` means; tests that say something about
//! the tool live beside this folder, one file per subject.

#![allow(
    dead_code,
    reason = "a helper may wait for its first user, or lose its last one under fewer features"
)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a helper that cannot do its work has to fail the test, and helpers are not #[test]"
)]
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the harness starts the program under test and builds the files it meets"
)]

pub(crate) mod barrier;
pub(crate) mod like;
pub(crate) mod needs;
pub(crate) mod paths;
pub(crate) mod processes;
pub(crate) mod pty;
mod rooms_examples;
pub(crate) mod run;
pub(crate) mod sandbox;
pub(crate) mod tokens;
