//! The text under the cursor: what `ratatui-textarea` does, with what it lacks.
//!
//! Its widget is not used, because it hides a text whole or not at all. What is used is its text, cursor
//! and history.

use ratatui_textarea::{CursorMove, TextArea};
use zeroize::Zeroizing;

/// So many edits can be undone.
const HISTORY: usize = 20_000;

/// A text, a cursor in it, and how it came to be.
pub(super) struct Text {
    area: TextArea<'static>,
    /// Of how many edits of the area each of ours consists.
    done: Vec<usize>,
    undone: Vec<usize>,
    /// Where the typing that can still grow has ended.
    typing: Option<(usize, usize)>,
}

impl Text {
    pub(super) fn new(text: &str) -> Self {
        // Each line in a block of its own size; `split` leaves CR alone, so an unchanged text stays so.
        let mut area = TextArea::new(text.split('\n').map(str::to_owned).collect());
        area.set_max_histories(HISTORY);
        Self { area, done: Vec::new(), undone: Vec::new(), typing: None }
    }

    pub(super) fn lines(&self) -> &[String] {
        self.area.lines()
    }

    /// Line and character, from 0.
    pub(super) fn cursor(&self) -> (usize, usize) {
        let cursor = self.area.cursor();
        (cursor.0, cursor.1)
    }

    /// The line under the cursor.
    pub(super) fn line(&self) -> &str {
        self.lines().get(self.cursor().0).map(String::as_str).unwrap_or_default()
    }

    /// All of it.
    pub(super) fn whole(&self) -> Zeroizing<String> {
        let length = self.lines().iter().map(|line| line.len() + 1).sum();
        let mut whole = Zeroizing::new(String::with_capacity(length));
        for (at, line) in self.lines().iter().enumerate() {
            if at > 0 {
                whole.push('\n');
            }
            whole.push_str(line);
        }
        whole
    }

    /// Whether it is this text.
    pub(super) fn is(&self, text: &str) -> bool {
        text.split('\n').eq(self.lines().iter().map(String::as_str))
    }

    pub(super) fn go(&mut self, how: CursorMove) {
        self.typing = None;
        self.area.move_cursor(how);
    }

    /// To a place. The area counts in 16 bits when it jumps, so it walks where the lines are more, and goes
    /// to the end of a line that is so long.
    pub(super) fn go_to(&mut self, row: usize, column: usize) {
        let row = row.min(self.lines().len().saturating_sub(1));
        let (near, far) = (u16::try_from(row), u16::try_from(column));
        self.go(CursorMove::Jump(near.unwrap_or(u16::MAX), 0));
        while self.cursor().0 < row {
            self.area.move_cursor(CursorMove::Down);
        }
        match (near, far) {
            (Ok(near), Ok(column)) => self.area.move_cursor(CursorMove::Jump(near, column)),
            (Err(_), Ok(column)) => {
                (0..column).for_each(|_| self.area.move_cursor(CursorMove::Forward));
            }
            (_, Err(_)) => self.area.move_cursor(CursorMove::End),
        }
    }

    /// To the end of the text.
    pub(super) fn go_to_end(&mut self) {
        self.go(CursorMove::Bottom);
        self.area.move_cursor(CursorMove::End);
    }

    /// So many lines down, or up if negative.
    pub(super) fn go_lines(&mut self, lines: isize) {
        let (row, column) = self.cursor();
        self.go_to(row.saturating_add_signed(lines), column);
    }

    /// Types a text. What is typed in one go is undone in one go, a line at most.
    pub(super) fn insert(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        let goes_on = self.typing == Some(self.cursor()) && !text.contains('\n');
        let edits = usize::from(self.area.insert_str(text));
        match self.done.last_mut() {
            Some(last) if goes_on => *last += edits,
            _ => self.note(edits),
        }
        self.refresh();
        self.typing = Some(self.cursor());
    }

    pub(super) fn delete_back(&mut self) {
        let edits = usize::from(self.area.delete_char());
        self.note(edits);
    }

    pub(super) fn delete(&mut self) {
        let edits = usize::from(self.area.delete_next_char());
        self.note(edits);
    }

    /// Takes out the line under the cursor, with its end.
    pub(super) fn cut_line(&mut self) -> Zeroizing<String> {
        let line = Zeroizing::new(self.line().to_owned());
        self.area.move_cursor(CursorMove::Head);
        let text = usize::from(!line.is_empty() && self.area.delete_line_by_end());
        self.refresh();
        let is_last = self.cursor().0 + 1 >= self.lines().len();
        let end = usize::from(!is_last && self.area.delete_next_char());
        self.note(text + end);
        line
    }

    /// Puts whole lines above the one under the cursor.
    pub(super) fn insert_lines(&mut self, lines: &str) {
        self.go(CursorMove::Head);
        self.insert(lines);
        self.typing = None;
    }

    pub(super) fn undo(&mut self) -> bool {
        self.typing = None;
        let Some(edits) = self.done.pop() else { return false };
        let went = (0..edits).filter(|_| self.area.undo()).count();
        self.undone.push(went);
        went > 0
    }

    pub(super) fn redo(&mut self) -> bool {
        self.typing = None;
        let Some(edits) = self.undone.pop() else { return false };
        let went = (0..edits).filter(|_| self.area.redo()).count();
        self.done.push(went);
        went > 0
    }

    /// To the next place behind the cursor where this stands, letters of ASCII in either case, and from the
    /// top again. Whether there is one.
    pub(super) fn find(&mut self, wanted: &str) -> bool {
        let (row, column) = self.cursor();
        let count = self.lines().len();
        let found = (0..=count).find_map(|step| {
            let at = (row + step) % count;
            let line = self.lines().get(at)?;
            // The line itself comes first from behind the cursor, and last as a whole.
            let from = if step == 0 { byte_at(line, column + 1) } else { 0 };
            let place = from + position(line.get(from..)?, wanted)?;
            Some((at, line.get(..place)?.chars().count()))
        });
        let Some((row, column)) = found else { return false };
        self.go_to(row, column);
        true
    }

    fn note(&mut self, edits: usize) {
        if edits > 0 {
            self.done.push(edits);
            self.undone.clear();
        }
        self.typing = None;
        self.refresh();
    }

    /// The area knows where its lines are from its last key or drawing, and we use neither; this call is
    /// the one that makes it look again.
    fn refresh(&mut self) {
        self.area.set_tab_length(self.area.tab_length());
    }
}

/// Where the character of this number begins, or the line ends.
pub(super) fn byte_at(line: &str, column: usize) -> usize {
    line.char_indices().nth(column).map_or(line.len(), |(at, _)| at)
}

fn position(line: &str, wanted: &str) -> Option<usize> {
    let (line, wanted) = (line.as_bytes(), wanted.as_bytes());
    if wanted.is_empty() {
        return None;
    }
    line.windows(wanted.len()).position(|window| window.eq_ignore_ascii_case(wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typing_is_undone_as_one_and_a_line_apart() {
        let mut text = Text::new("A=1\n");
        text.go_to_end();
        for part in ["B", "=", "2", "\n", "C"] {
            text.insert(part);
        }
        assert_eq!(*text.whole(), "A=1\nB=2\nC");
        assert!(text.undo());
        assert_eq!(*text.whole(), "A=1\nB=2");
        assert!(text.undo());
        assert!(text.is("A=1\n"));
        assert!(!text.undo());
        assert!(text.redo() && text.redo());
        assert!(!text.redo());
        assert_eq!(*text.whole(), "A=1\nB=2\nC");
    }

    #[test]
    fn lines_are_cut_and_put_elsewhere_the_last_one_too() {
        let mut text = Text::new("é1\n\n語3");
        assert_eq!(*text.cut_line(), "é1");
        assert_eq!(*text.cut_line(), "");
        assert_eq!(*text.cut_line(), "語3");
        assert_eq!(*text.whole(), "");
        assert_eq!(*text.cut_line(), "");
        text.insert_lines("é1\n語3\n");
        assert_eq!((&**text.whole(), text.cursor()), ("é1\n語3\n", (2, 0)));
        while text.undo() {}
        assert!(text.is("é1\n\n語3"));
    }

    #[test]
    fn a_search_goes_round() {
        let mut text = Text::new("Token=é\nB=tok\nC=1");
        let mut places = Vec::new();
        for _ in 0..3 {
            assert!(text.find("TOK"));
            places.push(text.cursor());
        }
        assert_eq!(places, [(1, 2), (0, 0), (1, 2)]);
        assert!(!text.find("nowhere"));
        assert!(!text.find(""));
        assert!(text.find("é"));
        assert!(text.find("é"), "its own place counts, once round");
    }

    #[test]
    fn places_beyond_what_a_jump_counts_are_reached() {
        let mut text = Text::new(&"x\n".repeat(70_000));
        text.go_to(69_000, 1);
        assert_eq!(text.cursor(), (69_000, 1));
        text.insert("y");
        assert_eq!(text.line(), "xy");
        let mut text = Text::new(&"x".repeat(70_000));
        text.go_to(0, 69_000);
        assert_eq!(text.cursor(), (0, 70_000));
    }

    #[test]
    fn a_text_that_is_left_alone_stays_as_it_was() {
        for text in ["", "\n", "A=1\r\nB=2\r\n", "a\n\nb", "\u{feff}A=1"] {
            assert_eq!(*Text::new(text).whole(), text);
            assert!(Text::new(text).is(text));
        }
    }
}
