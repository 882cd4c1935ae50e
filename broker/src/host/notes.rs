//! Log lines about connections, worded so that what people grep for in RabbitMQ's log is found here too.

use session::Note;

use super::client::Client;

/// Writes one line for a note of a connection's machine.
pub fn log(client: &Client, note: &Note<'_>) {
    let connection = client.name();
    match note {
        Note::BadHeader { seen } => {
            tracing::warn!(
                connection,
                "closing AMQP connection: bad header {}",
                seen.escape_ascii()
            );
        }
        Note::HandshakeFailed { reason } => {
            tracing::warn!(
                connection,
                "closing AMQP connection: handshake failed: {}",
                reason.escape_debug()
            );
        }
        Note::ChannelError {
            channel,
            method,
            refusal,
        } => {
            tracing::error!(
                connection,
                channel,
                "operation {}.{} caused a channel exception {}: {}",
                method.0,
                method.1,
                refusal.code.name().to_lowercase(),
                refusal.text
            );
        }
        Note::ConnectionError { refusal } => {
            tracing::error!(connection, "closing AMQP connection for an error: {refusal}");
        }
    }
}
