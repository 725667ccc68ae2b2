//! Every system call that differs between systems, and all unsafe code.
//!
//! `unix` and `windows` offer the same functions; nothing above this room has a `cfg` for a system.

mod alloc;
#[cfg(all(target_arch = "x86_64", any(all(target_env = "musl", not(debug_assertions)), test)))]
mod bytes;
#[cfg_attr(windows, allow(dead_code, reason = "signals end nothing there"))]
mod key;
mod machine;
#[cfg(not(target_os = "linux"))]
mod no_world;
#[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "only Linux uses all of it"))]
mod shared;
#[cfg_attr(windows, allow(dead_code, reason = "signals end nothing there"))]
mod signal;
mod stack;
#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

pub use self::alloc::WipingAllocator;
pub(crate) use self::key::{Event, Key};
pub(crate) use self::machine::{
    Swap, SwapKind, can_hibernate, core_pattern, forbids_namespaces, swaps,
};
pub(crate) use self::shared::{
    EditorEnd, EditorPlan, FilePlace, Interest, Outlet, Sandbox, StepRefused, Stream, Wall,
};
pub(crate) use self::signal::{Caught, Exit, Signal, Size};
pub(crate) use self::stack::WipedStack;
#[cfg(unix)]
use self::unix as system;
#[cfg(windows)]
use self::windows as system;

pub(crate) use self::system::{
    Connection, Console, Guard, Handle, Keyboard, Listener, Pid, Signals, adopt_orphans, children,
    deaf_to_terminal, default_runtime_folder, end_by_signal, enter_sandbox, folder_identity,
    group_is_alive, handle, local_time, output_file, output_handle, pipe, reap, set_terminal_size,
    signal_group, signal_process, spawn, spawn_beside, status_of, terminal_size, wait_for,
};
pub(crate) use self::system::{
    FolderHandle, Owner, core_limits, environment_limit, executable, file_mask,
    find_in_default_path, forget_variable, group_and_others, harden, is_closed, lock_folder,
    make_private_folders, open_for_reading, os_string, owner, reap_children, replace_process,
    set_mode, set_mode_like, shell_status, stack_limit, standard_input, sync_folder,
    terminal_is_there, tighten, with_quiet_terminal,
};

#[cfg(not(target_os = "linux"))]
pub(crate) use self::no_world::{World, hold_files, hold_if_asked};
#[cfg(feature = "keyring")]
pub(crate) use self::system::KEYRING;
#[cfg(target_os = "linux")]
pub(crate) use self::system::{World, hold_files, hold_if_asked};

/// How a command ended that could not replace this process, where a system has no exec.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ended(pub(crate) u8);
