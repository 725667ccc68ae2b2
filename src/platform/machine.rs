//! What the machine says of itself, as far as it concerns where memory may end up. Linux says it in files;
//! another system says nothing here.

use std::path::Path;

/// A place that memory can be swapped out to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Swap {
    /// Its name, for people.
    pub(crate) name: String,
    /// What it is.
    pub(crate) kind: SwapKind,
}

/// Whether what is swapped out can be read on a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SwapKind {
    /// It is compressed memory (zram).
    Memory,
    /// A device that dm-crypt encrypts.
    Encrypted,
    /// A device or a file of which nothing more is known.
    Disk,
}

/// Where memory can be swapped out to. None where the system doesn't say.
pub(crate) fn swaps() -> Option<Vec<Swap>> {
    let text = std::fs::read_to_string("/proc/swaps").ok()?;
    Some(read_swaps(&text, |device| {
        let uuid = format!("/sys/class/block/{device}/dm/uuid");
        std::fs::read_to_string(uuid).is_ok_and(|uuid| uuid.starts_with("CRYPT-"))
    }))
}

/// Reads `/proc/swaps` (proc(5)): a head, then a line for each, that begins with its path.
fn read_swaps(text: &str, is_encrypted: impl Fn(&str) -> bool) -> Vec<Swap> {
    let lines = text.lines().skip(1);
    let paths = lines.filter_map(|line| line.split_ascii_whitespace().next());
    paths
        .map(|path| {
            // A device may be named by a link, as in `/dev/mapper`.
            let real = Path::new(path).canonicalize().unwrap_or_else(|_| path.into());
            let device = real.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
            let kind = if !path.starts_with("/dev/") {
                SwapKind::Disk
            } else if device.starts_with("zram") {
                SwapKind::Memory
            } else if is_encrypted(&device) {
                SwapKind::Encrypted
            } else {
                SwapKind::Disk
            };
            Swap { name: path.to_owned(), kind }
        })
        .collect()
}

/// Whether the system can write all of its memory to the swap. None where it doesn't say.
pub(crate) fn can_hibernate() -> Option<bool> {
    let states = std::fs::read_to_string("/sys/power/state").ok()?;
    Some(states.split_ascii_whitespace().any(|state| state == "disk"))
}

/// Where the memory of a program that crashes goes (`core_pattern`, core(5)): after a `|` to a program.
pub(crate) fn core_pattern() -> Option<String> {
    let text = std::fs::read_to_string("/proc/sys/kernel/core_pattern").ok()?;
    Some(text.trim_end().to_owned())
}

/// The setting that keeps this user from namespaces of his own, if there is one of those that are known.
pub(crate) fn forbids_namespaces() -> Option<String> {
    const SETTINGS: [(&str, &str); 3] = [
        ("user.max_user_namespaces", "0"),
        ("kernel.unprivileged_userns_clone", "0"),
        ("kernel.apparmor_restrict_unprivileged_userns", "1"),
    ];
    let forbids = |(name, value): &(&str, &str)| {
        let path = format!("/proc/sys/{}", name.replace('.', "/"));
        std::fs::read_to_string(path).is_ok_and(|text| text.trim() == *value)
    };
    let (name, value) = SETTINGS.into_iter().find(forbids)?;
    Some(format!("{name}={value}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn swaps_are_told_apart_by_what_can_be_read_on_a_disk() {
        let text = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n\
                    /dev/dm-1                               partition\t8388604\t\t0\t\t-2\n\
                    /dev/zram0                              partition\t4194300\t\t12\t\t100\n\
                    /dev/sda2                               partition\t4194300\t\t0\t\t-3\n\
                    /zram0\\040file                          file\t\t1024\t\t0\t\t-4\n";
        let found = read_swaps(text, |device| device == "dm-1");
        let kinds: Vec<SwapKind> = found.iter().map(|swap| swap.kind).collect();
        let [memory, encrypted, disk] = [SwapKind::Memory, SwapKind::Encrypted, SwapKind::Disk];
        assert_eq!(kinds, [encrypted, memory, disk, disk]);
        assert_eq!(found[3].name, "/zram0\\040file");
        assert_eq!(read_swaps("Filename Type Size Used Priority\n", |_| true), []);
    }
}
