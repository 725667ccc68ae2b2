//! A real terminal: 24 rows of 80, echo on, TERM=dumb.
//!
//! Echo is on as on a person's terminal, so a hidden prompt that forgets to
//! turn it off is seen. It also means that typed text comes back: wait for the
//! prompt before you type, and for the answer rather than for what you typed.
//!
//! The terminal is opened here and not by `rexpect`: that one hands its end to
//! every program that another thread starts meanwhile (no close-on-exec), which
//! then has a descriptor too many and keeps the terminal from hanging up; it
//! also takes each byte for a character and starts with 0 rows. Its regular
//! expressions are what is left of it.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use regex::Regex;
use rustix::fs::{Mode, OFlags};
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use super::barrier::{PATIENCE, holds_within, until};
use super::processes;
use super::sandbox::Sandbox;

/// A program on a terminal. Dropping it kills the program and its session.
pub(crate) struct Terminal {
    child: Child,
    /// Gone after `hang_up`.
    master: Option<File>,
    reader: Option<JoinHandle<()>>,
    shared: Arc<Mutex<Shared>>,
    /// How much of the output earlier expectations have used up.
    seen: usize,
    label: String,
    status: Option<ExitStatus>,
}

#[derive(Default)]
struct Shared {
    bytes: Vec<u8>,
    /// Nobody has the terminal open any more.
    ended: bool,
    /// We want to close our end, which must not lie in a pending read.
    stop: bool,
}

impl Terminal {
    /// Starts `program` as `Sandbox::program` does; `vault` is the built one.
    /// For another environment or directory: `sandbox.vault(…).env(…).on_terminal()`.
    #[track_caller]
    pub(crate) fn start(
        sandbox: &Sandbox,
        program: &str,
        args: impl IntoIterator<Item: AsRef<OsStr>>,
    ) -> Self {
        if program == "vault" {
            sandbox.vault(args).on_terminal()
        } else {
            sandbox.program(program, args).on_terminal()
        }
    }

    #[track_caller]
    pub(super) fn open(mut command: Command, label: String) -> Self {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY;
        // Children of other tests may start between two calls.
        #[cfg(target_os = "linux")]
        let flags = flags | OpenptFlags::CLOEXEC;
        let master = openpt(flags).expect("a pseudo-terminal");
        #[cfg(not(target_os = "linux"))]
        rustix::io::fcntl_setfd(&master, rustix::io::FdFlags::CLOEXEC).expect("its flags");
        grantpt(&master).expect("its other end for us");
        unlockpt(&master).expect("its other end unlocked");
        let name = ptsname(&master, Vec::new()).expect("its name");
        // Not to become the terminal of the tests, which may lead a session.
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let path = OsStr::from_bytes(name.as_bytes());
        let slave = File::from(rustix::fs::open(path, flags, Mode::empty()).expect("other end"));
        set_size(&File::from(master.try_clone().expect("a descriptor")), 24, 80);

        command
            .stdin(Stdio::from(slave.try_clone().expect("a descriptor")))
            .stdout(Stdio::from(slave.try_clone().expect("a descriptor")))
            .stderr(Stdio::from(slave));
        let child = command.spawn().unwrap_or_else(|e| panic!("{label}: {e}"));
        // It holds the other end, and as long as it does there is no end of file.
        drop(command);

        rustix::fs::fcntl_setfl(&master, OFlags::RDWR | OFlags::NONBLOCK).expect("no blocking");
        let master = File::from(master);
        let shared = Arc::new(Mutex::new(Shared::default()));
        let source = master.try_clone().expect("a descriptor");
        let reader = std::thread::spawn({
            let shared = Arc::clone(&shared);
            move || read_all(source, &shared)
        });
        let (master, reader) = (Some(master), Some(reader));
        Self { child, master, reader, shared, seen: 0, label, status: None }
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    #[track_caller]
    pub(crate) fn kill(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap_or_else(|e| panic!("{}: {e}", self.label));
    }

    #[track_caller]
    pub(crate) fn type_line(&mut self, line: &str) {
        self.type_raw(format!("{line}\n"));
    }

    #[track_caller]
    pub(crate) fn type_raw(&mut self, bytes: impl AsRef<[u8]>) {
        let mut left = bytes.as_ref();
        let master = self.master.as_mut().expect("a terminal that was not hung up");
        until(
            || {
                match master.write(left) {
                    Ok(count) => left = &left[count..],
                    Err(e) if e.kind() == ErrorKind::WouldBlock => {}
                    Err(e) => panic!("typing: {e}"),
                }
                left.is_empty()
            },
            "the terminal to take what is typed",
        );
    }

    /// The letter with the control key: `c` interrupts, `d` ends the input,
    /// `z` stops, `\\` quits.
    #[track_caller]
    pub(crate) fn control(&mut self, letter: char) {
        let byte = u8::try_from(letter.to_ascii_uppercase()).expect("an ASCII letter");
        self.type_raw([byte & 0x1f]);
    }

    /// Waits for `text` after what earlier expectations have found.
    #[track_caller]
    pub(crate) fn expect(&mut self, text: &str) {
        self.find(&format!("the text {text:?}"), |screen| {
            screen.find(text).map(|at| (at, at + text.len()))
        });
    }

    /// Waits for the pattern and returns the text that matched it.
    #[track_caller]
    pub(crate) fn expect_regex(&mut self, pattern: &str) -> String {
        let regex = Regex::new(pattern).expect("a regular expression");
        self.find(&format!("a match of {pattern:?}"), |screen| {
            regex.find(screen).map(|found| (found.start(), found.end()))
        })
    }

    /// Waits for the program's end; all it has written (lines end with `\n`)
    /// and its status.
    #[track_caller]
    pub(crate) fn expect_end(&mut self) -> (String, ExitStatus) {
        let ended = holds_within(PATIENCE, || {
            if self.status.is_none() {
                self.status = self.child.try_wait().expect("a child of ours");
            }
            self.status.is_some() && (self.master.is_none() || self.lock().ended)
        });
        if !ended {
            self.fail("its end");
        }
        let text = self.screen().replace("\r\n", "\n");
        (text, self.status.expect("it has ended"))
    }

    /// All output so far, as the terminal got it.
    pub(crate) fn screen(&self) -> String {
        String::from_utf8_lossy(&self.lock().bytes).into_owned()
    }

    /// Another window size; the foreground program gets SIGWINCH.
    #[track_caller]
    pub(crate) fn resize(&self, rows: u16, columns: u16) {
        set_size(self.master.as_ref().expect("a terminal that was not hung up"), rows, columns);
    }

    /// Closes the window: the session gets SIGHUP, its terminal is gone.
    pub(crate) fn hang_up(&mut self) {
        self.lock().stop = true;
        if let Some(reader) = self.reader.take() {
            reader.join().expect("the reader does not panic");
        }
        self.master = None;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Shared> {
        self.shared.lock().expect("the reader does not panic")
    }

    #[track_caller]
    fn find(&mut self, what: &str, place: impl Fn(&str) -> Option<(usize, usize)>) -> String {
        let mut found = None;
        let seen = self.seen;
        let look = || {
            let shared = self.lock();
            let unseen = &shared.bytes[seen..];
            // A character may have come by half; the rest of it will follow.
            let text = match std::str::from_utf8(unseen) {
                Ok(text) => text,
                Err(e) => std::str::from_utf8(&unseen[..e.valid_up_to()]).unwrap_or_default(),
            };
            found = place(text).map(|(start, end)| (end, text[start..end].to_owned()));
            found.is_some() || shared.ended
        };
        holds_within(PATIENCE, look);
        let Some((end, text)) = found else { self.fail(what) };
        self.seen += end;
        text
    }

    #[track_caller]
    fn fail(&self, what: &str) -> ! {
        let why = if self.lock().ended { "it closed the terminal" } else { "time ran out" };
        panic!(
            "{} did not show {what}: {why}\n--- screen (looked at from byte {})\n{}",
            self.label,
            self.seen,
            self.screen()
        );
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if self.status.is_none() {
            processes::kill_all(&processes::in_session(self.pid()));
            // It may have ended in this moment; then there is nothing to kill.
            drop(self.child.kill());
            drop(self.child.wait());
        }
        self.shared.lock().unwrap_or_else(std::sync::PoisonError::into_inner).stop = true;
    }
}

#[track_caller]
fn set_size(terminal: &File, rows: u16, columns: u16) {
    let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(terminal, size).expect("a terminal's size");
}

fn read_all(mut source: File, shared: &Mutex<Shared>) {
    let mut part = [0; 4096];
    loop {
        let result = source.read(&mut part);
        let mut shared = shared.lock().expect("no user of it panics");
        match result {
            Ok(count @ 1..) => shared.bytes.extend_from_slice(&part[..count]),
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) if e.kind() == ErrorKind::WouldBlock => {
                if shared.stop {
                    return;
                }
                drop(shared);
                std::thread::sleep(Duration::from_millis(2));
            }
            // On Linux the end of a terminal is the error EIO.
            Ok(_) | Err(_) => {
                shared.ended = true;
                return;
            }
        }
    }
}
