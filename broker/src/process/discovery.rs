//! The first start of a blank node: it joins the cluster that its neighbours belong to, or begins one.
//!
//! One node of those that discovery names may begin, known beforehand: the first by name, or the pod of the first ordinal.
//! It never begins beside a neighbour that is a member already, and on Kubernetes not beside one that does not answer
//! either: a lost disk must not found a second cluster. All others wait for somebody to join.

use anyhow::Context;
use catalog::NodeKind;
use std::{collections::BTreeSet, net::IpAddr, sync::atomic::Ordering, time::Duration};

use super::{Process, membership::MembershipError};
use crate::{
    cluster::{
        outside::{self, OutsideError},
        presence::Status,
        transport::Turned,
    },
    config::{Discovery, Formation, NodeType},
};

/// Looks without an answer after which the first of a list begins without those that are silent.
const SILENT_LOOKS: u32 = 3;
/// How often a wait is told of, in looks.
const TELL_EVERY: u32 = 10;
/// Ordinals that are looked for above the highest one found.
const ORDINALS_AHEAD: u32 = 3;

/// Nodes that discovery names.
#[derive(Debug, PartialEq, Eq)]
struct Candidates {
    /// Others to be asked.
    others: Vec<String>,
    /// This node may begin.
    first: bool,
    /// And may do so beside silent ones.
    beside_silent: bool,
}

/// What a neighbour says.
#[derive(Debug, PartialEq, Eq)]
enum Said {
    /// It is a member of a cluster.
    Member(Box<Status>),
    /// It looks for one itself.
    Blank,
    /// Nothing that could be understood.
    Nothing(String),
}

/// What follows from what all have said.
#[derive(Debug, PartialEq, Eq)]
enum Decision<'a> {
    Join(&'a str, &'a Status),
    Begin,
    Wait(String),
}

fn decide<'a>(candidates: &Candidates, said: &'a [(String, Said)], look: u32) -> Decision<'a> {
    let member = said.iter().find_map(|(name, said)| match said {
        Said::Member(status) => Some((name.as_str(), &**status)),
        Said::Blank | Said::Nothing(_) => None,
    });
    if let Some((name, status)) = member {
        return Decision::Join(name, status);
    }
    let silent = said.iter().find_map(|(name, said)| match said {
        Said::Nothing(why) => Some(format!("{name}: {why}")),
        Said::Member(_) | Said::Blank => None,
    });
    match (candidates.first, silent) {
        (true, None) => Decision::Begin,
        (true, Some(_)) if candidates.beside_silent && look >= SILENT_LOOKS => Decision::Begin,
        (true, Some(silent)) => {
            Decision::Wait(format!("it may be a member of the cluster, and does not say: {silent}"))
        }
        (false, Some(silent)) => Decision::Wait(silent),
        (false, None) => Decision::Wait("no node of it has started yet".into()),
    }
}

/// The first by name may begin; a name that is not in the list of the others stands in it all the same.
fn listed(own: &str, names: impl IntoIterator<Item = String>) -> Candidates {
    let others: BTreeSet<String> = names.into_iter().filter(|name| name != own).collect();
    Candidates {
        first: others.iter().all(|other| own < other.as_str()),
        others: others.into_iter().collect(),
        beside_silent: true,
    }
}

/// `rabbit@orders-server-2.nodes` is `rabbit@orders-server-`, 2 and `.nodes`.
fn ordinal(name: &str) -> Option<(&str, u32, &str)> {
    let (user, host) = name.split_once('@')?;
    let label = host.split('.').next()?;
    let (stem, number) = label.rsplit_once('-')?;
    let head = user.len() + 1 + stem.len() + 1;
    Some((&name[..head], number.parse().ok()?, &name[head + number.len()..]))
}

async fn has_address(host: &str) -> bool {
    tokio::net::lookup_host((host, 0)).await.is_ok()
}

/// The pods of the StatefulSet that have an address now.
async fn pods(own: &str, first: u32) -> anyhow::Result<Candidates> {
    let (head, number, tail) = ordinal(own).with_context(|| {
        format!("node name {own}: k8s discovery needs the host name of a StatefulSet's pod, such as rabbit@orders-server-0.orders-nodes")
    })?;
    // Where the first is one that no pod has, so that none begins, the others are found all the same.
    let lowest = if first <= number { first } else { 0 };
    let (mut others, mut at, mut highest) = (Vec::new(), lowest, number);
    while at <= highest.saturating_add(ORDINALS_AHEAD) {
        let name = format!("{head}{at}{tail}");
        let host = name.split_once('@').map_or("", |(_, host)| host).to_owned();
        if at != number && has_address(&host).await {
            others.push(name);
            highest = highest.max(at);
        }
        at += 1;
    }
    Ok(Candidates {
        others,
        first: number == first,
        beside_silent: false,
    })
}

/// The nodes at the addresses of a host name.
async fn named(own: &str, hostname: &str) -> anyhow::Result<Candidates> {
    let user = own.split_once('@').map_or(own, |(user, _)| user).to_owned();
    let found = tokio::net::lookup_host((hostname, 0)).await;
    let found = found.with_context(|| format!("cluster_formation.dns.hostname = {hostname}"))?;
    let addresses: BTreeSet<IpAddr> = found.map(|address| address.ip()).collect();
    let long = own.contains('.');
    let name = move |address: IpAddr| {
        let host = dns_lookup::lookup_addr(&address).ok()?;
        let host = if long { host.as_str() } else { host.split('.').next()? };
        Some(format!("{user}@{host}"))
    };
    // The system's resolver blocks.
    let names = tokio::task::spawn_blocking(move || addresses.into_iter().filter_map(name).collect::<Vec<_>>());
    Ok(listed(own, names.await?))
}

async fn candidates(own: &str, formation: &Formation) -> anyhow::Result<Candidates> {
    match formation.discovery {
        Discovery::ClassicConfig => Ok(listed(own, formation.nodes.values().cloned())),
        Discovery::Dns => match &formation.hostname {
            Some(hostname) => named(own, hostname).await,
            None => anyhow::bail!("cluster_formation.dns.hostname is not set: dns discovery needs it"),
        },
        Discovery::Kubernetes => pods(own, formation.first_ordinal).await,
    }
}

/// The nodes that discovery names now, this one among them where it is.
///
/// # Errors
/// What discovery needs.
pub async fn discovered(own: &str, formation: &Formation) -> anyhow::Result<Vec<String>> {
    let mut all = match formation.discovery {
        Discovery::ClassicConfig => formation.nodes.values().cloned().collect(),
        Discovery::Dns | Discovery::Kubernetes => {
            let others = candidates(own, formation).await?.others;
            others.into_iter().chain([own.to_owned()]).collect::<Vec<_>>()
        }
    };
    all.sort_unstable();
    all.dedup();
    Ok(all)
}

fn heard(looked: Result<Status, OutsideError>) -> Said {
    match looked {
        Ok(status) => Said::Member(Box::new(status)),
        Err(OutsideError::Unreachable { source, .. }) => {
            let turned = source.get_ref().and_then(|inner| inner.downcast_ref::<Turned>());
            match turned {
                Some(Turned::Forming) => Said::Blank,
                Some(_) | None => Said::Nothing(source.to_string()),
            }
        }
        Err(error) => Said::Nothing(error.to_string()),
    }
}

impl Process {
    /// A node that has never been started joins a cluster, or may begin one now; another is what it was.
    ///
    /// # Errors
    /// What discovery needs, why the cluster does not want the node, or that nobody was found to join.
    pub async fn find_cluster(&self) -> anyhow::Result<()> {
        let config = self.config.load_full();
        let formation = &config.formation;
        if self.state.lock().await.directory.node()?.is_some() {
            return Ok(());
        }
        self.forming.store(true, Ordering::Release);
        let found = tokio::select! {
            found = self.look_for_cluster(formation) => found,
            () = self.stopping.cancelled() => Err(anyhow::anyhow!("the process ends")),
        };
        self.forming.store(false, Ordering::Release);
        found
    }

    /// True while the node looks for a cluster.
    pub fn is_forming(&self) -> bool {
        self.forming.load(Ordering::Acquire)
    }

    async fn look_for_cluster(&self, formation: &Formation) -> anyhow::Result<()> {
        for look in 0.. {
            let candidates = candidates(self.name(), formation).await?;
            if candidates.others.is_empty() && candidates.first {
                return Ok(());
            }
            let said = futures::future::join_all(candidates.others.iter().map(|name| self.listen_to(name))).await;
            let why = match decide(&candidates, &said, look) {
                Decision::Begin => {
                    tracing::info!("no neighbour belongs to a cluster: this node begins one");
                    return Ok(());
                }
                Decision::Join(name, status) => match self.enter(name, status, formation).await? {
                    None => return Ok(()),
                    Some(later) => later,
                },
                Decision::Wait(why) => why,
            };
            let patient = formation.discovery == Discovery::Kubernetes || candidates.first;
            anyhow::ensure!(
                patient || look < formation.looks_max,
                "found no cluster to join in {look} looks ({why}). Start {} first, or look at cluster_formation.* in the configuration",
                candidates.others.first().map_or("another node", String::as_str)
            );
            if look % TELL_EVERY == 0 {
                tracing::info!("looking for a cluster to join: {why}");
            }
            tokio::time::sleep(Duration::from_millis(formation.pause.0)).await;
        }
        Ok(())
    }

    async fn listen_to(&self, name: &str) -> (String, Said) {
        (name.to_owned(), heard(self.look_at(name).await))
    }

    /// Joins the cluster of that node; what is in the way now is told, to be tried later.
    async fn enter(&self, name: &str, status: &Status, formation: &Formation) -> anyhow::Result<Option<String>> {
        let known = status.nodes.iter().find(|node| node.name == self.name());
        if let Some(known) = known.filter(|known| !known.up && formation.discovery == Discovery::Kubernetes) {
            tracing::warn!(
                "the cluster knows this node as {}, whose disk is gone: that one is removed, this one joins in its place",
                known.node
            );
            let way = self.guest(Some(known.node));
            let peers = status.peers(known.node);
            if let Err(error) = outside::leave(&*way, &peers, known.node).await {
                return Ok(Some(error.to_string()));
            }
        }
        let kind = match formation.node_type {
            NodeType::Disc => NodeKind::Disc,
            NodeType::Ram => NodeKind::Ram,
        };
        match self.join(name, kind).await {
            Ok(()) => {
                tracing::info!("joined the cluster of {name}");
                Ok(None)
            }
            Err(MembershipError::Cluster(OutsideError::Unreachable { source, .. })) => Ok(Some(source.to_string())),
            Err(MembershipError::Cluster(OutsideError::Refused(why)))
                if formation.discovery == Discovery::Kubernetes =>
            {
                Ok(Some(why))
            }
            Err(error) => Err(error).with_context(|| format!("joining the cluster of {name}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::NodeUuid;

    fn member() -> Said {
        Said::Member(Box::new(Status {
            cluster: NodeUuid(1),
            name: None,
            nodes: Vec::new(),
            leader: None,
            serving: true,
            forced: catalog::Forced::default(),
            level: 1,
            is_level_held: false,
        }))
    }

    /// `j`oin, `b`egin or `w`ait at that look, when the others say: `m`ember, `b`lank, `n`othing.
    fn decided(first: bool, beside_silent: bool, look: u32, others: &str) -> char {
        let said = others.chars().enumerate().map(|(at, says)| {
            let says = match says {
                'm' => member(),
                'b' => Said::Blank,
                _ => Said::Nothing("silent".into()),
            };
            (format!("n{at}"), says)
        });
        let said: Vec<_> = said.collect();
        let candidates = Candidates {
            others: said.iter().map(|(name, _)| name.clone()).collect(),
            first,
            beside_silent,
        };
        match decide(&candidates, &said, look) {
            Decision::Join(..) => 'j',
            Decision::Begin => 'b',
            Decision::Wait(_) => 'w',
        }
    }

    #[test]
    fn a_member_is_joined_whoever_asks() {
        for first in [true, false] {
            assert_eq!(decided(first, false, 0, "bnm"), 'j');
            assert_eq!(decided(first, true, 9, "mbb"), 'j');
        }
    }

    #[test]
    fn only_the_first_begins_and_only_when_all_others_are_blank() {
        assert_eq!(decided(true, false, 0, "bb"), 'b');
        assert_eq!(decided(false, false, 99, "bb"), 'w');
        assert_eq!(decided(true, false, 1_000_000, "bn"), 'w', "it may be a member");
    }

    #[test]
    fn the_first_of_a_list_begins_beside_nodes_that_stay_silent() {
        assert_eq!(decided(true, true, 0, "nn"), 'w');
        assert_eq!(decided(true, true, SILENT_LOOKS, "nn"), 'b');
        assert_eq!(decided(false, true, 99, "nn"), 'w');
    }

    #[test]
    fn the_first_by_name_may_begin() {
        let names = || ["rabbit@b", "rabbit@a", "rabbit@c"].map(str::to_owned);
        assert!(listed("rabbit@a", names()).first);
        assert_eq!(listed("rabbit@a", names()).others, ["rabbit@b", "rabbit@c"]);
        assert!(!listed("rabbit@b", names()).first);
        assert!(listed("rabbit@z", []).first, "alone");
    }

    #[test]
    fn the_ordinal_of_a_pod_is_in_its_name() {
        let parts = ordinal("rabbit@orders-server-12.orders-nodes.shop");
        assert_eq!(parts, Some(("rabbit@orders-server-", 12, ".orders-nodes.shop")));
        assert_eq!(
            ordinal("rabbit@orders-server-0"),
            Some(("rabbit@orders-server-", 0, ""))
        );
        assert_eq!(ordinal("rabbit@host"), None);
        assert_eq!(ordinal("rabbit@host-a.x"), None);
    }

    #[test]
    fn who_looks_for_a_cluster_itself_is_told_from_one_that_is_stopped() {
        let turned = |why: Turned| {
            heard(Err(OutsideError::Unreachable {
                name: "rabbit@a".into(),
                source: std::io::Error::new(std::io::ErrorKind::PermissionDenied, why),
            }))
        };
        assert_eq!(turned(Turned::Forming), Said::Blank);
        assert!(matches!(turned(Turned::Stopped), Said::Nothing(_)));
    }
}
