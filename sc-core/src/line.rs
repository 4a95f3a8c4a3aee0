//! Text from outside on one line of a log.
//!
//! Names, causes and errors are what their authors made of them. The messages of this library are
//! lines: nothing in them may end the line early, forge the next one, or move a terminal's cursor.

use std::fmt::{self, Write};

/// How much of a name a message shows, in characters.
const NAME_SHOWN: usize = 100;

/// Displays a value without leaving the line.
///
/// Control characters and line separators are escaped as in Rust's literals, and so are the marks that
/// reorder the text around them. Everything else, emoji too, is left as it is. `{:#}` is handed on.
///
/// # Examples
///
/// ```
/// use sc_core::OneLine;
///
/// assert_eq!(OneLine("a\nb\u{1b}[2J").to_string(), r"a\nb\u{1b}[2J");
/// ```
#[derive(Debug, Clone, Copy)]
pub struct OneLine<T>(pub T);

impl<T: fmt::Display> fmt::Display for OneLine<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let alternate = f.alternate();
        let mut line = Line { out: f, is_special: leaves_the_line };
        if alternate { write!(line, "{:#}", self.0) } else { write!(line, "{}", self.0) }
    }
}

/// Displays the name of a scope or a child: on one line, without an unescaped backtick (messages put names
/// between two), and at most the first 100 characters of it, then `…`.
///
/// # Examples
///
/// ```
/// use sc_core::ShownName;
///
/// assert_eq!(ShownName("a`b\n").to_string(), r"a\`b\n");
/// assert_eq!(ShownName(&"x".repeat(1 << 20)).to_string(), "x".repeat(100) + "…");
/// ```
#[derive(Debug, Clone, Copy)]
pub struct ShownName<'a>(pub &'a str);

impl fmt::Display for ShownName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cut = self.0.char_indices().nth(NAME_SHOWN).map(|(at, _)| at);
        let shown = &self.0[..cut.unwrap_or(self.0.len())];
        let mut line = Line { out: f, is_special: |c| leaves_the_line(c) || matches!(c, '`' | '\\') };
        line.write_str(shown)?;
        f.write_str(if cut.is_some() { "…" } else { "" })
    }
}

/// The name, unless there is nothing in it that could be shown.
pub(crate) fn nonempty(name: Option<&crate::Name>) -> Option<ShownName<'_>> {
    name.map(|name| ShownName(name)).filter(|name| !name.0.is_empty())
}

fn leaves_the_line(c: char) -> bool {
    let reorders = matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c.is_control() || reorders || matches!(c, '\u{2028}' | '\u{2029}')
}

/// Escapes what is written through it.
struct Line<'a, 'f> {
    out: &'a mut fmt::Formatter<'f>,
    is_special: fn(char) -> bool,
}

impl Write for Line<'_, '_> {
    fn write_str(&mut self, mut text: &str) -> fmt::Result {
        while let Some((at, special)) = text.char_indices().find(|(_, c)| (self.is_special)(*c)) {
            self.out.write_str(&text[..at])?;
            match special {
                '`' => self.out.write_str("\\`")?,
                _ => write!(self.out, "{}", special.escape_default())?,
            }
            text = &text[at + special.len_utf8()..];
        }
        self.out.write_str(text)
    }
}
