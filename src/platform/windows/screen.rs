//! A console that a program has for itself, key by key.

use std::fs::File;
use std::io::{self, Write as _};
use std::sync::Arc;
use std::time::Duration;

use crossterm::event::{self, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use crate::platform::key::pasted;
use crate::platform::{Event, Key, Size};

/// What puts the console into a mode and writes to it; can be had by several.
#[derive(Debug, Clone)]
pub(crate) struct Console(Arc<File>);

impl Console {
    /// Keys come one by one, without echo.
    #[expect(clippy::unused_self, reason = "the other systems have a descriptor here")]
    pub(crate) fn raw(&self) -> io::Result<()> {
        crossterm::terminal::enable_raw_mode()
    }

    /// As it was found.
    #[expect(clippy::unused_self, reason = "the other systems have a descriptor here")]
    pub(crate) fn cooked(&self) {
        // A console that is gone needs no mode.
        drop(crossterm::terminal::disable_raw_mode());
    }

    /// Writes all of it.
    pub(crate) fn write(&self, bytes: &[u8]) -> io::Result<()> {
        (&*self.0).write_all(bytes)
    }

    /// Its size; the usual one where it doesn't know its own.
    #[expect(clippy::unused_self, reason = "the other systems have a descriptor here")]
    pub(crate) fn size(&self) -> Size {
        let known = crossterm::terminal::size().ok().filter(|(x, y)| *x > 0 && *y > 0);
        known.map_or(Size { rows: 24, columns: 80 }, |(columns, rows)| Size { rows, columns })
    }
}

/// Reads a console's keys.
pub(crate) struct Keyboard(Console);

impl Keyboard {
    /// Takes the console, wherever standard output leads.
    pub(crate) fn open() -> io::Result<Self> {
        let output = std::fs::OpenOptions::new().read(true).write(true).open("CONOUT$")?;
        // Asking switches it on.
        if !crossterm::ansi_support::supports_ansi() {
            return Err(io::ErrorKind::Unsupported.into());
        }
        Ok(Self(Console(Arc::new(output))))
    }

    /// What shows something on it.
    pub(crate) fn console(&self) -> Console {
        self.0.clone()
    }

    /// Waits until something happens, and takes all that has.
    #[expect(clippy::unused_self, reason = "the other systems have a descriptor here")]
    pub(crate) fn wait(&mut self) -> io::Result<Vec<Event>> {
        let mut events: Vec<Event> = told(event::read()?).into_iter().collect();
        while event::poll(Duration::ZERO)? {
            events.extend(told(event::read()?));
        }
        Ok(events)
    }

    /// There is no job control.
    #[expect(clippy::unused_self, reason = "the other systems stop what has the terminal")]
    pub(crate) fn suspend(&self) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

fn told(event: event::Event) -> Option<Event> {
    match event {
        event::Event::Key(key) if key.kind != KeyEventKind::Release => key_of(key).map(Event::Key),
        event::Event::Paste(text) => Some(Event::Key(pasted(&text))),
        event::Event::Resize(..) => Some(Event::Resized),
        _ => None,
    }
}

fn key_of(key: KeyEvent) -> Option<Key> {
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    let alternate = key.modifiers.contains(KeyModifiers::ALT);
    Some(match key.code {
        // Both together are the third level of a keyboard.
        KeyCode::Char(c) if control && !alternate => Key::Control(c.to_ascii_lowercase()),
        KeyCode::Char(c) if alternate && !control => Key::Alt(c),
        KeyCode::Char(c) => Key::Char(c),
        KeyCode::F(number) => Key::Function(number),
        KeyCode::Enter => Key::Enter,
        KeyCode::Tab => Key::Tab,
        KeyCode::Esc => Key::Escape,
        KeyCode::Backspace => Key::Backspace,
        KeyCode::Delete => Key::Delete,
        KeyCode::Left if control || alternate => Key::WordLeft,
        KeyCode::Right if control || alternate => Key::WordRight,
        KeyCode::Left => Key::Left,
        KeyCode::Right => Key::Right,
        KeyCode::Up => Key::Up,
        KeyCode::Down => Key::Down,
        KeyCode::Home if control => Key::Top,
        KeyCode::End if control => Key::Bottom,
        KeyCode::Home => Key::Home,
        KeyCode::End => Key::End,
        KeyCode::PageUp => Key::PageUp,
        KeyCode::PageDown => Key::PageDown,
        _ => return None,
    })
}
