use super::*;

fn pointer(text: &str) -> Pointer {
    text.parse().expect("a pointer")
}

#[test]
fn customer_and_time_come_from_json_header_or_the_record_itself() {
    assert_eq!("key".parse(), Ok(CustomerFrom::Key(Decoding::Undeclared)));
    assert_eq!("header:x".parse(), Ok(CustomerFrom::Header("x".into(), Decoding::Undeclared)));
    let json = CustomerFrom::Json(pointer("/customer_id"), IdForm::StringOrInteger);
    assert_eq!("json:/customer_id".parse(), Ok(json));
    assert_eq!("timestamp".parse(), Ok(TimeFrom::Timestamp));
    for bad in ["timestamp", "json:customer", "header:", "Key", "", "keys", "key:x"] {
        assert!(bad.parse::<CustomerFrom>().is_err(), "{bad}");
    }
    for bad in ["key", "timestamp@epoch-ms", "json:t", "header:"] {
        assert!(bad.parse::<TimeFrom>().is_err(), "{bad}");
    }
}

#[test]
fn a_place_may_name_the_form_of_its_value() {
    let customer = |text: &str| text.parse::<CustomerFrom>();
    assert_eq!(customer("json:/id@string"), Ok(CustomerFrom::Json(pointer("/id"), IdForm::String)));
    for (text, decoding) in [
        ("key@utf8", Decoding::Utf8),
        ("key@json", Decoding::Json(Pointer::ROOT)),
        ("key@json:/payload/@id", Decoding::Json(pointer("/payload/@id"))),
        ("key@int64", Decoding::Int64),
        ("key@confluent", Decoding::ConfluentString),
        ("key@confluent-json:/id", Decoding::ConfluentJson(pointer("/id"))),
        ("key@confluent-int64", Decoding::ConfluentInt64),
    ] {
        assert_eq!(customer(text), Ok(CustomerFrom::Key(decoding.clone())), "{text}");
        let header = text.replace("key", "header:x");
        assert_eq!(customer(&header), Ok(CustomerFrom::Header("x".into(), decoding)), "{header}");
    }
    let time = |text: &str| text.parse::<TimeFrom>();
    let seconds = TimeForm::Epoch(Unit::Seconds);
    assert_eq!(time("json:/created@epoch-s"), Ok(TimeFrom::Json(pointer("/created"), seconds)));
    assert_eq!(time("header:t@iso8601"), Ok(TimeFrom::Header("t".into(), TimeForm::Iso8601)));
}

#[test]
fn a_place_is_written_as_it_is_read() {
    for text in [
        "key",
        "key@utf8",
        "key@json",
        "key@json:/a~1b/@id",
        "header:x@int64",
        "header:x@confluent",
        "header:x@confluent-int64",
        "header:x@confluent-json:/id",
        "json:/@id",
        "json:/id@string",
    ] {
        assert_eq!(text.parse::<CustomerFrom>().map(|place| place.to_string()).as_deref(), Ok(text));
    }
    for text in ["timestamp", "json:/@t@rfc3339", "header:t@iso8601", "json:/t@epoch-s", "json:/t@epoch-ms"] {
        assert_eq!(text.parse::<TimeFrom>().map(|place| place.to_string()).as_deref(), Ok(text));
    }
    for unit in ["epoch-us", "epoch-ns"] {
        assert_eq!(unit.parse::<TimeForm>().map(|form| form.to_string()).as_deref(), Ok(unit));
    }
}

#[test]
fn an_unknown_form_is_refused_and_no_part_of_a_name() {
    for bad in ["json:/id@number", "json:/id@", "key@avro", "key@", "header:x@y", "key@json:id"] {
        assert!(bad.parse::<CustomerFrom>().is_err(), "{bad}");
    }
    for bad in ["json:/t@epoch", "json:/t@ms", "header:t@", "json:/t@string"] {
        assert!(bad.parse::<TimeFrom>().is_err(), "{bad}");
    }
}

#[test]
fn an_at_that_begins_a_name_belongs_to_it() {
    for (text, path, form) in [
        ("json:/@timestamp", "/@timestamp", TimeForm::Rfc3339),
        ("json:/@timestamp@iso8601", "/@timestamp", TimeForm::Iso8601),
        ("json:/a@b/@t", "/a@b/@t", TimeForm::Rfc3339),
        ("json:/a@b@rfc3339", "/a@b", TimeForm::Rfc3339),
    ] {
        assert_eq!(text.parse(), Ok(TimeFrom::Json(pointer(path), form)), "{text}");
    }
    assert_eq!("header:@t".parse(), Ok(TimeFrom::Header("@t".into(), TimeForm::Rfc3339)));
}

#[test]
fn sources_are_one_to_four_places() {
    let places = |count| Sources::new(vec![TimeFrom::Timestamp; count]);
    assert!(places(1).is_ok() && places(4).is_ok());
    assert_eq!((places(0), places(5)), (Err(SettingError::Places(0)), Err(SettingError::Places(5))));
}
