//! What each key does. No terminal here: keys come in, and a screen can be drawn.

use ratatui_textarea::CursorMove;
use zeroize::Zeroizing;

use super::Complaint;
use super::mask::{Mask, masks};
use super::text::{Text, byte_at};
use super::view::View;
use crate::platform::Key;
use crate::secret::Secret;

/// What the keys that were pressed ask for.
pub(super) enum Step {
    /// The next ones.
    Go,
    /// The whole screen, drawn anew.
    Redraw,
    /// To stop as ^Z does.
    Suspend,
    /// To leave without saving.
    Quit,
    /// To leave with this text.
    Save(Secret),
}

/// What is being asked at the foot of the screen.
pub(super) enum Asked {
    /// Nothing: keys go to the text.
    Nothing,
    /// What to find; so far this.
    Find(Zeroizing<String>),
    /// Whether to leave without saving.
    Leave,
}

/// An editor with its text.
pub(super) struct Editor<'a> {
    pub(super) text: Text,
    pub(super) title: &'a str,
    pub(super) asked: Asked,
    /// What was done or can't be.
    pub(super) message: &'static str,
    /// What the last attempt to save has brought.
    pub(super) complaints: Vec<Complaint>,
    pub(super) view: View,
    /// Everything is shown.
    pub(super) revealed: bool,
    original: &'a str,
    check: &'a dyn Fn(&str) -> Vec<Complaint>,
    masks: Vec<Mask>,
    /// The line that is being changed, which is shown as long as the cursor is in it.
    open: Option<usize>,
    /// Lines that were cut or copied, each with its end.
    clip: Zeroizing<String>,
    /// The last key put a line there, and the next one adds to it.
    clipping: bool,
    wanted: Zeroizing<String>,
}

impl<'a> Editor<'a> {
    pub(super) fn new(
        text: &'a str,
        title: &'a str,
        check: &'a dyn Fn(&str) -> Vec<Complaint>,
    ) -> Self {
        let state = Text::new(text);
        Self {
            masks: masks(state.lines()),
            text: state,
            title,
            asked: Asked::Nothing,
            message: "",
            complaints: Vec::new(),
            view: View::default(),
            revealed: false,
            original: text,
            check,
            open: None,
            clip: Zeroizing::default(),
            clipping: false,
            wanted: Zeroizing::default(),
        }
    }

    pub(super) fn is_changed(&self) -> bool {
        !self.text.is(self.original)
    }

    /// From which byte on a line is hidden, if it is.
    pub(super) fn hidden(&self, row: usize) -> Option<usize> {
        if self.revealed || self.open == Some(row) {
            return None;
        }
        match self.masks.get(row)? {
            Mask::Nothing => None,
            Mask::Behind(at) => Some(*at),
        }
    }

    /// Takes keys until one of them asks for something; those behind it are lost.
    pub(super) fn press_all(&mut self, keys: impl IntoIterator<Item = Key>) -> Step {
        let mut keys = keys.into_iter().peekable();
        while let Some(key) = keys.next() {
            // A terminal without bracketed paste types what is pasted: one edit, and not thousands.
            let Some(mut typed) = self.typed(&key) else {
                match self.press(key) {
                    Step::Go => continue,
                    step => return step,
                }
            };
            while let Some(more) = keys.peek().and_then(|key| self.typed(key)) {
                typed.push_str(&more);
                keys.next();
            }
            self.type_in(&typed);
        }
        Step::Go
    }

    fn typed(&self, key: &Key) -> Option<Zeroizing<String>> {
        let text = match (&self.asked, key) {
            (Asked::Nothing, Key::Char(c)) => c.to_string(),
            (Asked::Nothing, Key::Enter) => "\n".to_owned(),
            (Asked::Nothing, Key::Tab) => "\t".to_owned(),
            _ => return None,
        };
        Some(Zeroizing::new(text))
    }

    fn press(&mut self, key: Key) -> Step {
        match &mut self.asked {
            Asked::Nothing => {}
            Asked::Find(wanted) => {
                let wanted = std::mem::take(wanted);
                self.asked_to_find(wanted, key);
                return Step::Go;
            }
            Asked::Leave => {
                self.asked = Asked::Nothing;
                return match key {
                    Key::Char('y' | 'Y') => Step::Quit,
                    Key::Control('s') => self.save(),
                    _ => Step::Go,
                };
            }
        }
        self.message = "";
        let clipping = std::mem::take(&mut self.clipping);
        match key {
            Key::Control('s') => return self.save(),
            Key::Control('q') => {
                if !self.is_changed() {
                    return Step::Quit;
                }
                self.asked = Asked::Leave;
            }
            Key::Control('z') => {
                self.open = None;
                return Step::Suspend;
            }
            Key::Control('l') => return Step::Redraw,
            Key::Control('f') => self.asked = Asked::Find(Zeroizing::default()),
            Key::Control('n') | Key::Function(3) => self.find(),
            Key::Control('r') => self.revealed = !self.revealed,
            Key::Control('x' | 'k') => self.cut(clipping),
            Key::Control('c') => self.copy(clipping),
            Key::Control('v') => self.put_back(),
            Key::Control('u' | '_') => {
                let went = self.text.undo();
                self.changed(went, "there is nothing to undo");
            }
            Key::Control('y') => {
                let went = self.text.redo();
                self.changed(went, "there is nothing to redo");
            }
            Key::Paste(text) => self.type_in(&text),
            Key::Backspace => {
                self.text.delete_back();
                self.changed(true, "");
            }
            Key::Delete | Key::Control('d') => {
                self.text.delete();
                self.changed(true, "");
            }
            Key::Escape => {
                self.open = None;
                self.complaints.clear();
                self.snap(false);
            }
            motion => self.go(&motion),
        }
        if self.open.is_some_and(|row| row != self.text.cursor().0) {
            self.open = None;
        }
        Step::Go
    }

    fn go(&mut self, key: &Key) {
        let page = isize::try_from(self.view.page()).unwrap_or(1);
        match key {
            Key::Left => self.text.go(CursorMove::Back),
            Key::Right => self.text.go(CursorMove::Forward),
            Key::Up => self.text.go(CursorMove::Up),
            Key::Down => self.text.go(CursorMove::Down),
            Key::WordLeft | Key::Alt('b') => self.text.go(CursorMove::WordBack),
            Key::WordRight | Key::Alt('f') => self.text.go(CursorMove::WordForward),
            Key::Home | Key::Control('a') => self.text.go(CursorMove::Head),
            Key::End | Key::Control('e') => self.text.go(CursorMove::End),
            Key::PageUp => self.text.go_lines(-page),
            Key::PageDown => self.text.go_lines(page),
            Key::Top | Key::Alt('<') => self.text.go_to(0, 0),
            Key::Bottom | Key::Alt('>') => self.text.go_to_end(),
            _ => self.message = "this key does nothing here; the keys stand below",
        }
        self.snap(matches!(key, Key::Right | Key::WordRight));
    }

    /// A cursor inside what is hidden would tell its length, and could not be followed: it stands before
    /// it, or `behind` it.
    fn snap(&mut self, behind: bool) {
        let (row, column) = self.text.cursor();
        let Some(start) = self.hidden(row) else { return };
        let line = self.text.line();
        let at = byte_at(line, column);
        if at <= start || at >= line.len() {
            return;
        }
        let before = line.get(..start).map_or(0, |before| before.chars().count());
        if behind {
            self.text.go(CursorMove::End);
        } else {
            self.text.go_to(row, before);
        }
    }

    fn type_in(&mut self, text: &str) {
        self.message = "";
        self.clipping = false;
        self.text.insert(text);
        self.changed(true, "");
    }

    /// Looks at the text again, and shows the line in which something has `happened`.
    fn changed(&mut self, happened: bool, otherwise: &'static str) {
        if !happened {
            self.message = otherwise;
            return;
        }
        self.masks = masks(self.text.lines());
        self.open = Some(self.text.cursor().0);
    }

    fn cut(&mut self, goes_on: bool) {
        let line = self.text.cut_line();
        self.clip_line(&line, goes_on);
        self.masks = masks(self.text.lines());
        // The line that has come in its place was not touched.
        self.open = None;
        self.message = "cut; ^V puts it here, and ^X again takes one more";
    }

    fn copy(&mut self, goes_on: bool) {
        let line = Zeroizing::new(self.text.line().to_owned());
        self.clip_line(&line, goes_on);
        self.text.go(CursorMove::Down);
        self.text.go(CursorMove::Head);
        self.message = "copied; ^V puts it here, ^C again takes one more, ^Q leaves";
    }

    fn clip_line(&mut self, line: &str, goes_on: bool) {
        if !goes_on {
            self.clip = Zeroizing::default();
        }
        self.clip.push_str(line);
        self.clip.push('\n');
        self.clipping = true;
    }

    fn put_back(&mut self) {
        if self.clip.is_empty() {
            self.message =
                "nothing was cut or copied here; your terminal's own key pastes its clipboard";
            return;
        }
        self.text.insert_lines(&self.clip);
        self.masks = masks(self.text.lines());
        self.open = None;
    }

    fn asked_to_find(&mut self, mut wanted: Zeroizing<String>, key: Key) {
        match key {
            Key::Char(c) => wanted.push(c),
            Key::Paste(text) => wanted.push_str(text.lines().next().unwrap_or_default()),
            Key::Backspace => drop(wanted.pop()),
            Key::Enter | Key::Control('f' | 'n') | Key::Function(3) => {
                if !wanted.is_empty() {
                    self.wanted = wanted;
                }
                self.asked = Asked::Nothing;
                self.find();
                return;
            }
            Key::Escape | Key::Control('c' | 'q') => {
                self.asked = Asked::Nothing;
                return;
            }
            _ => {}
        }
        self.asked = Asked::Find(wanted);
    }

    fn find(&mut self) {
        self.message = match (self.wanted.is_empty(), self.text.find(&self.wanted)) {
            (true, _) => "nothing was searched for yet: ^F",
            (false, false) => "not found",
            (false, true) => "",
        };
        if self.open.is_some_and(|row| row != self.text.cursor().0) {
            self.open = None;
        }
    }

    fn save(&mut self) -> Step {
        let whole = self.text.whole();
        self.complaints = (self.check)(&whole);
        let Some(first) = self.complaints.first() else {
            return Step::Save(Secret::new(whole.as_bytes().to_vec()));
        };
        self.text.go_to(first.line.saturating_sub(1), 0);
        self.open = None;
        self.message = "not saved";
        Step::Go
    }
}
