//! `hourseal keygen`

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::{Failure, output};
use crate::edge::keyfile;

#[derive(Args)]
#[command(after_help = HELP)]
pub struct Keygen {
    /// The new file, 0600; one that is there is never overwritten
    file: PathBuf,
    /// Only print the public key of a file that is there
    #[arg(long)]
    public: bool,
}

const HELP: &str = "\
The file is PKCS#8 in PEM, as `openssl genpkey -algorithm ed25519` writes it too. What is printed
goes into the trust store (schemas/trust.schema.json), with a name and rights:

  {\"version\": 1, \"keys\": [
    {\"name\": \"dpo\", \"public\": \"<what is printed>\", \"rights\": [\"erase\", \"hold\"]}]}";

pub fn run(keygen: &Keygen) -> anyhow::Result<()> {
    let key = if keygen.public { keyfile::read(&keygen.file) } else { keyfile::create(&keygen.file) };
    let key = key.map_err(Failure::from)?;
    output::line(&json!({ "public": key.public().to_string() }).to_string())
}
