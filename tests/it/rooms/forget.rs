//! The sub-rooms of `forget`: they import each other by path and in one direction, so that the way of a
//! command is visible.

use super::{Source, crate_paths, sources, words};

/// The sub-rooms that each sub-room may import, besides itself. Each one is listed below its imports, so
/// there are no cycles.
const SUB_ROOMS: [(&str, &[&str]); 8] = [
    ("command", &[]),
    ("merkle", &[]),
    ("decide", &["command"]),
    ("receipt", &["command", "merkle", "decide"]),
    ("execute", &["command", "decide", "receipt"]),
    ("follow", &["command", "decide", "receipt", "execute"]),
    ("log", &["command", "merkle", "receipt", "follow"]),
    ("metrics", &["command", "receipt", "execute"]),
];

/// The facade for other rooms, and the tests.
const OUTSIDE: [&str; 2] = ["mod", "tests"];

fn row(name: &str) -> Option<(&'static str, &'static [&'static str])> {
    SUB_ROOMS.into_iter().find(|(room, _)| *room == name)
}

/// Returns the sub-room of a file below `forget`.
fn sub_room(source: &Source) -> Option<&str> {
    let name = source.path.strip_prefix("forget/")?.split('/').next()?;
    Some(name.strip_suffix(".rs").unwrap_or(name))
}

/// Returns the sub-rooms that a file names outside its tests, each with its position. `None` is the facade.
fn named(source: &Source) -> Vec<(usize, Option<String>)> {
    let code = &source.code[..source.tests_begin()];
    // `pub(in crate::forget)` sets a visibility, and imports nothing.
    let paths = crate_paths(code).into_iter().filter(|(at, _)| !code[..*at].ends_with("(in "));
    let paths = paths.filter(|(_, path)| path.first().is_some_and(|name| name == "forget"));
    let mut found: Vec<_> = paths.map(|(at, path)| (at, path.get(1).cloned())).collect();
    // In a file of a sub-room, `super` is that sub-room. In the sub-room's head, or if the sub-room is one
    // file, `super` is `forget`.
    let is_head = source.path.ends_with("/mod.rs") || source.path.matches('/').count() == 1;
    let facade = if is_head { "super::" } else { "super::super::" };
    found.extend(words(code, facade).map(|at| (at, None)));
    found
}

fn violations(source: &Source) -> Vec<String> {
    let Some(own) = sub_room(source).filter(|name| !OUTSIDE.contains(name)) else { return Vec::new() };
    let Some((_, allowed)) = row(own) else { return vec![format!("{} is in no sub-room", source.path)] };
    let wrong = |(at, other): (usize, Option<String>)| {
        let place = format!("src/{}:{}", source.path, source.code[..at].matches('\n').count() + 1);
        match other.filter(|other| row(other).is_some()) {
            None => Some(format!("{place}: import by path, from the sub-room that has it")),
            Some(other) if other == own || allowed.contains(&other.as_str()) => None,
            Some(other) => Some(format!("{place}: sub-room `{own}` may not import `{other}`")),
        }
    };
    named(source).into_iter().filter_map(wrong).collect()
}

#[test]
fn a_commands_way_leads_through_its_sub_rooms_in_one_direction() {
    let found: Vec<String> = sources().iter().flat_map(violations).collect();
    assert!(found.is_empty(), "\n{}", found.join("\n"));
    for (at, (room, allowed)) in SUB_ROOMS.into_iter().enumerate() {
        let before = |other: &&str| SUB_ROOMS[..at].iter().any(|(room, _)| room == other);
        assert!(allowed.iter().all(before), "{room} stands above what it imports");
    }
}

#[test]
fn every_arrow_of_the_table_is_there() {
    let sources = sources();
    for (room, allowed) in SUB_ROOMS {
        let of_room = sources.iter().filter(|source| sub_room(source) == Some(room));
        let named: Vec<String> =
            of_room.flat_map(named).filter_map(|(_, other)| other.filter(|other| other != room)).collect();
        for other in allowed {
            assert!(named.iter().any(|name| name == other), "{room} does not import {other} any more");
        }
    }
}

#[test]
fn a_planted_way_back_is_caught() {
    for (path, text, count) in [
        ("forget/decide/rules.rs", "use crate::forget::execute::once;", 1),
        ("forget/command/call.rs", "use crate::forget::decide::verdict::Why;", 1),
        ("forget/merkle.rs", "use crate::forget::log::Head;", 1),
        ("forget/decide/rules.rs", "use crate::forget::Verdict;", 1),
        ("forget/decide/rules.rs", "use crate::forget::{Verdict, Why};", 1),
        ("forget/decide/rules.rs", "use super::super::execute::once;", 1),
        ("forget/log/mod.rs", "pub use super::merkle::Hash;", 1),
        ("forget/merkle.rs", "use super::log::Head;", 1),
        ("forget/elsewhere.rs", "use crate::model::Hour;", 1),
        ("forget/execute/once.rs", "use crate::forget::command::digest::sha_256;", 0),
        ("forget/execute/step.rs", "use super::batch::Batch;", 0),
        ("forget/execute/once.rs", "pub(in crate::forget) fn is_made() {}", 0),
        ("forget/decide/rules.rs", "#[cfg(test)]\nmod tests { use crate::forget::tests::meta; }", 0),
        ("app/run.rs", "use crate::forget::Verdict;", 0),
    ] {
        assert_eq!(violations(&Source::new(path, text)).len(), count, "{path}: {text}");
    }
}
