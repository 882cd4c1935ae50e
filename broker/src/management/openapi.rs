//! The API as an OpenAPI document: a table of paths, and the shapes of `api` as schemas. Served at `/api/openapi.json`, and
//! kept in `docs/openapi.json`.
//!
//! It describes and decides nothing. A test holds the table against the routes, another the file against this (I13).

mod paths;

use axum::{Json, Router, routing::get as route};
use schemars::{JsonSchema, Schema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};
use std::sync::Arc;

use super::Api;
use crate::host::RABBITMQ_VERSION;
use paths::PATHS;

/// The schema of something.
type Shape = fn(&mut SchemaGenerator) -> Schema;

/// What one method of a path does.
struct Operation {
    method: &'static str,
    summary: &'static str,
    takes: Option<Shape>,
    answers: Option<Shape>,
    /// Answers a part of the list when a page is asked for.
    has_pages: bool,
    /// In what it answers.
    media: &'static str,
}

impl Operation {
    const fn new(method: &'static str, summary: &'static str, answers: Option<Shape>) -> Self {
        Operation {
            method,
            summary,
            takes: None,
            answers,
            has_pages: false,
            media: "application/json",
        }
    }

    /// The shape of its body.
    const fn takes(mut self, shape: Shape) -> Self {
        self.takes = Some(shape);
        self
    }

    /// It answers in text.
    const fn in_text(mut self) -> Self {
        self.media = "text/plain";
        self
    }
}

const fn get(summary: &'static str, answers: Shape) -> Operation {
    Operation::new("get", summary, Some(answers))
}

const fn pages(summary: &'static str, answers: Shape) -> Operation {
    let mut operation = get(summary, answers);
    operation.has_pages = true;
    operation
}

const fn put(summary: &'static str) -> Operation {
    Operation::new("put", summary, None)
}

const fn post(summary: &'static str, answers: Option<Shape>) -> Operation {
    Operation::new("post", summary, answers)
}

const fn delete(summary: &'static str) -> Operation {
    Operation::new("delete", summary, None)
}

fn one<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

fn list<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<Vec<T>>()
}

/// The route of this resource.
pub fn routes() -> Router<Arc<Api>> {
    Router::new().route("/openapi.json", route(|| async { Json(document()) }))
}

/// The document as it is kept in a file.
pub fn text() -> String {
    format!("{:#}\n", document())
}

fn document() -> Value {
    let mut generator = SchemaSettings::openapi3().into_generator();
    let paths: Map<String, Value> = PATHS
        .iter()
        .map(|(path, operations)| ((*path).to_owned(), path_item(path, operations, &mut generator)))
        .collect();
    let schemas = generator.take_definitions(true);
    json!({
        "openapi": "3.0.3",
        "info": {
            "title": "Management API",
            "version": RABBITMQ_VERSION,
            "description": "The management API of RabbitMQ as Warren answers it.",
        },
        "servers": [{"url": "/api"}],
        "security": [{"basic": []}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"basic": {"type": "http", "scheme": "basic"}},
        },
    })
}

fn path_item(path: &str, operations: &[Operation], generator: &mut SchemaGenerator) -> Value {
    let named = path
        .split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let parameters: Vec<Value> = named
        .map(|name| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}}))
        .collect();
    let mut item: Map<String, Value> = operations
        .iter()
        .map(|operation| (operation.method.to_owned(), described(operation, generator)))
        .collect();
    if !parameters.is_empty() {
        item.insert("parameters".to_owned(), parameters.into());
    }
    Value::Object(item)
}

fn described(operation: &Operation, generator: &mut SchemaGenerator) -> Value {
    let content = |media: &str, schema: Schema| json!({media: {"schema": schema}});
    let success = match (operation.method, operation.answers) {
        (_, Some(shape)) => {
            json!({"200": {"description": "The answer", "content": content(operation.media, shape(generator))}})
        }
        ("put", None) => json!({"201": {"description": "It is new"}, "204": {"description": "It was there"}}),
        (_, None) => json!({"204": {"description": "Done"}}),
    };
    let mut described = json!({"summary": operation.summary, "responses": success});
    described["responses"]["default"] = json!({"description": "Refused, with error and reason"});
    if let Some(shape) = operation.takes {
        described["requestBody"] = json!({"content": content("application/json", shape(generator))});
    }
    if operation.method == "get" && operation.media == "application/json" {
        described["parameters"] = queries(operation.has_pages);
    }
    described
}

/// The parameters of a URL: of every answer, and those of lists that come in pages.
fn queries(has_pages: bool) -> Value {
    let query = |name: &str, what: &str, kind: &str| json!({"name": name, "in": "query", "description": what, "schema": {"type": kind}});
    let mut all = vec![query(
        "columns",
        "Only these fields, with commas between them",
        "string",
    )];
    if has_pages {
        all.extend([
            query("page", "Which page, from 1", "integer"),
            query("page_size", "How many on a page, at most 500", "integer"),
            query("name", "Only what has this in its name", "string"),
            query("use_regex", "Whether name is a pattern", "boolean"),
            query("sort", "By which field", "string"),
            query("sort_reverse", "Whether the last comes first", "boolean"),
        ]);
    }
    all.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{collections::BTreeSet, fs, path::Path};

    /// The paths that the sources of this module route, in the order of letters.
    fn routed() -> BTreeSet<String> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/management");
        let sources = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let texts = sources
            .filter(|path| path.extension().is_some_and(|kind| kind == "rs"))
            .map(|path| fs::read_to_string(path).unwrap());
        let found = texts.flat_map(|text| {
            let parts = text.split(concat!(".", "route(")).skip(1).map(str::trim_start);
            let paths = parts.filter_map(|part| part.strip_prefix('"')?.split('"').next());
            paths.map(str::to_owned).collect::<Vec<_>>()
        });
        found.filter(|path| path.starts_with('/')).collect()
    }

    #[test]
    fn every_route_is_in_the_document_and_nothing_else() {
        let told: BTreeSet<String> = PATHS.iter().map(|(path, _)| (*path).to_owned()).collect();
        assert_eq!(told, routed());
        assert_eq!(told.len(), PATHS.len(), "a path is there twice");
    }

    #[test]
    fn the_document_in_the_repository_is_the_one_that_is_served() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/openapi.json");
        let kept = fs::read_to_string(path).unwrap_or_default();
        assert!(
            kept == text(),
            "docs/openapi.json is stale: warren server --print-openapi > docs/openapi.json (I13)"
        );
    }

    #[test]
    fn every_schema_that_is_named_is_there() {
        let document = document();
        let text = document.to_string();
        for name in text
            .split("#/components/schemas/")
            .skip(1)
            .filter_map(|rest| rest.split('"').next())
        {
            assert!(document["components"]["schemas"].get(name).is_some(), "{name}");
        }
    }
}
