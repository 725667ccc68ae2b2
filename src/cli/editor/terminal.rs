//! The editor on a real terminal.

use std::any::Any;
use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use ratatui_core::backend::{Backend, ClearType, WindowSize};
use ratatui_core::buffer::Cell;
use ratatui_core::layout::{Position, Rect, Size};
use ratatui_core::style::Modifier;
use ratatui_core::terminal::{Terminal, TerminalOptions, Viewport};

use super::state::{Editor, Step};
use crate::error::{Error, Result, reason};
use crate::platform::{Console, Event, Key, Keyboard};
use crate::secret::Secret;

/// The alternate screen, which leaves nothing to scroll back to; pastes in brackets.
const ENTER: &[u8] = b"\x1b[?1049h\x1b[?2004h\x1b[0m\x1b[2J\x1b[H";
/// Cleared before it is left: some terminals can be made to show it again.
const LEAVE: &[u8] = b"\x1b[0m\x1b[2J\x1b[H\x1b[?25h\x1b[?2004l\x1b[?1049l";

/// Edits until the person leaves, or something else ends it. The terminal is then as it was.
pub(super) fn run(mut editor: Editor<'_>) -> Result<Option<Secret>> {
    let mut keyboard = Keyboard::open().map_err(|error| failed(&error))?;
    let stage = Arc::new(Stage { console: keyboard.console(), entered: AtomicBool::new(false) });
    let work = || {
        let _leave = Leave(&stage);
        converse(&mut editor, &mut keyboard, &stage)
    };
    let ended = without_panic_message(&stage, work);
    // Both hold parts of the text; their blocks are wiped here.
    drop(editor);
    drop(keyboard);
    ended
}

fn converse(
    editor: &mut Editor<'_>,
    keyboard: &mut Keyboard,
    stage: &Stage,
) -> Result<Option<Secret>> {
    let failed = |error| failed(&error);
    stage.enter().map_err(failed)?;
    let options = TerminalOptions { viewport: Viewport::Fixed(stage.area()) };
    let canvas = Canvas { console: stage.console.clone(), bytes: Vec::new() };
    let mut terminal = Terminal::with_options(canvas, options).map_err(failed)?;
    loop {
        terminal.draw(|frame| editor.draw(frame)).map_err(failed)?;
        let mut keys: Vec<Key> = Vec::new();
        for event in keyboard.wait().map_err(failed)? {
            match event {
                Event::Key(key) => keys.push(key),
                Event::Resized => terminal.resize(stage.area()).map_err(failed)?,
                Event::Ended(signal) => {
                    let name = signal.name();
                    return Err(Error::failed(format!(
                        "{name} ended the editor; nothing is saved"
                    )));
                }
                Event::Closed => {
                    return Err(Error::failed("the terminal was closed; nothing is saved"));
                }
            }
        }
        match editor.press_all(keys) {
            Step::Go => {}
            Step::Redraw => terminal.resize(stage.area()).map_err(failed)?,
            Step::Suspend => {
                stage.leave();
                if keyboard.suspend().is_err() {
                    editor.message = "this system can't suspend a program";
                }
                stage.enter().map_err(failed)?;
                // Its size may be another one, and nothing is on it.
                terminal.resize(stage.area()).map_err(failed)?;
            }
            Step::Quit => return Ok(None),
            Step::Save(text) => return Ok(Some(text)),
        }
    }
}

fn failed(error: &io::Error) -> Error {
    Error::failed(format!("cannot edit on this terminal: {}", reason(error)))
        .hint("change values with `vault set NAME` or `vault import`")
}

/// The terminal, ours or not.
struct Stage {
    console: Console,
    entered: AtomicBool,
}

impl Stage {
    fn enter(&self) -> io::Result<()> {
        self.entered.store(true, Ordering::SeqCst);
        self.console.raw()?;
        self.console.write(ENTER)
    }

    fn leave(&self) {
        if self.entered.swap(false, Ordering::SeqCst) {
            // What is gone needs no clearing.
            drop(self.console.write(LEAVE));
            self.console.cooked();
        }
    }

    fn area(&self) -> Rect {
        let size = self.console.size();
        Rect::new(0, 0, size.columns, size.rows)
    }
}

struct Leave<'a>(&'a Stage);

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        self.0.leave();
    }
}

/// Runs `work`. A panic becomes an error that says where, and not what: the message of a panic can quote
/// the text that it stumbled over. The terminal is put back before anybody says anything.
fn without_panic_message<T>(stage: &Arc<Stage>, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let ours = std::thread::current().id();
    let place = Arc::new(Mutex::new(String::new()));
    let before = Arc::new(panic::take_hook());
    panic::set_hook(Box::new({
        let (stage, place, before) = (Arc::clone(stage), Arc::clone(&place), Arc::clone(&before));
        move |panicked| {
            stage.leave();
            if std::thread::current().id() != ours {
                return before(panicked);
            }
            if let (Some(at), Ok(mut place)) = (panicked.location(), place.lock()) {
                // The file alone: the path is one of the machine that built this.
                let file = at.file().rsplit(['/', '\\']).next().unwrap_or_default();
                *place = format!("{file}:{}", at.line());
            }
        }
    }));
    let ended: Result<Result<T>, Box<dyn Any + Send>> = panic::catch_unwind(AssertUnwindSafe(work));
    drop(panic::take_hook());
    if let Ok(before) = Arc::try_unwrap(before) {
        panic::set_hook(before);
    }
    ended.unwrap_or_else(|_| {
        let place = place.lock().map(|place| place.clone()).unwrap_or_default();
        Err(Error::failed(format!("a mistake in the editor ended it ({place}); nothing is saved")))
    })
}

/// Where `ratatui` draws: bytes for a terminal that is like xterm, written in one go.
struct Canvas {
    console: Console,
    bytes: Vec<u8>,
}

impl Canvas {
    fn say(&mut self, text: &str) {
        self.bytes.extend_from_slice(text.as_bytes());
    }
}

impl Backend for Canvas {
    type Error = io::Error;

    fn draw<'a, I>(&mut self, content: I) -> io::Result<()>
    where
        I: Iterator<Item = (u16, u16, &'a Cell)>,
    {
        // While it is drawn, the cursor would be seen everywhere.
        self.say("\x1b[?25l");
        let mut next = None;
        let mut worn = None;
        for (x, y, cell) in content {
            if next != Some((x, y)) {
                self.say(&format!("\x1b[{};{}H", y + 1, x + 1));
            }
            if worn != Some(cell.modifier) {
                self.say("\x1b[0m");
                for (modifier, code) in [
                    (Modifier::BOLD, "\x1b[1m"),
                    (Modifier::DIM, "\x1b[2m"),
                    (Modifier::REVERSED, "\x1b[7m"),
                ] {
                    if cell.modifier.contains(modifier) {
                        self.say(code);
                    }
                }
                worn = Some(cell.modifier);
            }
            self.say(cell.symbol());
            // How far a terminal goes for others is its own affair.
            next = cell.symbol().is_ascii().then_some((x + 1, y));
        }
        self.say("\x1b[0m");
        Ok(())
    }

    fn hide_cursor(&mut self) -> io::Result<()> {
        self.say("\x1b[?25l");
        Ok(())
    }

    fn show_cursor(&mut self) -> io::Result<()> {
        self.say("\x1b[?25h");
        Ok(())
    }

    fn get_cursor_position(&mut self) -> io::Result<Position> {
        // Only asked where a screen is shared with what stands above it.
        Ok(Position::ORIGIN)
    }

    fn set_cursor_position<P: Into<Position>>(&mut self, position: P) -> io::Result<()> {
        let Position { x, y } = position.into();
        self.say(&format!("\x1b[{};{}H", y + 1, x + 1));
        Ok(())
    }

    fn clear(&mut self) -> io::Result<()> {
        self.say("\x1b[0m\x1b[2J");
        Ok(())
    }

    fn clear_region(&mut self, _: ClearType) -> io::Result<()> {
        self.clear()
    }

    fn size(&self) -> io::Result<Size> {
        let size = self.console.size();
        Ok(Size::new(size.columns, size.rows))
    }

    fn window_size(&mut self) -> io::Result<WindowSize> {
        Ok(WindowSize { columns_rows: self.size()?, pixels: Size::ZERO })
    }

    fn flush(&mut self) -> io::Result<()> {
        let written = self.console.write(&self.bytes);
        self.bytes.clear();
        written
    }
}
