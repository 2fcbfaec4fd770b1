use super::*;

fn at<'v>(json: &'v str, pointer: &[&str]) -> Result<Found<'v>, NotJson> {
    let path: Vec<String> = pointer.iter().map(|token| (*token).to_owned()).collect();
    let [found, others @ ..] = look_up(json.as_bytes(), &[&path])?;
    assert!(others.iter().all(|other| *other == Found::Absent));
    Ok(found)
}

fn text(text: &str) -> Result<Found<'static>, NotJson> {
    Ok(Found::Text(Cow::Owned(text.to_owned())))
}

#[test]
fn a_pointer_leads_through_objects_and_arrays() {
    let json = r#"{"a":{"b":["x",{"c":"found"}],"z":"no"},"c":"other"}"#;
    assert!(at(json, &["a", "b", "1", "c"]) == text("found"));
    assert!(at(json, &["c"]) == text("other"));
    assert!(at(json, &["a", "b", "7"]) == Ok(Found::Absent));
    assert!(at(json, &["a"]) == Ok(Found::Other));
    assert!(at(r#"{"\u0061":"\u0062\n"}"#, &["a"]) == text("b\n"), "escapes in key and value");
}

#[test]
fn several_pointers_are_found_in_one_pass_also_under_one_parent() {
    let path = |tokens: &[&str]| tokens.iter().map(|token| (*token).to_owned()).collect::<Vec<_>>();
    let (a, b, parent) = (path(&["p", "a"]), path(&["p", "b"]), path(&["p"]));
    let mut paths = vec![&a[..], &b, &parent, &a];
    let json = br#"{"p":{"b":"2","a":"1"}}"#;
    let found = look_up(json, &paths).expect("JSON");
    let (one, two) = (Found::Text("1".into()), Found::Text("2".into()));
    assert_eq!(found[..5], [one.clone(), two, Found::Other, one.clone(), Found::Absent]);
    paths.resize(MOST, &a);
    assert_eq!(look_up(json, &paths).expect("JSON")[MOST - 1], one);
}

#[test]
fn numbers_are_found_as_they_are_written() {
    let number = |json: &str| match at(json, &[]) {
        Ok(Found::Number(number)) => Some(number),
        _ => None,
    };
    assert_eq!(number("7"), Some(Number::Unsigned(7)));
    assert_eq!(number("-7"), Some(Number::Signed(-7)));
    assert_eq!(number("18446744073709551615"), Some(Number::Unsigned(u64::MAX)));
    for float in ["7.0", "7e0", "-0", "18446744073709551616"] {
        assert!(matches!(number(float), Some(Number::Float(_))), "{float}");
    }
    assert_eq!(number("007"), None);
}

#[test]
fn a_repeated_key_on_the_path_is_ambiguous_and_elsewhere_it_is_not() {
    assert!(at(r#"{"a":"1","a":"1"}"#, &["a"]) == Ok(Found::Ambiguous));
    assert!(at(r#"{"a":{"b":"1"},"a":{}}"#, &["a", "b"]) == Ok(Found::Ambiguous));
    assert!(at(r#"{"a":{"b":"1","b":"2"}}"#, &["a", "b"]) == Ok(Found::Ambiguous));
    assert!(at(r#"{"x":1,"x":2,"a":"1"}"#, &["a"]) == text("1"));
}

#[test]
fn what_is_not_wholly_json_is_refused() {
    for bad in ["", "{", r#"{"a":"1"}x"#, r#"{"a":"1",}"#, r#"{"a":"\ud800"}"#] {
        assert!(at(bad, &["a"]) == Err(NotJson), "{bad}");
    }
    assert!(look_up(b"{\"a\":\"\xff\"}", &[]) == Err(NotJson), "invalid UTF-8");
}

#[test]
fn a_byte_order_mark_before_the_text_is_skipped() {
    assert!(at("\u{feff}{\"a\":\"1\"}", &["a"]) == text("1"));
    assert!(at("\u{feff}\u{feff}{\"a\":\"1\"}", &["a"]) == Err(NotJson));
    assert!(at("{\"a\":\u{feff}\"1\"}", &["a"]) == Err(NotJson));
}

#[test]
fn half_a_surrogate_pair_beside_the_path_is_skipped() {
    for json in [
        r#"{"\ud800":1,"a":"1"}"#,
        r#"{"a":"1","\udc00\n":{"a":"2"}}"#,
        r#"{"x":"\ud800\ud800","a":"1"}"#,
        r#"{"x":{"\ud800":1},"a":"1"}"#,
    ] {
        assert!(at(json, &["a"]) == text("1"), "{json}");
    }
    assert!(at(r#"{"\ud800":0,"a":"1","\u0061":"2"}"#, &["a"]) == Ok(Found::Ambiguous));
    assert!(at(r#"{"a":"1","\ud800":"2"}"#, &["\u{fffd}"]) == Ok(Found::Absent));
}

#[test]
fn half_a_surrogate_pair_excuses_nothing_else() {
    for bad in [
        "{\"\\ud800\":1,\"\\n\u{1}\":2,\"a\":\"1\"}",
        "{\"\\ud800\":1,\"\n\":2,\"a\":\"1\"}",
        r#"{"\ud80":1,"a":"1"}"#,
        r#"{"\ud800":1,"a":"1"}x"#,
        r#"{"\ud800":1,"a":"\ud800"}"#,
    ] {
        assert!(at(bad, &["a"]) == Err(NotJson), "{bad}");
    }
}

#[test]
fn deep_nesting_beside_the_path_is_skipped() {
    let json = format!(r#"{{"deep":{}{},"a":"1"}}"#, "[".repeat(100_000), "]".repeat(100_000));
    assert!(at(&json, &["a"]) == text("1"));
}
