//! The demo either proves its claims or fails.

use hourseal::app::{DemoOptions, DemoSummary, demo};
use hourseal::stream::Stop;

fn play(events: u64) -> (DemoSummary, Vec<String>) {
    let mut told = Vec::new();
    let options = DemoOptions { keep: None, events };
    let summary = demo(&options, &Stop::default(), &mut |line| told.push(line), &mut |_| ())
        .expect("a demo that works");
    (summary, told)
}

#[test]
fn the_demo_tells_what_its_lane_committed_and_forgets_one_hour() {
    let (summary, told) = play(600);
    assert_eq!(summary.produced, 600);
    assert_eq!(summary.committed, summary.produced, "the count is the lane's own");
    assert_eq!(summary.opened, summary.produced);
    assert!(summary.erased > 0 && summary.erased < summary.produced);
    let line = |word: &str| told.iter().find(|line| line.starts_with(word)).expect("a line");
    assert!(line("sealed").contains(&format!(" {} events", summary.committed)), "{}", line("sealed"));
    assert!(line("before").contains("opened"), "{}", line("before"));
    assert!(line("after").contains("erased"), "{}", line("after"));
    assert!(told[0].starts_with("starting   ") && line("folder").contains("hourseal-demo-"), "{told:#?}");
    assert!(line("next").contains("hourseal run --bootstrap"), "{told:#?}");
    assert!(told.len() <= 12, "about ten calm lines: {told:#?}");
}
