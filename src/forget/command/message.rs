//! Commands: requests in records of the control topic (`schemas/control.schema.json`).

use super::act::Command;
use super::digest::sha_256;
use super::dsse::{self, Signature};
use super::error::NotACommand;
use super::fields;
use crate::model::Digest;

/// Maximum length of the value of a control record, in bytes.
pub const MAX_COMMAND_BYTES: usize = 64 << 10;

/// A control record's value as it was received: nothing is known about its bytes yet.
#[derive(Clone, Copy)]
pub struct Unverified<'a>(&'a [u8]);

/// A command as it was sent: its signatures are not verified yet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Message {
    /// SHA-256 of the command's own bytes, without signatures. From here on, it names the command.
    pub digest: Digest,
    /// SHA-256 of "hourseal/1 record" ‖ the record's value, signatures included. It names a refusal that does
    /// not take the command's id.
    pub record: Digest,
    pub command: Command,
    /// The command's own bytes.
    pub payload: Vec<u8>,
    /// The signatures of these bytes; `None` for a command without an envelope.
    pub signatures: Option<Vec<Signature>>,
}

impl<'a> Unverified<'a> {
    /// # Errors
    /// [`NotACommand`] if there is no value, or if it is too long.
    pub fn new(value: Option<&'a [u8]>) -> Result<Self, NotACommand> {
        match value {
            None => Err(NotACommand::NoValue),
            Some(bytes) if bytes.len() > MAX_COMMAND_BYTES => Err(NotACommand::TooLarge(bytes.len())),
            Some(bytes) => Ok(Self(bytes)),
        }
    }

    /// Reads a command, or an envelope (DSSE) with a command in it.
    ///
    /// # Errors
    /// [`NotACommand`], which quotes nothing of the value.
    pub fn parse(self) -> Result<Message, NotACommand> {
        let record = sha_256(&[b"hourseal/1 record", self.0].concat());
        let (payload, signatures) = if dsse::is_envelope(self.0) {
            let dsse::Envelope { payload, signatures } = dsse::parse(self.0)?;
            (payload, Some(signatures))
        } else {
            (self.0.to_vec(), None)
        };
        let command = fields::parse(&payload)?;
        if signatures.is_some() && !command.terms.are_complete() {
            return Err(NotACommand::Terms);
        }
        Ok(Message { digest: sha_256(&payload), record, command, payload, signatures })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forget::command::act::{Act, Reason, Terms};
    use crate::keys::HoldId;
    use crate::model::{CustomerError, Hour, Retention};

    const ERASE: &str =
        r#"{"id":"c-1","type":"erase","customer":"acme","from_hour":7,"to_hour":9,"reason":"retention-end"}"#;
    const HOLD: &str =
        r#"{"id":"c-2","type":"hold","customer":"acme","from_hour":7,"to_hour":9,"hold":"case-17"}"#;
    const RETENTION: &str = r#"{"id":"c-5","type":"retention","customer":"acme","retention_hours":720}"#;
    const TERMS: &str = concat!(
        r#""issuer":"dpo","deployment":"aa000000000000000000000000000000","#,
        r#""not_before":"2026-11-25T00:00:00Z","expires":"2026-11-26T00:00:00Z""#
    );

    fn message(text: &str) -> Result<Message, NotACommand> {
        Unverified::new(Some(text.as_bytes()))?.parse()
    }

    fn parse(text: &str) -> Result<Command, NotACommand> {
        message(text).map(|message| message.command)
    }

    #[test]
    fn a_command_says_whose_hours_and_what_is_to_become_of_them() {
        let command = parse(ERASE).expect("well formed");
        assert_eq!((command.id.as_str(), command.from, command.to), ("c-1", Hour(7), Hour(9)));
        assert_eq!(command.customer.expect("a customer").as_str(), "acme");
        assert_eq!((command.act, command.terms), (Act::Erase(Reason::RetentionEnd), Terms::default()));
        let case = HoldId(b"case-17".to_vec());
        assert_eq!(parse(HOLD).expect("well formed").act, Act::Hold(case.clone()));
        let whole = r#"{"id":"c-4","type":"erase-customer","customer":"acme"}"#;
        let whole = parse(whole).expect("well formed");
        assert_eq!((whole.act.clone(), whole.from, whole.to), (Act::EraseCustomer, Hour(0), Hour(u32::MAX)));
        assert!(whole.range_is_valid());
        let retention = parse(RETENTION).expect("well formed");
        assert_eq!(retention.act, Act::Retention(Retention::hours(720).expect("not zero")));
        let release = r#"{"id":"c-3","type":"release","customer":"acme","hold":"case-17"}"#;
        assert_eq!(parse(release).expect("well formed").act, Act::Release(case));
    }

    #[test]
    fn its_name_is_the_sha_256_of_its_bytes() {
        assert_eq!(
            sha_256(b"abc").to_string(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        let message = message(ERASE).expect("well formed");
        assert_eq!(message.digest, sha_256(ERASE.as_bytes()));
        assert_ne!(message.record, message.digest);
        assert!(message.signatures.is_none());
    }

    #[test]
    fn an_envelope_names_its_command_by_what_was_signed_not_by_who_signed() {
        let payload = ERASE.replace(r#""id":"c-1""#, &format!(r#""id":"c-1",{TERMS}"#));
        let envelope = |signatures: &[Signature]| {
            let json = dsse::to_envelope(payload.as_bytes(), signatures);
            message(std::str::from_utf8(&json).expect("UTF-8")).expect("well formed")
        };
        let signature = |hint: &str| Signature { hint: hint.to_owned(), bytes: vec![7; 64] };
        let (one, two) = (envelope(&[signature("a")]), envelope(&[signature("a"), signature("b")]));
        assert_eq!((one.digest, one.digest), (sha_256(payload.as_bytes()), two.digest));
        assert_ne!(one.record, two.record);
        let terms = one.command.terms;
        assert_eq!((terms.issuer.as_deref(), terms.deployment.map(|id| id.0[0])), (Some("dpo"), Some(0xaa)));
        assert_eq!(terms.expires.expect("a time").0 - terms.not_before.expect("a time").0, 86_400_000);
        let short = dsse::to_envelope(ERASE.as_bytes(), &[signature("a")]);
        assert_eq!(message(std::str::from_utf8(&short).expect("UTF-8")).err(), Some(NotACommand::Terms));
    }

    #[test]
    fn what_is_not_exactly_a_command_is_none() {
        let with = |from: &str, to: &str| ERASE.replace(from, to);
        for (what, text) in [
            ("nothing", String::new()),
            ("an array of the values", r#"["c-1","erase","acme",7,9,"retention-end"]"#.to_owned()),
            ("an unknown type", with("erase", "forget")),
            ("a type as an object", with(r#""erase""#, r#"{"erase":null}"#)),
            ("another reason", with("retention-end", "because")),
            ("a reason as an object", with(r#""retention-end""#, r#"{"retention-end":null}"#)),
            ("an unknown field", with(r#""to_hour":9"#, r#""to_hour":9,"force":true"#)),
            ("a repeated field", with(r#""to_hour":9"#, r#""to_hour":9,"to_hour":9"#)),
            ("a repeated field in other letters", with(r#""id":"c-1""#, r#""id":"c-1","\u0069d":"c-2""#)),
            ("a missing field", with(r#","reason":"retention-end""#, "")),
            ("an hour below zero", with(":7", ":-7")),
            ("an hour beyond the field", with(":7", ":4294967296")),
            ("an hour with a fraction", with(":7", ":7.0")),
            ("an hour as text", with(":7", r#":"7""#)),
            ("no id", with("c-1", "")),
            ("a long id", with("c-1", &"x".repeat(129))),
            ("an id of ours", with("c-1", "~c-1")),
            ("half a range", with(r#","to_hour":9"#, "")),
            ("a release with hours", HOLD.replace(r#""hold","customer"#, r#""release","customer"#)),
            ("a customer's erasure with hours", ERASE.replace(r#""erase","#, r#""erase-customer","#)),
            (
                "a customer's erasure with a hold",
                HOLD.replace(r#""hold","customer"#, r#""erase-customer","customer"#),
            ),
            ("an erasure with a hold", with(r#""to_hour":9"#, r#""to_hour":9,"hold":"case-17""#)),
            ("a hold with a reason", HOLD.replace(r#""case-17"}"#, r#""case-17","reason":"request"}"#)),
            ("a reason that is null", HOLD.replace(r#""case-17"}"#, r#""case-17","reason":null}"#)),
            ("a hold without an id", HOLD.replace(r#","hold":"case-17""#, "")),
            ("a hold without hours", HOLD.replace(r#""from_hour":7,"to_hour":9,"#, "")),
            ("a retention of no hours", RETENTION.replace(":720", ":0")),
            ("a retention beyond the field", RETENTION.replace(":720", ":65536")),
            ("a retention without one", RETENTION.replace(r#","retention_hours":720"#, "")),
            ("a retention that is null", RETENTION.replace(":720", ":null")),
            ("a retention with hours", RETENTION.replace(":720", r#":720,"from_hour":7,"to_hour":9"#)),
            ("an erasure with a retention", with(r#""to_hour":9"#, r#""to_hour":9,"retention_hours":720"#)),
            ("an invalid time", with(r#""id""#, r#""expires":"tomorrow","id""#)),
            ("an invalid deployment", with(r#""id""#, r#""deployment":"aa","id""#)),
            ("something after it", format!("{ERASE}{ERASE}")),
            ("half a surrogate", with("acme", r"\ud800")),
            ("a thousand arrays", format!(r#"{{"id":{}"#, "[".repeat(1_000))),
        ] {
            assert!(parse(&text).is_err(), "{what}");
        }
        assert_eq!(Unverified::new(None).err(), Some(NotACommand::NoValue));
        let padded = format!("{ERASE}{}", " ".repeat(MAX_COMMAND_BYTES));
        assert_eq!(parse(&padded), Err(NotACommand::TooLarge(padded.len())));
    }

    #[test]
    fn the_schemas_examples_are_commands() {
        let schema: serde_json::Value =
            serde_json::from_str(include_str!("../../../schemas/control.schema.json")).expect("JSON");
        for example in schema["examples"].as_array().expect("a list") {
            assert!(parse(&example.to_string()).is_ok(), "{example}");
        }
    }

    #[test]
    fn errors_quote_nothing() {
        for text in [ERASE.replace("erase", "acme-secret"), ERASE.replace("reason", "acme-secret")] {
            assert!(!parse(&text).expect_err("malformed").to_string().contains("acme-secret"));
        }
    }

    #[test]
    fn an_impossible_customer_or_range_is_still_a_command() {
        let command = parse(&ERASE.replace("acme", "~quarantine")).expect("well formed");
        assert_eq!(command.customer, Err(CustomerError::Reserved));
        let range = |of: &str, from: &str, to: &str| {
            let text = of.replace(":7", &format!(":{from}")).replace(":9", &format!(":{to}"));
            parse(&text).expect("well formed").range_is_valid()
        };
        assert!(range(ERASE, "7", "7"));
        assert!(!range(ERASE, "8", "7"));
        assert!(range(ERASE, "1", "65535"));
        assert!(!range(ERASE, "1", "65536"));
        assert!(!range(ERASE, "0", "4294967295"));
        assert!(range(HOLD, "0", "4294967295"));
        assert!(!range(HOLD, "8", "7"));
    }
}
