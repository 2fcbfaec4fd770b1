//! Text of others, made safe to print.

/// Replaces control characters and marks of direction. Customers, brokers and labels choose their own text:
/// it could move the cursor of a terminal, or show a line in another order than it is in.
pub fn printable(text: &str) -> String {
    text.replace(|c: char| c.is_control() || is_mark(c), "\u{fffd}")
}

/// Marks that have no width, separate lines, or change the direction (Unicode's `Bidi_Control` among them).
fn is_mark(c: char) -> bool {
    matches!(
        c,
        '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_others_cannot_move_the_cursor_or_change_the_order() {
        for mark in [
            "\u{1b}", "\r", "\n", "\u{7}", "\u{9b}", "\u{61c}", "\u{200e}", "\u{200f}", "\u{202a}",
            "\u{202b}", "\u{202c}", "\u{202d}", "\u{202e}", "\u{2066}", "\u{2067}", "\u{2068}", "\u{2069}",
            "\u{feff}", "\u{2028}", "\u{200b}",
        ] {
            assert_eq!(printable(&format!("a{mark}b")), "a\u{fffd}b", "{mark:?}");
        }
        for text in ["acme", "Überweisung №7", "שלום", "日本"] {
            assert_eq!(printable(text), text);
        }
    }
}
