//! vault's own memory while it runs, and that what it starts is an ordinary process again.
//!
//! All of it is done as an ordinary user: root may read everything.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "helpers of tests have to fail the test, and the files they write hold no secrets"
)]

use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;

use rustix::process::Signal;

use crate::support::needs::{needs, needs_other_user, needs_path};
use crate::support::run::{Run, Running};
use crate::support::sandbox::Sandbox;

const MARKER: &str = "marker-in-memory-6b1f";

/// A project of a user who is not root, and how to be that user.
struct Ground {
    sandbox: Sandbox,
    vault: PathBuf,
    /// Nobody else's id, if we may become another user at all.
    user: Option<u32>,
}

impl Ground {
    /// None where the machine can't do it.
    #[track_caller]
    fn new() -> Option<Self> {
        if !needs_path("/proc/self/mem") {
            return None;
        }
        let user = if rustix::process::geteuid().is_root() {
            if !needs("setpriv") {
                return None;
            }
            Some(needs_other_user()?)
        } else {
            None
        };
        let sandbox = Sandbox::new();
        // Where it was built, another user may not reach it.
        let vault = sandbox.path("vault");
        std::fs::copy(env!("CARGO_BIN_EXE_vault"), &vault).expect("a copy of vault");
        let ground = Self { sandbox, vault, user };
        ground.own();
        let made = ground.vault(&["init", "--name", "alice"]).run();
        made.expect_that(0, "a new project", |output| output.stdout.is_empty());
        let set = ground.vault(&["set", "-e", "staging", "A"]).stdin(MARKER).run();
        set.expect(0, "", "");
        Some(ground)
    }

    fn own(&self) {
        if let Some(user) = self.user {
            let owner = format!("{user}:{user}");
            let run = self.sandbox.program("chown", ["-R", &owner]);
            run.arg(self.sandbox.root()).run().success();
        }
    }

    /// A program as the ordinary user.
    fn program(&self, words: &[&str]) -> Run {
        self.program_as(self.user, words)
    }

    fn program_as(&self, user: Option<u32>, words: &[&str]) -> Run {
        match user {
            // `setpriv` replaces itself, so the process id is the program's.
            Some(user) => {
                let user = user.to_string();
                let run = self.sandbox.program("setpriv", ["--reuid", &user, "--regid", &user]);
                run.arg("--clear-groups").args(words)
            }
            None => self.sandbox.program(words[0], &words[1..]),
        }
    }

    fn vault(&self, words: &[&str]) -> Run {
        let vault = self.vault.to_str().expect("a plain path");
        self.program(&[&[vault][..], words].concat())
    }

    /// vault with the private key in its memory, waiting for the rest of a value.
    fn holding(&self) -> Running {
        let run = self.vault(&["-v", "set", "-e", "staging", "B"]).stdin_open();
        let mut running = run.spawn();
        running.wait_for("the private key comes from");
        running.write(MARKER);
        running
    }

    /// Whether the ordinary user can read a file of that process.
    fn can_read(&self, user: Option<u32>, running: &Running, file: &str) -> bool {
        let path = format!("/proc/{}/{file}", running.pid());
        // What stands in memory begins where the first mapping does, so `mem` is read from there.
        let script = if file == "mem" {
            "start=$(head -n 1 \"${0%mem}maps\" | cut -d- -f1) && [ -n \"$start\" ] && \
             dd if=\"$0\" bs=4096 count=1 skip=$((0x$start / 4096)) of=/dev/null"
        } else {
            "exec cat \"$0\" >/dev/null"
        };
        self.program_as(user, &["sh", "-c", script, &path]).run().code() == Some(0)
    }
}

#[test]
fn the_same_user_reads_nothing_of_vault_while_it_runs() {
    let Some(ground) = Ground::new() else { return };
    let running = ground.holding();
    // Any other program of this user is open to it; so the looks work.
    let mut open = ground.program(&["cat"]).stdin_open().spawn();
    open.write("ready\n");
    open.wait_for("ready");
    for file in ["environ", "maps", "smaps", "auxv", "mem", "stack", "syscall", "fd/0"] {
        if ["environ", "maps", "auxv", "mem"].contains(&file) {
            assert!(ground.can_read(ground.user, &open, file), "{file} of a plain program");
        }
        if file != "fd/0" {
            assert!(!ground.can_read(ground.user, &running, file), "{file}");
        }
    }
    let list = format!("/proc/{}/fd", running.pid());
    let listed = ground.program(&["ls", &list]).run();
    listed.expect_that(2, "the folder of descriptors is closed", |output| output.stdout.is_empty());
}

#[test]
fn another_user_reads_nothing_of_vault_while_it_runs() {
    let Some(ground) = Ground::new() else { return };
    let Some(user) = ground.user else {
        println!("skipped: needs root, to become another user");
        return;
    };
    let running = ground.holding();
    for file in ["environ", "maps", "smaps", "mem", "auxv", "stack", "syscall"] {
        assert!(!ground.can_read(Some(user - 1), &running, file), "{file}");
    }
    let list = format!("/proc/{}/fd", running.pid());
    let listed = ground.program_as(Some(user - 1), &["ls", &list]).run();
    listed.expect_that(2, "the folder of descriptors is closed", |output| output.stdout.is_empty());
}

#[test]
fn where_no_thread_can_be_had_a_write_fails_and_nothing_is_told() {
    let Some(ground) = Ground::new() else { return };
    if ground.user.is_none() || !needs("prlimit") {
        return;
    }
    // A writer has to wait for this lock, and waits in a thread.
    let folder = std::fs::File::open(ground.sandbox.project().join("envs")).expect("the folder");
    rustix::fs::flock(&folder, rustix::fs::FlockOperation::LockExclusive).expect("its lock");
    let vault = ground.vault.to_str().expect("a plain path");
    let words = ["prlimit", "--nproc=0", vault, "-v", "set", "-e", "staging", "B"];
    let run = ground.program(&words).env("RUST_BACKTRACE", "full").env("RUST_LOG", "trace");
    let output = run.stdin(MARKER).run().expect_that(1, "refused", |output| {
        output.err().contains("cannot lock the folder `envs`: resource temporarily unavailable")
    });
    assert!(!output.err().contains(MARKER), "{}", output.err());
}

#[test]
fn a_debugger_of_the_same_user_can_not_attach() {
    let Some(ground) = Ground::new() else { return };
    let running = ground.holding();
    let pid = running.pid().to_string();
    if needs("strace") {
        let run = ground.program(&["strace", "-p", &pid, "-o", "trace"]).run();
        run.expect_like(1, "", "...\n[..]Operation not permitted[..]\n...");
    }
    if needs("gdb") {
        let words = ["gdb", "-nx", "-batch", "-p", &pid, "-ex", "generate-core-file core.taken"];
        let output = ground.program(&words).run();
        assert!(output.err().contains("ptrace: Operation not permitted"), "{}", output.err());
        assert!(!ground.sandbox.path("project/core.taken").exists());
    }
    drop(running);
    ground.sandbox.assert_nowhere(MARKER);
}

#[test]
fn a_crash_of_vault_leaves_no_core() {
    let Some(ground) = Ground::new() else { return };
    let vault = ground.vault.to_str().expect("a plain path");
    let limit = "ulimit -c unlimited || exit 77; ";
    // Not SEGV: Rust's runtime takes the first one that comes from outside.
    for signal in [Signal::ABORT, Signal::QUIT] {
        let script = format!("{limit}exec \"$0\" -v set -e staging B");
        let mut running = ground.program(&["sh", "-c", &script, vault]).stdin_open().spawn();
        running.wait_for("the private key comes from");
        running.write(MARKER);
        running.kill(signal);
        let output = running.wait();
        if output.code() == Some(77) {
            println!("skipped: needs a hard limit that allows core files");
            return;
        }
        assert_eq!((output.signal(), output.status.core_dumped()), (Some(signal.as_raw()), false));
    }
    let left: Vec<_> = std::fs::read_dir(ground.sandbox.project())
        .expect("the project")
        .map(|entry| entry.expect("an entry").file_name())
        .collect();
    assert_eq!(left, ["envs"]);
    ground.sandbox.assert_nowhere(MARKER);
}

#[test]
fn vault_is_closed_while_a_key_command_runs_and_while_it_asks() {
    if !needs("setsid") {
        return;
    }
    let Some(ground) = Ground::new() else { return };
    let run = ground.vault(&["get", "-e", "staging", "A"]);
    let mut running = run.env("VAULT_KEY_COMMAND", "sh -c 'echo waiting >&2; cat ../fifo'");
    ground.program(&["mkfifo", "../fifo"]).run().success();
    running = running.stdin_open();
    let mut held = running.spawn();
    held.wait_for("waiting");
    for file in ["environ", "maps", "mem"] {
        assert!(!ground.can_read(ground.user, &held, file), "{file}");
    }
    ground.program(&["sh", "-c", "cat ../home/.config/vault/identity >../fifo"]).run().success();
    held.wait().expect(0, MARKER, "waiting\n");

    let mut terminal = ground.vault(&["set", "-e", "staging", "B"]).on_terminal();
    terminal.expect("(not shown): ");
    for file in ["environ", "maps", "mem"] {
        let path = format!("/proc/{}/{file}", terminal.pid());
        let run = ground.program(&["sh", "-c", "cat \"$0\" >/dev/null", &path]).run();
        assert_ne!(run.code(), Some(0), "{file}");
    }
    terminal.type_line(MARKER);
    let (screen, status) = terminal.expect_end();
    assert!(status.success() && !screen.contains(MARKER), "{screen}");
}

#[test]
fn the_command_is_open_to_its_user_again() {
    let Some(ground) = Ground::new() else { return };
    let run = ground.vault(&["run", "-e", "staging", "--", "sh", "-c", "echo ready; read -r line"]);
    let mut running = run.stdin_open().spawn();
    running.wait_for("ready");
    for file in ["environ", "maps", "mem"] {
        assert!(ground.can_read(ground.user, &running, file), "{file}");
    }
    running.write("\n");
    running.wait().expect(0, "ready\n", "");
}

#[test]
fn the_commands_limit_of_core_files_is_the_one_that_was_set() {
    let Some(ground) = Ground::new() else { return };
    let vault = ground.vault.to_str().expect("a plain path");
    let show = "ulimit -Sc; ulimit -Hc";
    for limit in ["-S -c 0", "-S -c 100", "-c 1000", "-c 0"] {
        let alone = format!("ulimit {limit}; exec sh -c '{show}'");
        let alone = ground.program(&["sh", "-c", &alone]).run();
        let script = format!("ulimit {limit}; exec \"$0\" run -e staging -- sh -c '{show}'");
        let run = ground.program(&["sh", "-c", &script, vault]).run();
        assert_eq!((run.code(), run.out(), run.err()), (alone.code(), alone.out(), alone.err()));
    }
}

#[test]
fn a_command_that_crashes_may_still_leave_a_core() {
    let Some(ground) = Ground::new() else { return };
    let vault = ground.vault.to_str().expect("a plain path");
    let crash = "ulimit -c unlimited && exec \"$0\" \"$@\" sh -c 'kill -ABRT $$'";
    let alone = ground.program(&["sh", "-c", crash, "env"]).run();
    let words = ["sh", "-c", crash, vault, "run", "-e", "staging", "--"];
    let run = ground.program(&words).run();
    // Whether one is written is the machine's affair; that it is the same is ours.
    assert_eq!(run.status, alone.status);
}
