//! The three nodes as one thing: formed, asked, broken by a plan, healed. Decides when the cluster is whole again, and whom
//! a plan hits; it knows no message.

use super::definer::{Listing, differences, list};
use super::net::{HOSTS, Net, others};
use super::node::{Kind, Node};
use super::plan::{Trouble, Victim};
use super::release;
use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long a dead node is believed to run.
const BELIEF: Duration = Duration::from_secs(60);
/// When all nodes are of one release, what they understand is needed within this.
const FINALISED: Duration = Duration::from_secs(30);
/// How soon it is looked again.
const LOOK: Duration = Duration::from_millis(150);
/// A node logs this when it begins to lead the definitions; a number follows that rises with every leader.
const LEADS: &str = "leads the definitions of the cluster, term ";

/// The nodes and their network.
#[derive(Debug)]
pub(crate) struct Cluster {
    /// The network.
    pub(crate) net: Net,
    /// By host.
    pub(crate) nodes: Vec<Node>,
}

/// What a trouble was, in the end.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trial {
    /// Whom it hit.
    pub(crate) victims: BTreeSet<usize>,
    /// Whoever it hit led the definitions.
    pub(crate) led: bool,
    /// From when to when a node was alone, in milliseconds of the round.
    pub(crate) lonely: Option<(usize, u64, u64)>,
    /// What was done when.
    pub(crate) story: Vec<String>,
}

/// A clock and a pen for what is done.
struct Teller<'a> {
    now: &'a dyn Fn() -> u64,
    trial: Trial,
}

impl Teller<'_> {
    fn tell(&mut self, text: impl Into<String>) {
        self.trial.story.push(format!("{} {}", (self.now)(), text.into()));
    }
}

fn pass(ms: u64) {
    sleep(Duration::from_millis(ms));
}

impl Cluster {
    /// Nodes that are not started, with their directories in `home`.
    pub(crate) fn new(net: Net, kind: &Kind, home: &Path) -> Result<Self> {
        let nodes = (1..=HOSTS)
            .map(|number| Node::new(number, kind, home))
            .collect::<Result<_>>()?;
        Ok(Self { net, nodes })
    }

    /// Other nodes, with their directories in `home`, in the same network.
    pub(crate) fn renew(&mut self, kind: &Kind, home: &Path) -> Result<()> {
        self.nodes = (1..=HOSTS)
            .map(|number| Node::new(number, kind, home))
            .collect::<Result<_>>()?;
        Ok(())
    }

    fn node(&mut self, number: usize) -> &mut Node {
        &mut self.nodes[number - 1]
    }

    fn launch(&mut self, number: usize) -> Result<()> {
        let Self { net, nodes } = self;
        nodes[number - 1].launch(net)
    }

    /// Starts whoever does not run, and waits until all is well.
    pub(crate) fn start(&mut self) -> Result<()> {
        for number in 1..=HOSTS {
            if !self.node(number).runs() {
                self.launch(number)?;
            }
        }
        self.nodes.iter_mut().try_for_each(Node::wait_ready)?;
        self.wait_whole()
    }

    /// Waits until every node says that every node is a member and runs, and no two clusters are there.
    pub(crate) fn wait_whole(&self) -> Result<()> {
        let patience = self.nodes.first().context("no node")?.kind.whole_patience();
        let deadline = Instant::now() + patience;
        loop {
            match self.whole() {
                Ok(()) => return Ok(()),
                Err(error) if Instant::now() > deadline => {
                    return Err(error.context(format!("the cluster is not whole within {patience:?}")));
                }
                Err(_) => sleep(LOOK),
            }
        }
    }

    fn whole(&self) -> Result<()> {
        let all: BTreeSet<String> = self.nodes.iter().map(Node::name).collect();
        for node in &self.nodes {
            let status = node.ask(&self.net, &["cluster_status"])?;
            for list in ["disk_nodes", "running_nodes"] {
                let names = names(&status, list);
                ensure!(names == all, "{list} of {}: {names:?}", node.name());
            }
            let parts = status.get("partitions").map(Value::to_string).unwrap_or_default();
            ensure!(
                matches!(parts.as_str(), "{}" | "[]"),
                "{} sees partitions: {parts}",
                node.name()
            );
        }
        let clusters: BTreeSet<String> = self.nodes.iter().filter_map(Node::cluster_id).collect();
        ensure!(
            clusters.len() <= 1,
            "the nodes belong to several clusters: {clusters:?}"
        );
        Ok(())
    }

    /// The definitions on which all nodes agree.
    ///
    /// # Errors
    /// They still differ after `patience`: how.
    pub(crate) fn agreed(&self, patience: Duration) -> Result<Listing> {
        let deadline = Instant::now() + patience;
        loop {
            let lists = self
                .nodes
                .iter()
                .map(|node| list(node, &self.net))
                .collect::<Result<Vec<_>>>()?;
            let first = lists.first().context("no node")?;
            let found: Vec<String> = lists[1..].iter().flat_map(|other| differences(first, other)).collect();
            if found.is_empty() {
                return Ok(first.clone());
            }
            let shown = found.iter().take(6).cloned().collect::<Vec<_>>().join("; ");
            ensure!(
                Instant::now() < deadline,
                "the nodes know different definitions: {} times: {shown}",
                found.len()
            );
            sleep(LOOK);
        }
    }

    /// Who leads the definitions, as far as the logs tell.
    pub(crate) fn leader(&self) -> Option<usize> {
        let term = |node: &Node| -> Option<u64> {
            let lines = node.logged(LEADS);
            lines.last()?.rsplit_once(LEADS)?.1.trim().parse().ok()
        };
        let leading = self.nodes.iter().filter_map(|node| Some((term(node)?, node.number)));
        leading.max().map(|(_, number)| number)
    }

    fn resolve(&self, victim: Victim, teller: &mut Teller<'_>) -> usize {
        let leader = self.leader();
        let number = match victim {
            Victim::Node(number) => number,
            Victim::Leader => leader.unwrap_or(1),
        };
        self.hit(number, teller);
        number
    }

    fn hit(&self, number: usize, teller: &mut Teller<'_>) {
        teller.trial.victims.insert(number);
        teller.trial.led |= self.leader() == Some(number);
    }

    /// Does what the plan says. What is broken afterwards is mended by [`Self::heal`].
    pub(crate) fn suffer(&mut self, trouble: &Trouble, now: &dyn Fn() -> u64) -> Result<Trial> {
        let mut teller = Teller {
            now,
            trial: Trial::default(),
        };
        match trouble {
            Trouble::Kill(victim, ms) => {
                let victim = self.resolve(*victim, &mut teller);
                self.kill(victim, &mut teller)?;
                pass(*ms);
            }
            Trouble::KillAll(order, pause) => self.kill_all(order, *pause, &mut teller)?,
            Trouble::Freeze(victim, ms) => {
                let victim = self.resolve(*victim, &mut teller);
                teller.tell(format!("node {victim} is frozen"));
                self.node(victim).freeze()?;
                pass(*ms);
                teller.tell(format!("node {victim} goes on"));
                self.node(victim).thaw()?;
            }
            Trouble::Rolling(order) => self.roll(order, &mut teller)?,
            Trouble::Upgrade(order) => self.upgrade(*order, &mut teller)?,
            Trouble::StopAll(down, up) => self.stop_all(down, up, &mut teller)?,
            Trouble::Scatter(killed, alone, ms) => {
                (1..=HOSTS).for_each(|number| self.hit(number, &mut teller));
                self.kill(*killed, &mut teller)?;
                self.net.isolate(*alone)?;
                teller.tell(format!("node {alone} is alone"));
                pass(*ms);
            }
            Trouble::Wipe(victim) => self.lose_disk(*victim, &mut teller)?,
            network => self.disturb(network, &mut teller)?,
        }
        Ok(teller.trial)
    }

    fn disturb(&mut self, trouble: &Trouble, teller: &mut Teller<'_>) -> Result<()> {
        let from = (teller.now)();
        teller.tell(format!("{trouble:?}"));
        match trouble {
            Trouble::Isolate(victim, ms) => {
                let victim = self.resolve(*victim, teller);
                self.net.isolate(victim)?;
                pass(*ms);
                teller.trial.lonely = Some((victim, from, (teller.now)()));
            }
            Trouble::OneWay(source, to, ms) => {
                [*source, *to].iter().for_each(|number| self.hit(*number, teller));
                self.net.cut(*source, *to)?;
                pass(*ms);
            }
            Trouble::Mute(victim, ms) => {
                let victim = self.resolve(*victim, teller);
                others(victim).try_for_each(|other| self.net.cut(victim, other))?;
                pass(*ms);
            }
            Trouble::Deaf(victim, ms) => {
                let victim = self.resolve(*victim, teller);
                others(victim).try_for_each(|other| self.net.cut(other, victim))?;
                pass(*ms);
            }
            Trouble::Pair(one, other, ms) => {
                [*one, *other].iter().for_each(|number| self.hit(*number, teller));
                self.net.part(*one, *other)?;
                pass(*ms);
            }
            Trouble::Flap(victim, times, ms) => {
                let victim = self.resolve(*victim, teller);
                for _ in 0..*times {
                    self.net.isolate(victim)?;
                    pass(*ms);
                    self.net.mend()?;
                    pass(*ms / 2);
                }
            }
            Trouble::Loss(percent, ms) => {
                (1..=HOSTS).for_each(|number| self.hit(number, teller));
                self.net.lose(*percent)?;
                pass(*ms);
            }
            Trouble::Delay(number, delay, ms) => {
                self.hit(*number, teller);
                self.net.delay(*number, *delay)?;
                pass(*ms);
            }
            Trouble::Kill(..)
            | Trouble::KillAll(..)
            | Trouble::Freeze(..)
            | Trouble::Rolling(_)
            | Trouble::Upgrade(_)
            | Trouble::StopAll(..)
            | Trouble::Scatter(..)
            | Trouble::Wipe(_) => {}
        }
        Ok(())
    }

    fn kill(&mut self, number: usize, teller: &mut Teller<'_>) -> Result<()> {
        teller.tell(format!("node {number} is killed"));
        self.node(number).kill()
    }

    fn kill_all(&mut self, order: &[usize; HOSTS], pause: u64, teller: &mut Teller<'_>) -> Result<()> {
        for number in 1..=HOSTS {
            self.hit(number, teller);
            self.kill(number, teller)?;
        }
        self.start_in(order, pause, teller)
    }

    fn start_in(&mut self, order: &[usize; HOSTS], pause: u64, teller: &mut Teller<'_>) -> Result<()> {
        for number in order {
            teller.tell(format!("node {number} is started"));
            self.launch(*number)?;
            pass(pause);
        }
        Ok(())
    }

    fn roll(&mut self, order: &[usize; HOSTS], teller: &mut Teller<'_>) -> Result<()> {
        order.iter().try_for_each(|number| self.restart(*number, teller))
    }

    fn restart(&mut self, number: usize, teller: &mut Teller<'_>) -> Result<()> {
        self.hit(number, teller);
        teller.tell(format!("node {number} is stopped"));
        self.node(number).terminate()?;
        teller.tell(format!("node {number} is started"));
        self.launch(number)?;
        self.node(number).wait_ready()?;
        self.wait_whole()
    }

    /// One by one they become nodes of this program.
    fn come_to(&mut self, numbers: &[usize], program: &Path, teller: &mut Teller<'_>) -> Result<()> {
        for number in numbers {
            teller.tell(format!("node {number} becomes one of {}", program.display()));
            self.node(*number).kind = Kind::Warren(program.to_owned());
            self.restart(*number, teller)?;
        }
        Ok(())
    }

    /// Two nodes come to the next release and go back, while it is not needed; then all come to it, and the one before is refused.
    fn upgrade(&mut self, order: [usize; HOSTS], teller: &mut Teller<'_>) -> Result<()> {
        let [first, second, _] = order;
        let node = self.node(first);
        let Kind::Warren(old) = node.kind.clone() else {
            bail!("there is one release of the judge")
        };
        let new = release::next(&old, &node.home)?;
        self.come_to(&[first, second], &new, teller)?;
        self.come_to(&[second, first], &old, teller)?;
        self.come_to(&order, &new, teller)?;
        self.wait_finalised(release::level(&new)?)?;
        self.nodes.iter().try_for_each(|node| node.take_tool(&new))?;
        teller.tell(format!("node {first} goes back"));
        self.node(first).terminate()?;
        self.node(first).kind = Kind::Warren(old.clone());
        self.launch(first)?;
        // Which of the two it comes upon first depends on whether anything was declared since the level was raised.
        let by_level = format!("this program understands feature level {},", release::level(&old)?);
        self.node(first).wait_refused(&[&by_level, "start the newer one"])?;
        self.node(first).kind = Kind::Warren(new);
        Ok(())
    }

    /// Waits until members of the release before would be refused.
    fn wait_finalised(&self, level: u32) -> Result<()> {
        let said = format!("every member understands feature level {level},");
        let deadline = Instant::now() + FINALISED;
        while self.nodes.iter().all(|node| node.logged(&said).is_empty()) {
            ensure!(Instant::now() < deadline, "nobody says within {FINALISED:?}: {said}");
            sleep(LOOK);
        }
        Ok(())
    }

    fn stop_all(&mut self, down: &[usize; HOSTS], up: &[usize; HOSTS], teller: &mut Teller<'_>) -> Result<()> {
        for number in down {
            self.hit(*number, teller);
            teller.tell(format!("node {number} is stopped"));
            self.node(*number).terminate()?;
        }
        self.start_in(up, 0, teller)
    }

    fn lose_disk(&mut self, victim: usize, teller: &mut Teller<'_>) -> Result<()> {
        self.hit(victim, teller);
        self.kill(victim, teller)?;
        let name = self.node(victim).name();
        let helper = others(victim).next().context("no other node")?;
        let deadline = Instant::now() + BELIEF;
        // As long as it is believed to run, it is not forgotten.
        while let Err(error) = self.nodes[helper - 1].ctl(&self.net, &["forget_cluster_node", &name]) {
            if Instant::now() > deadline {
                return Err(error);
            }
            sleep(LOOK);
        }
        teller.tell(format!("the disk of node {victim} is lost"));
        self.node(victim).wipe()
    }

    /// Takes every trouble away and waits until the cluster is whole.
    pub(crate) fn heal(&mut self) -> Result<()> {
        self.net.mend()?;
        self.start()
    }
}

fn names(status: &Value, list: &str) -> BTreeSet<String> {
    let names = status.get(list).and_then(Value::as_array).into_iter().flatten();
    names.filter_map(|name| name.as_str().map(str::to_owned)).collect()
}
