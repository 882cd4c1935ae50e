//! What an exchange declaration must satisfy, and which exchanges every virtual host begins with.
//!
//! Used twice: to decide on a snapshot, and again where the command is applied.

use crate::command::ExchangeSpec;
use crate::record::ExchangeRecord;
use crate::texts;
use model::{ExchangeArgs, ExchangeKind, ExchangeName, Refusal, Table, UserName, VhostName};

/// Exchanges that nobody declares: name, type, internal.
pub(crate) const PREDECLARED: [(&str, ExchangeKind, bool); 7] = [
    ("", ExchangeKind::Direct, false),
    ("amq.direct", ExchangeKind::Direct, false),
    ("amq.fanout", ExchangeKind::Fanout, false),
    ("amq.headers", ExchangeKind::Headers, false),
    ("amq.match", ExchangeKind::Headers, false),
    ("amq.rabbitmq.trace", ExchangeKind::Topic, true),
    ("amq.topic", ExchangeKind::Topic, false),
];

/// Who owns what nobody declared.
const INTERNAL_USER: &str = "rmq-internal";

pub(crate) fn predeclared(vhost: &VhostName, name: ExchangeName, kind: ExchangeKind, internal: bool) -> ExchangeRecord {
    ExchangeRecord {
        vhost: vhost.clone(),
        name,
        kind,
        durable: true,
        auto_delete: false,
        internal,
        // Without arguments there is nothing to refuse.
        args: ExchangeArgs::parse(kind, Table::default()).unwrap_or_default(),
        user: internal_user(),
        policy: None,
        operator_policy: None,
    }
}

fn internal_user() -> UserName {
    // A name of 12 octets always parses.
    INTERNAL_USER.parse().unwrap_or_default()
}

/// Reads the type's name.
pub(crate) fn kind(text: &str) -> Result<ExchangeKind, Refusal> {
    text.parse()
        .map_err(|_| texts::precondition(format!("unknown exchange type '{text}'")))
}

/// A type as Erlang prints its name: in quotes of its own unless it is one plain word.
fn atom(kind: ExchangeKind) -> String {
    let name = kind.as_str();
    if name.contains('-') {
        format!("'{name}'")
    } else {
        name.to_owned()
    }
}

/// Compares a declaration with the exchange that has the name.
pub(crate) fn check_equivalent(exchange: &ExchangeRecord, spec: &ExchangeSpec) -> Result<(), Refusal> {
    let title = exchange.title();
    if exchange.kind != spec.kind {
        return Err(texts::differs("type", &title, atom(spec.kind), atom(exchange.kind)));
    }
    let flags = [
        ("durable", spec.durable, exchange.durable),
        ("auto_delete", spec.auto_delete, exchange.auto_delete),
        ("internal", spec.internal, exchange.internal),
    ];
    if let Some((flag, received, current)) = flags.into_iter().find(|(_, received, current)| received != current) {
        return Err(texts::differs(flag, &title, received, current));
    }
    let compared = exchange.args.check_redeclared(&spec.arguments);
    compared.map_err(|difference| texts::precondition(difference.text(&title)))
}

/// Reads the arguments of a new exchange.
pub(crate) fn check_new(
    vhost: &VhostName,
    name: &str,
    kind: ExchangeKind,
    args: &Table,
) -> Result<ExchangeArgs, Refusal> {
    let parsed = ExchangeArgs::parse(kind, args.clone());
    parsed.map_err(|error| texts::precondition(error.text(&texts::exchange_title(vhost, name))))
}
