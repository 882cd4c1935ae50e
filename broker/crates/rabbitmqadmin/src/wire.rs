//! One request to the broker and the text of its answer, on one connection that ends with it. What goes wrong is told in
//! the words that scripts look for.

use crate::problem::{Problem, told};
use crate::request::Request;
use crate::settings::Settings;
use crate::tls;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{StatusCode, header};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use serde_json::Value;
use std::io;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// What the broker says.
struct Answer {
    status: StatusCode,
    location: String,
    text: String,
}

/// The text of the answer.
///
/// # Errors
/// The broker cannot be reached, is not believed, takes too long, or refuses.
pub(crate) fn ask(settings: &Settings, request: &Request) -> Result<String, Problem> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Problem::Refused(told(&error)))?;
    let path = format!("{}/api/{}", settings.path_prefix, request.path);
    let answer = runtime.block_on(exchange(settings, request, &path))?;
    match answer.status.as_u16() {
        200..300 => Ok(answer.text),
        401 => Err(Problem::Refused(format!("Access refused: {path}"))),
        404 => Err(Problem::Refused(format!("Not found: {path}"))),
        _ => Err(Problem::Refused(reason(&answer))),
    }
}

fn reason(answer: &Answer) -> String {
    let status = answer.status;
    if status.is_redirection() {
        return format!("{}: the API is at {}", status.as_u16(), answer.location);
    }
    match serde_json::from_str::<Value>(&answer.text)
        .ok()
        .as_ref()
        .and_then(|answer| answer.get("reason"))
    {
        Some(Value::String(reason)) => reason.clone(),
        Some(reason) => reason.to_string(),
        None => format!("{}: {}", status.as_u16(), answer.text),
    }
}

async fn exchange(settings: &Settings, request: &Request, path: &str) -> Result<Answer, Problem> {
    let patience = settings.request_timeout;
    let tls = settings.tls.as_ref().map(tls::config).transpose()?;
    let connected = TcpStream::connect((settings.hostname.as_str(), settings.port));
    let tcp = match tokio::time::timeout(patience, connected).await {
        Ok(tcp) => tcp.map_err(|error| unreachable(&error))?,
        Err(_) => return Err(Problem::Refused("Could not connect: timed out".into())),
    };
    let answered = async {
        let Some(config) = tls else {
            return converse(tcp, settings, request, path).await;
        };
        let name = ServerName::try_from(settings.hostname.clone());
        let name = name.map_err(|error| unreachable(&io::Error::other(error)))?;
        let shaken = TlsConnector::from(config).connect(name, tcp).await;
        converse(shaken.map_err(|error| unreachable(&error))?, settings, request, path).await
    };
    let late = || {
        let seconds = patience.as_secs();
        Problem::Refused(format!(
            "Timed out getting HTTP response (request timeout: {seconds} seconds)"
        ))
    };
    tokio::time::timeout(patience, answered).await.map_err(|_| late())?
}

fn unreachable(error: &io::Error) -> Problem {
    Problem::Refused(format!("Could not connect: {}", told(error)))
}

async fn converse(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    settings: &Settings,
    request: &Request,
    path: &str,
) -> Result<Answer, Problem> {
    let failed = |error: hyper::Error| Problem::Refused(format!("Error getting HTTP response: {error}"));
    let question = question(settings, request, path)?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(failed)?;
    // It ends with the connection, whose errors the sender tells.
    tokio::spawn(connection);
    let answer = sender.send_request(question).await.map_err(failed)?;
    let location = answer
        .headers()
        .get(header::LOCATION)
        .and_then(|value| value.to_str().ok());
    let (status, location) = (answer.status(), location.unwrap_or_default().to_owned());
    let octets = answer.into_body().collect().await.map_err(failed)?.to_bytes();
    Ok(Answer {
        status,
        location,
        text: String::from_utf8_lossy(&octets).into_owned(),
    })
}

fn question(settings: &Settings, request: &Request, path: &str) -> Result<hyper::Request<Full<Bytes>>, Problem> {
    let login = STANDARD.encode(format!("{}:{}", settings.username, settings.password));
    let mut question = hyper::Request::builder()
        .method(request.method)
        .uri(path)
        .header(header::HOST, format!("{}:{}", settings.hostname, settings.port))
        .header(header::AUTHORIZATION, format!("Basic {login}"));
    if request.body.is_some() {
        question = question.header(header::CONTENT_TYPE, "application/json");
    }
    let body = Full::new(Bytes::from(request.body.clone().unwrap_or_default()));
    question
        .body(body)
        .map_err(|error| Problem::Refused(format!("{path}: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Line;
    use rcgen::{CertifiedKey, generate_simple_self_signed};
    use rustls::ServerConfig;
    use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::path::Path;
    use std::sync::Arc;

    fn reply(mut stream: impl Read + Write, text: &str) {
        let (mut head, mut octets) = (Vec::new(), [0; 1024]);
        while !head.ends_with(b"\r\n\r\n") {
            match stream.read(&mut octets) {
                // A client that does not believe goes away.
                Ok(0) | Err(_) => return,
                Ok(count) => head.extend_from_slice(&octets[..count]),
            }
        }
        let _ = write!(stream, "HTTP/1.1 {text}");
    }

    /// Answers every request so; over TLS, with a certificate for `localhost` that is written down, if asked for.
    fn serve(text: &'static str, certificate: Option<&Path>) -> u16 {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let tls = certificate.map(|file| {
            let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
            std::fs::write(file, cert.pem()).unwrap();
            let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(signing_key.serialize_der()));
            let provider = Arc::new(rustls::crypto::ring::default_provider());
            let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
            let config = builder.unwrap().with_no_client_auth();
            Arc::new(config.with_single_cert(vec![cert.der().clone()], key).unwrap())
        });
        std::thread::spawn(move || {
            for tcp in listener.incoming().map_while(Result::ok) {
                match &tls {
                    None => reply(tcp, text),
                    Some(tls) => {
                        let session = rustls::ServerConnection::new(tls.clone()).unwrap();
                        reply(rustls::StreamOwned::new(session, tcp), text);
                    }
                }
            }
        });
        port
    }

    fn asked(port: u16, line: &str) -> Result<String, Problem> {
        let line = format!("-P {port} {line}");
        let words: Vec<_> = line.split_whitespace().map(str::to_owned).collect();
        let settings = Settings::of(&Line::read(&words).unwrap(), None).unwrap();
        ask(&settings, &Request::new("GET", "queues".to_owned()))
    }

    fn refusal(port: u16, line: &str) -> String {
        match asked(port, line) {
            Err(Problem::Refused(why)) => why,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_refusal_is_told_by_its_reason() {
        let port = serve("400 Bad Request\r\ncontent-length: 15\r\n\r\n{\"reason\":\"no\"}", None);
        assert_eq!(refusal(port, ""), "no");
        let port = serve("301 Moved\r\nlocation: http://x/api\r\ncontent-length: 0\r\n\r\n", None);
        assert_eq!(refusal(port, ""), "301: the API is at http://x/api");
        let port = serve("404 Not Found\r\ncontent-length: 0\r\n\r\n", None);
        assert_eq!(refusal(port, "--path-prefix /p"), "Not found: /p/api/queues");
    }

    #[test]
    fn an_answer_that_does_not_come_is_not_waited_for() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        assert_eq!(
            refusal(port, "-t 1"),
            "Timed out getting HTTP response (request timeout: 1 seconds)"
        );
    }

    #[test]
    fn over_tls_only_who_is_known_is_believed_unless_an_option_says_so() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("ca.pem");
        let port = serve("200 OK\r\ncontent-length: 2\r\n\r\n[]", Some(&file));
        let known = format!("-s --ssl-ca-cert-file {}", file.display());
        assert_eq!(asked(port, &known).unwrap(), "[]");
        assert_eq!(asked(port, "-s -k -H 127.0.0.1").unwrap(), "[]");
        assert!(refusal(port, "-s").starts_with("Could not connect: "));
        assert!(refusal(port, &format!("{known} -H 127.0.0.1")).starts_with("Could not connect: "));
        let any_host = "--ssl-disable-hostname-verification -H 127.0.0.1";
        assert_eq!(asked(port, &format!("{known} {any_host}")).unwrap(), "[]");
        assert!(refusal(port, &format!("-s {any_host}")).starts_with("Could not connect: "));
    }
}
