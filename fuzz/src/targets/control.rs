//! Commands of the control topic: what is taken for one is one by the schema, and what the schema allows is taken.

use hourseal::forget::{Command, MAX_COMMAND_BYTES, NotACommand, Reason, Unverified};
use hourseal::model::{CustomerId, Hour};
use serde_json::Value;

use crate::memory::within;

pub fn run(data: &[u8]) {
    // What serde_json keeps: the strings, an error that names a field, and a scratch buffer for escapes that doubles.
    let parsed = within(6 * data.len() + 1024, || parse(data));
    match parsed {
        Ok(command) => is_by_the_schema(data, &command),
        Err(error) => quotes_nothing(&error),
    }
    if let Some(value) = object(data) {
        // The same without repeated names, on which the reference and the schema differ.
        let text = value.to_string();
        let taken = parse(text.as_bytes());
        assert_eq!(taken.ok(), by_the_schema(&value).filter(|_| text.len() <= MAX_COMMAND_BYTES), "{text}");
    }
}

pub fn seeds() -> Vec<Vec<u8>> {
    let good = r#"{"id":"2026-11-24/17","type":"erase","customer":"acme","from_hour":498000,"to_hour":498000,"reason":"retention-end"}"#;
    let with = |from: &str, to: &str| good.replace(from, to);
    [
        good.to_owned(),
        with("retention-end", "request"),
        with("acme", "~quarantine"),
        with("acme", r"\u0061\ud83d\ude00é"),
        with("acme", &"c".repeat(257)),
        with("498000", "4294967295"),
        with("498000", "4294967296"),
        with("498000", "-1"),
        with("498000", "1e3"),
        with("2026-11-24/17", ""),
        with("2026-11-24/17", &"i".repeat(129)),
        with(r#""reason""#, r#""force":true,"reason""#),
        with(r#""id""#, r#""id":"x","\u0069d""#),
        with(r#""erase""#, r#"{"erase":null}"#),
        format!(" \n{good}\t "),
        r#"["c-1","erase","acme",7,9,"retention-end"]"#.to_owned(),
    ]
    .map(String::into_bytes)
    .to_vec()
}

fn parse(bytes: &[u8]) -> Result<Command, NotACommand> {
    let unverified = Unverified::new(Some(bytes))?;
    let _digest = unverified.digest();
    unverified.parse()
}

fn is_by_the_schema(data: &[u8], command: &Command) {
    let value = object(data).expect("a command is an object");
    assert_eq!(by_the_schema(&value).as_ref(), Some(command));
    let hours = i64::from(command.to.0) - i64::from(command.from.0) + 1;
    assert_eq!(command.range_is_valid(), (1..=65_535).contains(&hours));
    let padded = [data, &vec![b' '; MAX_COMMAND_BYTES + 1 - data.len()]].concat();
    assert_eq!(parse(&padded), Err(NotACommand::TooLarge(MAX_COMMAND_BYTES + 1)));
    assert_eq!(parse(&padded[..MAX_COMMAND_BYTES]).as_ref(), Ok(command));
}

/// What the text says besides numbers is ours.
fn quotes_nothing(error: &NotACommand) {
    let said: String = error.to_string().chars().filter(|c| !c.is_ascii_digit()).collect();
    let ours = [
        "it is  bytes long",
        "it is no JSON object",
        "it breaks the schema at line  column ",
        "its id is  bytes long",
    ];
    assert!(ours.contains(&said.as_str()), "{said}");
}

fn object(data: &[u8]) -> Option<Value> {
    serde_json::from_slice(data).ok().filter(Value::is_object)
}

/// `schemas/control.schema.json`, read by somebody else.
fn by_the_schema(value: &Value) -> Option<Command> {
    let hour = |field: &str| value[field].as_u64().and_then(|hour| u32::try_from(hour).ok()).map(Hour);
    let id = value["id"].as_str().filter(|id| (1..=128).contains(&id.len()))?;
    let reason = match value["reason"].as_str()? {
        "retention-end" => Reason::RetentionEnd,
        "request" => Reason::Request,
        _ => return None,
    };
    let is_whole = value.as_object()?.len() == 6 && value["type"] == "erase";
    is_whole.then_some(Command {
        id: id.to_owned(),
        customer: CustomerId::parse(value["customer"].as_str()?),
        from: hour("from_hour")?,
        to: hour("to_hour")?,
        reason,
    })
}
