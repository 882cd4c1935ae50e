//! `/cli`: the command line script for whoever has Python and no package of ours, and the page that hands it out.
//!
//! Both are in the binary. Anybody may download them: they hold no secret.

use axum::{
    Router,
    http::{HeaderMap, HeaderValue, header},
    response::{Redirect, Response},
    routing::get,
};
use std::sync::Arc;

use super::{Api, ui};
use crate::host::RABBITMQ_VERSION;

const PAGE: &str = include_str!("cli/index.html");

/// The routes below the configured prefix.
pub fn routes(prefix: &str) -> Router<Arc<Api>> {
    let home = format!("{prefix}/cli/index.html");
    let to_home = || {
        let home = home.clone();
        get(move || async move { Redirect::permanent(&home) })
    };
    Router::new()
        .route(&format!("{prefix}/cli"), to_home())
        .route(&format!("{prefix}/cli/"), to_home())
        .route(&home, get(page))
        .route(&format!("{prefix}/cli/rabbitmqadmin"), get(script))
}

async fn page(asked: HeaderMap) -> Response {
    ui::answer("index.html", PAGE.as_bytes().to_vec(), "no-cache", &asked)
}

async fn script(asked: HeaderMap) -> Response {
    let text = rabbitmqadmin::script(RABBITMQ_VERSION);
    let mut answer = ui::answer(rabbitmqadmin::NAME, text.into_bytes(), "no-cache", &asked);
    let name = HeaderValue::from_static("attachment; filename=rabbitmqadmin");
    answer.headers_mut().insert(header::CONTENT_DISPOSITION, name);
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_script_knows_its_version_and_is_downloaded_as_octets() {
        let answer = script(HeaderMap::new()).await;
        assert_eq!(answer.headers()["content-type"], "application/octet-stream");
        let octets = axum::body::to_bytes(answer.into_body(), 1 << 20).await.unwrap();
        let text = std::str::from_utf8(&octets).unwrap();
        assert!(text.starts_with("#!/usr/bin/env python3\n"), "{}", &text[..40]);
        assert!(text.contains(&format!("VERSION = \"{RABBITMQ_VERSION}\"\n")));
        assert!(text.lines().count() < 800);
    }
}
