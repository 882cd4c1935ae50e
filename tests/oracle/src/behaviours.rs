//! The table of all behaviours: one file per topic, compiled in, so that the runner is one program.

use anyhow::{Result, ensure};

use crate::script::{self, Behaviour};

macro_rules! topics {
    ($($topic:literal)*) => {
        &[$(($topic, include_str!(concat!("../behaviours/", $topic, ".amqp")))),*]
    };
}

const TOPICS: &[(&str, &str)] = topics! {
    "declare" "queue_arguments" "exchange" "exchange_plugins" "bind" "topic" "headers" "consume" "get" "ack" "qos" "confirm"
    "tx" "handshake" "frames" "channel" "publish" "reply_to"
    "permission" "expiry" "length" "policy" "dead_letter" "priority" "quorum" "trace" "events" "management" "statistics"
    "without_statistics" "alarm"
};

/// All behaviours in the order of their files.
///
/// # Errors
/// A malformed file or two behaviours of one name.
pub fn all() -> Result<Vec<Behaviour>> {
    let mut behaviours: Vec<Behaviour> = Vec::new();
    for (topic, text) in TOPICS {
        behaviours.extend(script::parse(topic, text)?);
    }
    let mut names = std::collections::BTreeSet::new();
    for behaviour in &behaviours {
        ensure!(
            names.insert(&behaviour.name),
            "two behaviours are called '{}'",
            behaviour.name
        );
    }
    Ok(behaviours)
}

#[cfg(test)]
mod tests {
    use crate::{lex, lines};

    /// Lines that expect something have their code checked by the stage; words must be well formed at once.
    #[test]
    fn every_behaviour_file_is_well_formed() {
        let all = super::all().unwrap();
        assert!(all.len() >= 400, "only {} behaviours", all.len());
        for behaviour in &all {
            assert!(!behaviour.lines.is_empty(), "{} says nothing", behaviour.name);
            for version in [(3, 10), (3, 13)] {
                let server = lines::tests::server(version);
                for line in lines::prepare(&behaviour.lines, &server, "u_").unwrap() {
                    let error_text = matches!(line.kind, lines::Kind::ChannelError | lines::Kind::ConnectionError);
                    assert!(
                        error_text || lex::words(&line.text).is_ok(),
                        "{}: {}",
                        behaviour.name,
                        line.text
                    );
                }
            }
        }
    }
}
