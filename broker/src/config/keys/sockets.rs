//! Keys of AMQP listeners, their sockets and TLS, and of the limits of connections.
//! Row order matters only where an exact key stands before a pattern that would match it too.

use super::{Key, key, no_effect, only, refused};
use crate::config::settings::{Config, SocketOptions, TlsOptions, TlsVersion, Verify};
use crate::config::value::{ByteSize, Limit, ListenAddress, Milliseconds, NoneWord};
use std::path::PathBuf;

const ERLANG: &str = "an option of Erlang's sockets; the runtime of this broker has no such thing";

pub(super) fn keys() -> Vec<Key> {
    let mut all = listeners();
    all.extend(limits());
    all.extend(options());
    all.push(
        key("ssl_options", |c: &mut Config, _, _: NoneWord| {
            c.listeners.tls_options = TlsOptions::default()
        })
        .doc("none: forget every ssl_options key."),
    );
    all.extend(tls("ssl_options", |c| &mut c.listeners.tls_options));
    all
}

fn listeners() -> Vec<Key> {
    vec![
        key("listeners.tcp", |c: &mut Config, _, _: NoneWord| {
            c.listeners.tcp.clear()
        })
        .doc("none: no plain AMQP listener."),
        key("listeners.tcp.$name", |c: &mut Config, n, v: ListenAddress| {
            c.listeners.tcp.insert(n[0].clone(), v);
        })
        .defaults(&[("listeners.tcp.default", "5672")])
        .doc("AMQP listener."),
        key("listeners.ssl", |c: &mut Config, _, _: NoneWord| {
            c.listeners.tls.clear()
        })
        .doc("none: no AMQP listener with TLS."),
        key("listeners.ssl.$name", |c: &mut Config, n, v: ListenAddress| {
            c.listeners.tls.insert(n[0].clone(), v);
        })
        .doc("AMQP listener with TLS, usually 5671. Needs ssl_options.certfile and .keyfile."),
        key("ssl_handshake_timeout", |c: &mut Config, _, v: Milliseconds| {
            c.listeners.tls_handshake_timeout = v
        })
        .default("5000")
        .doc("Longest TLS handshake, of AMQP, management and metrics; handshake_timeout begins after it."),
        key("proxy_protocol", |c: &mut Config, _, v: bool| {
            c.listeners.proxy_protocol = v
        })
        .default("false")
        .doc("Whether every AMQP connection starts with a PROXY protocol header, version 1 or 2."),
        only(
            "reverse_dns_lookups",
            &["false"],
            "peers are shown by address; their names are not looked up",
        ),
        no_effect(
            "num_acceptors.$kind",
            "accepting is not a bottleneck here, and not divided among workers",
        ),
        no_effect("socket_writer.gc_threshold", "there is no garbage collector"),
    ]
}

fn limits() -> Vec<Key> {
    vec![
        key("handshake_timeout", |c: &mut Config, _, v: Limit<Milliseconds>| {
            c.amqp.handshake_timeout = v
        })
        .default("10000")
        .hot(|c, now| c.amqp.handshake_timeout = now.amqp.handshake_timeout)
        .doc("Longest time from accepting a connection until it is open."),
        key("heartbeat", |c: &mut Config, _, v: u16| c.amqp.heartbeat_s = v)
            .default("60")
            .hot(|c, now| c.amqp.heartbeat_s = now.amqp.heartbeat_s)
            .doc("Heartbeat that is offered, in seconds; 0 switches heartbeats off."),
        key("frame_max", |c: &mut Config, _, v: ByteSize| {
            c.amqp.frame_bytes_max = clamp(v)
        })
        .default("131072")
        .with(|text| frame_size(text, true))
        .hot(|c, now| c.amqp.frame_bytes_max = now.amqp.frame_bytes_max)
        .doc("Largest frame that is offered; 0 is without limit, else at least 4096."),
        key("initial_frame_max", |c: &mut Config, _, v: ByteSize| {
            c.amqp.initial_frame_bytes_max = clamp(v)
        })
        .default("4096")
        .with(|text| frame_size(text, false))
        .hot(|c, now| c.amqp.initial_frame_bytes_max = now.amqp.initial_frame_bytes_max)
        .doc("Largest frame before tuning; at least 4096."),
        key("channel_max", |c: &mut Config, _, v: u16| c.amqp.channels_max = v)
            .default("2047")
            .hot(|c, now| c.amqp.channels_max = now.amqp.channels_max)
            .doc("Most channels of a connection; 0 is without limit."),
        key("max_channels_per_connection", |c: &mut Config, _, v: u16| {
            c.amqp.channels_max = v
        })
        .hot(|c, now| c.amqp.channels_max = now.amqp.channels_max)
        .doc("Newer name of channel_max."),
        key("channel_max_per_node", |c: &mut Config, _, v| {
            c.amqp.node_channels_max = v
        })
        .default("infinity")
        .hot(|c, now| c.amqp.node_channels_max = now.amqp.node_channels_max)
        .doc("Most channels of this node."),
        key("consumer_max_per_channel", |c: &mut Config, _, v| {
            c.amqp.channel_consumers_max = v
        })
        .default("infinity")
        .hot(|c, now| c.amqp.channel_consumers_max = now.amqp.channel_consumers_max)
        .doc("Most consumers of a channel."),
        key("connection_max", |c: &mut Config, _, v| c.amqp.connections_max = v)
            .default("infinity")
            .hot(|c, now| c.amqp.connections_max = now.amqp.connections_max)
            .doc("Most client connections of this node."),
        key("max_connections", |c: &mut Config, _, v| c.amqp.connections_max = v)
            .hot(|c, now| c.amqp.connections_max = now.amqp.connections_max)
            .doc("Newer name of connection_max."),
        key("ranch_connection_max", |c: &mut Config, _, v| {
            c.listeners.connections_max = v
        })
        .default("infinity")
        .doc("Most connections of each AMQP listener; further ones wait to be accepted."),
        key("max_message_size", |c: &mut Config, _, v| c.amqp.message_bytes_max = v)
            .default("134217728")
            .with(message_size)
            .hot(|c, now| c.amqp.message_bytes_max = now.amqp.message_bytes_max)
            .doc("Largest message body; at most 512 MiB."),
    ]
}

fn clamp(size: ByteSize) -> u32 {
    u32::try_from(size.0).unwrap_or(u32::MAX)
}

fn frame_size(text: &str, zero: bool) -> Result<(), String> {
    use crate::config::value::Value;
    match ByteSize::read(text)?.0 {
        0 if zero => Ok(()),
        4096..=0x7fff_ffff => Ok(()),
        _ if zero => Err("must be 0, or from 4096 to 2147483647 bytes".into()),
        _ => Err("must be from 4096 to 2147483647 bytes".into()),
    }
}

fn message_size(text: &str) -> Result<(), String> {
    use crate::config::value::Value;
    let fits = ByteSize::read(text)?.0 <= 512 << 20;
    fits.then_some(())
        .ok_or_else(|| "must be at most 536870912 bytes (512 MiB)".into())
}

fn options() -> Vec<Key> {
    let mut all = vec![
        key("tcp_listen_options", |c: &mut Config, _, _: NoneWord| {
            c.listeners.socket = SocketOptions {
                backlog: 128,
                nodelay: true,
                linger: true,
                ..SocketOptions::default()
            }
        })
        .doc("none: forget every tcp_listen_options key."),
        key("tcp_listen_options.backlog", |c: &mut Config, _, v| {
            c.listeners.socket.backlog = v
        })
        .default("128")
        .doc("Connections that wait to be accepted."),
        key("tcp_listen_options.nodelay", |c: &mut Config, _, v| {
            c.listeners.socket.nodelay = v
        })
        .default("true")
        .doc("Whether small writes leave at once."),
        key("tcp_listen_options.keepalive", |c: &mut Config, _, v| {
            c.listeners.socket.keepalive = v
        })
        .default("false")
        .doc("Whether TCP keep-alive probes are sent."),
        key("tcp_listen_options.linger.on", |c: &mut Config, _, v| {
            c.listeners.socket.linger = v
        })
        .default("true")
        .doc("Whether a time may be set that the system goes on sending after a close."),
        key("tcp_listen_options.linger.timeout", |c: &mut Config, _, v| {
            c.listeners.socket.linger_s = v
        })
        .default("0")
        .doc(
            "That time in seconds; 0 leaves it to the system. Unlike in RabbitMQ 0 never drops what was not sent yet.",
        ),
        key("tcp_listen_options.sndbuf", |c: &mut Config, _, v| {
            c.listeners.socket.send_buffer = Some(v)
        })
        .doc("Kernel's send buffer; the system's choice when not set."),
        key("tcp_listen_options.recbuf", |c: &mut Config, _, v| {
            c.listeners.socket.receive_buffer = Some(v)
        })
        .doc("Kernel's receive buffer; the system's choice when not set."),
    ];
    let erlang = [
        "buffer",
        "delay_send",
        "dontroute",
        "exit_on_close",
        "fd",
        "high_msgq_watermark",
        "high_watermark",
        "low_msgq_watermark",
        "low_watermark",
        "port",
        "priority",
        "send_timeout",
        "send_timeout_close",
        "tos",
    ];
    all.extend(erlang.map(|name| no_effect(&format!("tcp_listen_options.{name}"), ERLANG)));
    all
}

/// The keys of a TLS listener, which are the same at several places.
pub(super) fn tls(prefix: &str, of: fn(&mut Config) -> &mut TlsOptions) -> Vec<Key> {
    let name = |last: &str| format!("{prefix}.{last}");
    let mut all = vec![
        key(name("cacertfile"), move |c: &mut Config, _, v: PathBuf| {
            of(c).ca_file = Some(v)
        })
        .doc("Certificates that peers are checked against, PEM."),
        key(name("certfile"), move |c: &mut Config, _, v: PathBuf| {
            of(c).cert_file = Some(v)
        })
        .doc("Certificate chain, PEM."),
        key(name("keyfile"), move |c: &mut Config, _, v: PathBuf| {
            of(c).key_file = Some(v)
        })
        .doc("Private key, PEM, not encrypted."),
        key(name("verify"), move |c: &mut Config, _, v: Verify| of(c).verify = v)
            .default("verify_none")
            .doc("Whether a peer's certificate is checked."),
        key(name("fail_if_no_peer_cert"), move |c: &mut Config, _, v: bool| {
            of(c).peer_cert_required = v
        })
        .default("false")
        .doc("Whether a peer must have a certificate."),
        key(name("versions.$version"), move |c: &mut Config, n, v: TlsVersion| {
            of(c).versions.insert(n[0].clone(), v);
        })
        .doc("A version to offer; every safe one when none is named."),
        refused(
            &name("password"),
            "encrypted private keys are not read; decrypt the key file",
        ),
        only(&name("crl_check"), &["false"], "revocation lists are not checked"),
    ];
    let refused_inline = ["cert", "cacerts.$name", "key.*"];
    all.extend(refused_inline.map(|last| refused(&name(last), "inline DER is not read; name a PEM file instead")));
    let library = "the TLS library offers only sound suites, orders and handshakes, and cannot be told otherwise";
    let fixed = [
        "depth",
        "ciphers.$cipher",
        "honor_cipher_order",
        "honor_ecc_order",
        "client_renegotiation",
        "secure_renegotiate",
        "reuse_session",
        "reuse_sessions",
        "dh",
        "dhfile",
        "psk_identity",
        "log_level",
        "log_alert",
        "bypass_pem_cache",
        "sni",
        "hostname_verification",
        "crl_sources.*",
    ];
    all.extend(fixed.map(|last| no_effect(&name(last), library)));
    all
}
