//! Claims about the admin port, over a real socket.

use std::io::{Read as _, Write as _};

use tokio::sync::oneshot;

use super::*;

/// Opens a port, sends `requests` one after the other, stops, and returns the answers.
fn ask(telemetry: &Telemetry, requests: &[&str]) -> Vec<String> {
    ask_after(telemetry, &NewestCheckpoint::default(), requests)
}

/// The same, with a newest checkpoint.
fn ask_after(telemetry: &Telemetry, newest: &NewestCheckpoint, requests: &[&str]) -> Vec<String> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let any = "127.0.0.1:0".parse().expect("an address");
        let port = AdminPort::open(any, telemetry.clone(), newest.clone()).await.expect("a port");
        let address = port.address();
        let (stop, stopped) = oneshot::channel::<()>();
        #[expect(clippy::disallowed_methods, reason = "the handle is awaited below")]
        let server = tokio::spawn(port.serve(async { drop(stopped.await) }));
        let mut answers = Vec::new();
        for request in requests {
            let request = format!("{request} HTTP/1.1\r\nhost: x\r\n\r\n");
            answers.push(
                tokio::task::spawn_blocking(move || converse(address, &request)).await.expect("answered"),
            );
        }
        stop.send(()).expect("still serving");
        server.await.expect("it ends");
        answers
    })
}

fn converse(address: SocketAddr, request: &str) -> String {
    let mut stream = std::net::TcpStream::connect(address).expect("connected");
    stream.write_all(request.as_bytes()).expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("received");
    answer
}

#[test]
fn readyz_is_200_only_when_every_condition_is_met() {
    let telemetry = Telemetry::new();
    let group = telemetry.readiness.condition("group joined");
    group.unmet("no broker for 12 s");
    let answer = ask(&telemetry, &["GET /readyz"]).remove(0);
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert!(answer.ends_with(
        "{\"ready\":false,\"reasons\":[{\"condition\":\"group joined\",\"why\":\"no broker for 12 s\"}]}\n"
    ));
    group.met();
    let answer = ask(&telemetry, &["GET /readyz"]).remove(0);
    assert!(
        answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("{\"ready\":true,\"reasons\":[]}\n"),
        "{answer}"
    );
}

#[test]
fn livez_does_not_depend_on_readiness_and_metrics_are_prometheus_text() {
    let telemetry = Telemetry::new();
    let _unmet = telemetry.readiness.condition("store reachable");
    let answers = ask(&telemetry, &["GET /livez", "GET /metrics", "HEAD /livez"]);
    assert!(answers[0].starts_with("HTTP/1.1 200 ") && answers[0].ends_with("ok\n"));
    assert!(answers[1].contains("text/plain; version=0.0.4"));
    let (version, revision) = (env!("CARGO_PKG_VERSION"), telemetry::REVISION);
    let build = format!("\nhourseal_build_info{{revision=\"{revision}\",version=\"{version}\"}} 1\n");
    assert!(answers[1].contains(&build) && answers[1].contains("\nprocess_start_time_seconds "));
    assert!(answers[2].starts_with("HTTP/1.1 200 "));
}

#[test]
fn startupz_is_503_with_reasons_until_the_start_is_over_and_200_from_then_on() {
    let telemetry = Telemetry::new();
    let store = telemetry.readiness.condition("start");
    store.unmet("the key store is opened");
    let answer = ask(&telemetry, &["GET /startupz"]).remove(0);
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("the key store is opened"), "{answer}");
    drop(store);
    let answer = ask(&telemetry, &["GET /startupz"]).remove(0);
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("started\n"), "{answer}");
}

#[test]
fn anything_else_is_404_or_405() {
    let answers = ask(&Telemetry::new(), &["GET /", "GET /metrics/x", "POST /metrics", "DELETE /nowhere"]);
    let statuses: Vec<_> = answers.iter().map(|answer| &answer[9..12]).collect();
    assert_eq!(statuses, ["404", "404", "405", "405"]);
}

#[test]
fn the_newest_checkpoint_is_served_as_it_was_signed() {
    let telemetry = Telemetry::new();
    assert_eq!(&ask(&telemetry, &["GET /checkpoint"])[0][9..12], "404");
    let newest = NewestCheckpoint::default();
    newest.set("a log\n1\n".to_owned());
    let answer = ask_after(&telemetry, &newest, &["GET /checkpoint"]).remove(0);
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("\r\n\r\na log\n1\n"), "{answer}");
}

fn peer(number: u8) -> IpAddr {
    IpAddr::from([10, 0, 0, number])
}

#[test]
fn a_peer_that_has_many_connections_displaces_its_own_oldest() {
    let others = (1..=8).flat_map(|number| [peer(number); 4]);
    let peers: Vec<IpAddr> = others.chain([peer(9); MAX_OF_A_PEER]).collect();
    assert_eq!(displaced(&peers, peer(9)), Some(32));
    assert_eq!(displaced(&peers, peer(1)), None, "there is room for others");
    assert_eq!(displaced(&peers[..47], peer(9)), None);
}

#[test]
fn when_the_port_is_full_the_oldest_connection_makes_room() {
    let peers: Vec<IpAddr> = (0..64).map(|number| peer(number / 8)).collect();
    assert_eq!(peers.len(), MAX_CONNECTIONS);
    assert_eq!(displaced(&peers, peer(200)), Some(0));
    assert_eq!(displaced(&peers[..63], peer(200)), None);
    assert_eq!(displaced(&[], peer(1)), None);
}
