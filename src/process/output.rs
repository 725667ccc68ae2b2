//! Lines of many processes on one standard output: prefixed, whole, in bounded memory.
//!
//! A thread writes, so that a reader who is slow, or asleep, doesn't keep the event loop from signals.
//! There are two buffers: the one that is written and the one that is filled. When that is full the
//! processes are not read any more, and so wait in their own pipes.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{SystemTime, UNIX_EPOCH};

use super::redact::Redactor;
use crate::platform::{self, Handle, Interest};

/// What a line looks like.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Look {
    /// `HH:MM:SS NAME | ` stands before it.
    pub(crate) prefix: bool,
    /// With the time in it.
    pub(crate) time: bool,
    /// The prefix has its process's colour.
    pub(crate) color: bool,
}

/// Codes of ECMA-48 for the prefixes, by instance, repeating (as Honcho).
const COLORS: [&str; 12] =
    ["36", "33", "32", "35", "31", "34", "36;1", "33;1", "32;1", "35;1", "31;1", "34;1"];
/// Names are padded to this at least.
const NARROWEST: usize = 6;
/// The name of our own lines.
const OWN: &str = "system";
/// So much is collected while the writer is busy.
const ROOM: usize = 256 << 10;
/// A line that has no end after so many bytes is ended here, or it would take all memory.
pub(crate) const LINE_LIMIT: usize = 16 << 20;

/// The name and colour before a line, put together once a second.
#[derive(Debug)]
struct Tag {
    name: String,
    color: Option<&'static str>,
    prefix: Vec<u8>,
    made_at: Option<u64>,
}

/// One process's output on its way: hidden values, and the line that has no end yet.
pub(crate) struct Source {
    tag: Tag,
    quiet: bool,
    redactor: Option<Redactor>,
    decided: Vec<u8>,
    partial: Vec<u8>,
}

impl Source {
    /// The process with this name, the `index`-th of all. A quiet one's lines are not printed.
    pub(crate) fn new(name: &str, index: usize, quiet: bool, redactor: Option<Redactor>) -> Self {
        let color = COLORS.get(index % COLORS.len()).copied();
        let tag = Tag { name: name.to_owned(), color, prefix: Vec::new(), made_at: None };
        Self { tag, quiet, redactor, decided: Vec::new(), partial: Vec::new() }
    }

    /// Whether bytes are held back because a value to be hidden may begin with them.
    pub(crate) fn is_holding(&self) -> bool {
        self.redactor.as_ref().is_some_and(Redactor::is_holding)
    }
}

/// Where all lines go.
pub(crate) struct Printer {
    look: Look,
    width: usize,
    own: Tag,
    filled: Vec<u8>,
    writer: Writer,
    second: u64,
    clock: String,
}

impl Printer {
    /// A printer for processes with these names.
    pub(crate) fn new<'a>(look: Look, names: impl Iterator<Item = &'a str>) -> io::Result<Self> {
        let width = names.map(str::len).max().unwrap_or_default().max(NARROWEST);
        let own = Tag { name: OWN.to_owned(), color: None, prefix: Vec::new(), made_at: None };
        let writer = Writer::start()?;
        let (filled, clock) = (Vec::new(), String::new());
        Ok(Self { look, width, own, filled, writer, second: 0, clock })
    }

    /// How many columns the prefix takes.
    pub(crate) fn prefix_width(&self) -> usize {
        if self.look.prefix { self.width + 3 + if self.look.time { 9 } else { 0 } } else { 0 }
    }

    /// Prints a line of our own.
    pub(crate) fn say(&mut self, text: &str) {
        self.look_at_the_clock();
        self.renew_own();
        self.filled.extend_from_slice(&self.own.prefix);
        self.filled.extend_from_slice(text.as_bytes());
        self.filled.push(b'\n');
    }

    /// Prints the lines that these bytes complete, with the time at which they were read.
    pub(crate) fn feed(&mut self, source: &mut Source, bytes: &[u8]) {
        if source.quiet {
            return;
        }
        let Some(redactor) = &mut source.redactor else { return self.lines(source, bytes) };
        let mut decided = std::mem::take(&mut source.decided);
        redactor.push(bytes, &mut decided);
        self.lines(source, &decided);
        decided.clear();
        source.decided = decided;
    }

    /// Prints what was held back, as far as it completes lines.
    pub(crate) fn release(&mut self, source: &mut Source) {
        let Some(redactor) = &mut source.redactor else { return };
        let mut decided = Vec::new();
        redactor.flush(&mut decided);
        self.lines(source, &decided);
    }

    /// Prints the line that has no end, when no more will come.
    pub(crate) fn finish(&mut self, source: &mut Source) {
        self.release(source);
        if !source.partial.is_empty() {
            self.lines(source, b"\n");
        }
    }

    fn lines(&mut self, source: &mut Source, bytes: &[u8]) {
        self.look_at_the_clock();
        renew(&mut source.tag, self.look, self.width, self.second, &self.clock);
        let end = memchr::memrchr(b'\n', bytes).map_or(0, |at| at + 1);
        let (mut whole, rest) = bytes.split_at(end);
        if !source.partial.is_empty() && !whole.is_empty() {
            let first = memchr::memchr(b'\n', whole).map_or(0, |at| at + 1);
            let (head, tail) = whole.split_at(first);
            source.partial.extend_from_slice(head);
            print(&mut self.filled, &source.tag.prefix, &source.partial);
            // A long line's memory is given back.
            source.partial = Vec::new();
            whole = tail;
        }
        print(&mut self.filled, &source.tag.prefix, whole);
        source.partial.extend_from_slice(rest);
        if source.partial.len() >= LINE_LIMIT {
            let mut line = std::mem::take(&mut source.partial);
            line.push(b'\n');
            print(&mut self.filled, &source.tag.prefix, &line);
        }
    }

    fn look_at_the_clock(&mut self) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
        if now != self.second {
            let (hours, minutes, seconds) = platform::local_time(now);
            self.clock = format!("{hours:02}:{minutes:02}:{seconds:02} ");
            self.second = now;
        }
    }

    fn renew_own(&mut self) {
        renew(&mut self.own, self.look, self.width, self.second, &self.clock);
    }

    /// Whether processes may be read.
    pub(crate) fn has_room(&self) -> bool {
        self.filled.len() < ROOM
    }

    /// What is ready when the writer is.
    pub(crate) fn handle(&self) -> Handle<'_> {
        platform::handle(&self.writer.wake)
    }

    /// Hands what was collected to the writer, if it is free. True when all is written.
    pub(crate) fn pump(&mut self) -> bool {
        self.writer.collect();
        if self.writer.failed {
            // Nobody reads it. The processes go on until they have ended.
            self.filled.clear();
        }
        if let Some(mut spare) = self.writer.spare.take() {
            if self.filled.is_empty() {
                self.writer.spare = Some(spare);
                return true;
            }
            std::mem::swap(&mut spare, &mut self.filled);
            // The thread lives as long as this side does.
            drop(self.writer.give.send(spare));
        }
        false
    }

    /// Why nothing can be written any more, told once.
    pub(crate) fn failure(&mut self) -> Option<io::Error> {
        self.writer.failure.take()
    }

    /// Notes that the reader of standard output is gone.
    pub(crate) fn reader_is_gone(&mut self) {
        self.writer.fail(io::ErrorKind::BrokenPipe.into());
    }

    /// Whether writing still makes sense.
    pub(crate) fn works(&self) -> bool {
        !self.writer.failed
    }
}

/// Makes a tag's prefix of this second, if it has it not yet.
fn renew(tag: &mut Tag, look: Look, width: usize, second: u64, clock: &str) {
    if tag.made_at == Some(second) || !look.prefix {
        return;
    }
    let time = if look.time { clock } else { "" };
    let plain = format!("{time}{:width$} | ", tag.name);
    tag.prefix = match tag.color.filter(|_| look.color) {
        Some(code) => format!("\x1b[0m\x1b[{code}m{plain}\x1b[0m").into_bytes(),
        None => plain.into_bytes(),
    };
    tag.made_at = Some(second);
}

/// Prints whole lines. A carriage return ends a line too, as Honcho has it; what is no UTF-8 becomes U+FFFD.
fn print(out: &mut Vec<u8>, prefix: &[u8], lines: &[u8]) {
    let plain = memchr::memchr(b'\r', lines).is_none() && std::str::from_utf8(lines).is_ok();
    for line in lines.split_inclusive(|&byte| byte == b'\n') {
        if plain {
            out.extend_from_slice(prefix);
            out.extend_from_slice(line);
            continue;
        }
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        for piece in line.split(|&byte| byte == b'\r') {
            out.extend_from_slice(prefix);
            out.extend_from_slice(String::from_utf8_lossy(piece).as_bytes());
            out.push(b'\n');
        }
    }
}

/// The thread that writes, seen from outside.
struct Writer {
    give: SyncSender<Vec<u8>>,
    back: Receiver<io::Result<Vec<u8>>>,
    wake: File,
    /// The buffer that isn't being written.
    spare: Option<Vec<u8>>,
    /// Writing makes no sense any more.
    failed: bool,
    /// Why, until it was told.
    failure: Option<io::Error>,
}

impl Writer {
    fn start() -> io::Result<Self> {
        let (wake, mut ring) = platform::pipe()?;
        let mut output = platform::output_file()?;
        let (give, take) = sync_channel::<Vec<u8>>(1);
        let (return_, back) = sync_channel(1);
        // Not joined: a write that nobody reads would never end, and the program would not either.
        drop(std::thread::Builder::new().name("output".to_owned()).spawn(move || {
            for mut buffer in take {
                let written = write_all(&mut output, &buffer);
                buffer.clear();
                if return_.send(written.map(|()| buffer)).is_err() || ring.write_all(&[0]).is_err()
                {
                    return;
                }
            }
        })?);
        Ok(Self { give, back, wake, spare: Some(Vec::new()), failed: false, failure: None })
    }

    fn fail(&mut self, error: io::Error) {
        if !self.failed {
            self.failed = true;
            self.failure = Some(error);
        }
    }

    /// Takes back the buffer that was written, if it was.
    fn collect(&mut self) {
        let mut rings = [0; 8];
        while (&self.wake).read(&mut rings).is_ok_and(|count| count > 0) {}
        match self.back.try_recv() {
            // The memory of a long line is given back.
            Ok(Ok(buffer)) if buffer.capacity() > 16 * ROOM => self.spare = Some(Vec::new()),
            Ok(Ok(buffer)) => self.spare = Some(buffer),
            Ok(Err(error)) => {
                self.spare = Some(Vec::new());
                self.fail(error);
            }
            Err(_) => {}
        }
    }
}

/// As `Write::write_all`, and waits where another process made the descriptor non-blocking.
fn write_all(output: &mut File, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match output.write(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                platform::wait_for(&[(platform::handle(output), Interest::Write)], None)?;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
