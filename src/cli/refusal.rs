//! Explains to people why a command was refused: the missing right, the date, the next step. Receipts have
//! the code.

use crate::forget::{Act, Reason, Receipt, Why};
use crate::model::printable;

/// Returns the reason with what the receipt knows of it, and a hint.
pub fn explain(receipt: &Receipt, act: &Act) -> (String, Option<String>) {
    let Some(why) = receipt.why else { return (receipt.outcome.code().to_owned(), None) };
    let mut reason = format!("{}: {}", receipt.outcome.code(), why.code());
    if let (Why::NotDue, Some(due)) = (why, receipt.due) {
        reason.push_str(&format!(", the last hour is due at {}", due.at()));
    }
    if why == Why::NotAuthorized && !receipt.signers.is_empty() {
        reason.push_str(&format!(", signed by {}", receipt.signers.join(", ")));
    }
    // The names come from the topic.
    let reason = printable(&reason);
    (reason, Some(hint(why, act)))
}

fn hint(why: Why, act: &Act) -> String {
    let text = match why {
        Why::NotAuthorized => return format!("it takes {}", rights(act)),
        Why::NotDue => "wait until then, or give --reason request: it takes the right `erase-early`",
        Why::Held => "`hourseal hold ls` lists the holds; each must be released first",
        Why::SignatureRequired => {
            "it takes a signature, also where unsigned commands are accepted: --sign-with"
        }
        Why::OtherDeployment => {
            "it names another key store: compare --deployment with `hourseal store check`"
        }
        Why::InvalidCustomer => "a customer has 1 to 256 bytes and does not begin with `~`",
        Why::InvalidRange => "the first hour comes before the last, and there are at most 65535",
        Why::IdReuse => "another command had this id before: leave --id out, or choose another one",
        Why::NotYet => "its period of validity has not begun: compare this machine's clock with the worker's",
        Why::Expired => "its period of validity is over: issue it again, with a longer --valid-for",
        Why::HoldIdReuse => "a hold of this id has another customer or other hours: choose another id",
        Why::UnknownHold => "`hourseal hold ls` lists the holds and their customers",
        Why::NotConfirmed => {
            "the key store did not confirm all of it: send the command again under another id"
        }
        Why::Unusable => {
            "a row of this customer in the key store, or a KEK, cannot be used: the log of the worker that \
             executes commands names the fault (HS1429); repair it, and send the command again under another \
             id"
        }
    };
    text.to_owned()
}

/// The rights that an action takes. The trust store may have other thresholds.
fn rights(act: &Act) -> &'static str {
    match act {
        Act::Erase(Reason::RetentionEnd) => "the right `erase`, from one trusted key",
        Act::Erase(Reason::Request) => {
            "the right `erase-early`, from two trusted keys unless the trust store says otherwise; once the \
             hours are due, `erase` from one"
        }
        Act::EraseCustomer => {
            "the right `erase-early`, from two trusted keys unless the trust store says otherwise"
        }
        Act::Hold(_) => "the right `hold`, from one trusted key",
        Act::Release(_) => "the right `release`, from two trusted keys unless the trust store says otherwise",
        Act::Retention(_) => {
            "the right `retention`, from one trusted key; if anything falls due sooner, `shorten` from two"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forget::Right;
    use crate::keys::HoldId;
    use crate::model::Retention;

    #[test]
    fn each_action_names_a_right_of_the_trust_store() {
        let id = || HoldId(b"case".to_vec());
        let acts = [
            (Act::Erase(Reason::RetentionEnd), Right::Erase),
            (Act::Erase(Reason::Request), Right::EraseEarly),
            (Act::EraseCustomer, Right::EraseEarly),
            (Act::Hold(id()), Right::Hold),
            (Act::Release(id()), Right::Release),
            (Act::Retention(Retention::hours(1).expect("not zero")), Right::Retention),
        ];
        for (act, right) in acts {
            let text = hint(Why::NotAuthorized, &act);
            assert!(text.contains(&format!("`{}`", right.code())), "{act:?}: {text}");
        }
    }
}
