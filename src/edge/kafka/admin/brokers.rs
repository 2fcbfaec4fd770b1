//! Checks the brokers' own settings: they must verify transactions (KAFKA-15449; otherwise transaction
//! protocol 1 is not safe), and they must allow a lane's timeouts.

use std::time::Duration;

use rdkafka::admin::{ConfigResource, ResourceSpecifier};
use rdkafka::metadata::MetadataBroker;

use super::{AdminError, Finding, Subject, TopicAdmin, options};

const VERIFIES: &str = "transaction.partition.verification.enable";
const LONGEST_TRANSACTION: &str = "transaction.max.timeout.ms";

/// The brokers' settings, as far as they report them.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct BrokerReport {
    /// The settings that must change.
    pub findings: Vec<Finding>,
    /// Brokers that do not report whether they verify transactions: the right DESCRIBE_CONFIGS on the cluster
    /// is missing, the broker does not know the setting, or it did not answer.
    pub untold: Vec<i32>,
}

/// The settings of a broker on which a lane relies. `None`: it does not report the setting.
#[derive(Clone, Copy, Default)]
struct Settings {
    verifies: Option<bool>,
    longest_transaction_ms: Option<u128>,
}

impl Settings {
    fn of(resource: &ConfigResource) -> Self {
        let value = |name| {
            let entry = resource.entries.iter().find(|entry| entry.name == name);
            entry.and_then(|entry| entry.value.as_deref())
        };
        Self {
            verifies: value(VERIFIES).map(|value| value != "false"),
            longest_transaction_ms: value(LONGEST_TRANSACTION).and_then(|value| value.parse().ok()),
        }
    }
}

impl BrokerReport {
    /// `transaction`: after this time the broker must end a lane's transaction.
    fn record(&mut self, id: i32, settings: Settings, transaction: Duration) {
        let finding = |setting, found, wanted, why| Finding {
            subject: Subject::Broker(id),
            setting,
            found,
            wanted,
            why,
        };
        match settings.verifies {
            Some(true) => {}
            Some(false) => self.findings.push(finding(
                VERIFIES,
                "false".to_owned(),
                "true".to_owned(),
                "otherwise the broker accepts a late record or offset of a fenced producer",
            )),
            None => self.untold.push(id),
        }
        if let Some(longest) = settings.longest_transaction_ms.filter(|it| *it < transaction.as_millis()) {
            self.findings.push(finding(
                LONGEST_TRANSACTION,
                longest.to_string(),
                format!("at least {}", transaction.as_millis()),
                "the broker refuses a producer with a longer `transaction.timeout.ms` (kafka.producer)",
            ));
        }
    }
}

impl TopicAdmin {
    /// Asks every live broker, one after the other.
    ///
    /// # Errors
    /// No broker reports the list of brokers.
    pub async fn brokers(&self) -> Result<BrokerReport, AdminError> {
        let metadata = self.metadata().await?;
        let ids: Vec<i32> = metadata.brokers().iter().map(MetadataBroker::id).collect();
        let mut report = BrokerReport::default();
        for id in ids {
            let settings = self.broker_settings(id).await.unwrap_or_default();
            report.record(id, settings, self.settings.transaction_timeout());
        }
        Ok(report)
    }

    /// `None` if the broker does not answer.
    async fn broker_settings(&self, id: i32) -> Option<Settings> {
        let answer = self.client.describe_configs(&[ResourceSpecifier::Broker(id)], &options()).await.ok()?;
        Some(Settings::of(&answer.into_iter().next()?.ok()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: Duration = Duration::from_secs(15);

    #[test]
    fn a_broker_that_does_not_verify_is_a_finding_and_one_that_does_not_say_is_not() {
        let mut report = BrokerReport::default();
        for (id, verifies) in [(1, Some(true)), (2, Some(false)), (3, None)] {
            report.record(id, Settings { verifies, ..Settings::default() }, OURS);
        }
        assert_eq!(report.untold, [3]);
        let [finding] = &report.findings[..] else { panic!("{:?}", report.findings) };
        assert!(
            finding.to_string().starts_with("broker 2: transaction.partition.verification.enable is false")
        );
    }

    #[test]
    fn a_broker_that_ends_transactions_earlier_than_a_lane_allows_is_a_finding() {
        let mut report = BrokerReport::default();
        for (id, longest) in [(1, Some(15_000)), (2, Some(14_999)), (3, None)] {
            let settings = Settings { verifies: Some(true), longest_transaction_ms: longest };
            report.record(id, settings, OURS);
        }
        let [finding] = &report.findings[..] else { panic!("{:?}", report.findings) };
        assert!(
            finding
                .to_string()
                .starts_with("broker 2: transaction.max.timeout.ms is 14999, wanted at least 15000")
        );
    }
}
