//! Answering other nodes: introductions are judged, then each question is answered as soon as its answer is there.
//!
//! Bounded: so many questions of one connection at a time; the next is read when one is answered. A connection on which
//! nothing comes, not even a ping, is closed. When the node's store is replaced or stops, its connections end.

use std::{io, sync::Arc, time::Duration};
use tokio::{
    net::{TcpStream, tcp::OwnedWriteHalf},
    sync::{Mutex, Semaphore},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use super::packet::{self, Kind, invalid};
use crate::{
    cluster::transport::{CALL_BYTES_MAX, Introduction, Reply, Request, Service, Turned},
    peer::stream::{read_frame, write_frame},
};

/// Questions of one connection that are answered at a time.
const AT_ONCE_MAX: usize = 64;
/// Patience with introductions and with writes.
const PATIENCE: Duration = Duration::from_secs(10);
/// Silence after which a connection is closed; the other end shows itself more often.
const SILENCE: Duration = Duration::from_secs(15);

/// What answers, and until when.
#[derive(Clone)]
pub(in crate::peer) struct Serving {
    pub(in crate::peer) service: Arc<dyn Service>,
    pub(in crate::peer) ended: CancellationToken,
}

/// Serves a node that has proven the secret. Without anything that could answer, it is told `absent`. The error is why it
/// was turned away.
pub(in crate::peer) async fn serve(mut tcp: TcpStream, serving: Result<Serving, Turned>) -> Result<(), String> {
    let who = hear_introduction(&mut tcp).await.map_err(|error| error.to_string())?;
    let admitted = match &serving {
        Ok(serving) => serving.service.admit(&who),
        Err(absent) => Err(absent.clone()),
    };
    let answer = match (&serving, &admitted) {
        (Ok(serving), Ok(())) => Ok(serving.service.introduction()),
        (_, Err(why)) | (Err(why), Ok(())) => Err(why.clone()),
    };
    say(&mut tcp, Kind::Introduction, 0, &answer)
        .await
        .map_err(|error| error.to_string())?;
    admitted.map_err(|why| format!("node {}: {why}", who.name))?;
    if let Ok(serving) = serving {
        tokio::select! {
            () = serving.ended.cancelled() => {}
            ended = converse(tcp, serving.service, &who) => tracing::debug!("node {} is gone: {ended:?}", who.name),
        }
    }
    Ok(())
}

async fn hear_introduction(tcp: &mut TcpStream) -> io::Result<Introduction> {
    let octets = read_frame(tcp, link::HANDSHAKE_BYTES_MAX, PATIENCE).await?;
    let octets = octets.ok_or(io::ErrorKind::UnexpectedEof)?;
    match packet::read(&octets)? {
        (Kind::Introduction, _, words) => packet::words(words),
        (Kind::Request | Kind::Reply, ..) => Err(invalid("an introduction was due")),
    }
}

async fn say(
    to: &mut (impl tokio::io::AsyncWrite + Unpin),
    kind: Kind,
    number: u64,
    words: &impl serde::Serialize,
) -> io::Result<()> {
    let octets = packet::write(kind, number, words)?;
    write_frame(to, &octets, CALL_BYTES_MAX, PATIENCE).await
}

async fn converse(tcp: TcpStream, service: Arc<dyn Service>, who: &Introduction) -> io::Result<()> {
    let (mut reader, writer) = tcp.into_split();
    let (writer, slots) = (Arc::new(Mutex::new(writer)), Arc::new(Semaphore::new(AT_ONCE_MAX)));
    let mut answers = JoinSet::new();
    loop {
        while let Some(answered) = answers.try_join_next() {
            answered.map_err(io::Error::other)??;
        }
        // The semaphore is never closed.
        let slot = slots.clone().acquire_owned().await.map_err(io::Error::other)?;
        let Some(octets) = read_frame(&mut reader, CALL_BYTES_MAX, SILENCE).await? else {
            return Ok(());
        };
        let (kind, number, words) = packet::read(&octets)?;
        if kind != Kind::Request {
            return Err(invalid("a question was due"));
        }
        let request = packet::words::<Request>(words);
        let (service, who, writer) = (service.clone(), who.clone(), writer.clone());
        answers.spawn(async move {
            let _slot = slot;
            let reply = match request {
                Ok(request) => answer(&*service, &who, request).await,
                Err(_) => Reply::Unknown,
            };
            send(&writer, number, &reply).await
        });
    }
}

async fn answer(service: &dyn Service, who: &Introduction, request: Request) -> Reply {
    if who.guest && !request.is_for_guests() {
        let (name, node) = (who.name.clone(), who.node);
        return Reply::Turned(Turned::Unknown { name, node });
    }
    service.answer(who, request).await
}

async fn send(writer: &Mutex<OwnedWriteHalf>, number: u64, reply: &Reply) -> io::Result<()> {
    say(&mut *writer.lock().await, Kind::Reply, number, reply).await
}
