//! Lists: rows of the columns that are asked for, sent in bounded pieces while they are made.
//!
//! A list is what the published state holds; live numbers are those of the moment each object is looked at.

use ::access::{Permissions, TopicPermissions, User};
use catalog::{Catalog, Policy, Vhost};
use link::{Failure, Listing, Reply, Request, Term, Which};
use std::{sync::Arc, time::Duration};
use tokio::sync::mpsc;

use super::{Outcome, existing_user, existing_vhost, features, objects, parameters::model_level, unresponsive};
use crate::host::{CLUSTER_ID, Node};

/// Octets of text in one piece; as JSON it is at most six times as long.
const PIECE_BYTES: usize = 512 * 1024;

/// Rows on their way to the tool.
pub(super) struct Rows<'a> {
    pub(super) columns: &'a [String],
    frames: &'a mpsc::Sender<Reply>,
    waiting: Vec<Vec<Term>>,
    waiting_bytes: usize,
}

impl Rows<'_> {
    /// Adds an object's row; `column` gives the value of a column, or `None` if the object has no such column.
    pub(super) fn add(&mut self, mut column: impl FnMut(&str) -> Option<Term>) -> Result<(), Failure> {
        let unknown = |name: &String| Failure::Refused(format!("column {name} is not known to this node"));
        let row: Vec<Term> = self
            .columns
            .iter()
            .map(|name| column(name).ok_or_else(|| unknown(name)))
            .collect::<Result<_, _>>()?;
        self.waiting_bytes += row.iter().map(weight).sum::<usize>();
        self.waiting.push(row);
        match self.waiting_bytes >= PIECE_BYTES {
            true => self.send(),
            false => Ok(()),
        }
    }

    /// Sends what is there, then has somebody else's rows follow.
    pub(super) fn pass_on<T>(&mut self, others: impl FnOnce(mpsc::Sender<Reply>) -> T) -> Result<T, Failure> {
        self.send()?;
        Ok(others(self.frames.clone()))
    }

    fn send(&mut self) -> Result<(), Failure> {
        self.waiting_bytes = 0;
        let rows = std::mem::take(&mut self.waiting);
        // The tool is gone: nobody reads this failure, it only ends the work.
        let gone = |_| Failure::Refused("the tool has closed its connection".into());
        match rows.is_empty() {
            true => Ok(()),
            false => self.frames.blocking_send(Reply::Rows(rows)).map_err(gone),
        }
    }
}

/// About the octets of a value; tables are no deeper than the frames they came in allowed.
fn weight(term: &Term) -> usize {
    16 + match term {
        Term::Atom(text) | Term::Binary(text) | Term::Pid(text) => text.len(),
        Term::Integer(_) | Term::Float(_) | Term::Bool(_) => 0,
        Term::List(items) => items.iter().map(weight).sum(),
        Term::Map(pairs) => pairs.iter().map(|(key, value)| key.len() + weight(value)).sum(),
        Term::Table(rows) => rows.iter().map(|(key, _, value)| key.len() + 16 + weight(value)).sum(),
    }
}

pub(super) fn list(node: &Node, what: Listing, columns: &[String], frames: &mpsc::Sender<Reply>) -> Outcome {
    let mut rows = Rows {
        columns,
        frames,
        waiting: Vec::new(),
        waiting_bytes: 0,
    };
    let catalog = node.snapshot().catalog.clone();
    let (what, is_whole) = match what {
        Listing::Here(what) => (*what, false),
        what => (what, true),
    };
    let others = share(&what).filter(|_| is_whole);
    match what {
        // Queues whose nodes are away are listed once, by the node that the tool asks.
        Listing::Queues(vhost) => {
            let which = (!is_whole).then_some(Which::Local);
            objects::queues(node, &catalog, &vhost, which, &mut rows)?;
        }
        Listing::QueuesThat(vhost, which) => objects::queues(node, &catalog, &vhost, Some(which), &mut rows)?,
        Listing::UnresponsiveQueues { vhost, local, millis } => {
            let looked = unresponsive::Looked {
                vhost,
                local,
                patience: Duration::from_millis(millis),
            };
            unresponsive::queues(node, &catalog, &looked, &mut rows)?;
        }
        Listing::Exchanges(vhost) => objects::exchanges(&catalog, &vhost, &mut rows)?,
        Listing::Bindings(vhost) => objects::bindings(&catalog, &vhost, &mut rows)?,
        Listing::Consumers(vhost) => objects::consumers(node, &catalog, &vhost, &mut rows)?,
        Listing::Connections => objects::connections(node, &mut rows)?,
        Listing::Channels => objects::channels(node, &mut rows)?,
        definitions => list_definitions(node, &catalog, definitions, &mut rows)?,
    }
    rows.send()?;
    if let Some(theirs) = others {
        ask_others(node, &theirs, columns, frames);
    }
    Ok(Term::none())
}

/// What other nodes are asked for; nothing where this one has all.
fn share(what: &Listing) -> Option<Listing> {
    let theirs = match what {
        Listing::QueuesThat(vhost, Which::Online) => Listing::Queues(vhost.clone()),
        Listing::Queues(_) | Listing::Consumers(_) | Listing::Connections | Listing::Channels => what.clone(),
        _ => return None,
    };
    Some(Listing::Here(Box::new(theirs)))
}

/// The other nodes' shares. A node that does not answer is missing in the list and named in the log.
fn ask_others(node: &Node, what: &Listing, columns: &[String], frames: &mpsc::Sender<Reply>) {
    let runtime = tokio::runtime::Handle::current();
    for other in node.snapshot().other_nodes() {
        let request = Request::List {
            what: what.clone(),
            columns: columns.to_vec(),
        };
        if let Err(failure) = runtime.block_on(node.ask_node(&other, request, Some(frames.clone()))) {
            tracing::warn!("a list is not complete: {failure:?}");
        }
    }
}

fn list_definitions(node: &Node, catalog: &Catalog, what: Listing, rows: &mut Rows<'_>) -> Result<(), Failure> {
    match what {
        Listing::Users => catalog
            .access()
            .users()
            .try_for_each(|user| rows.add(|column| user_column(user, column))),
        Listing::Vhosts => catalog
            .vhosts()
            .try_for_each(|vhost| rows.add(|column| vhost_column(node, vhost, column))),
        Listing::Permissions(vhost) => {
            let vhost = existing_vhost(node, &vhost)?;
            permissions(catalog, rows, |of, _| *of == vhost)
        }
        Listing::UserPermissions(user) => {
            let user = existing_user(node, &user)?;
            permissions(catalog, rows, |_, of| *of == user.name)
        }
        Listing::TopicPermissions(vhost) => {
            let vhost = existing_vhost(node, &vhost)?;
            topics(catalog, rows, |of, _| *of == vhost)
        }
        Listing::UserTopicPermissions(user) => {
            let user = existing_user(node, &user)?;
            topics(catalog, rows, |_, of| *of == user.name)
        }
        Listing::Policies(vhost, level) => {
            existing_vhost(node, &vhost)?;
            policies(catalog, &vhost, model_level(level), rows)
        }
        Listing::Parameters(vhost) => {
            existing_vhost(node, &vhost)?;
            parameters(catalog, &vhost, rows)
        }
        Listing::GlobalParameters => global_parameters(node, catalog, rows),
        Listing::FeatureFlags => {
            features::flags().try_for_each(|flag| rows.add(|column| features::flag_column(flag, column)))
        }
        Listing::DeprecatedFeatures { used } => features::deprecated(node, used)
            .try_for_each(|feature| rows.add(|column| features::deprecated_column(feature, column))),
        Listing::VhostLimits(vhost) => vhost_limits(node, catalog, vhost.as_deref(), rows),
        Listing::UserLimits(user) => user_limits(node, catalog, user.as_deref(), rows),
        _ => Err(Failure::Unknown),
    }
}

fn user_column(user: &User, column: &str) -> Option<Term> {
    match column {
        "user" => Some(Term::text(user.name.as_str())),
        "tags" => Some(Term::List(user.tags.iter().map(Term::atom).collect())),
        _ => None,
    }
}

fn vhost_column(node: &Node, vhost: &Vhost, column: &str) -> Option<Term> {
    let metadata = vhost.metadata();
    let kind = metadata.default_queue_type.map_or("undefined", |kind| kind.as_str());
    match column {
        "name" => Some(Term::text(vhost.name().as_str())),
        "description" => Some(Term::text(&metadata.description)),
        "tags" => Some(Term::List(metadata.tags.iter().map(Term::atom).collect())),
        "default_queue_type" => Some(Term::atom(kind)),
        "tracing" => Some(Term::Bool(metadata.tracing)),
        "protected_from_deletion" => Some(Term::Bool(metadata.protected)),
        // A virtual host is served by every node that runs.
        "cluster_state" => {
            let others = node.snapshot().other_nodes();
            let names = std::iter::once(node.name().to_string()).chain(others.iter().map(ToString::to_string));
            Some(Term::Map(names.map(|name| (name, Term::atom("running"))).collect()))
        }
        _ => None,
    }
}

fn permissions(
    catalog: &Catalog,
    rows: &mut Rows<'_>,
    wanted: impl Fn(&model::VhostName, &model::UserName) -> bool,
) -> Result<(), Failure> {
    let mut all = catalog
        .access()
        .all_permissions()
        .filter(|(vhost, user, _)| wanted(vhost, user));
    all.try_for_each(|(vhost, user, permissions): (_, _, &Arc<Permissions>)| {
        rows.add(|column| match column {
            "vhost" => Some(Term::text(vhost.as_str())),
            "user" => Some(Term::text(user.as_str())),
            "configure" => Some(Term::text(permissions.configure.as_str())),
            "write" => Some(Term::text(permissions.write.as_str())),
            "read" => Some(Term::text(permissions.read.as_str())),
            _ => None,
        })
    })
}

fn topics(
    catalog: &Catalog,
    rows: &mut Rows<'_>,
    wanted: impl Fn(&model::VhostName, &model::UserName) -> bool,
) -> Result<(), Failure> {
    let mut all = catalog
        .access()
        .all_topics()
        .filter(|(vhost, user, ..)| wanted(vhost, user));
    all.try_for_each(|(vhost, user, exchange, topic): (_, _, _, &Arc<TopicPermissions>)| {
        rows.add(|column| match column {
            "vhost" => Some(Term::text(vhost.as_str())),
            "user" => Some(Term::text(user.as_str())),
            "exchange" => Some(Term::text(exchange.as_str())),
            "write" => Some(Term::text(topic.write.as_str())),
            "read" => Some(Term::text(topic.read.as_str())),
            _ => None,
        })
    })
}

/// The lowest priority first, as RabbitMQ lists them.
fn policies(catalog: &Catalog, vhost: &str, level: model::PolicyLevel, rows: &mut Rows<'_>) -> Result<(), Failure> {
    let found = catalog.vhost(vhost);
    let mut policies: Vec<&Arc<Policy>> = found.iter().flat_map(|vhost| vhost.policies(level)).collect();
    policies.sort_by_key(|policy| policy.priority);
    policies.into_iter().try_for_each(|policy| {
        rows.add(|column| match column {
            "vhost" => Some(Term::text(policy.vhost.as_str())),
            "name" => Some(Term::text(&*policy.name)),
            "pattern" => Some(Term::text(policy.pattern.as_str())),
            "apply-to" => Some(Term::text(policy.apply_to.as_str())),
            "definition" => Some(Term::text(objects::json_object(&policy.definition.table))),
            "priority" => Some(Term::Integer(policy.priority)),
            _ => None,
        })
    })
}

/// The limits of a virtual host are a parameter too; it is the only one there is.
fn parameters(catalog: &Catalog, vhost: &str, rows: &mut Rows<'_>) -> Result<(), Failure> {
    let limits = catalog.vhost(vhost).map(|vhost| vhost.limits()).unwrap_or_default();
    match limits == catalog::VhostLimits::default() {
        true => Ok(()),
        false => rows.add(|column| match column {
            "component" => Some(Term::text("vhost-limits")),
            "name" => Some(Term::text("limits")),
            "value" => Some(limits_text(&limits)),
            _ => None,
        }),
    }
}

/// Limits serialise to a flat object of numbers, which cannot fail.
fn limits_text(limits: &impl serde::Serialize) -> Term {
    Term::text(serde_json::to_string(limits).unwrap_or_default())
}

/// What tells the cluster from others is one that nobody needs to set.
fn global_parameters(node: &Node, catalog: &Catalog, rows: &mut Rows<'_>) -> Result<(), Failure> {
    let is_given = catalog.global_parameter(CLUSTER_ID).is_some();
    let own = (!is_given).then(|| (CLUSTER_ID.into(), model::Value::from(node.cluster_id().as_str())));
    let given = catalog
        .global_parameters()
        .map(|(name, value)| (name.clone(), value.clone()));
    own.into_iter()
        .chain(given)
        .try_for_each(|(name, value): (Arc<str>, _)| {
            rows.add(|column| match column {
                "name" => Some(Term::text(&*name)),
                "value" => Some(Term::text(objects::json(&value))),
                _ => None,
            })
        })
}

fn vhost_limits(node: &Node, catalog: &Catalog, one: Option<&str>, rows: &mut Rows<'_>) -> Result<(), Failure> {
    if let Some(one) = one {
        existing_vhost(node, one)?;
    }
    let wanted = |vhost: &&Arc<Vhost>| {
        one.is_none_or(|one| vhost.name().as_str() == one) && vhost.limits() != catalog::VhostLimits::default()
    };
    catalog.vhosts().filter(wanted).try_for_each(|vhost| {
        rows.add(|column| match column {
            "vhost" => Some(Term::text(vhost.name().as_str())),
            "limits" => Some(limits_text(&vhost.limits())),
            _ => None,
        })
    })
}

/// One user's limits are shown even if there are none.
fn user_limits(node: &Node, catalog: &Catalog, one: Option<&str>, rows: &mut Rows<'_>) -> Result<(), Failure> {
    if let Some(one) = one {
        existing_user(node, one)?;
    }
    let wanted = |user: &&Arc<User>| match one {
        Some(one) => user.name.as_str() == one,
        None => user.limits != ::access::UserLimits::default(),
    };
    catalog.access().users().filter(wanted).try_for_each(|user| {
        rows.add(|column| match column {
            "user" => Some(Term::text(user.name.as_str())),
            "limits" => Some(limits_text(&user.limits)),
            _ => None,
        })
    })
}
