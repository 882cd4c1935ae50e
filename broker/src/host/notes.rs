//! Log lines about connections, worded as RabbitMQ words them, so that what parses its log reads ours.
//!
//! What a client chooses is shown without control characters: nobody can forge a line.

use session::Note;
use std::borrow::Cow;

use super::client::Client;

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// By the protocol, or for an error that has been told.
    Orderly,
    /// The client was gone.
    Unexpected,
    /// All has been said.
    Told,
}

/// The first octets have come: who connects only to see whether the port is open is no client.
pub fn accepted(client: &Client) {
    let pid = client.pid();
    tracing::info!(target: "connection", pid, "accepting AMQP connection {pid} ({})", client.name());
}

/// A client has said its name.
pub fn named(client: &Client) {
    if let Some(name) = client.given_name() {
        let pid = client.pid();
        let name = shown(name);
        tracing::info!(target: "connection", pid, "connection {pid} ({}) has a client-provided name: {name}",
            client.name());
    }
}

/// A client may work.
pub fn granted(client: &Client) {
    let (pid, title) = (client.pid(), title(client));
    client.with_profile(|profile| {
        tracing::info!(target: "connection", pid,
            "connection {pid} ({title}): user '{}' authenticated and granted access to vhost '{}'",
            shown(profile.user.as_str()), shown(profile.vhost.as_str()));
    });
}

/// The connection has ended.
pub fn closed(client: &Client, ending: Ending) {
    let (pid, whom) = (client.pid(), whom(client));
    match ending {
        Ending::Orderly => tracing::info!(target: "connection", pid, "closing AMQP connection {pid} ({whom})"),
        Ending::Unexpected => tracing::warn!(target: "connection", pid,
            "closing AMQP connection {pid} ({whom}):\nclient unexpectedly closed TCP connection"),
        Ending::Told => {}
    }
}

/// Nothing has been heard from the client for too long.
pub fn silent(client: &Client, seconds: u16) {
    let (pid, title) = (client.pid(), title(client));
    tracing::error!(target: "connection", pid,
        "closing AMQP connection {pid} ({title}):\nmissed heartbeats from client, timeout: {seconds}s");
}

/// The handshake took too long.
pub fn slow(client: &Client, has_begun: bool) {
    let awaited = if has_begun { "frame_header" } else { "handshake" };
    broken(client, &format!("{{handshake_timeout,{awaited}}}"));
}

/// TLS came to nothing: the client's certificate is not taken, the client does not take ours, or it speaks something else.
pub fn not_secured(client: &Client, why: &std::io::Error) {
    tracing::warn!(target: "connection", pid = client.pid(), "TLS server: handshake of {} failed: {why}", client.name());
}

fn broken(client: &Client, why: &str) {
    let (pid, title) = (client.pid(), title(client));
    tracing::error!(target: "connection", pid, "closing AMQP connection {pid} ({title}):\n{why}");
}

/// Writes what a connection's machine has noted.
pub fn log(client: &Client, note: &Note<'_>) {
    let pid = client.pid();
    match note {
        Note::BadHeader { seen } => broken(client, &format!("{{bad_header,{}}}", binary(seen))),
        Note::HandshakeFailed { reason } => {
            broken(client, &format!("{{handshake_error,starting,0,{}}}", quoted(reason)));
        }
        Note::LoginRefused { mechanism, reason } => {
            let (title, reason) = (title(client), shown(reason));
            tracing::error!(target: "connection", pid,
                "Error on AMQP connection {pid} ({title}, state: starting):\n{mechanism} login refused: {reason}");
        }
        Note::NotOpened { refusal } => {
            let (title, text) = (title(client), shown(&refusal.text));
            let user = client.user().map(|user| shown(user.as_str())).unwrap_or_default();
            tracing::error!(target: "connection", pid,
                "Error on AMQP connection {pid} ({title}, user: '{user}', state: opening):\n{text}");
        }
        Note::ChannelError {
            channel,
            method,
            refusal,
        } => {
            let (whom, text) = (whom(client), shown(&refusal.text));
            let (method, code) = (name(*method), refusal.code.name().to_lowercase());
            tracing::error!(target: "channel", pid = client.channel_pid(*channel),
                "Channel error on connection {pid} ({whom}), channel {channel}:\n\
                 operation {method} caused a channel exception {code}: {text}");
        }
        Note::ConnectionError {
            channel,
            method,
            refusal,
        } => {
            let (whom, text) = (whom(client), quoted(&refusal.text));
            let (method, code) = (name(*method), refusal.code.name().to_lowercase());
            tracing::error!(target: "connection", pid,
                "Error on AMQP connection {pid} ({whom}, state: running), channel {channel}:\n \
                 operation {method} caused a connection exception {code}: {text}");
        }
    }
}

fn name((class, method): (u16, u16)) -> &'static str {
    wire::method_name(class, method)
}

/// Its two ends, and the name that the client has given itself.
fn title(client: &Client) -> String {
    match client.given_name() {
        Some(name) => format!("{} - {}", client.name(), shown(name)),
        None => client.name(),
    }
}

/// The same with user and virtual host, as far as they are known.
fn whom(client: &Client) -> String {
    let title = title(client);
    let Some(user) = client.user() else { return title };
    let vhost = client.with_profile(|profile| profile.vhost.clone());
    let vhost = vhost.as_ref().map_or("none", |vhost| vhost.as_str());
    format!("{title}, vhost: '{}', user: '{}'", shown(vhost), shown(user.as_str()))
}

/// A text that others have chosen: control characters are escaped.
fn shown(text: &str) -> Cow<'_, str> {
    if !text.chars().any(char::is_control) {
        return text.into();
    }
    let mut out = String::new();
    for c in text.chars() {
        match c.is_control() {
            true => out.extend(c.escape_default()),
            false => out.push(c),
        }
    }
    out.into()
}

/// As Erlang prints a string.
fn quoted(text: &str) -> String {
    let inner = shown(text).replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{inner}\"")
}

/// As Erlang prints a binary.
fn binary(octets: &[u8]) -> String {
    let is_text = octets.iter().all(|octet| matches!(octet, b' '..=b'~'));
    let numbers = || octets.iter().map(u8::to_string).collect::<Vec<_>>().join(",");
    match is_text && !octets.is_empty() {
        true => format!("<<{}>>", quoted(&String::from_utf8_lossy(octets))),
        false => format!("<<{}>>", numbers()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_chooses_cannot_begin_a_line() {
        assert_eq!(shown("a\nb\u{1b}[1mä"), "a\\nb\\u{1b}[1mä");
        assert_eq!(shown("my app"), "my app");
    }

    #[test]
    fn octets_that_are_no_header_are_shown_as_erlang_shows_them() {
        assert_eq!(binary(b"GET / HT"), "<<\"GET / HT\">>");
        assert_eq!(binary(&[22, 3, 1, 0]), "<<22,3,1,0>>");
        assert_eq!(quoted("a \"b\""), "\"a \\\"b\\\"\"");
    }
}
