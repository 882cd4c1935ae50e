//! Whether who asks takes what the API answers in, which is JSON and nothing else: the header `Accept` as RabbitMQ's HTTP server reads it.
//!
//! A quality counts for nothing there, be it 0; a parameter of the type makes it another type.

use axum::http::{HeaderMap, HeaderValue, header};

use super::failure::Failure;

/// Judges a request that has logged in.
///
/// # Errors
/// 406 if JSON is not among what is taken, 400 if the header is none; both without a body.
pub fn judge(headers: &HeaderMap) -> Result<(), Failure> {
    let mut values = headers.get_all(header::ACCEPT).iter().peekable();
    if values.peek().is_none() {
        return Ok(());
    }
    let ranges = values.map(HeaderValue::to_str).collect::<Result<Vec<_>, _>>();
    let ranges = ranges.map_err(|_| Failure::malformed())?.join(",");
    let mut takes_json = false;
    for range in ranges.split(',').map(str::trim).filter(|range| !range.is_empty()) {
        takes_json |= is_json(range).ok_or_else(Failure::malformed)?;
    }
    takes_json.then_some(()).ok_or_else(Failure::not_acceptable)
}

/// Whether one range of types holds JSON; none if it is no range.
fn is_json(range: &str) -> Option<bool> {
    let mut parts = range.split(';').map(str::trim);
    let (kind, subtype) = parts.next()?.split_once('/')?;
    if kind.is_empty() || subtype.is_empty() {
        return None;
    }
    let is_type = |wanted: &str, word: &str| word == "*" || word.eq_ignore_ascii_case(wanted);
    let is_json = is_type("application", kind) && is_type("json", subtype);
    // What comes behind the quality is no parameter of the type.
    let is_plain = parts
        .next()
        .is_none_or(|first| first.get(..2).is_some_and(|name| name.eq_ignore_ascii_case("q=")));
    Some(is_json && is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(values: &[&str]) -> Result<(), Failure> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::ACCEPT, value.parse().unwrap());
        }
        judge(&headers)
    }

    #[test]
    fn json_is_answered_to_who_says_nothing_or_takes_it_among_others() {
        let takers = [
            "*/*",
            "application/*",
            "APPLICATION/JSON",
            "application/json;q=0",
            "text/html;q=0.9, */*;q=0.1",
        ];
        assert!(judged(&[]).is_ok() && judged(&["text/html", "application/json"]).is_ok());
        takers
            .iter()
            .for_each(|value| assert!(judged(&[value]).is_ok(), "{value}"));
    }

    #[test]
    fn who_takes_no_json_is_refused_and_what_is_no_list_of_types_is_a_bad_request() {
        for value in [
            "",
            "text/html",
            "application/json;charset=utf-8",
            "application/json; v=1",
        ] {
            assert_eq!(judged(&[value]), Err(Failure::not_acceptable()), "{value}");
        }
        for value in ["rubbish", "application/", "/json"] {
            assert_eq!(judged(&[value]), Err(Failure::malformed()), "{value}");
        }
    }
}
