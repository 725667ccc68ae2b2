//! A user namespace of our own (`user_namespaces(7)`), in which this user may mount, and everybody else is
//! nobody.
#![expect(unsafe_code, reason = "unshare(2), while there is one thread")]

use std::fs::File;
use std::io;

use rustix::process::{DumpableBehavior, set_dumpable_behavior};
use rustix::thread::UnshareFlags;

use crate::platform::StepRefused;

/// Enters a new user namespace, and `others` with it, as the same user.
///
/// To be called while there is one thread and before any secret is in memory: a process whose memory is
/// closed may not write its own id maps, so it is open for that moment.
pub(crate) fn enter_user_namespace(others: UnshareFlags) -> Result<(), StepRefused> {
    let at = |step| move |error: io::Error| StepRefused { step, error };
    let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    // It can only fail for a wrong argument.
    let _ = set_dumpable_behavior(DumpableBehavior::Dumpable);
    // SAFETY: no descriptor table is unshared, which is what could go wrong for owners of descriptors.
    let unshared = unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWUSER | others) };
    let mapped = unshared.map_err(io::Error::from).map_err(at("unshare")).and_then(|()| {
        write_map("/proc/self/setgroups", "deny").map_err(at("setgroups"))?;
        write_map("/proc/self/uid_map", &format!("{uid} {uid} 1")).map_err(at("uid_map"))?;
        write_map("/proc/self/gid_map", &format!("{gid} {gid} 1")).map_err(at("gid_map"))
    });
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    mapped
}

fn write_map(path: &str, text: &str) -> io::Result<()> {
    // In one write(2), as these files want it.
    io::Write::write_all(&mut File::options().write(true).open(path)?, text.as_bytes())
}
