//! The output of commands: whole lines on stdout.

use std::io::{self, Write as _};

use super::Failure;
use super::progress::beside;
use super::terminal::paint;
use crate::model::printable;

/// stdout is closed: its reader has read enough (`hourseal open | head`). This is not reported as an error.
#[derive(Debug, thiserror::Error)]
#[error("stdout is closed")]
pub struct Closed;

/// Prints a line.
pub fn line(text: &str) -> anyhow::Result<()> {
    written(beside(|| writeln!(io::stdout().lock(), "{text}")))
}

/// Prints text that has its own line ends.
pub fn text(text: &str) -> anyhow::Result<()> {
    written(beside(|| io::stdout().lock().write_all(text.as_bytes())))
}

/// Green or red if stdout has colours.
pub fn verdict(good: bool, word: &str) -> String {
    paint(if good { 32 } else { 31 }, word, &io::stdout())
}

/// Formats a table of printable cells. Each column is as wide as its widest cell.
pub fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let rows: Vec<Vec<String>> =
        rows.iter().map(|row| row.iter().map(|cell| printable(cell)).collect()).collect();
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([head[column].len()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let head: Vec<String> = head.iter().map(|cell| (*cell).to_owned()).collect();
    let line = |row: &Vec<String>| {
        let cells: Vec<_> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        cells.join("  ").trim_end().to_owned() + "\n"
    };
    std::iter::once(&head).chain(&rows).map(line).collect()
}

/// Formats one line per field. The items of a list are below its name.
pub fn fields(rows: &[(&str, serde_json::Value)]) -> String {
    use serde_json::Value;
    let plain = |value: &Value| match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => printable(text),
        Value::Object(fields) => {
            let words: Vec<_> = fields.iter().map(|(name, value)| format!("{name} {value}")).collect();
            words.join("  ").replace('"', "")
        }
        other => other.to_string(),
    };
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let line = |(name, value): &(&str, Value)| match value {
        Value::Array(items) => {
            let items: String = items.iter().map(|item| format!("  - {}\n", plain(item))).collect();
            format!("{name}\n{items}")
        }
        value => format!("{name:<width$}  {}\n", plain(value)),
    };
    rows.iter().map(line).collect()
}

fn written(result: io::Result<()>) -> anyhow::Result<()> {
    result.map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => Closed.into(),
        _ => Failure::new(Failure::IO, format!("cannot write to stdout: {error}")).into(),
    })
}
