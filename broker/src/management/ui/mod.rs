//! The page on the port of the management API, and the page that documents the API.
//!
//! Hands out the files that are in the binary, and decides how long a browser keeps them. It reads no file, asks the node
//! nothing and knows no user: the page itself talks to the API like any other client.

mod files;

use axum::{
    Router,
    extract::Path,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Redirect, Response},
    routing::get,
};
use sha2::{Digest, Sha256};
use std::sync::{Arc, LazyLock};

use super::{Api, failure::Failure};
use files::FILES;

/// What the page may do: run and show what came from here, talk to where it came from, and nothing else. No text ever
/// becomes markup or script.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'none'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; \
                      trusted-types 'none'";

const HEADERS: [(HeaderName, &str); 4] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
];

/// Names what all files are together. It is part of their paths, so that a browser keeps them until they change.
static EDITION: LazyLock<String> = LazyLock::new(|| {
    let mut hash = Sha256::new();
    for (path, octets) in FILES {
        hash.update(path);
        hash.update(octets);
    }
    hex(&hash.finalize())
});

fn hex(hash: &[u8]) -> String {
    hash.iter().take(8).map(|octet| format!("{octet:02x}")).collect()
}

/// The routes of the page below the configured prefix.
pub fn routes(prefix: &str) -> Router<Arc<Api>> {
    let home = format!("{prefix}/");
    let api = format!("{prefix}/api/index.html");
    let to = |target: &str| {
        let target = target.to_owned();
        get(move || async move { Redirect::to(&target) })
    };
    let routes = Router::new()
        .route(&home, get(start))
        .route(&format!("{prefix}/index.html"), to(&home))
        .route(&format!("{prefix}/mgmt"), to(&home))
        .route(&format!("{prefix}/doc/stats.html"), to(&api))
        .route(&format!("{prefix}/api"), to(&api))
        .route(&format!("{prefix}/api/"), to(&api))
        .route(&format!("{prefix}/ui/{{edition}}/{{*path}}"), get(file));
    match prefix.is_empty() {
        true => routes,
        false => routes.route(prefix, to(&home)),
    }
}

/// The page that documents the API, below `/api`.
pub fn reference() -> Router<Arc<Api>> {
    Router::new().route("/index.html", get(manual))
}

async fn start(asked: HeaderMap) -> Result<Response, Failure> {
    document("index.html", &asked)
}

async fn manual(asked: HeaderMap) -> Result<Response, Failure> {
    document("api.html", &asked)
}

async fn file(Path((edition, path)): Path<(String, String)>, asked: HeaderMap) -> Result<Response, Failure> {
    let (_, octets) = find(&path)?;
    // A page that was open when the broker was replaced gets today's files, but must not keep them as yesterday's.
    let keep = match edition == *EDITION {
        true => "public, max-age=31536000, immutable",
        false => "no-cache",
    };
    Ok(answer(&path, octets.to_vec(), keep, &asked))
}

fn find(path: &str) -> Result<(&'static str, &'static [u8]), Failure> {
    let found = FILES.iter().find(|(name, _)| *name == path).copied();
    found.ok_or_else(Failure::not_found)
}

/// A file that names others by their edition.
fn document(path: &str, asked: &HeaderMap) -> Result<Response, Failure> {
    let (_, octets) = find(path)?;
    let text = String::from_utf8_lossy(octets).replace("EDITION", &EDITION);
    Ok(answer(path, text.into_bytes(), "no-cache", asked))
}

/// Octets under a name that tells what they are, kept by browsers as `keep` says.
pub fn answer(path: &str, octets: Vec<u8>, keep: &'static str, asked: &HeaderMap) -> Response {
    let tag = format!("\"{}\"", hex(&Sha256::digest(&octets)));
    let known = asked.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    let is_known = known.is_some_and(|known| known.split(',').any(|one| one.trim().trim_start_matches("W/") == tag));
    let mut response = match is_known {
        true => StatusCode::NOT_MODIFIED.into_response(),
        false => octets.into_response(),
    };
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type(path)));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(keep));
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        headers.insert(header::ETAG, tag);
    }
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

fn media_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map(|(_, ending)| ending) {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{collections::BTreeSet, fs, path::Path as FilePath};

    fn on_disk(directory: &FilePath, base: &FilePath) -> BTreeSet<String> {
        let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
        let below = entries.flat_map(|path| match path.is_dir() {
            true => on_disk(&path, base),
            false => BTreeSet::from([path.strip_prefix(base).unwrap().display().to_string()]),
        });
        below.collect()
    }

    fn sources() -> std::path::PathBuf {
        FilePath::new(env!("CARGO_MANIFEST_DIR")).join("src/management")
    }

    #[test]
    fn every_file_of_the_page_is_in_the_binary() {
        let base = sources().join("ui/assets");
        let embedded: BTreeSet<String> = FILES.iter().map(|(path, _)| (*path).to_owned()).collect();
        assert_eq!(embedded, on_disk(&base, &base));
    }

    #[test]
    fn modules_import_only_what_is_there() {
        for (path, octets) in FILES.iter().filter(|(path, _)| path.ends_with(".js")) {
            let text = std::str::from_utf8(octets).unwrap();
            for line in text
                .lines()
                .filter(|line| line.starts_with("import ") || line.starts_with("} from "))
            {
                let Some(target) = line.split('"').nth(1) else { continue };
                let folder = FilePath::new(path).parent().unwrap();
                let mut parts: Vec<&str> = folder
                    .to_str()
                    .unwrap()
                    .split('/')
                    .filter(|part| !part.is_empty())
                    .collect();
                for part in target.split('/') {
                    match part {
                        "." => {}
                        ".." => drop(parts.pop()),
                        name => parts.push(name),
                    }
                }
                assert!(find(&parts.join("/")).is_ok(), "{path} imports {target}");
            }
        }
    }

    #[test]
    fn no_file_of_the_page_names_a_place_elsewhere_or_makes_markup_of_text() {
        for (path, octets) in FILES {
            let text = std::str::from_utf8(octets)
                .unwrap()
                .replace("http://www.w3.org/2000/svg", "");
            for banned in [
                "http://",
                "https://",
                "innerHTML",
                "outerHTML",
                "insertAdjacentHTML",
                "eval(",
                " style=\"",
            ] {
                assert!(!text.contains(banned), "{path} holds {banned}");
            }
            assert!(text.lines().count() <= 800, "{path} is too long");
        }
    }

    #[test]
    fn the_reference_names_every_resource() {
        let (_, reference) = find("api.html").unwrap();
        let reference = std::str::from_utf8(reference).unwrap();
        for entry in fs::read_dir(sources()).unwrap() {
            let path = entry.unwrap().path();
            let text = fs::read_to_string(&path).unwrap_or_default();
            let routes = text
                .split(".route(")
                .skip(1)
                .filter_map(|rest| rest.trim_start().strip_prefix('"')?.split('"').next());
            for route in routes {
                assert!(
                    reference.contains(&format!("<code>{route}</code>")),
                    "{}: {route}",
                    path.display()
                );
            }
        }
    }

    #[test]
    fn a_browser_that_has_the_file_is_told_so() {
        let first = answer("a.css", b"x".to_vec(), "no-cache", &HeaderMap::new());
        assert_eq!(
            (first.status(), &first.headers()["content-type"]),
            (StatusCode::OK, &HeaderValue::from_static("text/css; charset=utf-8"))
        );
        let asked = HeaderMap::from_iter([(header::IF_NONE_MATCH, first.headers()["etag"].clone())]);
        assert_eq!(
            answer("a.css", b"x".to_vec(), "no-cache", &asked).status(),
            StatusCode::NOT_MODIFIED
        );
        assert_eq!(
            answer("a.css", b"y".to_vec(), "no-cache", &asked).status(),
            StatusCode::OK
        );
    }
}
