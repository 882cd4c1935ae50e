//! Frames over a socket, with a bound and a deadline for each.
//!
//! Knows no message. An error means that the connection is over.

use link::{FRAME_HEADER_BYTES, FrameHeader};
use std::{io, time::Duration};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

/// Reads one frame's content of at most `max` octets; `None` when the peer has closed between frames.
pub async fn read_frame(
    from: &mut (impl AsyncRead + Unpin),
    max: usize,
    patience: Duration,
) -> io::Result<Option<Vec<u8>>> {
    timeout(patience, read(from, max)).await?
}

async fn read(from: &mut (impl AsyncRead + Unpin), max: usize) -> io::Result<Option<Vec<u8>>> {
    let mut header = [0; FRAME_HEADER_BYTES];
    if from.read(&mut header[..1]).await? == 0 {
        return Ok(None);
    }
    from.read_exact(&mut header[1..]).await?;
    let header = FrameHeader::read(header, max).map_err(invalid)?;
    let mut content = Vec::new();
    // Grows with what arrives, not with what was announced.
    let read = from.take(header.bytes as u64).read_to_end(&mut content).await?;
    if read < header.bytes {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    header.check(&content).map_err(invalid)?;
    Ok(Some(content))
}

/// Writes one frame.
pub async fn write_frame(
    to: &mut (impl AsyncWrite + Unpin),
    content: &[u8],
    max: usize,
    patience: Duration,
) -> io::Result<()> {
    let octets = link::frame(content, max).map_err(invalid)?;
    timeout(patience, to.write_all(&octets)).await?
}

/// Writes octets of any length as frames, each with its deadline.
pub async fn write_frames(
    to: &mut (impl AsyncWrite + Unpin),
    octets: &[u8],
    max: usize,
    patience: Duration,
) -> io::Result<()> {
    for content in octets.chunks(max) {
        write_frame(to, content, max, patience).await?;
    }
    Ok(())
}

fn invalid(error: impl std::error::Error + Send + Sync + 'static) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}
