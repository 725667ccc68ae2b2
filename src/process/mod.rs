//! Children: the only starter of programs.
//!
//! A child gets exactly the promised environment, descriptors, signals and terminal. Nothing here knows
//! where a value came from.

mod capture;
pub(crate) mod control;
pub(crate) mod editor;
pub(crate) mod environ;
pub(crate) mod formation;
pub(crate) mod git;
pub(crate) mod output;
pub(crate) mod procfile;
pub(crate) mod redact;
pub(crate) mod replace;
pub(crate) mod resident;
pub(crate) mod supervise;
pub(crate) mod units;

pub(crate) use self::capture::{Surroundings, capture_key, capture_without_key};
