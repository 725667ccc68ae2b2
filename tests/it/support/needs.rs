//! Tests that need something a machine may lack ask for it here, so that each
//! skip is printed, and is a failure where everything is promised to be there
//! (`VAULT_TEST_REQUIRE_ALL=1`, set by the gate).

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The user id of `nobody` nearly everywhere; needs no entry in passwd.
const NOBODY: u32 = 65534;

/// Whether `program` is there. Usage: `if !needs("strace") { return; }`
#[track_caller]
pub(crate) fn needs(program: &str) -> bool {
    find_program(program).is_some() || skip(program)
}

/// A Python that can import `module`: that of the test environment named by
/// `VAULT_TEST_VENV`, else the gate's own, else the system's.
#[track_caller]
pub(crate) fn needs_python(module: &str) -> Option<PathBuf> {
    let gate = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/ci-venv");
    let named = std::env::var_os("VAULT_TEST_VENV").map(PathBuf::from);
    let found = named
        .into_iter()
        .chain([gate])
        .map(|venv| venv.join("bin/python"))
        .chain(find_program("python3"))
        .find(|python| imports(python, module));
    if found.is_none() {
        skip(&format!("python3 with the module {module}"));
    }
    found
}

/// The folder of the installed packages of `tests/data/package.json`, if `module` is among them: the one named
/// by `VAULT_TEST_NODE`, else the gate's own. No package of Debian or of pip brings them: without them the test
/// passes by, always.
#[track_caller]
pub(crate) fn needs_node(module: &str) -> Option<PathBuf> {
    let gate = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/ci-node");
    let named = std::env::var_os("VAULT_TEST_NODE").map(PathBuf::from);
    let folders = named.into_iter().chain([gate]).map(|folder| folder.join("node_modules"));
    let found = folders.into_iter().find(|modules| modules.join(module).exists());
    if found.is_none() {
        println!("skipped: needs the package {module} of Node");
    }
    found.filter(|_| needs("node"))
}

/// Whether a program is there that no package of Debian brings: without it the test passes by, always.
pub(crate) fn is_there(program: &str) -> bool {
    let found = find_program(program).is_some();
    if !found {
        println!("skipped: needs {program}");
    }
    found
}

/// A user id that this process may switch to and that is not its own.
#[track_caller]
pub(crate) fn needs_other_user() -> Option<u32> {
    if rustix::process::geteuid().is_root() {
        return Some(NOBODY);
    }
    skip("root, to become another user");
    None
}

/// Whether this process may trace programs and read the memory of one that is closed to its own user.
#[track_caller]
pub(crate) fn needs_ptrace() -> bool {
    const CAP_SYS_PTRACE: u32 = 19;
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    mask >> CAP_SYS_PTRACE & 1 == 1 || skip("permission to trace, as root has it (CAP_SYS_PTRACE)")
}

/// Whether the kernel gives this user a pid namespace, as `--sandbox` wants it.
#[track_caller]
pub(crate) fn needs_namespaces() -> bool {
    let words = ["--user", "--pid", "--mount", "--fork", "--map-current-user", "--mount-proc"];
    let mut probe = Command::new("unshare");
    probe.args(words).arg("true").stdin(Stdio::null()).stderr(Stdio::null());
    probe.status().is_ok_and(|status| status.success()) || skip("user and pid namespaces")
}

/// Whether the kernel has landlock, which keeps an editor from writing.
#[track_caller]
pub(crate) fn needs_landlock() -> bool {
    let modules = std::fs::read_to_string("/sys/kernel/security/lsm").unwrap_or_default();
    // Where securityfs isn't mounted, the kernel's list of its system calls tells.
    let calls = std::fs::read_to_string("/proc/kallsyms").unwrap_or_default();
    modules.contains("landlock") || calls.contains("landlock_create_ruleset") || skip("landlock")
}

/// Whether this process may mount an image, as root does where there are loop devices.
#[track_caller]
pub(crate) fn needs_disk() -> bool {
    let root = rustix::process::geteuid().is_root();
    root && Path::new("/dev/loop-control").exists()
        || skip("root and loop devices, to mount an image")
}

/// The full path of `program` as a shell would find it.
pub(crate) fn find_program(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|directory| directory.join(program)).find(|file| {
        file.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
    })
}

fn imports(python: &Path, module: &str) -> bool {
    Command::new(python)
        .arg("-c")
        .arg(format!("import {module}"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Whether `path` is there, as `/proc/self/mem` is on Linux.
#[track_caller]
pub(crate) fn needs_path(path: &str) -> bool {
    Path::new(path).exists() || skip(path)
}

#[track_caller]
fn skip(what: &str) -> bool {
    assert!(
        std::env::var_os("VAULT_TEST_REQUIRE_ALL").is_none_or(|value| value != "1"),
        "needs {what}, and VAULT_TEST_REQUIRE_ALL=1 forbids to skip"
    );
    println!("skipped: needs {what}");
    false
}
