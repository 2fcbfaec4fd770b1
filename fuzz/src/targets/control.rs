//! Commands of the control topic: every accepted command fits the schema, and every command that fits the
//! schema is accepted.

use hourseal::forget::{
    Act, Call, Command, MAX_COMMAND_BYTES, Message, NotACommand, Reason, Terms, Unverified, Wants, pae,
    to_envelope,
};
use hourseal::keys::HoldId;
use hourseal::model::{CustomerId, Due, Hour, KekId, Retention};
use serde_json::Value;

use crate::memory::within;

pub fn run(data: &[u8]) {
    // serde_json keeps the strings, an error that names a field, and a scratch buffer for escapes,
    // which doubles. The command's bytes come in addition; those of a signed command in base64 and in
    // their signed form.
    let parsed = within(12 * data.len() + 2048, || parse(data));
    match parsed {
        Ok(message) => is_by_the_schema(data, &message),
        Err(error) => quotes_nothing(&error),
    }
    if let Some(call) = Call::parse(data) {
        assert!(parse(data).is_err(), "a call is no command");
        let nonce = call.id.rsplit('/').next().and_then(|nonce| u64::from_str_radix(nonce, 16).ok());
        assert_eq!(Call::record(&call.wants, nonce.expect("a nonce")), data);
    }
    if let Some(value) = object(data) {
        // The same without repeated names: the reference and the schema differ about them.
        let text = value.to_string();
        let taken = parse(text.as_bytes());
        let expected = by_the_schema(&value).filter(|_| text.len() <= MAX_COMMAND_BYTES);
        match &taken {
            _ if value.get("payloadType").is_some() => {}
            Ok(message) => assert!(agrees(expected.as_ref(), &message.command), "{text}"),
            // The reference does not read times and deployment ids.
            Err(_) => {
                assert!(expected.is_none() || TERMS.iter().any(|term| value.get(term).is_some()), "{text}")
            }
        }
    }
}

pub fn seeds() -> Vec<Vec<u8>> {
    let good = r#"{"id":"2026-11-24/17","type":"erase","customer":"acme","from_hour":498000,"to_hour":498000,"reason":"retention-end"}"#;
    let hold = r#"{"id":"1","type":"hold","customer":"acme","from_hour":1,"to_hour":9,"hold":"case-17","issuer":"legal","deployment":"0c56a0b1f6b94f1e9a7d5b8a4c3d2e1f","not_before":"2026-11-24T09:00:00Z","expires":"2026-11-24T10:00:00Z"}"#;
    let with = |from: &str, to: &str| good.replace(from, to);
    [
        good.to_owned(),
        with("retention-end", "request"),
        hold.to_owned(),
        r#"{"id":"2","type":"release","customer":"acme","hold":"case-17"}"#.to_owned(),
        String::from_utf8(to_envelope(hold.as_bytes(), &[])).expect("UTF-8"),
        String::from_utf8(Call::record(&Wants::Sweep(Due(498_721)), 7)).expect("UTF-8"),
        String::from_utf8(Call::record(&Wants::DestroyKek(KekId::of_due(Due(498_721))), 7)).expect("UTF-8"),
        r#"{"id":"3","type":"erase-customer","customer":"acme"}"#.to_owned(),
        r#"{"id":"4","type":"retention","customer":"acme","retention_hours":24}"#.to_owned(),
        r#"{"id":"4","type":"retention","customer":"acme","retention_hours":65536}"#.to_owned(),
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

fn parse(bytes: &[u8]) -> Result<Message, NotACommand> {
    Unverified::new(Some(bytes)).and_then(Unverified::parse)
}

fn is_by_the_schema(data: &[u8], message: &Message) {
    let Message { command, payload, signatures, .. } = message;
    let value = object(payload).expect("a command is an object");
    assert!(agrees(by_the_schema(&value).as_ref(), command), "{value}");
    assert_eq!(signatures.is_some(), payload != data);
    if let Some(signatures) = signatures {
        assert!(pae(payload).ends_with(payload) && signatures.len() <= 16);
        assert!(
            TERMS.iter().all(|term| value[term].is_string()),
            "a signed command says who, where and when"
        );
    }
    let hours = i64::from(command.to.0) - i64::from(command.from.0) + 1;
    let most = if matches!(command.act, Act::Erase(_)) { 65_535 } else { 1 << 32 };
    assert_eq!(command.range_is_valid(), (1..=most).contains(&hours));
    let padded = [data, &vec![b' '; MAX_COMMAND_BYTES + 1 - data.len()]].concat();
    assert_eq!(parse(&padded), Err(NotACommand::TooLarge(MAX_COMMAND_BYTES + 1)));
    assert!(parse(&padded[..MAX_COMMAND_BYTES]).is_ok_and(|padded| padded.command == *command));
}

fn agrees(expected: Option<&Command>, command: &Command) -> bool {
    expected.is_some_and(|expected| Command { terms: command.terms.clone(), ..expected.clone() } == *command)
}

/// Checks that an error's text consists of our own words and numbers.
fn quotes_nothing(error: &NotACommand) {
    let said: String = error.to_string().chars().filter(|c| !c.is_ascii_digit()).collect();
    let ours = [
        "it is  bytes long, which is too long",
        "an id in it is  bytes long: an id has  to  bytes and does not begin with `~`",
        "its fields do not fit its type, or its deployment or a time is malformed",
        "it is signed, but lacks issuer, deployment, not_before or expires",
        "its envelope has another payloadType, invalid base, or more than  signatures",
        "it is not a JSON object",
        "it breaks the schema at line  column ",
    ];
    assert!(ours.contains(&said.as_str()), "{said}");
}

fn object(data: &[u8]) -> Option<Value> {
    serde_json::from_slice(data).ok().filter(Value::is_object)
}

const TERMS: [&str; 4] = ["issuer", "deployment", "not_before", "expires"];

/// Reads a command by `schemas/control.schema.json` with other code, without its terms.
fn by_the_schema(value: &Value) -> Option<Command> {
    let text = |field: &str| value[field].as_str();
    let id = |field: &str| text(field).filter(|id| (1..=128).contains(&id.len()) && !id.starts_with('~'));
    let hour = |field: &str| value[field].as_u64().and_then(|hour| u32::try_from(hour).ok()).map(Hour);
    let hold = || id("hold").map(|id| HoldId(id.as_bytes().to_vec()));
    let retention = || u16::try_from(value["retention_hours"].as_u64()?).ok().and_then(Retention::hours);
    let (fields, act): (&[&str], _) = match text("type")? {
        "erase" => match text("reason")? {
            "retention-end" => (&["from_hour", "to_hour", "reason"], Act::Erase(Reason::RetentionEnd)),
            "request" => (&["from_hour", "to_hour", "reason"], Act::Erase(Reason::Request)),
            _ => return None,
        },
        "erase-customer" => (&[], Act::EraseCustomer),
        "hold" => (&["from_hour", "to_hour", "hold"], Act::Hold(hold()?)),
        "release" => (&["hold"], Act::Release(hold()?)),
        "retention" => (&["retention_hours"], Act::Retention(retention()?)),
        _ => return None,
    };
    let known = |name: &String| {
        ["id", "type", "customer"].contains(&name.as_str())
            || TERMS.contains(&name.as_str())
            || fields.contains(&name.as_str())
    };
    let (from, to) = match act {
        Act::Release(_) | Act::EraseCustomer | Act::Retention(_) => (Hour(0), Hour(u32::MAX)),
        _ => (hour("from_hour")?, hour("to_hour")?),
    };
    let customer = CustomerId::parse(text("customer")?);
    let is_whole = value.as_object()?.keys().all(known);
    is_whole.then_some(Command { id: id("id")?.to_owned(), act, customer, from, to, terms: Terms::default() })
}
