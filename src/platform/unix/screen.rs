//! A terminal that a program has for itself, key by key.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::{Mode, OFlags};
use rustix::termios::{OptionalActions, Termios, isatty};
use zeroize::Zeroizing;

use super::events::{Signals, handle, wait_for};
use super::keys::Decoder;
use crate::platform::{Event, Interest, Signal, Size};

/// After an escape byte that nothing follows for so long, it was the key of that name.
const ESCAPE_DELAY: Duration = Duration::from_millis(50);
/// Within so long a process that was told to stop has stopped.
const STOP_DELAY: Duration = Duration::from_millis(50);
/// Those that end the process, and the one that the size has changed.
const SIGNALS: [Signal; 5] = [Signal::Hup, Signal::Int, Signal::Quit, Signal::Term, Signal::Winch];

/// The terminal's two sides and how it was found.
#[derive(Debug)]
struct Sides {
    input: File,
    output: File,
    before: Termios,
}

/// What puts the terminal into a mode and writes to it; can be had by several.
#[derive(Debug, Clone)]
pub(crate) struct Console(Arc<Sides>);

impl Console {
    /// Keys come one by one, without echo, and none of them is a signal.
    pub(crate) fn raw(&self) -> io::Result<()> {
        let mut raw = self.0.before.clone();
        raw.make_raw();
        Ok(rustix::termios::tcsetattr(&self.0.input, OptionalActions::Now, &raw)?)
    }

    /// As it was found.
    pub(crate) fn cooked(&self) {
        // A terminal that is gone needs no mode.
        let _ = rustix::termios::tcsetattr(&self.0.input, OptionalActions::Now, &self.0.before);
    }

    /// Writes all of it.
    pub(crate) fn write(&self, bytes: &[u8]) -> io::Result<()> {
        (&self.0.output).write_all(bytes)
    }

    /// Its size; the usual one where it doesn't know its own.
    pub(crate) fn size(&self) -> Size {
        let size = rustix::termios::tcgetwinsize(&self.0.output);
        let known = size.ok().filter(|size| size.ws_row > 0 && size.ws_col > 0);
        known.map_or(Size { rows: 24, columns: 80 }, |size| Size {
            rows: size.ws_row,
            columns: size.ws_col,
        })
    }
}

/// Reads a terminal's keys.
pub(crate) struct Keyboard {
    console: Console,
    signals: Signals,
    decoder: Decoder,
    part: Zeroizing<Vec<u8>>,
}

impl Keyboard {
    /// Takes the terminal: what is shown goes to `/dev/tty`; keys come from standard input, or from there
    /// too if that is no terminal.
    pub(crate) fn open() -> io::Result<Self> {
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let output = rustix::fs::open("/dev/tty", flags, Mode::empty())?;
        // Not simply /dev/tty for both: macOS can't poll it.
        let stdin = rustix::stdio::stdin();
        let input: OwnedFd = if isatty(stdin) {
            rustix::io::fcntl_dupfd_cloexec(stdin, 0)?
        } else {
            output.try_clone()?
        };
        let before = rustix::termios::tcgetattr(&input)?;
        let sides = Sides { input: File::from(input), output: File::from(output), before };
        Ok(Self {
            console: Console(Arc::new(sides)),
            signals: Signals::catch(&SIGNALS)?,
            decoder: Decoder::default(),
            part: Zeroizing::new(vec![0; 4096]),
        })
    }

    /// What shows something on it.
    pub(crate) fn console(&self) -> Console {
        self.console.clone()
    }

    /// Waits until something happens.
    pub(crate) fn wait(&mut self) -> io::Result<Vec<Event>> {
        let input = &self.console.0.input;
        let patience = self.decoder.is_waiting().then_some(ESCAPE_DELAY);
        let ready = wait_for(
            &[
                (self.signals.handle(), Interest::Read),
                (handle(input), Interest::Closed),
                (handle(input), Interest::Read),
            ],
            patience,
        )?;
        let is_ready = |at: usize| ready.get(at).copied().unwrap_or_default();
        let mut events = Vec::new();
        if is_ready(0) {
            events.extend(self.signals.take().into_iter().map(|caught| match caught.signal {
                Signal::Winch => Event::Resized,
                signal => Event::Ended(signal),
            }));
        }
        if is_ready(1) {
            events.push(Event::Closed);
        } else if is_ready(2) {
            match (&self.console.0.input).read(&mut self.part) {
                Ok(count @ 1..) => {
                    let bytes = self.part.get(..count).unwrap_or_default();
                    events.extend(self.decoder.feed(bytes).into_iter().map(Event::Key));
                }
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock
                    ) => {}
                // Its end, or EIO: the window was closed.
                Ok(_) | Err(_) => events.push(Event::Closed),
            }
        } else if patience.is_some() && !is_ready(0) {
            events.extend(self.decoder.flush().into_iter().map(Event::Key));
        }
        Ok(events)
    }

    /// Stops this process and those that were started with it, as ^Z does, until it is continued. The
    /// terminal has to be as it was found.
    #[expect(clippy::unused_self, reason = "who has the terminal may stop what is in front of it")]
    pub(crate) fn suspend(&self) -> io::Result<()> {
        rustix::process::kill_current_process_group(rustix::process::Signal::TSTP)?;
        // Another thread may be the one that the signal comes to, a moment after this one went on.
        std::thread::sleep(STOP_DELAY);
        Ok(())
    }
}
