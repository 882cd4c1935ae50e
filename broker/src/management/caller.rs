//! Who asks: basic authentication, tags, and which virtual hosts a user may see.
//!
//! Decides 401, and 406 for who does not take the answer. What a user may do to queues and exchanges is the catalogue's to judge.

use access::User;
use axum::{
    extract::{ConnectInfo, FromRequestParts},
    http::{Extensions, HeaderMap, header, request::Parts},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use model::VhostName;
use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};
use tokio::time::Instant;

use super::{Api, accept, elsewhere::OnBehalf, failure::Failure, guesses::Turn};
use crate::host::{Way, acts};

/// An authenticated user with at least one of the management tags.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The user.
    pub user: Arc<User>,
}

/// A caller with the tag `monitoring` or `administrator`.
#[derive(Clone, Debug)]
pub struct Monitor(pub Caller);

/// A caller with the tag `policymaker` or `administrator`.
#[derive(Clone, Debug)]
pub struct Policymaker(pub Caller);

/// A caller with the tag `administrator`.
#[derive(Clone, Debug)]
pub struct Administrator(pub Caller);

/// The same of one who is answered in text.
#[derive(Clone, Debug)]
pub struct ReadingAdministrator;

impl Caller {
    fn has_any(&self, tags: &[&str]) -> bool {
        tags.iter().any(|tag| self.user.has_tag(tag))
    }

    /// May manage users, virtual hosts and the node.
    pub fn is_administrator(&self) -> bool {
        self.has_any(&["administrator"])
    }

    /// May see every virtual host, all connections and the nodes.
    pub fn is_monitor(&self) -> bool {
        self.has_any(&["administrator", "monitoring"])
    }

    /// May change policies and parameters of its virtual hosts.
    pub fn is_policymaker(&self) -> bool {
        self.has_any(&["administrator", "policymaker"])
    }

    /// Whether this user may look into a virtual host.
    pub fn sees(&self, api: &Api, vhost: &VhostName) -> bool {
        self.is_monitor() || api.node.snapshot().catalog.access().may_enter(&self.user.name, vhost)
    }

    /// A virtual host to look into.
    ///
    /// # Errors
    /// 404 when there is none, 401 when the user may not see it.
    pub fn look_into(&self, api: &Api, vhost: &str) -> Result<VhostName, Failure> {
        let name = existing(api, vhost)?;
        match self.sees(api, &name) {
            true => Ok(name),
            false => Err(not_visible()),
        }
    }

    /// A virtual host to work in as an AMQP client would.
    ///
    /// # Errors
    /// 404 when there is none, 401 when the user has no permissions in it.
    pub fn enter(&self, api: &Api, vhost: &str) -> Result<catalog::Client, Failure> {
        let name = existing(api, vhost)?;
        if !api.node.snapshot().catalog.access().may_enter(&self.user.name, &name) {
            return Err(not_visible());
        }
        Ok(catalog::Client {
            user: self.user.name.clone(),
            vhost: name,
            connection: api.node.next_connection(),
            node: api.node.name().clone(),
        })
    }

    /// A virtual host whose policies and parameters are to be changed: administrators need no permissions there.
    ///
    /// # Errors
    /// 404 when there is none, 401 when the user has no permissions in it.
    pub fn govern(&self, api: &Api, vhost: &str) -> Result<VhostName, Failure> {
        let name = existing(api, vhost)?;
        let may_enter = api.node.snapshot().catalog.access().may_enter(&self.user.name, &name);
        match may_enter || self.is_administrator() {
            true => Ok(name),
            false => Err(not_visible()),
        }
    }
}

fn not_visible() -> Failure {
    Failure::not_authorised("User not authorised to access virtual host")
}

fn existing(api: &Api, vhost: &str) -> Result<VhostName, Failure> {
    let found = api
        .node
        .snapshot()
        .catalog
        .vhost(vhost)
        .map(|found| found.name().clone());
    found.ok_or_else(Failure::not_found)
}

/// User and password of the header `Authorization: Basic …`; the password may be any octets.
fn credentials(headers: &HeaderMap) -> Option<(String, Vec<u8>)> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, encoded) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let octets = STANDARD.decode(encoded.trim()).ok()?;
    let colon = octets.iter().position(|octet| *octet == b':')?;
    let user = String::from_utf8(octets[..colon].to_vec()).ok()?;
    Some((user, octets[colon + 1..].to_vec()))
}

async fn authenticate(headers: &HeaderMap, from: IpAddr, api: &Api) -> Result<Caller, Failure> {
    if !headers.contains_key(header::AUTHORIZATION) {
        return Err(Failure::anonymous());
    }
    let (name, password) = credentials(headers).ok_or_else(Failure::login_failed)?;
    log_in((&name, &password), from, api).await
}

/// The user of this name and password, who is kept waiting after wrong ones.
///
/// # Errors
/// 401, and 429 for who guesses on and on.
pub async fn log_in((name, password): (&str, &[u8]), from: IpAddr, api: &Api) -> Result<Caller, Failure> {
    match api.guesses.turn(from, name, password, Instant::now()) {
        Turn::Never => return Err(Failure::too_many_guesses()),
        Turn::After(Duration::ZERO) => {}
        Turn::After(wait) => tokio::time::sleep(wait).await,
    }
    let user = api.node.log_in(name, password, from);
    api.node.note_attempt(Way::Http, (name, from), user.is_ok());
    api.guesses.judged(from, name, password, user.is_ok(), Instant::now());
    let user = user.map_err(|reason| {
        tracing::warn!("HTTP access denied: {reason}");
        Failure::login_failed()
    })?;
    acts(&user.name);
    let caller = Caller { user };
    match caller.has_any(&["administrator", "monitoring", "policymaker", "management"]) {
        true => Ok(caller),
        false => Err(Failure::not_authorised("Not management user")),
    }
}

/// Somebody whom another node has let in.
fn introduced(api: &Api, name: &str) -> Result<Caller, Failure> {
    let user = api.node.snapshot().catalog.access().user(name).cloned();
    Ok(Caller {
        user: user.ok_or_else(Failure::login_failed)?,
    })
}

/// Where a request comes from.
pub fn address(extensions: &Extensions) -> IpAddr {
    let peer = extensions.get::<ConnectInfo<SocketAddr>>();
    // The service always says whom it serves; if it did not, nobody would pass for local.
    peer.map_or(IpAddr::from([0, 0, 0, 0]), |ConnectInfo(peer)| peer.ip().to_canonical())
}

/// Who is to be answered in `media`.
async fn reader(parts: &Parts, api: &Api, media: accept::Media) -> Result<Caller, Failure> {
    if let Some(OnBehalf(name)) = parts.extensions.get() {
        return introduced(api, name);
    }
    let caller = authenticate(&parts.headers, address(&parts.extensions), api).await?;
    accept::judge(&parts.headers, media)?;
    Ok(caller)
}

impl FromRequestParts<Arc<Api>> for Caller {
    type Rejection = Failure;
    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, Failure> {
        reader(parts, api, accept::JSON).await
    }
}

impl FromRequestParts<Arc<Api>> for Monitor {
    type Rejection = Failure;
    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, Failure> {
        let caller = Caller::from_request_parts(parts, api).await?;
        match caller.is_monitor() {
            true => Ok(Monitor(caller)),
            false => Err(Failure::not_authorised("Not monitor user")),
        }
    }
}

impl FromRequestParts<Arc<Api>> for Policymaker {
    type Rejection = Failure;
    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, Failure> {
        let caller = Caller::from_request_parts(parts, api).await?;
        match caller.is_policymaker() {
            true => Ok(Policymaker(caller)),
            false => Err(Failure::not_authorised("User not authorised to access object")),
        }
    }
}

fn administrator(caller: Caller) -> Result<Administrator, Failure> {
    match caller.is_administrator() {
        true => Ok(Administrator(caller)),
        false => Err(Failure::not_authorised("Not administrator user")),
    }
}

impl FromRequestParts<Arc<Api>> for Administrator {
    type Rejection = Failure;
    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, Failure> {
        administrator(Caller::from_request_parts(parts, api).await?)
    }
}

impl FromRequestParts<Arc<Api>> for ReadingAdministrator {
    type Rejection = Failure;
    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, Failure> {
        let caller = reader(parts, api, accept::TEXT).await?;
        administrator(caller).map(|_| ReadingAdministrator)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: &str) -> Option<(String, Vec<u8>)> {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, value.parse().unwrap());
        credentials(&headers)
    }

    #[test]
    fn a_password_may_hold_colons_and_the_scheme_any_case() {
        let expected = Some(("a".to_owned(), b"b:c".to_vec()));
        assert_eq!(read("Basic YTpiOmM="), expected);
        assert_eq!(read("basic YTpiOmM="), expected);
    }

    #[test]
    fn what_is_no_basic_credential_is_none() {
        for value in ["Bearer YTpi", "Basic", "Basic %%%", "Basic YQ==", "Basic /zo="] {
            assert_eq!(read(value), None, "{value}");
        }
    }
}
