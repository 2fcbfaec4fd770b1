//! Checks that the brokers verify transactions (KAFKA-15449). Otherwise transaction protocol 1 is not safe.

use rdkafka::admin::ResourceSpecifier;
use rdkafka::metadata::MetadataBroker;

use super::{AdminError, Finding, Subject, TopicAdmin, options};

const SETTING: &str = "transaction.partition.verification.enable";
const WHY: &str = "otherwise the broker accepts a late record or offset of a fenced producer";

/// The brokers' values of `transaction.partition.verification.enable`.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Verification {
    /// Brokers that do not verify.
    pub off: Vec<i32>,
    /// Brokers that did not report it: the right DESCRIBE_CONFIGS on the cluster is missing, the broker does
    /// not know the setting, or it did not answer.
    pub untold: Vec<i32>,
}

impl Verification {
    /// The settings that must change.
    pub fn findings(&self) -> Vec<Finding> {
        let finding = |id: &i32| Finding {
            subject: Subject::Broker(*id),
            setting: SETTING,
            found: "false".to_owned(),
            wanted: "true".to_owned(),
            why: WHY,
        };
        self.off.iter().map(finding).collect()
    }

    fn record(&mut self, id: i32, verifies: Option<bool>) {
        match verifies {
            Some(true) => {}
            Some(false) => self.off.push(id),
            None => self.untold.push(id),
        }
    }
}

impl TopicAdmin {
    /// Asks every live broker, one after the other.
    ///
    /// # Errors
    /// No broker reports the list of brokers.
    pub async fn verification(&self) -> Result<Verification, AdminError> {
        let metadata = self.metadata().await?;
        let ids: Vec<i32> = metadata.brokers().iter().map(MetadataBroker::id).collect();
        let mut verification = Verification::default();
        for id in ids {
            verification.record(id, self.verifies(id).await);
        }
        Ok(verification)
    }

    /// `None` if the broker does not report the setting.
    async fn verifies(&self, id: i32) -> Option<bool> {
        let answer = self.client.describe_configs(&[ResourceSpecifier::Broker(id)], &options()).await.ok()?;
        let resource = answer.into_iter().next()?.ok()?;
        let setting = resource.entries.into_iter().find(|entry| entry.name == SETTING)?;
        setting.value.map(|value| value != "false")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broker_that_does_not_verify_is_a_finding_and_one_that_does_not_say_is_not() {
        let mut verification = Verification::default();
        for (id, verifies) in [(1, Some(true)), (2, Some(false)), (3, None)] {
            verification.record(id, verifies);
        }
        assert_eq!(verification, Verification { off: vec![2], untold: vec![3] });
        let findings = verification.findings();
        assert_eq!(findings.len(), 1);
        assert!(
            findings[0]
                .to_string()
                .starts_with("broker 2: transaction.partition.verification.enable is false")
        );
    }
}
