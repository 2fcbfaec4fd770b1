//! Connects to the cluster: contact points, TLS, user and password, two execution profiles.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use openssl::ssl::{SslConnector, SslFiletype, SslMethod, SslVersion};
use openssl::x509::store::X509StoreBuilder;
use scylla::client::PoolSize;
use scylla::client::execution_profile::ExecutionProfile;
use scylla::client::session::{OpenSsl010Config, Session};
use scylla::client::session_builder::SessionBuilder;
use scylla::cluster::Node;
use scylla::policies::load_balancing::{
    DefaultPolicy, LoadBalancingPolicy, NodeIdentifier, SingleTargetLoadBalancingPolicy,
};
use scylla::policies::retry::{DefaultRetryPolicy, FallthroughRetryPolicy};
use scylla::policies::speculative_execution::SimpleSpeculativeExecutionPolicy;
use scylla::statement::unprepared::Statement;
use scylla::statement::{Consistency, SerialConsistency};

use super::login::Credentials;
use crate::keys::StoreError;

/// Longest wait for a read or a plain write.
const READ: Duration = Duration::from_secs(3);
/// Longest wait for a lightweight transaction: more than the servers' limits for contention (1 to 1.8 s) and
/// for a write (2 s).
const LWT: Duration = Duration::from_secs(5);
const CONNECT: Duration = Duration::from_secs(5);
/// Interval and timeout of keep-alive requests, to detect a node that hangs. Statements that are pending on
/// its connections then fail with an unknown outcome; reads and idempotent writes go to other nodes.
const SIGN_OF_LIFE: Duration = Duration::from_secs(2);
/// Time after which a read or an idempotent write is also sent to a second node.
const SECOND_OPINION: Duration = Duration::from_secs(1);

/// The cluster's address, and the settings of connections to it.
#[derive(Clone, Debug)]
pub struct SessionOptions {
    /// `host:port`. One that answers is enough to find the others.
    pub contact_points: Vec<String>,
    /// Statements go to its nodes; `None` = nodes of all data centres.
    pub datacenter: Option<String>,
    /// PEM file of the authorities that sign the nodes' certificates; `None` = no TLS.
    pub tls_ca_file: Option<PathBuf>,
    /// PEM files of this client's certificate and key, if the cluster requires a client certificate.
    pub tls_client: Option<(PathBuf, PathBuf)>,
    pub credentials: Option<Credentials>,
}

/// The two execution profiles of statements.
pub(super) struct Profiles {
    /// QUORUM. The driver retries, and asks a second node, if that is safe.
    pub(super) read: scylla::client::execution_profile::ExecutionProfileHandle,
    /// QUORUM and SERIAL. The driver never retries, and never executes speculatively.
    pub(super) lwt: scylla::client::execution_profile::ExecutionProfileHandle,
}

impl SessionOptions {
    /// Connects, and reads the schema of `keyspace` only: a shared cluster may have thousands of tables.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if no contact point answers, [`StoreError::Unusable`] for wrong files or
    /// credentials.
    pub(super) async fn connect(&self, keyspace: &str) -> Result<(Session, Profiles), StoreError> {
        let profiles = self.profiles();
        let mut builder = SessionBuilder::new()
            .known_nodes(&self.contact_points)
            .default_execution_profile_handle(profiles.read.clone())
            .connection_timeout(CONNECT)
            .keepalive_interval(SIGN_OF_LIFE)
            .keepalive_timeout(SIGN_OF_LIFE)
            .pool_size(PoolSize::PerHost(std::num::NonZeroUsize::new(2).expect("not zero")))
            .schema_agreement_timeout(Duration::from_secs(30))
            .schema_agreement_interval(Duration::from_millis(20))
            .keyspaces_to_fetch([keyspace])
            .refresh_metadata_on_auto_schema_agreement(false)
            .driver_config_reporting(false);
        if let Some(credentials) = &self.credentials {
            // A file that cannot be read is refused before the driver retries it.
            credentials.password()?;
            builder = builder.authenticator_provider(Arc::new(credentials.clone()));
        }
        if let Some(ca) = &self.tls_ca_file {
            builder = builder.tls_context(Some(tls(ca, self.tls_client.as_ref())?));
        }
        Ok((builder.build().await?, profiles))
    }

    /// Opens the files that a connection needs.
    ///
    /// # Errors
    /// [`StoreError::Unusable`] for a file that cannot be used.
    pub fn check_files(&self) -> Result<(), StoreError> {
        if let Some(credentials) = &self.credentials {
            credentials.password()?;
        }
        self.tls_ca_file.as_deref().map(|ca| tls(ca, self.tls_client.as_ref())).transpose().map(drop)
    }

    fn profiles(&self) -> Profiles {
        let base = || {
            ExecutionProfile::builder()
                .consistency(Consistency::Quorum)
                .serial_consistency(Some(SerialConsistency::Serial))
        };
        let second = SimpleSpeculativeExecutionPolicy { max_retry_count: 1, retry_interval: SECOND_OPINION };
        let read = base()
            .request_timeout(Some(READ))
            .load_balancing_policy(self.balancing())
            .speculative_execution_policy(Some(Arc::new(second)));
        let lwt = base().request_timeout(Some(LWT)).load_balancing_policy(self.balancing());
        Profiles {
            read: read.retry_policy(Arc::new(DefaultRetryPolicy::new())).build().into_handle(),
            lwt: lwt.retry_policy(Arc::new(FallthroughRetryPolicy::new())).build().into_handle(),
        }
    }

    fn balancing(&self) -> Arc<dyn LoadBalancingPolicy> {
        let policy = DefaultPolicy::builder().token_aware(true);
        match &self.datacenter {
            Some(name) => policy.prefer_datacenter(name.clone()).permit_dc_failover(false).build(),
            None => policy.build(),
        }
    }
}

/// A statement that this node answers: each node has its own system tables.
pub(super) fn at_node(text: &str, node: &Node) -> Statement {
    let mut statement = Statement::new(text);
    let target = NodeIdentifier::HostId(node.host_id);
    statement.set_load_balancing_policy(Some(SingleTargetLoadBalancingPolicy::new(target, None)));
    statement
}

/// TLS 1.2 or newer. The nodes' certificates must be signed by an authority in `ca`; the system's authorities
/// are not trusted. A certificate must name the address at which the node is reached.
fn tls(ca: &Path, client: Option<&(PathBuf, PathBuf)>) -> Result<OpenSsl010Config, StoreError> {
    let built = || {
        let mut builder = SslConnector::builder(SslMethod::tls_client())?;
        builder.set_min_proto_version(Some(SslVersion::TLS1_2))?;
        // An empty store: the system's authorities are not trusted.
        builder.set_cert_store(X509StoreBuilder::new()?.build());
        builder.set_ca_file(ca)?;
        if let Some((certificate, key)) = client {
            builder.set_certificate_chain_file(certificate)?;
            builder.set_private_key_file(key, SslFiletype::PEM)?;
            builder.check_private_key()?;
        }
        Ok(OpenSsl010Config::new(builder))
    };
    built().map_err(|error: openssl::error::ErrorStack| {
        let file = ca.display();
        StoreError::Unusable(format!("cannot load the TLS files of the key store ({file}): {error}"))
    })
}
