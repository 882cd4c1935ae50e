//! Whether nodes speak TLS to each other, and how that is changed while they run: in two rounds of replaced pods. In the first every node comes
//! to take TLS as well as none, in the second to what was asked for; so any two nodes understand each other at every moment. Pure.
//!
//! Where it stands is in the annotations of the pods and of their template, so that a crash between any two writes is resumed. No pod is ever made that
//! another could not understand.

use std::collections::BTreeMap;

use super::situation::{PodSeen, SetSeen, Situation};
use crate::crd::{InterNode, Tls};

/// Annotation of the pod template with what its nodes do; none where they speak no TLS.
pub const ANNOTATION: &str = "warren.dev/tls-between-nodes";

/// What nodes do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Between {
    /// They speak no TLS to each other.
    #[default]
    None,
    /// They speak it to nodes that take it, and go without to others.
    Offered,
    /// They speak nothing else.
    Required,
}

impl Between {
    /// The broker's word for it, and the annotation's value.
    pub fn word(self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::Offered => Some("offered"),
            Self::Required => Some("required"),
        }
    }

    /// What the annotations of a pod, or of its template, say.
    pub fn read(annotations: Option<&BTreeMap<String, String>>) -> Self {
        let word = annotations.and_then(|all| all.get(ANNOTATION));
        let mut all = [Self::Offered, Self::Required].into_iter();
        all.find(|between| between.word() == word.map(String::as_str))
            .unwrap_or_default()
    }

    fn is_understood_by(self, other: Self) -> bool {
        !matches!(
            (self, other),
            (Self::None, Self::Required) | (Self::Required, Self::None)
        )
    }
}

/// What a pass does about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Phase {
    /// What new pods do.
    pub now: Between,
    /// What was asked for.
    pub asked: Between,
    /// What the next round waits for, while there is one.
    pub waits: Option<String>,
}

/// What was asked for.
pub fn asked(tls: Option<&Tls>) -> Between {
    match tls.map(|tls| tls.inter_node) {
        Some(InterNode::Required) => Between::Required,
        Some(InterNode::None) | None => Between::None,
    }
}

/// Decides.
pub fn phase(asked: Between, seen: &Situation) -> Phase {
    match &seen.set {
        Some(set) if set.between != asked => match too_early(set, asked, seen) {
            Some(waits) => Phase {
                now: Between::Offered,
                asked,
                waits: Some(waits),
            },
            None => Phase {
                now: asked,
                asked,
                waits: None,
            },
        },
        _ => Phase {
            now: asked,
            asked,
            waits: None,
        },
    }
}

/// Why new pods cannot be what was asked for yet.
fn too_early(set: &SetSeen, asked: Between, seen: &Situation) -> Option<String> {
    let is_stopped = set.replicas == 0 && seen.pods.is_empty();
    if !set.between.is_understood_by(asked) && !is_stopped {
        return Some("nodes come to take TLS as well as none".into());
    }
    if let Some(pod) = seen.pods.iter().find(|pod| !pod.between.is_understood_by(asked)) {
        return Some(format!("{} has yet to take TLS as well as none", pod.name));
    }
    match asked {
        Between::Required => seen.pods.iter().find_map(without),
        Between::None | Between::Offered => None,
    }
}

fn without(pod: &PodSeen) -> Option<String> {
    let name = &pod.name;
    let Some(told) = &pod.told else {
        return Some(format!("{name} must tell whether it speaks TLS to the others"));
    };
    told.without_tls.first().map(|other| {
        format!(
            "{name} could not speak TLS to {other}: each needs a certificate with its host's name, of the ca.crt in the same Secret"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use api::Membership;

    /// What new pods do, and what each pod does: `n`, `o` or `r`.
    fn seen(between: Between, pods: &str) -> Situation {
        let of = |letter| match letter {
            'r' => Between::Required,
            'o' => Between::Offered,
            _ => Between::None,
        };
        let pod = |(ordinal, letter): (usize, char)| PodSeen {
            name: format!("pod-{ordinal}"),
            between: of(letter),
            told: Some(Membership::default()),
            ..PodSeen::default()
        };
        Situation {
            set: Some(SetSeen {
                replicas: pods.len().try_into().unwrap(),
                between,
                ..SetSeen::default()
            }),
            pods: pods.chars().enumerate().map(pod).collect(),
            ..Situation::default()
        }
    }

    fn next(asked: Between, seen: &Situation) -> (Between, bool) {
        let phase = phase(asked, seen);
        (phase.now, phase.waits.is_some())
    }

    #[test]
    fn a_cluster_that_runs_goes_through_a_round_in_which_nodes_take_both() {
        use Between::{None, Offered, Required};
        for (from, to, old, new) in [(None, Required, 'n', 'r'), (Required, None, 'r', 'n')] {
            let pods = |text: &str| text.replace('<', &old.to_string()).replace('>', &new.to_string());
            let after = |between, text: &str| next(to, &seen(between, &pods(text)));
            assert_eq!(after(from, "<<<"), (Offered, true), "not at once");
            assert_eq!(after(Offered, "<oo"), (Offered, true), "not before all take both");
            assert_eq!(after(Offered, "ooo"), (to, false));
            assert_eq!(after(to, "oo>"), (to, false), "it goes on from there");
            let back = |between, text: &str| next(from, &seen(between, &pods(text)));
            assert_eq!(back(Offered, "<<o"), (from, false), "called off in the first round");
            assert_eq!(back(to, "oo>"), (Offered, true), "called off in the second");
            assert_eq!(back(Offered, "oo>"), (Offered, true));
        }
    }

    #[test]
    fn a_new_cluster_and_a_stopped_one_begin_with_what_is_asked_for() {
        let required = Between::Required;
        assert_eq!(next(required, &Situation::default()), (required, false));
        assert_eq!(next(required, &seen(Between::None, "")), (required, false));
    }

    #[test]
    fn nothing_but_tls_is_spoken_when_every_node_has_told_that_it_can() {
        let all = seen(Between::Offered, "ooo");
        let mut silent = all.clone();
        silent.pods[2].told = None;
        let mut without = all;
        without.pods[0].told.as_mut().unwrap().without_tls = vec!["rabbit@other".into()];
        for seen in [&silent, &without] {
            assert_eq!(next(Between::Required, seen), (Between::Offered, true));
            assert_eq!(
                next(Between::None, seen),
                (Between::None, false),
                "which needs no certificate"
            );
        }
        let why = phase(Between::Required, &without).waits.unwrap();
        assert!(why.starts_with("pod-0 could not speak TLS to rabbit@other"), "{why}");
    }

    #[test]
    fn what_a_pod_does_is_read_from_its_annotation() {
        let of = |word: &str| Between::read(Some(&BTreeMap::from([(ANNOTATION.to_owned(), word.to_owned())])));
        assert_eq!(of("offered"), Between::Offered);
        assert_eq!(of("required"), Between::Required);
        assert_eq!((of("other"), Between::read(None)), (Between::None, Between::None));
    }
}
