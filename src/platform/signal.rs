//! Signals by name, and how a process ended: what is said of them on every system.

/// A signal that is caught, sent, or told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signal {
    /// The terminal went away.
    Hup,
    /// Ctrl-C.
    Int,
    /// Ctrl-\.
    Quit,
    /// Please end.
    Term,
    /// For the program's own use.
    Usr1,
    /// For the program's own use.
    Usr2,
    /// End now; can't be caught.
    Kill,
    /// The terminal has another size.
    Winch,
    /// A child ended.
    Child,
}

impl Signal {
    /// Those that can ask a process to end.
    pub(crate) const STOPPING: [Self; 7] =
        [Self::Hup, Self::Int, Self::Quit, Self::Term, Self::Usr1, Self::Usr2, Self::Kill];

    /// `SIGTERM`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Hup => "SIGHUP",
            Self::Int => "SIGINT",
            Self::Quit => "SIGQUIT",
            Self::Term => "SIGTERM",
            Self::Usr1 => "SIGUSR1",
            Self::Usr2 => "SIGUSR2",
            Self::Kill => "SIGKILL",
            Self::Winch => "SIGWINCH",
            Self::Child => "SIGCHLD",
        }
    }

    /// The stopping signal of this name, as `SIGINT` or `INT`.
    pub(crate) fn stopping(name: &str) -> Option<Self> {
        let short = name.strip_prefix("SIG").unwrap_or(name);
        Self::STOPPING.into_iter().find(|signal| signal.name().strip_prefix("SIG") == Some(short))
    }
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// By itself, with this status.
    Code(i32),
    /// By the signal of this number.
    Signal(i32),
}

impl Exit {
    /// As a shell says it: the status, or 128 + N.
    pub(crate) fn status(self) -> u8 {
        let status = match self {
            Self::Code(code) => code,
            Self::Signal(number) => 128 + number,
        };
        u8::try_from(status).unwrap_or(1)
    }

    /// As Honcho says it: the status, or -N.
    pub(crate) fn rc(self) -> i32 {
        match self {
            Self::Code(code) => code,
            Self::Signal(number) => -number,
        }
    }
}

/// A signal that came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Caught {
    /// Which.
    pub(crate) signal: Signal,
    /// Sent by a process, and not by the terminal or the kernel: `si_code` <= 0 (sigaction(2)).
    pub(crate) by_process: bool,
}

/// The size of a terminal, in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Size {
    /// Lines.
    pub(crate) rows: u16,
    /// Columns.
    pub(crate) columns: u16,
}
