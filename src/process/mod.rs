//! Children: the only starter of programs.
//!
//! A child gets exactly the promised environment, descriptors, signals and terminal. Nothing here knows
//! where a value came from.

mod capture;
pub(crate) mod environ;
pub(crate) mod replace;

pub(crate) use self::capture::{Surroundings, capture, git};
