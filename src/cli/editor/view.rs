//! What the screen shows. No colours, only bold, dim and reverse, which every terminal and `NO_COLOR` allow.

use ratatui_core::buffer::{Buffer, Cell};
use ratatui_core::layout::{Position, Rect};
use ratatui_core::style::{Modifier, Style};
use ratatui_core::terminal::Frame;
use unicode_width::UnicodeWidthChar as _;

use super::state::{Asked, Editor};
use super::text::byte_at;
use crate::cli::ui::count;
use crate::vars::name::shown;

/// What stands for something hidden, whatever its length, zero too.
const HIDDEN: &str = "••••••••";
const TAB: usize = 4;
/// At most so many complaints are shown at once.
const COMPLAINTS: usize = 4;

/// Which part of the text is on the screen.
#[derive(Debug, Default)]
pub(super) struct View {
    top: usize,
    left: usize,
    rows: usize,
}

impl View {
    /// How far a page goes: one line stays.
    pub(super) fn page(&self) -> usize {
        self.rows.saturating_sub(1).max(1)
    }
}

fn plain() -> Style {
    Style::new()
}

fn with(modifier: Modifier) -> Style {
    Style::new().add_modifier(modifier)
}

impl Editor<'_> {
    /// Draws everything.
    pub(super) fn draw(&mut self, frame: &mut Frame<'_>) {
        let area = frame.area();
        let height = usize::from(area.height);
        let keys = if height < 8 { Vec::new() } else { self.keys(area.width.into()) };
        let complaints = self.complaint_lines(height / 3);
        let title = usize::from(height > 2);
        let foot = usize::from(height > 1);
        let rows = height.saturating_sub(title + foot + keys.len() + complaints.len());

        let buffer = frame.buffer_mut();
        if title > 0 {
            self.title_bar(buffer, area);
        }
        let mut y = area.y + small(title);
        let body = Rect { y, height: small(rows), ..area };
        let mut cursor = self.body(buffer, body);
        y += body.height;
        for line in &complaints {
            put(buffer, area, (0, y), line, with(Modifier::BOLD));
            y += 1;
        }
        if foot > 0 {
            if let Some(x) = self.foot(buffer, Rect { y, height: 1, ..area }) {
                cursor = Position { x, y };
            }
            y += 1;
        }
        for line in &keys {
            put(buffer, area, (0, y), line, with(Modifier::DIM));
            y += 1;
        }
        frame.set_cursor_position(cursor);
    }

    fn title_bar(&self, buffer: &mut Buffer, area: Rect) {
        let width = usize::from(area.width);
        let bar = with(Modifier::REVERSED);
        put(buffer, area, (0, area.y), &" ".repeat(width), bar);
        let state = if self.is_changed() { ", changed" } else { "" };
        let values = if self.revealed { ", VALUES SHOWN" } else { "" };
        let left = format!(" {}{state}{values} ", shown(self.title));
        let (row, lines) = (self.text.cursor().0 + 1, self.text.lines().len());
        let right = format!(" line {row} of {lines} ");
        put(buffer, area, (small(width.saturating_sub(right.len())), area.y), &right, bar);
        // Whether it is changed matters more than the number of the line.
        put(buffer, area, (0, area.y), &left, bar);
    }

    /// The text. Where the cursor is.
    fn body(&mut self, buffer: &mut Buffer, area: Rect) -> Position {
        let (row, column) = self.text.cursor();
        let at = byte_at(self.text.line(), column);
        let (rows, width) = (usize::from(area.height).max(1), usize::from(area.width).max(1));
        let x = self.cell_of(row, at);
        self.view.rows = rows;
        self.view.top = self.view.top.clamp((row + 1).saturating_sub(rows), row);
        // Both ends of a long line have a mark, which the cursor doesn't stand on.
        let (least, most) = ((x + 2).saturating_sub(width), x.saturating_sub(1));
        if self.view.left < least {
            self.view.left = if least == 0 { 0 } else { least + width / 4 };
        }
        if self.view.left > most {
            self.view.left = if x + 2 < width { 0 } else { most.saturating_sub(width / 4) };
        }
        let left = self.view.left.min(x);
        for step in 0..rows.min(area.height.into()) {
            let row = self.view.top + step;
            if row < self.text.lines().len() {
                self.line(buffer, Rect { y: area.y + small(step), height: 1, ..area }, row, left);
            }
        }
        let y = area.y + small(row.saturating_sub(self.view.top));
        Position { x: (area.x + small(x - left)).min(area.right().saturating_sub(1)), y }
    }

    /// What is seen of a line, and whether dots follow it.
    fn seen(&self, row: usize) -> (&str, bool) {
        let line = self.text.lines().get(row).map(String::as_str).unwrap_or_default();
        match self.hidden(row) {
            Some(start) => (line.get(..start).unwrap_or_default(), true),
            None => (line, false),
        }
    }

    /// In which cell of a line the character at this byte is.
    fn cell_of(&self, row: usize, at: usize) -> usize {
        let (seen, dots) = self.seen(row);
        let mut cell = 0;
        for (_, c) in seen.char_indices().take_while(|(byte, _)| *byte < at) {
            cell += width_of(c, cell);
        }
        let length = self.text.lines().get(row).map_or(0, String::len);
        let is_behind = dots && at > seen.len() && at >= length;
        cell + if is_behind { HIDDEN.chars().count() } else { 0 }
    }

    fn line(&self, buffer: &mut Buffer, area: Rect, row: usize, left: usize) {
        let (seen, dots) = self.seen(row);
        let right = left + usize::from(area.width);
        let mut cell = 0;
        let hidden = if dots { HIDDEN } else { "" };
        let all = seen.chars().map(|c| (c, plain()));
        for (c, style) in all.chain(hidden.chars().map(|c| (c, with(Modifier::DIM)))) {
            let width = width_of(c, cell);
            let end = cell + width;
            if cell >= right || end > right {
                let last = area.right().saturating_sub(1);
                // Half of a wide character may stand there.
                let before = last.saturating_sub(1).max(area.x);
                let wide = |cell: &Cell| cell.symbol().chars().any(|c| width_of(c, 0) > 1);
                if buffer.cell((before, area.y)).is_some_and(wide) {
                    put(buffer, area, (before, area.y), " ", plain());
                }
                put(buffer, area, (last, area.y), ">", with(Modifier::BOLD));
                break;
            }
            if cell >= left && c != '\t' {
                paint(buffer, area, (area.x + small(cell - left), area.y), glyph(c), style);
            }
            cell = end;
        }
        if left > 0 && cell > 0 {
            put(buffer, area, (area.x, area.y), "<", with(Modifier::BOLD));
        }
    }

    /// A question or a message. Where the cursor is, if it is here.
    fn foot(&self, buffer: &mut Buffer, area: Rect) -> Option<u16> {
        let bold = with(Modifier::BOLD);
        let asked = match &self.asked {
            Asked::Nothing => {
                put(buffer, area, (area.x, area.y), self.message, bold);
                return None;
            }
            Asked::Leave => {
                "leave without saving what you changed? y: yes, any other key: no ".to_owned()
            }
            Asked::Find(wanted) => {
                // Its end is what is being typed.
                let room = usize::from(area.width).saturating_sub("find: ".len() + 1) / 2;
                let skipped = wanted.chars().count().saturating_sub(room);
                format!("find: {}", wanted.chars().skip(skipped).collect::<String>())
            }
        };
        let asked = zeroize::Zeroizing::new(asked);
        let x = put(buffer, area, (area.x, area.y), &asked, bold);
        Some(x.min(area.right().saturating_sub(1)))
    }

    fn complaint_lines(&self, room: usize) -> Vec<String> {
        let room = room.min(COMPLAINTS);
        let all = self.complaints.len();
        let told = if all > room { room.saturating_sub(1) } else { all };
        let tell = |complaint: &super::Complaint| {
            format!("line {}: {}", complaint.line, shown(&complaint.text))
        };
        let mut lines: Vec<String> = self.complaints.iter().take(told).map(tell).collect();
        if room > 0 && all > told {
            lines.push(format!("and {}", count(all - told, "more complaint")));
        }
        lines
    }

    /// The keys, in at most two lines.
    fn keys(&self, width: usize) -> Vec<String> {
        let reveal = if self.revealed { "^R hide" } else { "^R reveal" };
        let keys = [
            "^S save",
            "^Q quit",
            reveal,
            "^F find",
            "^N next",
            "^U undo",
            "^Y redo",
            "^X cut line",
            "^C copy line",
            "^V paste line",
            "^Z suspend",
        ];
        let mut lines = vec![String::new()];
        for key in keys {
            let Some(line) = lines.last_mut() else { break };
            let gap = if line.is_empty() { "" } else { "  " };
            if line.len() + gap.len() + key.len() <= width {
                line.push_str(gap);
                line.push_str(key);
            } else if lines.len() < 2 {
                lines.push(key.to_owned());
            } else {
                break;
            }
        }
        lines
    }
}

/// What can't be seen, or would move the cursor in the terminal's own way, is seen as what it is not.
fn glyph(c: char) -> char {
    if c.width().unwrap_or_default() == 0 { '\u{fffd}' } else { c }
}

/// How many cells a character takes in this one.
fn width_of(c: char, cell: usize) -> usize {
    if c == '\t' { TAB - cell % TAB } else { glyph(c).width().unwrap_or(1) }
}

fn small(number: usize) -> u16 {
    u16::try_from(number).unwrap_or(u16::MAX)
}

/// Writes a text from a place on, as far as it fits. Where it ends.
fn put(buffer: &mut Buffer, area: Rect, (mut x, y): (u16, u16), text: &str, style: Style) -> u16 {
    for c in text.chars().map(glyph) {
        let end = x.saturating_add(small(width_of(c, 0)));
        if end > area.right() {
            break;
        }
        paint(buffer, area, (x, y), c, style);
        x = end;
    }
    x
}

/// Each character has cells of its own, so that the screen and we count alike.
fn paint(buffer: &mut Buffer, area: Rect, (x, y): (u16, u16), c: char, style: Style) {
    for (at, x) in (x..x.saturating_add(small(width_of(c, 0)))).enumerate() {
        if x >= area.right() {
            return;
        }
        if let Some(cell) = buffer.cell_mut((x, y)) {
            cell.reset();
            if at == 0 {
                cell.set_char(c).set_style(style);
            }
        }
    }
}
