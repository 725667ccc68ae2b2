//! Where no world of its own can be built for an editor: a fence (`landlock(7)`), inside of which nothing
//! can be written but below one folder, which lies in memory.

use std::io;
use std::path::Path;

use landlock::{
    ABI, AccessFs, BitFlags, CompatLevel, Compatible as _, PathBeneath, PathFd, Ruleset,
    RulesetAttr as _, RulesetCreatedAttr as _, RulesetStatus,
};

use crate::platform::StepRefused;

/// What else an editor writes to: its terminal, and nothing at all.
const DEVICES: [&str; 4] = ["/dev/tty", "/dev/null", "/dev/pts", "/dev/ptmx"];

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
