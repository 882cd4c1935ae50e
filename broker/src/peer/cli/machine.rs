//! What the machine under the node is to the network: its interfaces, and how it looks names up.
//!
//! The system is asked each time; nothing is kept.

use link::{Failure, Term};
use nix::{
    ifaddrs::{InterfaceAddress, getifaddrs},
    net::if_::InterfaceFlags,
    sys::socket::SockaddrStorage,
};
use std::path::Path;

use super::{Outcome, map};

/// The flags that Erlang's tools name, in their order.
const FLAGS: [(InterfaceFlags, &str); 6] = [
    (InterfaceFlags::IFF_UP, "up"),
    (InterfaceFlags::IFF_BROADCAST, "broadcast"),
    (InterfaceFlags::IFF_LOOPBACK, "loopback"),
    (InterfaceFlags::IFF_POINTOPOINT, "pointtopoint"),
    (InterfaceFlags::IFF_RUNNING, "running"),
    (InterfaceFlags::IFF_MULTICAST, "multicast"),
];

/// Every interface by name: its flags, its addresses each with mask and broadcast address, its hardware address.
pub(super) fn interfaces() -> Outcome {
    let found = getifaddrs().map_err(|why| Failure::Refused(format!("the system tells no interfaces: {why}")))?;
    let mut all: Vec<InterfaceAddress> = found.collect();
    // The order of an interface's addresses stays.
    all.sort_by(|one, other| one.interface_name.cmp(&other.interface_name));
    let each = all.chunk_by(|one, other| one.interface_name == other.interface_name);
    Ok(Term::Map(each.map(interface).collect()))
}

fn interface(addresses: &[InterfaceAddress]) -> (String, Term) {
    let [first, ..] = addresses else {
        return (String::new(), Term::none());
    };
    let flags = FLAGS.iter().filter(|(flag, _)| first.flags.contains(*flag));
    let flags: Vec<&str> = flags.map(|(_, word)| *word).collect();
    let mut pairs = vec![("flags".to_owned(), Term::text(flags.join(", ")))];
    pairs.extend(addresses.iter().flat_map(addressed));
    let hardware = addresses.iter().find_map(|one| hardware(one.address.as_ref()?));
    pairs.extend(hardware.map(|address| ("hwaddr".to_owned(), Term::text(address))));
    (first.interface_name.clone(), Term::Map(pairs))
}

/// One address of the Internet's, if it is one.
fn addressed(one: &InterfaceAddress) -> Vec<(String, Term)> {
    let ip = |address: &Option<SockaddrStorage>| {
        let address = address.as_ref()?;
        let four = address.as_sockaddr_in().map(|four| four.ip().to_string());
        four.or_else(|| address.as_sockaddr_in6().map(|six| six.ip().to_string()))
    };
    let is_broadcast = one.flags.contains(InterfaceFlags::IFF_BROADCAST);
    let parts = [
        ("addr", ip(&one.address)),
        ("netmask", ip(&one.netmask)),
        ("broadaddr", ip(&one.broadcast).filter(|_| is_broadcast)),
    ];
    let known = parts
        .into_iter()
        .filter_map(|(name, text)| Some((name.to_owned(), Term::text(text?))));
    known.collect()
}

/// Six octets, as Erlang's tools write them.
fn hardware(address: &SockaddrStorage) -> Option<String> {
    let octets = address.as_link_addr()?.addr()?;
    Some(octets.map(|octet| format!("{octet:X}")).join(":"))
}

/// Names are looked up by the system, as its files say.
pub(super) fn resolver() -> Term {
    let file = |path: &str| match Path::new(path).exists() {
        true => Term::text(path),
        false => Term::none(),
    };
    map([
        ("hosts_file", file("/etc/hosts")),
        ("lookup", Term::atom("native")),
        ("resolv_conf", file("/etc/resolv.conf")),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loopback_interface_has_its_address_and_says_what_it_is() {
        let Ok(Term::Map(all)) = interfaces() else {
            panic!("no interfaces")
        };
        let (_, Term::Map(pairs)) = all.iter().find(|(name, _)| name == "lo").unwrap() else {
            panic!("no map")
        };
        let value = |key: &str| pairs.iter().find(|(name, _)| name == key).map(|(_, value)| value);
        assert_eq!(value("addr"), Some(&Term::text("127.0.0.1")));
        let Some(Term::Binary(flags)) = value("flags") else {
            panic!("no flags")
        };
        assert!(flags.contains("loopback"), "{flags}");
    }
}
