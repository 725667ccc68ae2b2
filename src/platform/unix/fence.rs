//! Where no world of its own can be built for an editor: a fence (`landlock(7)`), inside of which nothing
//! can be written but below one folder, which lies in memory.

use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use landlock::{
    ABI, AccessFs, BitFlags, CompatLevel, Compatible as _, PathBeneath, PathFd, Ruleset,
    RulesetAttr as _, RulesetCreatedAttr as _, RulesetStatus,
};

use super::{Owner, owner};
use crate::platform::StepRefused;

/// What else an editor writes to: its terminal, and nothing at all.
const DEVICES: [&str; 4] = ["/dev/tty", "/dev/null", "/dev/pts", "/dev/ptmx"];
/// Where folders in memory are, if the login has none.
const SHARED_MEMORY: &str = "/dev/shm";
/// `TMPFS_MAGIC` and `RAMFS_MAGIC` of linux/magic.h.
const IN_MEMORY: [u64; 2] = [0x0102_1994, 0x8584_58f6];
/// The names of our folders begin so; the number and the start of a process follow.
const PREFIX: &str = "vault.";

/// Makes a folder of this user's alone that lies in memory, and removes those that were left behind.
pub(super) fn folder_in_memory(runtime: Option<&Path>) -> Result<PathBuf, StepRefused> {
    let refused = |error: io::Error| StepRefused { step: "mkdir on a tmpfs", error };
    let bases = [runtime, Some(Path::new(SHARED_MEMORY))].into_iter().flatten();
    let base = bases
        .filter(|base| is_in_memory(base))
        .find(|base| std::fs::symlink_metadata(base).is_ok_and(|found| found.is_dir()));
    let base = base.ok_or_else(|| refused(io::ErrorKind::NotFound.into()))?;
    sweep(base);
    let own = std::process::id();
    let start = start_of(own).unwrap_or_default();
    let folder = base.join(format!("{PREFIX}{own}.{start}"));
    std::fs::DirBuilder::new().mode(0o700).create(&folder).map_err(refused)?;
    Ok(folder)
}

/// Lets this process, and all that it starts, write nowhere but below `folder` and to the terminal.
pub(super) fn fence(folder: &Path) -> Result<(), StepRefused> {
    let step = "landlock";
    let refused = |_| StepRefused { step, error: io::ErrorKind::Unsupported.into() };
    let all = AccessFs::from_write(ABI::V3);
    let created = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::from_write(ABI::V1))
        .map_err(refused)?
        // Before the third version of landlock, an existing file can be cut off; nothing is written then.
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(all)
        .and_then(Ruleset::create)
        .map_err(refused)?;
    let to_devices: BitFlags<AccessFs> = AccessFs::WriteFile | AccessFs::Truncate;
    let mut fenced = created.add_rule(PathBeneath::new(opened(folder)?, all)).map_err(refused)?;
    for device in DEVICES.iter().map(Path::new).filter(|device| device.exists()) {
        fenced = fenced.add_rule(PathBeneath::new(opened(device)?, to_devices)).map_err(refused)?;
    }
    let status = fenced.restrict_self().map_err(refused)?;
    if status.ruleset == RulesetStatus::NotEnforced {
        return Err(StepRefused { step, error: io::ErrorKind::Unsupported.into() });
    }
    Ok(())
}

fn opened(path: &Path) -> Result<PathFd, StepRefused> {
    PathFd::new(path)
        .map_err(|_| StepRefused { step: "landlock", error: io::ErrorKind::NotFound.into() })
}

fn is_in_memory(folder: &Path) -> bool {
    let kind = rustix::fs::statfs(folder).map(|found| u64::try_from(found.f_type).unwrap_or(0));
    kind.is_ok_and(|kind| IN_MEMORY.contains(&kind))
}

/// Removes the folders of processes that are gone.
fn sweep(base: &Path) {
    let Ok(entries) = std::fs::read_dir(base) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let Some((pid, start)) = name
            .to_str()
            .and_then(|name| name.strip_prefix(PREFIX)?.split_once('.'))
            .and_then(|(pid, start)| Some((pid.parse::<u32>().ok()?, start.parse::<u64>().ok()?)))
        else {
            continue;
        };
        let ours = entry.metadata().is_ok_and(|found| found.is_dir() && owner(&found) == Owner::Us);
        if ours && start_of(pid) != Some(start) {
            // One that can't be removed is in nobody's way.
            drop(std::fs::remove_dir_all(entry.path()));
        }
    }
}

/// When a process was started, in ticks since the boot: the 22nd field of `/proc/PID/stat` (proc(5)).
fn start_of(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(19)?.parse().ok()
}
