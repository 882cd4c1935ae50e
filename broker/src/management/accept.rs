//! Whether who asks takes what the API answers in, which is JSON but for a page or two: the header `Accept` as RabbitMQ's HTTP server
//! reads it.
//!
//! A quality counts for nothing there, be it 0; a parameter of the type makes it another type.

use axum::http::{HeaderMap, HeaderValue, header};

use super::failure::Failure;

/// What an answer is written in: type and subtype.
pub type Media = (&'static str, &'static str);

/// What nearly everything is answered in.
pub const JSON: Media = ("application", "json");
/// Text for people.
pub const TEXT: Media = ("text", "plain");

/// Judges a request that has logged in and would be answered in `media`.
///
/// # Errors
/// 406 if that is not among what is taken, 400 if the header is none; both without a body.
pub fn judge(headers: &HeaderMap, media: Media) -> Result<(), Failure> {
    let mut values = headers.get_all(header::ACCEPT).iter().peekable();
    if values.peek().is_none() {
        return Ok(());
    }
    let ranges = values.map(HeaderValue::to_str).collect::<Result<Vec<_>, _>>();
    let ranges = ranges.map_err(|_| Failure::malformed())?.join(",");
    let mut is_taken = false;
    for range in ranges.split(',').map(str::trim).filter(|range| !range.is_empty()) {
        is_taken |= holds(range, media).ok_or_else(Failure::malformed)?;
    }
    is_taken.then_some(()).ok_or_else(Failure::not_acceptable)
}

/// Whether one range of types holds this one; none if it is no range.
fn holds(range: &str, media: Media) -> Option<bool> {
    let mut parts = range.split(';').map(str::trim);
    let (kind, subtype) = parts.next()?.split_once('/')?;
    if kind.is_empty() || subtype.is_empty() {
        return None;
    }
    let is_type = |wanted: &str, word: &str| word == "*" || word.eq_ignore_ascii_case(wanted);
    let is_within = is_type(media.0, kind) && is_type(media.1, subtype);
    // What comes behind the quality is no parameter of the type.
    let is_plain = parts
        .next()
        .is_none_or(|first| first.get(..2).is_some_and(|name| name.eq_ignore_ascii_case("q=")));
    Some(is_within && is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(values: &[&str]) -> Result<(), Failure> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::ACCEPT, value.parse().unwrap());
        }
        judge(&headers, JSON)
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
    fn a_text_is_answered_to_who_takes_texts() {
        let judged = |value: &'static str| {
            let headers = HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_static(value))]);
            judge(&headers, TEXT)
        };
        assert!(judged("text/plain").is_ok() && judged("text/*;q=0.5").is_ok() && judged("*/*").is_ok());
        assert_eq!(judged("application/json"), Err(Failure::not_acceptable()));
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
