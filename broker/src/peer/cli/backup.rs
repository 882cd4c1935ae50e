//! A copy of the node for who asks for one: what there is to come, then file by file in bounded pieces.
//!
//! Nothing is kept in memory but the piece that is being sent and the definitions. Who does not read for ten minutes
//! loses the connection, and with it what held the files.

use link::{Failure, REPLY_BYTES_MAX, Reply, Term};
use std::{io, sync::Arc};
use tokio::net::TcpStream;

use super::{PATIENCE, reply};
use crate::{
    host::{Image, ImageFile, Node},
    peer::stream::write_frame,
};

/// Octets of a piece.
const PIECE_BYTES: usize = 1 << 20;

/// Sends the copy.
pub(super) async fn send(tcp: &mut TcpStream, node: &Node) -> io::Result<()> {
    let image = match node.image().await {
        Ok(image) => Arc::new(image),
        Err(why) => return refuse(tcp, format!("{why:#}")).await,
    };
    let octets = image.files.iter().map(ImageFile::octets).sum();
    let files = image.files.len() as u64;
    reply(tcp, &Reply::Image { files, octets }).await?;
    for place in 0..image.files.len() {
        if let Some(why) = send_file(tcp, &image, place).await? {
            return refuse(tcp, why).await;
        }
    }
    reply(tcp, &Reply::Done(Term::none())).await
}

async fn refuse(tcp: &mut TcpStream, why: String) -> io::Result<()> {
    tracing::error!("the copy of this node failed: {why}");
    reply(tcp, &Reply::Failed(Failure::Refused(why))).await
}

/// Sends one file; why it could not be read, if so.
async fn send_file(tcp: &mut TcpStream, image: &Arc<Image>, place: usize) -> io::Result<Option<String>> {
    let Some(file) = image.files.get(place).cloned() else {
        return Ok(None);
    };
    let (path, octets) = (file.path.clone(), file.octets());
    reply(tcp, &Reply::File { path, octets }).await?;
    let mut offset = 0;
    while offset < octets {
        let (image, file) = (image.clone(), file.clone());
        let read = tokio::task::spawn_blocking(move || image.read(&file, offset, PIECE_BYTES)).await;
        let piece = match read.map_err(io::Error::other)? {
            Ok(piece) => piece,
            Err(error) => return Ok(Some(error.to_string())),
        };
        offset += piece.len() as u64;
        reply(tcp, &Reply::Octets(piece.len() as u64)).await?;
        write_frame(tcp, &piece, REPLY_BYTES_MAX, PATIENCE).await?;
    }
    Ok(None)
}
