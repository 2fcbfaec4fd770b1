//! `hourseal keygen`

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::{Failure, output};
use crate::edge::keyfile;

#[derive(Args)]
#[command(after_help = HELP)]
pub struct Keygen {
    /// The new file (mode 0600); an existing file is never overwritten
    file: PathBuf,
    /// Only print the public key of an existing file
    #[arg(long)]
    public: bool,
}

const HELP: &str = "\
The file is PKCS#8 in PEM, as from `openssl genpkey -algorithm ed25519`. Put the
printed public key into the trust store (schemas/trust.schema.json), with a name
and rights:

  {\"version\": 1, \"keys\": [
    {\"name\": \"dpo\", \"public\": \"<printed>\", \"rights\": [\"erase\", \"hold\"]}]}";

pub fn run(keygen: &Keygen) -> anyhow::Result<()> {
    let key = if keygen.public { keyfile::read(&keygen.file) } else { keyfile::create(&keygen.file) };
    let key = key.map_err(Failure::from)?;
    output::line(&json!({ "public": key.public().to_string() }).to_string())
}
