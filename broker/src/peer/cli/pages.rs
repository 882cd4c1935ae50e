//! What the management API of this node shows another node: the text in pieces, at the end the status.

use link::{Failure, Reply, Term};
use std::io;
use tokio::net::TcpStream;

use super::{last, reply};
use crate::{management, process::Running};

/// Octets of text in one piece; as JSON it is at most six times as long.
const PIECE_BYTES: usize = 512 * 1024;

pub(super) async fn send(tcp: &mut TcpStream, app: &Running, page: link::Page) -> io::Result<()> {
    let routes = app.services.pages().clone();
    let answered = app.handle.spawn(management::answer_node(routes, page)).await;
    let (status, text) = match answered
        .map_err(|error| error.to_string())
        .and_then(|answered| answered)
    {
        Ok(answered) => answered,
        Err(why) => return reply(tcp, &last(Err(Failure::Refused(why)))).await,
    };
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (piece, further) = rest.split_at(rest.floor_char_boundary(PIECE_BYTES));
        reply(tcp, &Reply::Rows(vec![vec![Term::text(piece)]])).await?;
        rest = further;
    }
    reply(tcp, &last(Ok(Term::count(status)))).await
}
