//! What clients and tools ask of a node: requests that are decided on the node's own, perhaps old, definitions, and commands
//! that tools and leaders of queues make of what they know.

use crate::chance::Chance;
use crate::member::Member;
use catalog::{
    Catalog, Client, Command, Conditions, CopyState, Decision, DeclareExchange, DeclareQueue, Definitions, MirrorAct,
    MirrorChange, MirrorsProposal, PolicySpec, QueueRecord, Request, VhostMetadata, decide,
};
use model::{ApplyTo, ConnectionId, PolicyLevel, Table, Value};
use routing::{Binding, Destination};

/// Names are few, so that clients get into each other's way.
const NAMES: u64 = 6;
const VHOSTS: [&str; 2] = ["/", "v"];

/// The definitions of a cluster that begins.
pub(crate) fn first(member: &Member) -> Vec<Command> {
    let all = || ".*".to_owned();
    let texts = access::PermissionTexts {
        configure: all(),
        write: all(),
        read: all(),
    };
    let first = Definitions::first("/".parse().unwrap(), user("ann"), texts);
    let (name, user) = (member.name.as_str().into(), "ann".parse().unwrap());
    first.commands(&Catalog::default(), &name, &user)
}

fn user(name: &str) -> access::User {
    access::User {
        name: name.parse().unwrap(),
        password: access::PasswordHash::none(access::HashAlgorithm::Sha256),
        tags: vec![],
        limits: access::UserLimits::default(),
    }
}

fn client(member: &Member, chance: &mut Chance) -> Client {
    Client {
        user: "ann".parse().unwrap(),
        vhost: VHOSTS[usize::from(chance.once_in(5))].parse().unwrap(),
        connection: ConnectionId(1 + chance.below(3)),
        node: member.name.as_str().into(),
    }
}

/// What somebody on this node wants now; nothing if it is refused there, or so already.
pub(crate) fn want(member: &Member, chance: &mut Chance) -> Option<Command> {
    match chance.below(20) {
        0..=10 => {
            let client = client(member, chance);
            match decide(&member.replica.catalog, &client, request(chance)) {
                Ok(Decision::Commit(command) | Decision::CommitIf(command, ..)) => Some(command),
                Ok(Decision::Unchanged(_)) | Err(_) => None,
            }
        }
        11 => Some(Command::ConnectionClosed(client(member, chance).owner())),
        12..=13 => Some(tool(chance)),
        14 => Some(policy(chance)),
        _ => copies(member, chance),
    }
}

fn name(prefix: &str, chance: &mut Chance) -> String {
    format!("{prefix}{}", chance.below(NAMES))
}

fn request(chance: &mut Chance) -> Request {
    match chance.below(10) {
        0..=4 => Request::DeclareQueue(DeclareQueue {
            name: name("q", chance).parse().unwrap(),
            generated: "amq.gen-1".parse().unwrap(),
            passive: false,
            durable: !chance.once_in(3),
            exclusive: chance.once_in(6),
            auto_delete: chance.once_in(6),
            arguments: Table::default(),
        }),
        5 => Request::DeleteQueue {
            name: name("q", chance).parse().unwrap(),
            conditions: Conditions::default(),
        },
        6 => Request::DeclareExchange(DeclareExchange {
            name: name("x", chance).parse().unwrap(),
            kind: ["direct", "fanout", "topic"][chance.below(3) as usize].to_owned(),
            passive: false,
            durable: !chance.once_in(3),
            auto_delete: chance.once_in(3),
            internal: false,
            arguments: Table::default(),
        }),
        7 => Request::DeleteExchange {
            name: name("x", chance).parse().unwrap(),
            if_unused: chance.once_in(2),
        },
        8 => Request::Bind(binding(chance)),
        _ => Request::Unbind(binding(chance)),
    }
}

fn binding(chance: &mut Chance) -> Binding {
    let destination = if chance.once_in(4) {
        Destination::Exchange(name("x", chance).parse().unwrap())
    } else {
        Destination::Queue(name("q", chance).parse().unwrap())
    };
    let source = name("x", chance).parse().unwrap();
    Binding::new(source, destination, b"key", Table::default())
}

fn tool(chance: &mut Chance) -> Command {
    let vhost = "v".parse().unwrap();
    match chance.below(8) {
        0..=1 => Command::PutVhost {
            name: vhost,
            metadata: VhostMetadata::default(),
        },
        2 => Command::DeleteVhost(vhost),
        3 => Command::AddUser(user(&name("u", chance))),
        4 => Command::PutUser(user(&name("u", chance))),
        5 => Command::DeleteUser(name("u", chance).parse().unwrap()),
        6 => Command::SetPermissions {
            vhost,
            user: "ann".parse().unwrap(),
            permissions: access::PermissionTexts {
                configure: ".*".to_owned(),
                write: ".*".to_owned(),
                read: ".*".to_owned(),
            },
        },
        _ => Command::SetGlobalParameter {
            name: name("g", chance).as_str().into(),
            value: Value::I64(chance.below(100) as i64),
        },
    }
}

/// A policy that wants copies, or something else, or its end.
fn policy(chance: &mut Chance) -> Command {
    let (vhost, level, name) = (
        "/".parse().unwrap(),
        PolicyLevel::User,
        name("p", chance).as_str().into(),
    );
    if chance.once_in(3) {
        return Command::ClearPolicy { vhost, level, name };
    }
    let definition = match chance.below(5) {
        0..=1 => Table::from([("ha-mode", "all".into())]),
        2 => Table::from([("ha-mode", "exactly".into()), ("ha-params", Value::I64(2))]),
        3 => Table::from([
            ("ha-mode", "nodes".into()),
            ("ha-params", Value::Array(vec!["n1@h".into(), "n2@h".into()])),
        ]),
        _ => Table::from([("max-length", Value::I64(10))]),
    };
    Command::SetPolicy(PolicySpec {
        vhost,
        level,
        name,
        pattern: ["^q", "^q[0-2]", "^x"][chance.below(3) as usize].to_owned(),
        apply_to: ApplyTo::All,
        priority: chance.below(3) as i64,
        definition,
    })
}

/// What this process would propose for a queue of which it believes to be the leader.
fn copies(member: &Member, chance: &mut Chance) -> Option<Command> {
    let catalog = &member.replica.catalog;
    let own = |queue: &&std::sync::Arc<QueueRecord>| {
        let replicas = queue.replicas.as_deref();
        replicas.is_some_and(|replicas| replicas.is_led_by(member.uuid, member.incarnation))
    };
    let led: Vec<_> = catalog.queues().filter(own).collect();
    let record = led.get(chance.below(led.len().max(1) as u64) as usize)?;
    let replicas = record.replicas.as_deref()?;
    let nodes: Vec<_> = catalog.nodes().collect();
    let node = nodes.get(chance.below(nodes.len() as u64) as usize)?;
    let (node, incarnation) = (node.uuid, node.incarnation);
    let act = match (replicas.copy(node), chance.below(8)) {
        (_, 0) => MirrorAct::Evict(node),
        (Some(CopyState::InSync { .. }), 1..=3) => MirrorAct::HandOver { node, incarnation },
        (None, _) => MirrorAct::AddCopy(node),
        (Some(_), 1) => MirrorAct::RemoveCopy(node),
        (Some(_), _) => MirrorAct::AddInSync { node, incarnation },
    };
    Some(Command::Mirrors(MirrorsProposal {
        node: member.uuid,
        incarnation: member.incarnation,
        changes: vec![MirrorChange {
            queue: record.id,
            epoch: replicas.epoch,
            version: replicas.version,
            act,
        }],
    }))
}
