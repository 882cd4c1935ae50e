//! Short strings of methods turned into names, and texts cut to what a short string holds.

use model::{ExchangeName, NameError, QueueName, Refusal, ReplyCode};

/// Names lose carriage returns and line feeds on declare, bind and delete, as in RabbitMQ.
pub(crate) fn stripped(text: &str) -> String {
    text.chars().filter(|c| !matches!(c, '\r' | '\n')).collect()
}

pub(crate) fn queue_name(text: &str) -> Result<QueueName, Refusal> {
    text.parse().map_err(too_long)
}

pub(crate) fn exchange_name(text: &str) -> Result<ExchangeName, Refusal> {
    text.parse().map_err(too_long)
}

/// A short string has at most 255 octets on the wire, so this is a frame that cannot be.
fn too_long(error: NameError) -> Refusal {
    Refusal::connection(ReplyCode::FrameError, error.to_string())
}
