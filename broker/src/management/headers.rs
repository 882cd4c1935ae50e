//! Headers of every answer: those of the configuration, caching off, and what browsers of other origins may do.
//!
//! A browser that was led here by a page of another origin may change nothing, even if it knows a password.

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use std::sync::Arc;

use super::Api;
use crate::{config::Management, host::acting};

/// Adds the headers; answers `OPTIONS` itself.
pub async fn add(State(api): State<Arc<Api>>, request: Request, next: Next) -> Response {
    let origin = request.headers().get(header::ORIGIN).cloned();
    let wanted = request.headers().get(header::ACCESS_CONTROL_REQUEST_HEADERS).cloned();
    let is_preflight = request.method() == Method::OPTIONS;
    let config = api.node.config();
    let config = &config.management;
    let is_welcome = origin.as_ref().is_some_and(|origin| is_allowed(config, origin));
    let mut response = match (is_preflight, is_welcome || !is_forged(&request)) {
        (true, _) => StatusCode::OK.into_response(),
        (false, true) => acting(next.run(request)).await,
        (false, false) => StatusCode::FORBIDDEN.into_response(),
    };
    let headers = response.headers_mut();
    // The files of the page may be kept; they say so themselves.
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-cache"));
    headers.insert(
        header::VARY,
        HeaderValue::from_static("accept, accept-encoding, origin"),
    );
    for (name, value) in &config.headers {
        // The configuration takes printable ASCII only.
        if let Ok(value) = HeaderValue::from_str(value) {
            // A browser obeys every policy it gets: the page's own stays, whatever is configured.
            let name = HeaderName::from_static(name);
            match name == header::CONTENT_SECURITY_POLICY {
                true => headers.append(name, value),
                false => headers.insert(name, value).is_some(),
            };
        }
    }
    if let Some(origin) = origin.filter(|origin| is_allowed(config, origin)) {
        allow(headers, origin, is_preflight.then_some((config.cors_age_s, wanted)));
    }
    response
}

/// Whether a browser says that a page of another origin makes it change something.
fn is_forged(request: &Request) -> bool {
    let site = request.headers().get("sec-fetch-site").map(HeaderValue::as_bytes);
    let is_foreign = matches!(site, Some(b"cross-site" | b"same-site"));
    is_foreign && !request.method().is_safe()
}

fn is_allowed(config: &Management, origin: &HeaderValue) -> bool {
    let matches = |allowed: &String| allowed == "*" || allowed.as_bytes() == origin.as_bytes();
    config.cors_origins.values().any(matches)
}

fn allow(headers: &mut HeaderMap, origin: HeaderValue, preflight: Option<(u32, Option<HeaderValue>)>) {
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_CREDENTIALS,
        HeaderValue::from_static("true"),
    );
    let Some((age_s, wanted)) = preflight else { return };
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from(age_s));
    let methods = HeaderValue::from_static("DELETE, GET, HEAD, OPTIONS, POST, PUT");
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, methods);
    if let Some(wanted) = wanted {
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, wanted);
    }
}
