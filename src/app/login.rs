//! The login at the cluster, as the settings have it: the password, or the source of tokens.

use super::Failure;
use crate::config::{Config, Endpoint, Tokens};
use crate::edge::http::{TokenEndpoint, TokenError};
use crate::edge::kafka::{FetchToken, Login, NoBroker, Password, Token, TokenFault, token_of_file};

/// The login of every client of the cluster. It reads no file and connects to nothing yet.
pub(super) fn login(config: &Config) -> Login {
    Login::new(password(config), config.kafka.tokens().map(fetching))
}

/// The password as its file has it when the settings are read.
pub(super) fn password(config: &Config) -> Option<Password> {
    config.kafka.sasl_password().map(|(user, text)| Password { user, text })
}

/// Reads the files that the next token needs.
///
/// # Errors
/// A file cannot be used.
pub(super) fn check_login(config: &Config) -> Result<(), Failure> {
    let checked = match config.kafka.tokens() {
        None => Ok(()),
        // The program that writes the tokens may renew an expired one before the start.
        Some(Tokens::File(path)) => match token_of_file(path) {
            Err(fault) if fault.is_lasting => Err(fault),
            _ => Ok(()),
        },
        Some(Tokens::Endpoint(endpoint)) => asked(endpoint.clone()).check().map_err(fault),
    };
    checked.map_err(|fault| NoBroker::Token(Box::new(fault)).into())
}

fn fetching(tokens: &Tokens) -> Box<FetchToken> {
    match tokens.clone() {
        Tokens::File(path) => Box::new(move || token_of_file(&path)),
        Tokens::Endpoint(endpoint) => {
            let endpoint = asked(endpoint);
            Box::new(move || issued(&endpoint))
        }
    }
}

fn asked(endpoint: Endpoint) -> TokenEndpoint {
    let Endpoint { url, client_id, secret_file, scope, ca_file } = endpoint;
    TokenEndpoint { url, client_id, secret_file, scope, ca_file }
}

fn issued(endpoint: &TokenEndpoint) -> Result<Token, TokenFault> {
    let issued = endpoint.ask().map_err(fault)?;
    Token::new(issued.token, issued.lives).map_err(|why| {
        let why = format!("the token of {} cannot be used: {why}", endpoint.url);
        TokenFault { why, hint: "check the identity provider, and the clock of this host", is_lasting: false }
    })
}

fn fault(error: TokenError) -> TokenFault {
    TokenFault { why: error.to_string(), hint: error.hint(), is_lasting: error.is_lasting() }
}
