//! The kinds of failed connections: each one's text, and the setting to look at.

/// The kind of a failed connection. It decides the exit code and the hint.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// No process listens at the address.
    Refused,
    /// The name has no address.
    NoAddress,
    /// The network does not lead to the address, or nothing answers there.
    NoRoute,
    /// The broker closed the connection, without a reason.
    Closed,
    /// The broker closed a plaintext connection instead of its first answer. A TLS port does so.
    ClosedAtFirst,
    /// The broker closed a plaintext connection soon after its first answer. A SASL port does so.
    ClosedSoon,
    /// The answer is not one of Kafka, or there is none on an open connection.
    NotKafka,
    /// This client speaks plaintext, and the broker TLS.
    PlaintextToTls,
    /// This client speaks TLS, and the broker does not.
    TlsToPlaintext,
    /// No trusted certificate authority has signed the broker's certificate.
    Certificate,
    /// A trusted authority has signed the broker's certificate, but for another name.
    HostName,
    /// The broker refuses the certificate of this client, or requires one.
    ClientCertificate,
    /// The TLS handshake failed in another way.
    Tls,
    /// This client does not use SASL, and the broker closes its connections after the first answer.
    SaslRequired,
    /// The broker does not offer the SASL mechanism.
    Mechanism,
    /// The broker refuses the user or the password.
    Authentication,
}

impl Kind {
    /// Whether only a person can remove the cause.
    pub(super) fn is_configuration(self) -> bool {
        match self {
            Self::Refused
            | Self::NoAddress
            | Self::NoRoute
            | Self::Closed
            | Self::ClosedAtFirst
            | Self::ClosedSoon
            | Self::NotKafka => false,
            Self::PlaintextToTls
            | Self::TlsToPlaintext
            | Self::Certificate
            | Self::HostName
            | Self::ClientCertificate
            | Self::Tls
            | Self::SaslRequired
            | Self::Mechanism
            | Self::Authentication => true,
        }
    }

    pub(super) fn is_closed(self) -> bool {
        matches!(self, Self::Closed | Self::ClosedAtFirst | Self::ClosedSoon)
    }

    pub(super) fn text(self) -> &'static str {
        match self {
            Self::Refused => "connection refused",
            Self::NoAddress => "the host name cannot be resolved",
            Self::NoRoute => "the address does not answer",
            Self::Closed | Self::ClosedAtFirst => "the broker closed the connection",
            Self::ClosedSoon => {
                "the broker closed the connection after its first answer; it may require SASL"
            }
            Self::NotKafka => "the answer is not one of a Kafka broker",
            Self::PlaintextToTls => "plaintext on a TLS port",
            Self::TlsToPlaintext => "TLS on a plaintext port",
            Self::Certificate => "the broker's certificate is not trusted",
            Self::HostName => "the broker's certificate is for another host name",
            Self::ClientCertificate => "the broker refuses the client's certificate, or requires one",
            Self::Tls => "the TLS handshake failed",
            Self::SaslRequired => "the broker requires SASL",
            Self::Mechanism => "the broker does not offer the SASL mechanism",
            Self::Authentication => "authentication failed",
        }
    }

    /// The setting to look at.
    pub(super) fn hint(self) -> &'static str {
        match self {
            Self::Refused | Self::NoRoute => "check that the broker runs and `kafka.bootstrap` names it",
            Self::NoAddress => "check the host names in `kafka.bootstrap`, and the name service of this host",
            Self::Closed | Self::ClosedAtFirst | Self::ClosedSoon => {
                "check that the broker runs, and that `security.protocol` in [kafka.client] is the listener's"
            }
            Self::NotKafka => {
                "check the port in `kafka.bootstrap`: a program other than Kafka may listen on it"
            }
            Self::PlaintextToTls => {
                "set `security.protocol` in [kafka.client] to `ssl` or `sasl_ssl`, as the listener has it"
            }
            Self::TlsToPlaintext => {
                "check the port in `kafka.bootstrap`, or set `security.protocol` in [kafka.client] to \
                 `plaintext` or `sasl_plaintext`"
            }
            Self::Certificate => {
                "set `ssl.ca.location` in [kafka.client] to the authority that signed the broker's \
                 certificate"
            }
            Self::HostName => {
                "use a name of the broker's certificate in `kafka.bootstrap` and in the broker's \
                 `advertised.listeners`"
            }
            Self::ClientCertificate => {
                "set `ssl.certificate.location` and `ssl.key.location` in [kafka.client] to a certificate \
                 that the broker trusts"
            }
            Self::Tls => "check the settings `ssl.*` in [kafka.client] against the broker's listener",
            Self::SaslRequired => {
                "set `security.protocol` in [kafka.client] to `sasl_plaintext` or `sasl_ssl`, and `sasl.*`"
            }
            Self::Mechanism => {
                "set `sasl.mechanism` in [kafka.client] to a mechanism of the broker's listener; one without \
                 mechanisms wants another `security.protocol`"
            }
            Self::Authentication => {
                "check `sasl.username` in [kafka.client] and the file of `kafka.sasl_password_file` against \
                 the broker's list of users; with OAUTHBEARER, the issuer and the audience of the token"
            }
        }
    }
}
