//! Who is still running: processes by session and by sandbox, from `/proc`.
//!
//! Where there is no `/proc` the lists are empty, so a test that wants a
//! process to be gone proves it on Linux only.

use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use rustix::process::{Pid, Signal, kill_process};

/// Everybody in the session that `leader` opened.
pub(crate) fn in_session(leader: Pid) -> Vec<Pid> {
    all()
        .into_iter()
        .filter(|pid| session_of(*pid) == Some(leader.as_raw_nonzero().get()))
        .collect()
}

/// Everybody who works in `root` or was given its path in the environment.
/// This finds what opened a session of its own, as supervised programs do.
pub(crate) fn of_sandbox(root: &Path) -> Vec<Pid> {
    let needle = root.as_os_str().as_bytes();
    all()
        .into_iter()
        .filter(|pid| {
            let process = format!("/proc/{pid}");
            let environment = std::fs::read(format!("{process}/environ")).unwrap_or_default();
            environment.windows(needle.len()).any(|part| part == needle)
                || std::fs::read_link(format!("{process}/cwd"))
                    .is_ok_and(|cwd| cwd.starts_with(root))
        })
        .filter(|pid| *pid != rustix::process::getpid())
        .collect()
}

pub(crate) fn kill_all(pids: &[Pid]) {
    for pid in pids {
        // It may have ended by itself, which is as good.
        let _or_gone = kill_process(*pid, Signal::KILL);
    }
}

/// The command line, for messages.
pub(crate) fn describe(pid: Pid) -> String {
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    format!("{pid}: {}", String::from_utf8_lossy(&line).replace('\0', " "))
}

fn all() -> Vec<Pid> {
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(Pid::from_raw)
        .collect()
}

fn session_of(pid: Pid) -> Option<i32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name stands in parentheses and may hold anything, so count from its
    // end: state, parent, group, session. A zombie holds nothing open.
    let mut fields = stat.rsplit_once(") ")?.1.split(' ');
    if fields.next()? == "Z" {
        return None;
    }
    fields.nth(2)?.parse().ok()
}
