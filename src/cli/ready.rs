//! `hourseal ready`

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use clap::Args;

use super::{Failure, Settings, output};
use crate::edge::http::ask_ready;

#[derive(Args)]
#[command(after_help = HELP)]
pub struct Ready {
    /// Admin port of the process [default: admin.listen]
    #[arg(long, value_name = "http://HOST:PORT")]
    url: Option<AdminUrl>,

    /// Print the answer of /readyz as JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    settings: Settings,
}

const HELP: &str = "\
Asks a running `hourseal run` or `hourseal canary` whether it is ready. Exit
code 0: it is. Exit code 69: it is not, and the reasons are printed, or nothing
answers within 3 s. It is the health check of images that have no shell.

Examples:
  hourseal ready --config hourseal.toml
  hourseal ready --url http://127.0.0.1:9464";

pub fn run(ready: &Ready) -> anyhow::Result<()> {
    let at = match &ready.url {
        Some(url) => url.0.clone(),
        None => reachable(ready.settings.read()?.admin.listen)?.to_string(),
    };
    let answer = ask_ready(&at).map_err(|error| {
        Failure::new(Failure::DEPENDENCY, error.to_string())
            .hint("check that the process runs; --url names its admin port, as log code HS1501 does")
    })?;
    if ready.json {
        output::line(&answer.body.to_string())?;
    }
    match answer.reasons.as_slice() {
        [] if ready.json => Ok(()),
        [] => output::line("ready"),
        reasons => {
            Err(Failure::new(Failure::DEPENDENCY, format!("not ready: {}", reasons.join("; "))).into())
        }
    }
}

/// The address at which a port that listens at `listen` is reached from this host.
fn reachable(listen: SocketAddr) -> Result<SocketAddr, Failure> {
    if listen.port() == 0 {
        return Err(Failure::new(
            Failure::CONFIG,
            "admin.listen has port 0, so the process took any free port",
        )
        .hint("name the port: --url http://127.0.0.1:PORT; log code HS1501 has it"));
    }
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    Ok(SocketAddr::new(ip, listen.port()))
}

/// `HOST:PORT` of a URL such as `http://127.0.0.1:9464/readyz`.
#[derive(Clone, PartialEq, Eq, Debug)]
struct AdminUrl(String);

impl FromStr for AdminUrl {
    type Err = &'static str;

    fn from_str(url: &str) -> Result<Self, Self::Err> {
        let rest = url.strip_prefix("http://").ok_or("not a URL such as http://127.0.0.1:9464")?;
        let (at, path) = rest.split_once('/').unwrap_or((rest, ""));
        if !matches!(path, "" | "readyz") {
            return Err("the only path is /readyz");
        }
        match at.rsplit_once(':') {
            Some((host, port)) if is_host(host) && port.parse::<u16>().is_ok() => Ok(Self(at.to_owned())),
            _ => Err("without HOST:PORT, such as 127.0.0.1:9464"),
        }
    }
}

/// A name or an address. It becomes a line of the request, so it has no blank and no line end.
fn is_host(host: &str) -> bool {
    !host.is_empty()
        && host.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '[' | ']'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unspecified_address_is_reached_on_loopback() {
        let of = |listen: &str| reachable(listen.parse().expect("an address")).map(|at| at.to_string()).ok();
        assert_eq!(of("0.0.0.0:9464").as_deref(), Some("127.0.0.1:9464"));
        assert_eq!(of("[::]:9464").as_deref(), Some("[::1]:9464"));
        assert_eq!(of("10.1.2.3:9464").as_deref(), Some("10.1.2.3:9464"));
        assert_eq!(of("127.0.0.1:0"), None);
    }

    #[test]
    fn a_url_has_a_host_and_a_port() {
        let of = |url: &str| url.parse::<AdminUrl>().map(|url| url.0).ok();
        for good in ["http://worker:9464", "http://worker:9464/", "http://worker:9464/readyz"] {
            assert_eq!(of(good).as_deref(), Some("worker:9464"), "{good}");
        }
        assert_eq!(of("http://[::1]:9464").as_deref(), Some("[::1]:9464"));
        for bad in ["worker:9464", "https://worker:9464", "http://worker", "http://a b:1", "http://x:1/livez"]
        {
            assert_eq!(of(bad), None, "{bad}");
        }
    }
}
