//! Keys in, text and screen out.

use std::path::PathBuf;

use ratatui_core::backend::TestBackend;
use ratatui_core::terminal::Terminal;
use zeroize::Zeroizing;

use super::state::{Editor, Step};
use super::{Complaint, possible};
use crate::cli::settings::Outside;
use crate::platform::Key;

const TEXT: &str = "# was hunter1\nTOKEN=hunter2\n\nPEM=\"line1\nline2=\n\"\nLAST=x\n";
const DOTS: &str = "••••••••";

fn content(_: &str) -> Vec<Complaint> {
    Vec::new()
}

struct Session<'a> {
    editor: Editor<'a>,
    terminal: Terminal<TestBackend>,
}

impl<'a> Session<'a> {
    fn new(text: &'a str) -> Self {
        Self::sized(text, 80, 24)
    }

    fn sized(text: &'a str, columns: u16, rows: u16) -> Self {
        Self::checked(text, columns, rows, &content)
    }

    fn checked(
        text: &'a str,
        columns: u16,
        rows: u16,
        check: &'a dyn Fn(&str) -> Vec<Complaint>,
    ) -> Self {
        let terminal = Terminal::new(TestBackend::new(columns, rows)).unwrap();
        Self { editor: Editor::new(text, "staging", check), terminal }
    }

    /// A word for each key: a name, `^S`, or characters that are typed.
    fn keys(&mut self, words: &str) -> Step {
        let mut keys = Vec::new();
        for word in words.split(' ') {
            keys.extend(match word {
                "ENTER" => vec![Key::Enter],
                "TAB" => vec![Key::Tab],
                "ESC" => vec![Key::Escape],
                "BACK" => vec![Key::Backspace],
                "DELETE" => vec![Key::Delete],
                "LEFT" => vec![Key::Left],
                "RIGHT" => vec![Key::Right],
                "WRIGHT" => vec![Key::WordRight],
                "WLEFT" => vec![Key::WordLeft],
                "UP" => vec![Key::Up],
                "DOWN" => vec![Key::Down],
                "HOME" => vec![Key::Home],
                "END" => vec![Key::End],
                "PGDN" => vec![Key::PageDown],
                "PGUP" => vec![Key::PageUp],
                "TOP" => vec![Key::Top],
                "BOTTOM" => vec![Key::Bottom],
                _ => match word.strip_prefix('^') {
                    Some(letter) => {
                        letter.to_lowercase().chars().take(1).map(Key::Control).collect()
                    }
                    None => word.chars().map(Key::Char).collect(),
                },
            });
        }
        let step = self.editor.press_all(keys);
        drop(self.screen());
        step
    }

    fn text(&self) -> Zeroizing<String> {
        self.editor.text.whole()
    }

    /// The lines of the screen without blanks at their ends, and those for the second half of a character.
    fn screen(&mut self) -> Vec<String> {
        self.terminal.draw(|frame| self.editor.draw(frame)).unwrap();
        let buffer = self.terminal.backend().buffer();
        let width = usize::from(buffer.area.width);
        let line = |cells: &[ratatui_core::buffer::Cell]| {
            let line: String = cells.iter().map(ratatui_core::buffer::Cell::symbol).collect();
            line.trim_end().to_owned()
        };
        buffer.content.chunks(width).map(line).collect()
    }

    fn shows(&mut self, text: &str) -> bool {
        self.screen().iter().any(|line| line.contains(text))
    }

    /// Column and row.
    fn cursor(&mut self) -> (u16, u16) {
        drop(self.screen());
        let position = self.terminal.backend().cursor_position();
        (position.x, position.y)
    }
}

#[test]
fn names_are_shown_and_values_and_notes_are_not_until_they_are_asked_for() {
    let mut session = Session::new(TEXT);
    let screen = session.screen();
    let body = &screen[1..8];
    let token = format!("TOKEN={DOTS}");
    let pem = format!("PEM={DOTS}");
    let last = format!("LAST={DOTS}");
    assert_eq!(body, [&format!("#{DOTS}"), &token, "", &pem, DOTS, DOTS, &last]);
    session.keys("^R");
    assert!(session.shows("TOKEN=hunter2") && session.shows("# was hunter1"));
    assert!(session.shows("VALUES SHOWN") && session.shows("line2="));
    session.keys("^R");
    assert!(!session.shows("hunter"));
}

#[test]
fn what_is_changed_is_shown_as_long_as_the_cursor_is_in_its_line() {
    let mut session = Session::new(TEXT);
    session.keys("DOWN END");
    assert!(!session.shows("hunter2"), "to go there shows nothing");
    assert_eq!(session.cursor(), (14, 2));
    session.keys("3");
    assert!(session.shows("TOKEN=hunter23") && session.shows("staging, changed"));
    assert!(!session.shows("hunter1"));
    session.keys("HOME RIGHT");
    assert!(session.shows("TOKEN=hunter23"));
    session.keys("DOWN");
    assert!(!session.shows("hunter2"));
    session.keys("UP x ESC");
    assert!(!session.shows("hunter2"));
}

#[test]
fn the_cursor_passes_a_hidden_value_in_one_step() {
    let mut session = Session::new("A=12345\nB=\"x y\"\n");
    session.keys("RIGHT RIGHT");
    assert_eq!((session.editor.text.cursor(), session.cursor()), ((0, 2), (2, 1)));
    session.keys("RIGHT");
    assert_eq!((session.editor.text.cursor(), session.cursor()), ((0, 7), (10, 1)));
    session.keys("LEFT");
    assert_eq!(session.editor.text.cursor(), (0, 2));
    session.keys("END DOWN");
    assert_eq!(session.editor.text.cursor(), (1, 7));
    session.keys("WLEFT");
    assert_eq!(session.editor.text.cursor(), (1, 2));
    session.keys("HOME WRIGHT WRIGHT");
    assert_eq!(session.editor.text.cursor().0, 1);
    session.keys("^R HOME RIGHT RIGHT RIGHT");
    assert_eq!(session.editor.text.cursor(), (1, 3));
}

#[test]
fn the_screen_of_a_hidden_text_does_not_tell_how_long_its_values_are() {
    let mut short = Session::new("A=\nB='\n'\n");
    let mut long = Session::new("A=1234567890123456789012345678901234567890\nB='1\n1234567'\n");
    for keys in ["HOME", "END", "DOWN", "END", "DOWN", "END", "LEFT", "TOP"] {
        short.keys(keys);
        long.keys(keys);
        assert_eq!(short.screen(), long.screen(), "{keys}");
    }
}

#[test]
fn a_value_is_typed_taken_back_and_saved() {
    let mut session = Session::new("A=1\n");
    session.keys("BOTTOM B=é語 ENTER TAB x BACK BACK DELETE BACK");
    assert_eq!(*session.text(), "A=1\nB=é語");
    session.keys("LEFT DELETE 鍵 HOME DELETE C");
    assert_eq!(*session.text(), "A=1\nC=é鍵");
    let Step::Save(saved) = session.keys("^S") else { panic!("nothing to complain of") };
    assert_eq!(saved.expose(), "A=1\nC=é鍵".as_bytes());
    for _ in 0..20 {
        session.keys("^U");
    }
    assert_eq!(*session.text(), "A=1\n");
    assert!(!session.shows("changed") && session.shows("nothing to undo"));
    for _ in 0..20 {
        session.keys("^Y");
    }
    assert_eq!(*session.text(), "A=1\nC=é鍵");
}

#[test]
fn complaints_are_shown_and_the_text_stays() {
    let check = |text: &str| {
        let bad = text.split('\n').enumerate().filter(|(_, line)| line.contains('$'));
        let tell = |(at, _): (usize, _)| Complaint { line: at + 1, text: "a `$`\u{1b}".to_owned() };
        bad.map(tell).collect()
    };
    let text = format!("A=1\nB=$\n{}", "C=$\n".repeat(9));
    let mut session = Session::checked(&text, 80, 24, &check);
    assert!(matches!(session.keys("BOTTOM ^S"), Step::Go));
    assert_eq!(session.editor.text.cursor(), (1, 0));
    assert!(session.shows("line 2: a `$`\\u{1b}") && session.shows("and 7 more complaints"));
    assert!(session.shows("not saved"));
    assert_eq!(*session.text(), text);
    for _ in 0..10 {
        session.keys("END BACK DOWN");
    }
    assert!(matches!(session.keys("^S"), Step::Save(_)));
}

#[test]
fn who_has_changed_something_is_asked_before_it_is_lost() {
    let mut session = Session::new("A=1");
    assert!(matches!(session.keys("^Q"), Step::Quit));
    session.keys("END 2");
    assert!(matches!(session.keys("^Q"), Step::Go));
    assert!(session.shows("leave without saving"));
    assert!(matches!(session.keys("n"), Step::Go));
    assert_eq!(*session.text(), "A=12", "the answer is not typed into the text");
    assert!(matches!(session.keys("^Q y"), Step::Quit));
    session.keys("BACK");
    assert!(matches!(session.keys("^Q"), Step::Quit), "it is as it was");
}

#[test]
fn lines_go_elsewhere_without_being_seen() {
    let mut session = Session::new("A=1\nB=2\nC=3");
    session.keys("^X ^X BOTTOM HOME ^V");
    assert_eq!(*session.text(), "A=1\nB=2\nC=3");
    session.keys("TOP ^C BOTTOM HOME ^V");
    assert_eq!(*session.text(), "A=1\nB=2\nA=1\nC=3");
    assert!(!session.screen()[1..5].iter().any(|line| line.contains(['1', '2', '3'])));
    session.keys("TOP ^X DOWN ^V");
    assert_eq!(*session.text(), "B=2\nA=1\nA=1\nC=3");
}

#[test]
fn a_search_finds_names_and_hidden_values_and_shows_no_value() {
    let mut session = Session::new(TEXT);
    session.keys("^F last");
    assert!(session.shows("find: last"));
    session.keys("ENTER");
    assert_eq!(session.editor.text.cursor(), (6, 0));
    session.keys("^F HUNTER ENTER");
    assert_eq!(session.editor.text.cursor().0, 0);
    session.keys("^N");
    assert_eq!(session.editor.text.cursor().0, 1);
    assert!(!session.shows("hunter"));
    session.keys("^F nowhere ENTER");
    assert!(session.shows("not found"));
    assert_eq!(*session.text(), TEXT);
    session.keys("^F ab ESC ^Z");
    assert_eq!(*session.text(), TEXT);
}

#[test]
fn a_paste_is_one_edit() {
    let mut session = Session::new("");
    let paste = Key::Paste(Zeroizing::new("A=1\nB=2\n".to_owned()));
    session.editor.press_all([paste]);
    assert_eq!(*session.text(), "A=1\nB=2\n");
    session.keys("^U");
    assert_eq!(*session.text(), "");
}

#[test]
fn long_lines_scroll_and_wide_characters_keep_their_place() {
    let long = format!("A={}end", "語".repeat(100));
    let mut session = Session::sized(&long, 20, 5);
    session.keys("^R");
    assert_eq!(session.screen()[1], "A=語 語 語 語 語 語 語 語  >");
    session.keys("END");
    let (x, y) = session.cursor();
    assert!(x < 20 && y == 1);
    let line = session.screen()[1].clone();
    assert!(line.starts_with('<') && line.ends_with("end"), "{line}");
    session.keys("HOME");
    assert_eq!(session.cursor(), (0, 1));
    assert!(session.shows("A=語"));
    for _ in 0..110 {
        session.keys("RIGHT");
        let (x, _) = session.cursor();
        assert!(x < 20);
    }
    assert!(session.shows("end"));
}

#[test]
fn pages_and_small_and_new_sizes() {
    let lines: Vec<String> = (0..100).map(|number| format!("N{number}=x\n")).collect();
    let text = lines.concat();
    let mut session = Session::sized(&text, 40, 12);
    assert!(session.shows("N0="));
    session.keys("PGDN");
    session.keys("PGDN");
    let (row, _) = session.editor.text.cursor();
    assert!((10..20).contains(&row), "{row}");
    session.keys("BOTTOM");
    assert!(session.shows("N99=") && session.shows("line 101 of 101"));
    session.keys("PGUP TOP");
    assert!(session.shows("N0="));
    for (columns, rows) in [(1, 1), (2, 2), (3, 3), (10, 4), (200, 60), (7, 9)] {
        session.terminal = Terminal::new(TestBackend::new(columns, rows)).unwrap();
        session.keys("BOTTOM TOP END DOWN DOWN x BACK ^F a ESC");
        let (x, y) = session.cursor();
        assert!(x < columns && y < rows, "{columns}x{rows}: {x},{y}");
    }
}

#[test]
fn what_could_write_on_the_terminal_is_shown_as_something_else() {
    let mut session = Session::new("A\u{1b}[2J\u{202e}=1\u{7}\t\u{9b}x");
    session.keys("^R");
    let screen = session.screen().join("");
    assert!(!screen.chars().any(|c| c.is_control() || c == '\u{202e}'));
    assert!(screen.contains('\u{fffd}'));
}

#[test]
fn a_mebibyte_is_edited_like_any_text() {
    let text = format!("A=\"{}\"\n{}", "x".repeat(100_000), "NAME=value of it\n".repeat(60_000));
    let mut session = Session::new(&text);
    session.keys("BOTTOM B=1 ENTER TOP END PGDN");
    assert!(session.editor.is_changed());
    assert!(matches!(session.keys("^S"), Step::Save(saved) if saved.expose().ends_with(b"B=1\n")));
}

#[test]
fn a_dumb_terminal_is_refused_with_another_way() {
    let environment = vec![("TERM".into(), "dumb".into())];
    let refused = possible(&Outside { environment, folder: PathBuf::new() }).unwrap_err();
    assert_eq!(refused.to_string(), "this terminal (TERM=dumb) can't show an editor");
    assert!(refused.hint_text().is_some_and(|hint| hint.contains("vault set")));
}
