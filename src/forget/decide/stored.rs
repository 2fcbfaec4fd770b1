//! The forms in which the store keeps decisions: JSON of version 1, one form for commands, one for sweeps,
//! one for KEKs.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde::{Deserialize, Serialize};

use super::decision::{Decidable, Decision, Judgement};
use super::target::Asked;
use super::verdict::{Verdict, Why};
use crate::forget::command::act::Act;
use crate::keys::DueHour;
use crate::model::{Due, Hour, KekId, Retention, Token};

const VERSION: u32 = 1;

/// Bytes of a sweep's hour: due (4) ‖ token (16) ‖ hour (4), numbers big-endian.
const HOUR: usize = 24;

/// The decision on a command.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct OnCommand {
    version: u32,
    offset: i64,
    verdict: Word,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    why: Option<Why>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    due: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    before: Option<u16>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    signers: Vec<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Word {
    Erase,
    EraseCustomer,
    Hold,
    Release,
    Retention,
    Refused,
}

/// The decision on a call for a sweep: the chosen hours, in base64.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct OnSweep {
    version: u32,
    offset: i64,
    sweep: String,
}

/// The decision on a call to destroy a KEK.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct OnKek {
    version: u32,
    offset: i64,
    destroy_kek: String,
}

fn write(form: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(form).expect("strings and numbers become JSON")
}

fn read<'a, T: Deserialize<'a>>(json: &'a [u8], version: impl Fn(&T) -> u32) -> Option<T> {
    serde_json::from_slice(json).ok().filter(|form| version(form) == VERSION)
}

impl Decidable for Judgement {
    type Asked = Asked;

    fn to_json(decision: &Decision<Self>) -> Vec<u8> {
        let Self { verdict, signers } = &decision.made;
        let (word, why, due, before) = match verdict {
            Verdict::Erase { due, .. } => (Word::Erase, None, Some(*due), None),
            Verdict::EraseCustomer(_) => (Word::EraseCustomer, None, None, None),
            Verdict::Hold(_) => (Word::Hold, None, None, None),
            Verdict::Release(_) => (Word::Release, None, None, None),
            Verdict::Retention(change) => (Word::Retention, None, Some(change.past), change.before),
            Verdict::Refused { why, due } => (Word::Refused, Some(*why), *due, None),
        };
        write(&OnCommand {
            version: VERSION,
            offset: decision.offset,
            verdict: word,
            why,
            due: due.map(|due| due.0),
            before: before.map(Retention::as_hours),
            signers: signers.clone(),
        })
    }

    fn parse(json: &[u8], asked: &Asked) -> Option<Decision<Self>> {
        let stored: OnCommand = read(json, |form: &OnCommand| form.version)?;
        let verdict = stored.verdict(asked)?;
        Some(Decision { offset: stored.offset, made: Self { verdict, signers: stored.signers } })
    }

    fn after_storing() {
        failpoint!("decided");
    }
}

impl OnCommand {
    /// `None` if this was not decided on what `asked` asks for.
    fn verdict(&self, asked: &Asked) -> Option<Verdict> {
        let due = self.due.map(Due);
        Some(match (&self.verdict, self.why, &asked.act) {
            (Word::Refused, Some(why), _) => Verdict::Refused { why, due },
            (Word::Erase, None, Act::Erase(_)) => {
                Verdict::Erase { target: asked.target(asked.token?), due: due? }
            }
            (Word::EraseCustomer, None, Act::EraseCustomer) => Verdict::EraseCustomer(asked.token?),
            (Word::Hold, None, Act::Hold(id)) => Verdict::Hold(asked.hold(asked.token?, id)),
            (Word::Release, None, Act::Release(id)) => Verdict::Release(id.clone()),
            (Word::Retention, None, Act::Retention(retention)) => {
                let before = self.before.and_then(Retention::hours);
                Verdict::Retention(asked.change(asked.token?, *retention, due?, before))
            }
            _ => return None,
        })
    }
}

/// The hours that a sweep is to forget.
impl Decidable for Vec<DueHour> {
    type Asked = ();

    fn to_json(decision: &Decision<Self>) -> Vec<u8> {
        let bytes: Vec<u8> = decision.made.iter().flat_map(to_bytes).collect();
        let (offset, sweep) = (decision.offset, STANDARD_NO_PAD.encode(bytes));
        write(&OnSweep { version: VERSION, offset, sweep })
    }

    fn parse(json: &[u8], (): &()) -> Option<Decision<Self>> {
        let stored: OnSweep = read(json, |form: &OnSweep| form.version)?;
        let bytes = STANDARD_NO_PAD.decode(stored.sweep).ok()?;
        let (hours, rest) = bytes.as_chunks::<HOUR>();
        let made = hours.iter().map(from_bytes).collect();
        rest.is_empty().then_some(Decision { offset: stored.offset, made })
    }

    fn after_storing() {
        failpoint!("sweep-decided");
    }
}

/// The KEK that is to be destroyed.
impl Decidable for KekId {
    type Asked = Self;

    fn to_json(decision: &Decision<Self>) -> Vec<u8> {
        let (offset, destroy_kek) = (decision.offset, decision.made.to_string());
        write(&OnKek { version: VERSION, offset, destroy_kek })
    }

    fn parse(json: &[u8], asked: &Self) -> Option<Decision<Self>> {
        let stored: OnKek = read(json, |form: &OnKek| form.version)?;
        let is_that = stored.destroy_kek == asked.as_str();
        is_that.then(|| Decision { offset: stored.offset, made: asked.clone() })
    }

    fn after_storing() {
        failpoint!("kek-decided");
    }
}

fn to_bytes(hour: &DueHour) -> Vec<u8> {
    [&hour.due.0.to_be_bytes()[..], &hour.token.0, &hour.hour.0.to_be_bytes()].concat()
}

fn from_bytes(bytes: &[u8; HOUR]) -> DueHour {
    let number = |at: usize| u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    let token = Token(bytes[4..20].try_into().expect("16 bytes"));
    DueHour::new(Due(number(0)), token, Hour(number(20)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forget::command::act::Reason;
    use crate::keys::HoldId;
    use crate::model::Digest;

    fn asked(act: Act) -> Asked {
        let (token, command) = (Some(Token([1; 16])), Digest([2; 32]));
        Asked { act, token, from: Hour(7), to: Hour(9), range_is_valid: true, command }
    }

    /// Each form as the first version wrote it, with its meaning for the command that it was decided on.
    fn forms() -> Vec<(Asked, i64, Verdict, &'static [&'static str], &'static str)> {
        let (token, id) = (Token([1; 16]), HoldId(b"case".to_vec()));
        let retention = Retention::hours(48).expect("not zero");
        let erase = asked(Act::Erase(Reason::Request));
        let hold = asked(Act::Hold(id.clone()));
        let retain = asked(Act::Retention(retention));
        let changed = |before| Verdict::Retention(retain.change(token, retention, Due(9), before));
        vec![
            (
                erase.clone(),
                12,
                Verdict::Erase { target: erase.target(token), due: Due(498_721) },
                &[],
                r#"{"version":1,"offset":12,"verdict":"erase","due":498721}"#,
            ),
            (
                erase.clone(),
                0,
                Verdict::Refused { why: Why::NotDue, due: Some(Due(9)) },
                &[],
                r#"{"version":1,"offset":0,"verdict":"refused","why":"not-due","due":9}"#,
            ),
            (
                hold.clone(),
                3,
                Verdict::Hold(hold.hold(token, &id)),
                &["dpo", "legal"],
                r#"{"version":1,"offset":3,"verdict":"hold","signers":["dpo","legal"]}"#,
            ),
            (
                asked(Act::EraseCustomer),
                5,
                Verdict::EraseCustomer(token),
                &["dpo", "legal"],
                r#"{"version":1,"offset":5,"verdict":"erase-customer","signers":["dpo","legal"]}"#,
            ),
            (
                retain.clone(),
                6,
                changed(Retention::hours(24)),
                &["dpo"],
                r#"{"version":1,"offset":6,"verdict":"retention","due":9,"before":24,"signers":["dpo"]}"#,
            ),
            (
                retain.clone(),
                7,
                changed(None),
                &[],
                r#"{"version":1,"offset":7,"verdict":"retention","due":9}"#,
            ),
            (
                asked(Act::Release(id.clone())),
                4,
                Verdict::Release(id),
                &[],
                r#"{"version":1,"offset":4,"verdict":"release"}"#,
            ),
        ]
    }

    #[test]
    fn the_stored_form_of_a_commands_verdict_is_stable_and_means_its_own_target() {
        for (asked, offset, verdict, signers, json) in forms() {
            let signers = signers.iter().map(ToString::to_string).collect();
            let decision = Decision { offset, made: Judgement { verdict, signers } };
            assert_eq!(String::from_utf8(Judgement::to_json(&decision)).expect("UTF-8"), json);
            assert_eq!(Judgement::parse(json.as_bytes(), &asked), Some(decision));
        }
    }

    #[test]
    fn a_verdict_on_another_command_or_on_no_customer_is_not_obeyed() {
        for (asked, _, verdict, _, json) in forms() {
            let refused = matches!(verdict, Verdict::Refused { .. });
            let of_nobody = Asked { token: None, ..asked.clone() };
            let needs_customer = !refused && !matches!(verdict, Verdict::Release(_));
            assert_eq!(Judgement::parse(json.as_bytes(), &of_nobody).is_none(), needs_customer, "{json}");
            for (other, _, _, _, _) in forms().into_iter().filter(|(other, ..)| other.act != asked.act) {
                assert_eq!(Judgement::parse(json.as_bytes(), &other).is_none(), !refused, "{json}");
            }
        }
    }

    #[test]
    fn the_stored_form_of_a_sweeps_hours_is_stable() {
        let made = vec![DueHour::new(Due(1), Token([2; 16]), Hour(0x0001_0203))];
        let decision = Decision { offset: 12, made };
        let json = r#"{"version":1,"offset":12,"sweep":"AAAAAQICAgICAgICAgICAgICAgIAAQID"}"#;
        assert_eq!(String::from_utf8(Vec::to_json(&decision)).expect("UTF-8"), json);
        assert_eq!(Vec::parse(json.as_bytes(), &()), Some(decision));
        for other in [
            json.replace("\"version\":1", "\"version\":2"),
            json.replace("AQID", "AQI"),
            json.replace("12,", "12,\"verdict\":\"erase\","),
            r#"{"version":1,"offset":12,"verdict":"hold"}"#.to_owned(),
        ] {
            assert_eq!(Vec::parse(other.as_bytes(), &()), None, "{other}");
        }
    }

    #[test]
    fn the_stored_form_of_a_keks_end_is_stable() {
        let kek = KekId::parse("day/2026-11-28").expect("a day");
        let json = r#"{"version":1,"offset":12,"destroy_kek":"day/2026-11-28"}"#;
        let decision = Decision { offset: 12, made: kek.clone() };
        assert_eq!(String::from_utf8(KekId::to_json(&decision)).expect("UTF-8"), json);
        assert_eq!(<KekId as Decidable>::parse(json.as_bytes(), &kek), Some(decision));
        let other = KekId::parse("day/2026-11-27").expect("a day");
        assert_eq!(<KekId as Decidable>::parse(json.as_bytes(), &other), None);
        let newer = json.replace("\"version\":1", "\"version\":2");
        assert_eq!(<KekId as Decidable>::parse(newer.as_bytes(), &kek), None);
    }

    #[test]
    fn what_another_version_wrote_is_not_a_decision() {
        for json in [
            r#"{"version":2,"offset":12,"verdict":"erase","due":498721}"#,
            r#"{"version":1,"offset":12,"verdict":"erase"}"#,
            r#"{"version":1,"offset":12,"verdict":"refused"}"#,
            r#"{"version":1,"offset":12,"verdict":"erase","due":1,"why":"held"}"#,
            r#"{"version":1,"offset":12,"verdict":"erase","due":1,"scope":"all"}"#,
            "",
        ] {
            let asked = asked(Act::Erase(Reason::Request));
            assert_eq!(Judgement::parse(json.as_bytes(), &asked), None, "{json}");
        }
    }
}
