//! Second processes: this test binary starts itself again, with an order in its environment.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};

const ORDER: &str = "HOURSEAL_TEST_ORDER";
const ANSWER: &str = "answer: ";

/// A second process that is ready and waits for [`Other::go`].
pub struct Other(Child);

impl Other {
    /// Starts a process that will do `order` at `address`.
    pub fn ready(order: &str, address: &str) -> Self {
        let mut child = Command::new(std::env::current_exe().expect("a test knows its binary"))
            .args(["child::obeys_its_order", "--exact", "--nocapture"])
            .env(ORDER, format!("{order} {address}"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let mut line = String::new();
        let mut out = BufReader::new(child.stdout.as_mut().expect("piped"));
        while !line.contains("ready") {
            line.clear();
            assert_ne!(
                out.read_line(&mut line).expect("readable"),
                0,
                "the process ended before it was ready"
            );
        }
        Self(child)
    }

    pub fn go(&mut self) {
        self.0.stdin.as_mut().expect("piped").write_all(b"go\n").expect("it listens");
    }

    /// Waits until the process has ended well, and returns its answer.
    pub fn answer(mut self) -> Vec<String> {
        drop(self.0.stdin.take());
        let out = BufReader::new(self.0.stdout.take().expect("piped"));
        let lines: Vec<String> = out.lines().map(|line| line.expect("text")).collect();
        assert!(self.0.wait().expect("it ends").success(), "{lines:?}");
        lines.iter().filter_map(|line| line.split_once(ANSWER)).map(|(_, answer)| answer.to_owned()).collect()
    }
}

/// Does nothing unless another test of this binary gave an order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn obeys_its_order() {
    let Ok(order) = std::env::var(ORDER) else { return };
    let (order, address) = order.split_once(' ').expect("an order and an address");
    println!("ready");
    std::io::stdin().read_line(&mut String::new()).expect("the parent says go");
    let answers = match order {
        "race-sqlite" => super::conformance::race::<super::sqlite::Sqlite>(address).await,
        "race-cql" => super::conformance::race::<super::scylla::Cql>(address).await,
        "race-fleet" => super::scylla::race_fleet(address).await,
        "open" => super::sqlite::open_new(address).await,
        "dump-sqlite" => super::stores::dump_sqlite(address).await,
        "dump-cql" => super::stores::dump_cql(address).await,
        "kek" => super::kek::create_keks(address).await,
        other => panic!("unknown order {other}"),
    };
    answers.iter().for_each(|answer| println!("{ANSWER}{answer}"));
}
