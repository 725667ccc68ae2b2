//! A second process that ends what `start` has started when `start` itself is killed.
//!
//! The kernel kills a child when its parent ends, but not what the child has started; and a shell that
//! doesn't replace itself by its command is all that it then kills. This one knows the groups.
#![expect(unsafe_code, reason = "fork(2), while there is one thread")]

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::time::{Duration, Instant};

use rustix::process::WaitOptions;

use super::children::{Pid, group_is_alive, pipe, signal_group};
use crate::platform::Signal;

/// The guard, seen from the process that it guards. When this is dropped, it goes.
#[derive(Debug)]
pub(crate) struct Guard {
    orders: Option<File>,
    pid: rustix::process::Pid,
}

impl Guard {
    /// Starts it. `patience` is the time between asking a group to end and killing it.
    ///
    /// To be called while there is one thread, and before any secret is in memory: it keeps a copy.
    pub(crate) fn start(patience: Duration) -> io::Result<Self> {
        let (heard, orders) = pipe()?;
        // SAFETY: there is one thread, so the child's copy of this process is whole.
        match unsafe { libc::fork() } {
            -1 => Err(io::Error::last_os_error()),
            0 => {
                drop(orders);
                stand_guard(heard, patience);
                // SAFETY: nothing of the copy may be unwound or run at exit a second time.
                unsafe { libc::_exit(0) }
            }
            child => {
                let pid = rustix::process::Pid::from_raw(child).ok_or(io::ErrorKind::Other)?;
                Ok(Self { orders: Some(orders), pid })
            }
        }
    }

    /// From now on this group is ended when we are killed.
    pub(crate) fn add(&mut self, group: Pid) {
        self.tell(group);
    }

    /// Nobody is left of this group, and its number may come to another.
    pub(crate) fn forget(&mut self, group: Pid) {
        self.tell(-group);
    }

    fn tell(&mut self, order: i32) {
        if let Some(orders) = &mut self.orders {
            // It may have been killed. Then there is no guard.
            drop(orders.write_all(&order.to_ne_bytes()));
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.tell(0);
        self.orders = None;
        // It ends nobody any more; and one that was stopped would not hear the farewell.
        let _ = rustix::process::kill_process(self.pid, rustix::process::Signal::KILL);
        let _ = rustix::process::waitpid(Some(self.pid), WaitOptions::empty());
    }
}

/// Listens until the other side is gone. If that went without a farewell, its groups are ended.
fn stand_guard(mut heard: File, patience: Duration) {
    // Away from the terminal's signals, and from pipes that others wait for the end of.
    let _ = rustix::process::setsid();
    leave_standard_streams();
    let flags = rustix::fs::fcntl_getfl(&heard).unwrap_or(rustix::fs::OFlags::empty());
    let _ = rustix::fs::fcntl_setfl(&heard, flags - rustix::fs::OFlags::NONBLOCK);
    let mut groups = BTreeSet::new();
    let mut order = [0; 4];
    while heard.read_exact(&mut order).is_ok() {
        match Pid::from_ne_bytes(order) {
            0 => return,
            group if group > 0 => drop(groups.insert(group)),
            group => drop(groups.remove(&-group)),
        }
    }
    end(&groups, patience);
}

/// Away from the pipes of others, who wait for their end.
pub(super) fn leave_standard_streams() {
    let Ok(nothing) = File::options().read(true).write(true).open("/dev/null") else { return };
    let _ = rustix::stdio::dup2_stdin(&nothing);
    let _ = rustix::stdio::dup2_stdout(&nothing);
    let _ = rustix::stdio::dup2_stderr(&nothing);
}

fn end(groups: &BTreeSet<Pid>, patience: Duration) {
    const LOOK: Duration = Duration::from_millis(20);
    let until = Instant::now() + patience;
    for &group in groups {
        signal_group(group, Signal::Term);
    }
    while groups.iter().any(|&group| group_is_alive(group)) {
        if Instant::now() >= until {
            for &group in groups {
                signal_group(group, Signal::Kill);
            }
            return;
        }
        std::thread::sleep(LOOK);
    }
}
