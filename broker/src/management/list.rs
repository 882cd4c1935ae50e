//! Lists as clients ask for them: pages, filter by name, sorting, and fewer columns.
//!
//! Without sorting only the items of the asked page are built, so a page of many thousand queues costs little.

use axum::{
    Json,
    extract::{FromRequestParts, Query},
    http::request::Parts,
    response::{IntoResponse, Response},
};
use serde::Serialize;
use serde_json::{Map, Value};
use std::{cmp::Ordering, collections::BTreeMap};

use super::failure::Failure;

const PAGE_SIZE: usize = 100;
const PAGE_SIZE_MAX: usize = 500;

/// The parameters of a URL.
#[derive(Clone, Debug, Default)]
pub struct Parameters {
    given: BTreeMap<String, String>,
    /// Nothing but these fields is shown, whatever is asked for.
    only: Option<&'static [&'static str]>,
}

impl<S: Send + Sync> FromRequestParts<S> for Parameters {
    type Rejection = Failure;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let query = Query::from_request_parts(parts, state).await;
        let Query(given) = query.map_err(|_| Failure::bad_request("the query string does not read"))?;
        Ok(Parameters { given, only: None })
    }
}

/// The part of a list that a page shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Window {
    page: usize,
    size: usize,
}

/// Whether a name is wanted.
type Filter = Box<dyn Fn(&str) -> bool>;

/// What a row is sorted by.
#[derive(Clone, Debug, PartialEq)]
pub enum Key {
    /// Before every text.
    Number(f64),
    /// By octets.
    Text(String),
}

impl Key {
    fn order(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Key::Number(a), Key::Number(b)) => a.total_cmp(b),
            (Key::Number(_), Key::Text(_)) => Ordering::Less,
            (Key::Text(_), Key::Number(_)) => Ordering::Greater,
            (Key::Text(a), Key::Text(b)) => a.cmp(b),
        }
    }
}

impl Parameters {
    #[cfg(test)]
    pub fn from_pairs(pairs: &[(&str, &str)]) -> Self {
        Parameters {
            given: pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
            only: None,
        }
    }

    /// A parameter by name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.given.get(name).map(String::as_str)
    }

    /// Shows these fields alone, written as `columns` are.
    #[must_use]
    pub fn limited_to(self, fields: &'static [&'static str]) -> Self {
        Parameters {
            only: Some(fields),
            ..self
        }
    }

    /// Whether a parameter says `true`.
    pub fn is_true(&self, name: &str) -> bool {
        self.get(name) == Some("true")
    }

    fn window(&self) -> Result<Option<Window>, Failure> {
        let (page, size) = (self.get("page"), self.get("page_size"));
        if page.is_none() || self.get("pagination") == Some("false") {
            return Ok(None);
        }
        let invalid = || {
            let (page, size) = (page.unwrap_or("undefined"), size.unwrap_or("undefined"));
            let reason = format!("Invalid pagination parameters: page number {page}, page size {size}");
            Failure::bad("invalid_pagination_parameters", reason)
        };
        let number = |text: Option<&str>, otherwise: usize| text.map_or(Ok(otherwise), str::parse).ok();
        match (number(page, 1), number(size, PAGE_SIZE)) {
            (Some(page @ 1..), Some(size @ 1..=PAGE_SIZE_MAX)) => Ok(Some(Window { page, size })),
            _ => Err(invalid()),
        }
    }

    /// How many rows of so many are shown at most.
    pub fn shown_of(&self, rows: usize) -> usize {
        match self.window() {
            Ok(Some(window)) => rows.min(window.size),
            Ok(None) | Err(_) => rows,
        }
    }

    /// What names are wanted.
    fn filter(&self) -> Result<Filter, Failure> {
        let wanted = self.get("name").unwrap_or_default().to_owned();
        if wanted.is_empty() {
            return Ok(Box::new(|_| true));
        }
        if !self.is_true("use_regex") {
            let wanted = wanted.to_lowercase();
            return Ok(Box::new(move |name| name.to_lowercase().contains(&wanted)));
        }
        let pattern = access::Pattern::new(&format!("(?i){wanted}"));
        let pattern = pattern.map_err(|_| Failure::bad_request("Pagination parameters are invalid"))?;
        Ok(Box::new(move |name| pattern.matches(name)))
    }

    /// The fields that are shown: those that may be, and of these those that are asked for.
    fn columns(&self) -> Vec<Vec<Vec<String>>> {
        let path = |column: &str| column.split('.').map(str::to_owned).collect();
        let asked = self.get("columns").filter(|text| !text.is_empty());
        let asked = asked.map(|columns| columns.split(',').map(path).collect());
        let only = self.only.map(|fields| fields.iter().copied().map(path).collect());
        only.into_iter().chain(asked).collect()
    }

    /// One object with the columns asked for.
    pub fn one(&self, object: impl Serialize) -> Result<Response, Failure> {
        let shown = self
            .columns()
            .iter()
            .fold(json(object)?, |value, columns| narrowed(&value, columns));
        Ok(Json(shown).into_response())
    }

    /// A list that can be paged. `rows` come in their natural order, `name` is what the filter looks at.
    pub fn pages<R, T: Serialize>(
        &self,
        rows: Vec<R>,
        name: impl Fn(&R) -> &str,
        build: impl Fn(&R) -> T,
    ) -> Result<Response, Failure> {
        self.pages_by(rows, name, |_, _| None, build)
    }

    /// The same for lists whose rows know what they are sorted by without being built: `key` gets the field's name.
    pub fn pages_by<R, T: Serialize>(
        &self,
        rows: Vec<R>,
        name: impl Fn(&R) -> &str,
        key: impl Fn(&R, &str) -> Option<Key>,
        build: impl Fn(&R) -> T,
    ) -> Result<Response, Failure> {
        let Some(window) = self.window()? else {
            return Ok(Json(self.finish(rows.iter().map(build))?).into_response());
        };
        let total = rows.len();
        let wanted = self.filter()?;
        let mut rows: Vec<R> = rows.into_iter().filter(|row| wanted(name(row))).collect();
        let from = window.start(rows.len())?;
        let is_sorted = self.sort_rows(&mut rows, key);
        let items = match is_sorted {
            true => self.narrow(
                rows.iter()
                    .skip(from)
                    .take(window.size)
                    .map(build)
                    .map(json)
                    .collect::<Result<_, _>>()?,
            ),
            false => {
                let all = self.finish(rows.iter().map(build))?;
                all.into_iter().skip(from).take(window.size).collect()
            }
        };
        let page = api::Page {
            filtered_count: rows.len(),
            item_count: items.len(),
            items,
            page: window.page,
            page_count: rows.len().div_ceil(window.size).max(1),
            page_size: window.size,
            total_count: total,
        };
        Ok(Json(page).into_response())
    }

    /// A list that is always whole.
    pub fn all<T: Serialize>(&self, items: impl IntoIterator<Item = T>) -> Result<Response, Failure> {
        Ok(Json(self.finish(items.into_iter())?).into_response())
    }

    /// Whether the rows are in the wanted order now. They are not when the field has to be looked up in what is built.
    fn sort_rows<R>(&self, rows: &mut Vec<R>, key: impl Fn(&R, &str) -> Option<Key>) -> bool {
        let Some(field) = self.get("sort") else { return true };
        let keys: Option<Vec<Key>> = rows.iter().map(|row| key(row, field)).collect();
        let Some(keys) = keys else { return false };
        let mut keyed: Vec<(Key, R)> = keys.into_iter().zip(rows.drain(..)).collect();
        keyed.sort_by(|(a, _), (b, _)| a.order(b));
        rows.extend(keyed.into_iter().map(|(_, row)| row));
        if self.is_true("sort_reverse") {
            rows.reverse();
        }
        true
    }

    fn narrow(&self, items: Vec<Value>) -> Vec<Value> {
        let narrow =
            |items: Vec<Value>, columns: &Vec<Vec<String>>| items.iter().map(|item| narrowed(item, columns)).collect();
        self.columns().iter().fold(items, narrow)
    }

    fn finish<T: Serialize>(&self, items: impl Iterator<Item = T>) -> Result<Vec<Value>, Failure> {
        let mut items: Vec<Value> = items.map(json).collect::<Result<_, _>>()?;
        if let Some(field) = self.get("sort") {
            let path: Vec<&str> = field.split('.').collect();
            items.sort_by(|a, b| order(at(a, &path), at(b, &path)));
            if self.is_true("sort_reverse") {
                items.reverse();
            }
        }
        Ok(self.narrow(items))
    }
}

impl Window {
    fn start(self, rows: usize) -> Result<usize, Failure> {
        let start = (self.page - 1).saturating_mul(self.size);
        if start == 0 || start < rows {
            return Ok(start);
        }
        let Window { page, size } = self;
        let reason = format!("Page out of range, page: {page} page size: {size}, len: {rows}");
        Err(Failure::bad("page_out_of_range", reason))
    }
}

fn json(object: impl Serialize) -> Result<Value, Failure> {
    serde_json::to_value(object).map_err(|error| Failure::bad_request(error.to_string()))
}

fn at<'a>(value: &'a Value, path: &[&str]) -> Option<&'a Value> {
    path.iter().try_fold(value, |value, key| value.get(key))
}

/// Numbers before words before texts, as Erlang orders them; what is missing counts as zero.
fn order(a: Option<&Value>, b: Option<&Value>) -> Ordering {
    let rank = |value: &Value| match value {
        Value::Number(_) => 0,
        Value::Null | Value::Bool(_) => 1,
        Value::Object(_) => 2,
        Value::Array(_) => 3,
        Value::String(_) => 4,
    };
    let zero = Value::from(0);
    let (a, b) = (a.unwrap_or(&zero), b.unwrap_or(&zero));
    rank(a).cmp(&rank(b)).then_with(|| match (a, b) {
        (Value::Number(a), Value::Number(b)) => {
            let (a, b) = (a.as_f64().unwrap_or_default(), b.as_f64().unwrap_or_default());
            a.total_cmp(&b)
        }
        (Value::String(a), Value::String(b)) => a.cmp(b),
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        _ => Ordering::Equal,
    })
}

/// Only the wanted fields, in their places.
fn narrowed(value: &Value, columns: &[Vec<String>]) -> Value {
    let Value::Object(fields) = value else {
        return value.clone();
    };
    let mut kept = Map::new();
    for (key, field) in fields {
        let rests: Vec<Vec<String>> = columns
            .iter()
            .filter(|path| path.first() == Some(key))
            .map(|path| path[1..].to_vec())
            .collect();
        if rests.iter().any(Vec::is_empty) {
            kept.insert(key.clone(), field.clone());
        } else if !rests.is_empty() && field.is_object() {
            kept.insert(key.clone(), narrowed(field, &rests));
        }
    }
    Value::Object(kept)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    async fn page(pairs: &[(&str, &str)], rows: usize) -> Result<Value, Failure> {
        let rows: Vec<String> = (0..rows).map(|n| format!("Q{n}")).collect();
        let build = |row: &String| json!({"name": row, "n": {"len": row.len(), "x": 1}});
        let response = Parameters::from_pairs(pairs).pages(rows, |row| row, build)?;
        let octets = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
        Ok(serde_json::from_slice(&octets).unwrap())
    }

    #[tokio::test]
    async fn a_page_says_how_much_there_is() {
        let got = page(
            &[("page", "2"), ("page_size", "2"), ("name", "q"), ("columns", "name")],
            3,
        )
        .await;
        let expected = json!({"filtered_count": 3, "item_count": 1, "items": [{"name": "Q2"}], "page": 2,
            "page_count": 2, "page_size": 2, "total_count": 3});
        assert_eq!(got, Ok(expected));
    }

    #[tokio::test]
    async fn a_list_is_filtered_by_pattern_sorted_and_narrowed() {
        let query = [
            ("page", "1"),
            ("name", "^q1"),
            ("use_regex", "true"),
            ("sort", "n.len"),
            ("sort_reverse", "true"),
            ("columns", "n.len"),
        ];
        let got = page(&query, 12).await.unwrap();
        let lengths: Vec<&Value> = got["items"].as_array().unwrap().iter().collect();
        assert_eq!(
            lengths,
            [
                &json!({"n": {"len": 3}}),
                &json!({"n": {"len": 3}}),
                &json!({"n": {"len": 2}})
            ]
        );
    }

    #[tokio::test]
    async fn rows_that_know_their_key_are_sorted_without_being_built() {
        let query = Parameters::from_pairs(&[
            ("page", "2"),
            ("page_size", "2"),
            ("sort", "n"),
            ("sort_reverse", "true"),
        ]);
        let built = std::cell::Cell::new(0);
        let build = |row: &(String, f64)| {
            built.set(built.get() + 1);
            json!(row.0)
        };
        let rows: Vec<(String, f64)> = [3.0, 1.0, 2.0, 1.0].iter().map(|n| (format!("{n}"), *n)).collect();
        let key = |row: &(String, f64), field: &str| (field == "n").then_some(Key::Number(row.1));
        let response = query.pages_by(rows, |row| &row.0, key, build).unwrap();
        let octets = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
        let page: Value = serde_json::from_slice(&octets).unwrap();
        assert_eq!((&page["items"], built.get()), (&json!(["1", "1"]), 2));
    }

    #[tokio::test]
    async fn pages_that_cannot_be_are_refused_in_rabbitmqs_words() {
        let far = page(&[("page", "9"), ("page_size", "2")], 4).await.unwrap_err();
        let text = "Page out of range, page: 9 page size: 2, len: 4";
        assert_eq!(far, Failure::bad("page_out_of_range", text));
        for (number, size) in [("0", "1"), ("1", "501"), ("x", "1"), ("1", "0")] {
            let text = format!("Invalid pagination parameters: page number {number}, page size {size}");
            let failure = page(&[("page", number), ("page_size", size)], 4).await.unwrap_err();
            assert_eq!(failure, Failure::bad("invalid_pagination_parameters", text));
        }
        let bad = page(&[("page", "1"), ("name", "("), ("use_regex", "true")], 1).await;
        assert!(bad.is_err());
        assert!(page(&[("page", "1")], 0).await.is_ok());
    }
}
