//! HTTP ports: accept, TLS where it is asked for, and bounds on what a client may take: time for a head, time for a
//! request, time without taking anything of an answer, and connections at once (I7).
//!
//! It knows no path and no user; what is answered is the routes' matter. Used for management, metrics and probes.

use anyhow::Context as _;
use axum::{Router, body::Body, extract::ConnectInfo, http::StatusCode, response::IntoResponse};
use hyper::{Request, body::Incoming, service::Service as _};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    sync::Semaphore,
};
use tokio_util::sync::CancellationToken;

use crate::{
    config::{Config, HttpBounds, ListenAddress, Listener, SocketOptions},
    host::{
        Gate, Gated,
        listener::{self, Port},
        tls::Certificates,
    },
};

mod stall;
use stall::Impatient;

/// An accept error, such as no descriptors, is waited out so long.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// One bound port.
#[derive(Debug)]
pub struct Bound {
    listener: Gated,
    port: Port,
    certificates: Option<Arc<Certificates>>,
    handshake: Duration,
    bounds: HttpBounds,
}

/// Binds a plugin's ports: the plain one, the one with TLS, or both. `keys` is how its settings begin.
///
/// # Errors
/// A port cannot be had, or a certificate cannot be read; the key is named.
pub fn bind_all(
    config: &Config,
    listen: &Listener,
    keys: &str,
    protocols: [&'static str; 2],
) -> anyhow::Result<Vec<Bound>> {
    let mut bound = Vec::new();
    let handshake = config.listeners.tls_handshake_timeout.duration();
    if let Some(address) = listen.plain() {
        bound.push(Bound {
            bounds: listen.bounds,
            ..bind(config, address, protocols[0]).with_context(|| format!("{keys}.tcp.port"))?
        });
    }
    if let Some(address) = listen.tls() {
        let prefix = format!("{keys}.ssl");
        bound.push(Bound {
            certificates: Some(Arc::new(Certificates::load(&listen.tls_options, &prefix)?)),
            handshake,
            bounds: listen.tls_bounds,
            ..bind(config, address, protocols[1]).with_context(|| format!("{prefix}.port"))?
        });
    }
    Ok(bound)
}

/// Binds one plain port with the bounds that hold where there are no keys for them.
///
/// # Errors
/// The port cannot be had.
pub fn bind(config: &Config, address: ListenAddress, protocol: &'static str) -> anyhow::Result<Bound> {
    let options = SocketOptions::waiting(config.listeners.socket.backlog);
    let bound = listener::bind(address, &options);
    let listener = bound.with_context(|| format!("cannot listen on {address}"))?;
    let address = listener.local_addr()?;
    Ok(Bound {
        listener: Gated::new(listener, options)?,
        port: Port { protocol, address },
        certificates: None,
        handshake: Duration::ZERO,
        bounds: HttpBounds::default(),
    })
}

impl Bound {
    /// What is served where.
    pub fn port(&self) -> Port {
        self.port.clone()
    }

    /// The same port, closed while this gate is.
    #[must_use]
    pub fn behind(mut self, gate: &Gate) -> Self {
        self.listener.follow(gate);
        self
    }

    /// Serves until `stopping`; then what is being answered is finished and nothing new accepted.
    pub async fn run(mut self, routes: Router, stopping: CancellationToken) {
        let most = self.bounds.connections_max.max().map_or(Semaphore::MAX_PERMITS, |max| {
            usize::try_from(max).map_or(Semaphore::MAX_PERMITS, |max| max.clamp(1, Semaphore::MAX_PERMITS))
        });
        let places = Arc::new(Semaphore::new(most));
        loop {
            let next = async {
                let place = places.clone().acquire_owned().await;
                (place, self.listener.accept().await)
            };
            tokio::select! {
                () = stopping.cancelled() => return,
                (place, accepted) = next => match accepted {
                    Ok((tcp, peer)) => {
                        let served = self.serve(tcp, peer, routes.clone(), stopping.clone());
                        tokio::spawn(async move {
                            served.await;
                            drop(place);
                        });
                    }
                    Err(error) => {
                        tracing::warn!("cannot accept a connection on {}: {error}", self.port.address);
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
            }
        }
    }

    /// One client from its TLS handshake to its end.
    fn serve(
        &self,
        tcp: TcpStream,
        peer: SocketAddr,
        routes: Router,
        stopping: CancellationToken,
    ) -> impl Future<Output = ()> + Send + 'static {
        let (bounds, handshake) = (self.bounds, self.handshake);
        let tls = self.certificates.as_ref().map(|certificates| certificates.current());
        async move {
            let Some(tls) = tls else {
                return converse(tcp, peer, bounds, routes, stopping).await;
            };
            let shaken = tokio_rustls::TlsAcceptor::from(tls).accept(tcp);
            match tokio::time::timeout(handshake, shaken).await {
                Ok(Ok(stream)) => converse(stream, peer, bounds, routes, stopping).await,
                Ok(Err(error)) => tracing::info!("TLS handshake of HTTP client {peer}: {error}"),
                Err(_) => tracing::info!("TLS handshake of HTTP client {peer} took more than {handshake:?}"),
            }
        }
    }
}

/// Requests and answers of one connection.
async fn converse<S>(stream: S, peer: SocketAddr, bounds: HttpBounds, routes: Router, stopping: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let routes = TowerToHyperService::new(routes);
    let answer = move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        let answered = routes.call(request.map(Body::new));
        async move {
            let late = || (StatusCode::REQUEST_TIMEOUT, [("connection", "close")]).into_response();
            match tokio::time::timeout(bounds.request.duration(), answered).await {
                Ok(answer) => answer,
                Err(_) => Ok::<_, Infallible>(late()),
            }
        }
    };
    let mut http = hyper::server::conn::http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(bounds.head.duration());
    let stream = TokioIo::new(Impatient::new(stream, bounds.stall.duration()));
    let mut conversation = std::pin::pin!(http.serve_connection(stream, hyper::service::service_fn(answer)));
    let ended = tokio::select! {
        ended = conversation.as_mut() => ended,
        () = stopping.cancelled() => {
            conversation.as_mut().graceful_shutdown();
            conversation.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!("HTTP client {peer}: {error}");
    }
}
