//! Every system call that differs between systems, and all unsafe code.
//!
//! `unix.rs` and `windows.rs` offer the same functions; nothing above this room has a `cfg` for a system.

mod alloc;
#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

pub use self::alloc::WipingAllocator;
#[cfg(unix)]
use self::unix as system;
#[cfg(windows)]
use self::windows as system;

pub(crate) use self::system::{
    FolderHandle, Owner, environment_limit, executable, find_in_default_path, forget_variable,
    group_and_others, harden, lock_folder, make_private_folders, open_for_reading, os_string,
    owner, reap_children, replace_process, set_mode_like, shell_status, sync_folder,
    terminal_is_there, tighten, with_quiet_terminal,
};

/// How a command ended that could not replace this process, where a system has no exec.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ended(pub(crate) u8);
