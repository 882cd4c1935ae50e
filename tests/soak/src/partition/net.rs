//! A private network of three hosts: a namespace each, joined by a bridge, in a namespace of this program, so that all of
//! it is gone when the program is. Decides what passes between the hosts; it knows no broker.

use anyhow::{Context, Result, bail, ensure};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Hosts of the network, numbered from 1.
pub(crate) const HOSTS: usize = 3;
/// Says that this process is inside already.
const INSIDE: &str = "WARREN_SOAK_INSIDE";
/// How long the kernel may take to make a namespace.
const PATIENCE: Duration = Duration::from_secs(10);

/// Runs this program again, with the same arguments, in a network of its own. `None`: this is it.
///
/// # Errors
/// Such a network cannot be made here, or the program failed in it.
pub(crate) fn enter(arguments: &[String]) -> Result<Option<()>> {
    if std::env::var_os(INSIDE).is_some() {
        return Ok(None);
    }
    possible()?;
    let own = std::env::current_exe()?;
    let status = Command::new("setpriv")
        .args(["--pdeathsig", "KILL", "unshare", "--net"])
        .arg(own)
        .args(arguments)
        .env(INSIDE, "1")
        .status()
        .context("setpriv does not start: is util-linux there?")?;
    ensure!(status.success(), "the campaign ended with {status}");
    Ok(Some(()))
}

/// Whether network namespaces can be made, tried with the tools that make them.
fn possible() -> Result<()> {
    let why = match Command::new("unshare").args(["--net", "true"]).output() {
        Ok(output) if output.status.success() => return Ok(()),
        Ok(output) => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        Err(error) => format!("unshare: {error}"),
    };
    bail!(
        "no network namespaces can be made here ({why}): this campaign needs root, or CAP_SYS_ADMIN and CAP_NET_ADMIN"
    )
}

/// What a host does not let in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Filter {
    /// Hosts from which nothing comes.
    deaf_to: BTreeSet<usize>,
    /// Hosts of whose packets so many in a hundred are lost.
    lossy: BTreeMap<usize, u32>,
}

/// The network.
#[derive(Debug)]
pub(crate) struct Net {
    /// A process in each namespace, which keeps it.
    keepers: Vec<Child>,
    filters: Vec<Filter>,
    /// The kernel can delay packets.
    pub(crate) delays: bool,
}

impl Drop for Net {
    fn drop(&mut self) {
        for keeper in &mut self.keepers {
            // Both fail only for what has ended already.
            let _ = keeper.kill();
            let _ = keeper.wait();
        }
    }
}

impl Net {
    /// Makes bridge and hosts in the namespace of this process.
    pub(crate) fn make() -> Result<Self> {
        tool("ip", &["link", "set", "lo", "up"])?;
        tool("ip", &["link", "add", "hub", "type", "bridge"])?;
        tool("ip", &["addr", "add", "10.77.0.254/24", "dev", "hub"])?;
        tool("ip", &["link", "set", "hub", "up"])?;
        let mut net = Self {
            keepers: Vec::new(),
            filters: vec![Filter::default(); HOSTS],
            delays: false,
        };
        for number in 1..=HOSTS {
            net.add(number)?;
        }
        net.delays = net.delay(1, 1).is_ok();
        net.mend()?;
        Ok(net)
    }

    fn add(&mut self, number: usize) -> Result<()> {
        let own = std::fs::read_link("/proc/self/ns/net")?;
        let keeper = mortal(Path::new("unshare"))
            .args(["--net", "sleep", "infinity"])
            .stdin(Stdio::null())
            .spawn()?;
        let pid = keeper.id().to_string();
        self.keepers.push(keeper);
        let deadline = Instant::now() + PATIENCE;
        while std::fs::read_link(format!("/proc/{pid}/ns/net"))? == own {
            ensure!(
                Instant::now() < deadline,
                "no namespace for host {number} within {PATIENCE:?}"
            );
            std::thread::sleep(Duration::from_millis(2));
        }
        let cable = format!("cable{number}");
        let add = [
            "link", "add", &cable, "type", "veth", "peer", "name", "eth0", "netns", &pid,
        ];
        tool("ip", &add)?;
        tool("ip", &["link", "set", &cable, "master", "hub", "up"])?;
        self.run(number, "ip", &["link", "set", "lo", "up"])?;
        let address = format!("{}/24", address(number));
        self.run(number, "ip", &["addr", "add", &address, "dev", "eth0"])?;
        self.run(number, "ip", &["link", "set", "eth0", "up"])
    }

    /// A command that runs on a host.
    pub(crate) fn command(&self, number: usize, program: &Path) -> Command {
        let mut command = Command::new("nsenter");
        let place = format!("--net=/proc/{}/ns/net", self.keepers[number - 1].id());
        command.arg(place).args(["setpriv", "--pdeathsig", "KILL"]).arg(program);
        command
    }

    fn run(&self, number: usize, program: &str, arguments: &[&str]) -> Result<()> {
        let mut command = self.command(number, Path::new(program));
        finish(command.args(arguments), program, arguments)
    }

    /// What one host sends does not reach another any more; the other way stays open.
    pub(crate) fn cut(&mut self, from: usize, to: usize) -> Result<()> {
        self.filters[to - 1].deaf_to.insert(from);
        self.filter(to)
    }

    /// Two hosts hear nothing of each other.
    pub(crate) fn part(&mut self, one: usize, other: usize) -> Result<()> {
        self.cut(one, other)?;
        self.cut(other, one)
    }

    /// A host is alone.
    pub(crate) fn isolate(&mut self, number: usize) -> Result<()> {
        others(number).try_for_each(|other| self.part(number, other))
    }

    /// So many in a hundred of the packets between hosts are lost.
    pub(crate) fn lose(&mut self, percent: u32) -> Result<()> {
        for to in 1..=HOSTS {
            let lossy = others(to).map(|from| (from, percent)).collect();
            self.filters[to - 1].lossy = lossy;
            self.filter(to)?;
        }
        Ok(())
    }

    /// What a host sends arrives so much later.
    pub(crate) fn delay(&self, number: usize, ms: u64) -> Result<()> {
        let (ms, jitter) = (format!("{ms}ms"), format!("{}ms", ms / 3));
        let add = ["qdisc", "add", "dev", "eth0", "root", "netem", "delay", &ms, &jitter];
        self.run(number, "tc", &add)
    }

    /// Everything passes again.
    pub(crate) fn mend(&mut self) -> Result<()> {
        for number in 1..=HOSTS {
            self.filters[number - 1] = Filter::default();
            self.filter(number)?;
            if self.delays {
                // There may be none.
                let _ = self.run(number, "tc", &["qdisc", "del", "dev", "eth0", "root"]);
            }
        }
        Ok(())
    }

    fn filter(&self, number: usize) -> Result<()> {
        let rules = rules(&self.filters[number - 1]);
        let mut child = self
            .command(number, Path::new("nft"))
            .args(["-f", "-"])
            .stdin(Stdio::piped())
            .spawn()
            .context("nft does not start: install nftables")?;
        let mut input = child.stdin.take().context("nft has no input")?;
        input.write_all(rules.as_bytes())?;
        drop(input);
        let status = child.wait()?;
        ensure!(status.success(), "nft: {status} for:\n{rules}");
        Ok(())
    }
}

/// Replaces all rules of a host at once.
fn rules(filter: &Filter) -> String {
    let mut text = String::from("add table inet soak\ndelete table inet soak\ntable inet soak {\nchain in {\n");
    text.push_str("type filter hook input priority 0;\n");
    // Writing to a string does not fail.
    for from in &filter.deaf_to {
        let _ = writeln!(text, "ip saddr {} drop", address(*from));
    }
    for (from, percent) in &filter.lossy {
        let _ = writeln!(
            text,
            "ip saddr {} numgen random mod 100 < {percent} drop",
            address(*from)
        );
    }
    text.push_str("}\n}\n");
    text
}

/// The address of a host.
pub(crate) fn address(number: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, 77, 0, number as u8)
}

/// Where the node of a host serves AMQP.
pub(crate) fn amqp(number: usize) -> SocketAddr {
    (address(number), 5672).into()
}

/// All hosts but one.
pub(crate) fn others(number: usize) -> impl Iterator<Item = usize> {
    (1..=HOSTS).filter(move |other| *other != number)
}

/// A command that is killed when this program ends, however it ends.
fn mortal(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL"]).arg(program);
    command
}

fn tool(program: &str, arguments: &[&str]) -> Result<()> {
    finish(Command::new(program).args(arguments), program, arguments)
}

fn finish(command: &mut Command, program: &str, arguments: &[&str]) -> Result<()> {
    let output = command.output().with_context(|| format!("{program} does not start"))?;
    if output.status.success() {
        return Ok(());
    }
    let why = String::from_utf8_lossy(&output.stderr);
    let signal = output.status.signal().map(|signal| format!(" (signal {signal})"));
    bail!(
        "{program} {}: {}{}",
        arguments.join(" "),
        why.trim(),
        signal.unwrap_or_default()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_drops_what_it_is_deaf_to_and_nothing_else() {
        let mut filter = Filter::default();
        assert!(!rules(&filter).contains("drop"));
        filter.deaf_to.insert(2);
        filter.lossy.insert(3, 20);
        let text = rules(&filter);
        assert!(text.contains("ip saddr 10.77.0.2 drop\n"));
        assert!(text.contains("ip saddr 10.77.0.3 numgen random mod 100 < 20 drop\n"));
        assert_eq!(text.matches("drop").count(), 2);
    }
}
