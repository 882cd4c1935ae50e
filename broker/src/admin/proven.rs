//! The door to what the operator may do on the admin port: whoever proves the cluster's secret over a nonce of ours is let
//! through, and gets an answer that proves the same of us.
//!
//! It knows no path. A stranger costs one nonce, which is kept nowhere, and learns nothing. A body is read before it can be judged, so bodies are short;
//! one at a time may be a whole file (`demand_file`), so that strangers cannot fill the memory.

use axum::{
    body::{Body, Bytes, to_bytes},
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use link::{Cookie, CookieError, ERRAND_BYTES_MAX, ERRAND_PROOF_HEADER, Errand, Nonces, Unproven};
use parking_lot::Mutex;
use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

/// The longest answer; a report grows with the number of policies, not with that of queues.
pub const ANSWER_BYTES_MAX: usize = 16 << 20;
/// The longest body that is a file.
pub const FILE_BYTES_MAX: usize = 16 << 20;
/// How long a file may be on its way, since others wait for it.
const FILE_PATIENCE: Duration = Duration::from_secs(60);

/// Reads the secrets that are accepted now.
type Secrets = dyn Fn() -> Result<Vec<Cookie>, CookieError> + Send + Sync;

/// What the door needs to know.
pub struct Door {
    secrets: Box<Secrets>,
    nonces: Mutex<Nonces>,
    /// Held while a file is read.
    file: tokio::sync::Mutex<()>,
    began: Instant,
}

impl fmt::Debug for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Door")
            .field("nonces", &self.nonces)
            .finish_non_exhaustive()
    }
}

impl Door {
    /// A door that opens to these secrets.
    pub fn new(secrets: impl Fn() -> Result<Vec<Cookie>, CookieError> + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Door {
            secrets: Box::new(secrets),
            nonces: Mutex::default(),
            file: tokio::sync::Mutex::default(),
            began: Instant::now(),
        })
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn judge(&self, parts: &Parts, body: &[u8]) -> Result<(Cookie, String), Box<Response>> {
        let accepted = (self.secrets)().map_err(|error| Box::new(refuse(StatusCode::SERVICE_UNAVAILABLE, &error)))?;
        let errand = Errand {
            method: parts.method.as_str(),
            target: parts.uri.path_and_query().map_or("/", |target| target.as_str()),
            body,
        };
        let said = authorization(&parts.headers);
        let judged = self.nonces.lock().judge(self.now_ms(), &accepted, errand, said);
        match judged {
            Ok((fitting, nonce)) => Ok((fitting.clone(), nonce)),
            Err(Unproven::Again) => Err(Box::new(self.challenge())),
            Err(error @ Unproven::WrongSecret) => {
                tracing::warn!(target: "connection", "{} {} refused: {error}", errand.method, errand.target);
                Err(Box::new(refuse(StatusCode::FORBIDDEN, &error)))
            }
            Err(error @ Unproven::Busy) => Err(Box::new(refuse(StatusCode::SERVICE_UNAVAILABLE, &error))),
        }
    }

    fn challenge(&self) -> Response {
        let challenge = link::errand_challenge(&self.nonces.lock().draw(self.now_ms()));
        let mut answer = refuse(StatusCode::UNAUTHORIZED, &Unproven::Again);
        if let Ok(challenge) = HeaderValue::from_str(&challenge) {
            answer.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        answer
    }
}

fn authorization(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::AUTHORIZATION)?.to_str().ok()
}

fn refuse(status: StatusCode, why: &dyn fmt::Display) -> Response {
    (status, format!("{why}\n")).into_response()
}

/// Lets a proven request through and proves the answer.
pub async fn demand(State(door): State<Arc<Door>>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    if authorization(&parts.headers).is_none() {
        return door.challenge(); // before a body of a stranger is read
    }
    match to_bytes(body, ERRAND_BYTES_MAX).await {
        Ok(body) => pass(&door, parts, body, next).await,
        Err(_) => too_large(ERRAND_BYTES_MAX),
    }
}

/// As `demand`, for a body that may be a file.
pub async fn demand_file(State(door): State<Arc<Door>>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    if authorization(&parts.headers).is_none() {
        return door.challenge();
    }
    let Ok(turn) = door.file.try_lock() else {
        return refuse(StatusCode::SERVICE_UNAVAILABLE, &"another file is on its way");
    };
    let read = tokio::time::timeout(FILE_PATIENCE, to_bytes(body, FILE_BYTES_MAX)).await;
    drop(turn);
    match read {
        Ok(Ok(body)) => pass(&door, parts, body, next).await,
        Ok(Err(_)) => too_large(FILE_BYTES_MAX),
        Err(_) => refuse(
            StatusCode::REQUEST_TIMEOUT,
            &format_args!("no file within {FILE_PATIENCE:?}"),
        ),
    }
}

fn too_large(bytes_max: usize) -> Response {
    refuse(
        StatusCode::PAYLOAD_TOO_LARGE,
        &format_args!("at most {bytes_max} bytes"),
    )
}

async fn pass(door: &Door, parts: Parts, body: Bytes, next: Next) -> Response {
    let (cookie, nonce) = match door.judge(&parts, &body) {
        Ok(proven) => proven,
        Err(refusal) => return *refusal,
    };
    let answer = next.run(Request::from_parts(parts, Body::from(body))).await;
    let (mut parts, body) = answer.into_parts();
    let body: Bytes = match to_bytes(body, ANSWER_BYTES_MAX).await {
        Ok(body) => body,
        Err(error) => return refuse(StatusCode::INTERNAL_SERVER_ERROR, &error),
    };
    let proof = link::answer_proof(&cookie, &nonce, parts.status.as_u16(), &body);
    if let Ok(proof) = HeaderValue::from_str(&proof) {
        parts.headers.insert(ERRAND_PROOF_HEADER, proof);
    }
    Response::from_parts(parts, Body::from(body))
}
