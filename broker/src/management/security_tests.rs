//! What must not be had from the API: anything by nobody, by a user without tags or by a local user from elsewhere; a
//! header that a name smuggles in; a file that is not the page's; a cookie; a password.

use super::*;
use crate::host::started_blank;
use axum::{
    body::{Body, to_bytes},
    extract::ConnectInfo,
    http::{Request, Response, StatusCode},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use catalog::Command;
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;
use serde_json::Value;
use std::net::{IpAddr, Ipv4Addr};

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const ELSEWHERE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));
const PASSWORD: &str = "correct-horse-battery";

/// The API of a node with the users `guest`, `nobody`, who has no tags, and those named after their one tag; none of them has
/// permissions in any virtual host.
struct Served {
    _folder: tempfile::TempDir,
    router: Router,
}

async fn served() -> Served {
    let (folder, node) = started_blank().await;
    for (name, tags) in [
        ("nobody", vec![]),
        ("management", vec!["management".to_owned()]),
        ("monitoring", vec!["monitoring".to_owned()]),
    ] {
        let user = access::User {
            name: name.parse().unwrap(),
            password: access::PasswordHash::new(access::HashAlgorithm::Sha256, [7; 4], PASSWORD.as_bytes()),
            tags,
            limits: access::UserLimits::default(),
        };
        node.commit(Command::AddUser(user)).await.unwrap();
    }
    Served {
        _folder: folder,
        router: routes(node, Arc::default()),
    }
}

impl Served {
    async fn ask(&self, (method, path): (&str, &str), login: Option<&str>, from: IpAddr) -> Response<Body> {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(login) = login {
            request = request.header("authorization", format!("Basic {}", STANDARD.encode(login)));
        }
        let mut request = request.body(Body::from("{}")).unwrap();
        request
            .extensions_mut()
            .insert(ConnectInfo(std::net::SocketAddr::new(from, 1)));
        let service = TowerToHyperService::new(self.router.clone());
        let answer = service.call(request).await.unwrap();
        assert!(!answer.headers().contains_key("set-cookie"), "{method} {path}");
        answer
    }
}

async fn text(answer: Response<Body>) -> String {
    let octets = to_bytes(answer.into_body(), 1 << 24).await.unwrap();
    String::from_utf8_lossy(&octets).into_owned()
}

/// Every method of every path, with a name in each place for one; but those that tell how to ask.
fn operations() -> Vec<(String, String)> {
    let document: Value = serde_json::from_str(&openapi()).unwrap();
    let paths = document["paths"].as_object().unwrap();
    let mut all = Vec::new();
    let is_open = |path: &str| ["/auth", "/openapi.json", "/version"].contains(&path);
    for (path, operations) in paths.iter().filter(|(path, _)| !is_open(path)) {
        let parts = path.split('/').map(|part| match part {
            "{vhost}" => "%2F",
            part if part.starts_with('{') => "x",
            part => part,
        });
        let path = format!("/api{}", parts.collect::<Vec<_>>().join("/"));
        let methods = operations.as_object().unwrap().keys();
        let known = methods.filter(|method| ["get", "put", "post", "delete"].contains(&method.as_str()));
        all.extend(known.map(|method| (method.to_uppercase(), path.clone())));
    }
    all
}

#[tokio::test]
async fn nothing_is_answered_to_who_has_not_logged_in_or_has_no_tags() {
    let served = served().await;
    let operations = operations();
    assert!(operations.len() > 100);
    let nobody = format!("nobody:{PASSWORD}");
    for (method, path) in &operations {
        for login in [None, Some(nobody.as_str())] {
            let answer = served.ask((method, path), login, HERE).await;
            assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{method} {path} {login:?}");
        }
    }
}

#[tokio::test]
async fn tags_without_permissions_change_nothing() {
    let served = served().await;
    for tag in ["management", "monitoring"] {
        let login = format!("{tag}:{PASSWORD}");
        let mut open = Vec::new();
        for (method, path) in operations().iter().filter(|(method, _)| method != "GET") {
            let status = served.ask((method, path), Some(&login), HERE).await.status();
            if status != StatusCode::UNAUTHORIZED {
                open.push(format!("{method} {path} {status}"));
            }
        }
        // Everybody may close his own connections; there is none of this name.
        assert_eq!(open, ["DELETE /api/connections/x 404 Not Found"], "{tag}");
    }
}

#[tokio::test]
async fn who_guesses_is_kept_waiting() {
    let served = served().await;
    let took = async |tries: usize| {
        let began = std::time::Instant::now();
        for number in 0..tries {
            let login = format!("management:guess{number}");
            let answer = served.ask(("GET", "/api/whoami"), Some(&login), HERE).await;
            assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
        }
        began.elapsed()
    };
    took(6).await;
    assert!(took(1).await >= std::time::Duration::from_millis(500));
}

#[tokio::test]
async fn the_default_password_works_from_this_host_alone() {
    let served = served().await;
    let whoami = ("GET", "/api/whoami");
    let status = async |from| served.ask(whoami, Some("guest:guest"), from).await.status();
    assert_eq!(status(HERE).await, StatusCode::OK);
    assert_eq!(status(ELSEWHERE).await, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn no_name_becomes_a_header_and_no_path_leads_out_of_the_page() {
    let served = served().await;
    let guest = Some("guest:guest");
    for path in [
        "/api/definitions?download=a%0d%0aX-Evil:%201",
        "/api/queues/%2F/a%0d%0aX-Evil:%201",
        "/api/exchanges/a%0d%0aX-Evil:%201",
    ] {
        let answer = served.ask(("GET", path), guest, HERE).await;
        assert!(!answer.headers().contains_key("x-evil"), "{path}");
        let values = answer.headers().values();
        assert!(
            values.into_iter().all(|value| !value.as_bytes().contains(&b'\n')),
            "{path}"
        );
    }
    let queue = "/api/queues/%2F/a%0d%0aX-Evil:%201";
    assert!(served.ask(("PUT", queue), guest, HERE).await.status().is_success());
    let binding = format!(
        "/api/bindings/%2F/e/amq.fanout/q/{}",
        &queue["/api/queues/%2F/".len()..]
    );
    let answer = served.ask(("POST", &binding), guest, HERE).await;
    assert_eq!(answer.status(), StatusCode::CREATED);
    assert!(!answer.headers().contains_key("x-evil"));
    for path in [
        "/../../../etc/passwd",
        "/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
        "/pages/..%2f..%2f..%2fetc%2fpasswd",
    ] {
        let answer = served.ask(("GET", path), None, HERE).await;
        assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{path}");
        assert!(!text(answer).await.contains("root:"), "{path}");
    }
}

#[tokio::test]
async fn no_answer_holds_a_password() {
    let served = served().await;
    let guest = Some("guest:guest");
    for (method, path) in operations() {
        if method == "GET" && !path.contains("/x") {
            let text = text(served.ask((&method, &path), guest, HERE).await).await;
            assert!(!text.contains(PASSWORD), "{path}");
        }
    }
}
