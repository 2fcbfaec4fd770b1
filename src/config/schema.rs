//! `config schema`: the settings as a JSON Schema, for editors and pipelines.

use serde_json::{Map, Value as Json, json};

use super::deny;
use super::example::{Example, Note};
use super::known::Known;

/// Returns a JSON Schema (draft 2020-12) of the configuration file. The schema is stricter than this program,
/// which also accepts numbers and flags as text.
pub(super) fn schema(known: &Known, example: &Example) -> Json {
    let mut properties = Map::new();
    for setting in known.settings() {
        let (section, key) = setting.parts();
        let below = match section {
            "" => &mut properties,
            section => section_of(&mut properties, section, example),
        };
        below.insert(key.to_owned(), annotated((setting.schema)(), example.note(setting.key)));
    }
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "The configuration of Hourseal",
        "type": "object",
        "additionalProperties": false,
        "properties": properties,
        "$defs": { "librdkafka": deny::schema() },
    })
}

fn section_of<'a>(
    properties: &'a mut Map<String, Json>,
    section: &str,
    example: &Example,
) -> &'a mut Map<String, Json> {
    let empty = || {
        let schema = json!({ "type": "object", "additionalProperties": false, "properties": {} });
        annotated(schema, example.note(section))
    };
    let section = properties.entry(section).or_insert_with(empty);
    section["properties"].as_object_mut().expect("a section is made with properties")
}

/// Adds the meaning to a schema, and the default or an example.
fn annotated(mut schema: Json, note: Option<&Note>) -> Json {
    let Some(note) = note else { return schema };
    if !note.text.is_empty() {
        schema["description"] = note.text.clone().into();
    }
    let table: Option<toml::Table> = toml::from_str(&format!("value = {}", note.value)).ok();
    let value = table.and_then(|mut table| serde_json::to_value(table.remove("value")?).ok());
    match value {
        Some(value) if note.is_default => schema["default"] = value,
        Some(value) => schema["examples"] = json!([value]),
        None => {}
    }
    schema
}
