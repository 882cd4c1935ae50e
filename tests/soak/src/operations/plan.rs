//! What is done to the cluster in a round, drawn from the seed alone. It does nothing itself.

use crate::dice::Dice;
use std::fmt;

/// Nodes of the cluster between operations.
pub(super) const NODES: u32 = 3;
/// The operator is killed no later than this after an operation has begun.
const KILL_WITHIN_MS: u64 = 20_000;

/// One operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    /// `kubectl delete pod`.
    DeletePod(u32),
    /// The same with the pod that leads the first queue.
    DeleteLeader,
    /// Without a time to stop in.
    KillPod(u32),
    /// As `kubectl drain` asks for it.
    Evict(u32),
    /// `kubectl drain` of the Kubernetes node under a pod, with all that is on it, which takes pods again afterwards.
    DrainNode(u32),
    /// `kubectl rollout restart`.
    Restart,
    /// Another configuration.
    Configure,
    /// To five nodes and back.
    ScaleUp,
    /// To one node and back, all queues mirrored everywhere.
    ScaleToOne,
    /// To no node and back.
    StopAndStart,
    /// Another secret of the cluster.
    RotateSecret,
    /// Another certificate, by which nodes take each other.
    RenewCertificates,
    /// Another secret of the cluster at once, since strangers know the old one.
    CompromisedSecret,
    /// A pod and its volume.
    LoseVolume(u32),
    /// The cluster's Secret is deleted, and put back.
    LoseSecret,
    /// An image that is not there, and back.
    BadImage,
    /// A configuration with which no node starts, from which nodes go back by themselves.
    Rollback,
    /// Smaller volumes, for which each node leaves and joins again.
    ReplaceVolumes,
    /// Larger volumes, under pods that go on.
    GrowVolumes,
    /// The RabbitCluster is deleted and applied again.
    Recreate,
    /// The image of the next release, back to the one before, and the next one for good.
    Upgrade,
    /// The Kubernetes node under a pod is off the network for a while.
    CutNode(u32),
    /// The API server is away for a while.
    RestartApi,
    /// Another operator is installed beside the first, while pods are replaced.
    TwoOperators,
}

/// What this Kubernetes has to offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Means {
    /// There are images of later releases.
    pub(super) releases: bool,
    /// Its nodes and its API server are ours to break.
    pub(super) is_local: bool,
    /// The cluster's nodes speak TLS to each other.
    pub(super) tls: bool,
}

impl Operation {
    /// All kinds; the ordinals are drawn anew.
    const ALL: [Self; 24] = [
        Self::DeletePod(0),
        Self::DeleteLeader,
        Self::KillPod(0),
        Self::Evict(0),
        Self::DrainNode(0),
        Self::Restart,
        Self::Configure,
        Self::ScaleUp,
        Self::ScaleToOne,
        Self::StopAndStart,
        Self::RotateSecret,
        Self::CompromisedSecret,
        Self::RenewCertificates,
        Self::LoseVolume(0),
        Self::LoseSecret,
        Self::BadImage,
        Self::Rollback,
        Self::ReplaceVolumes,
        Self::GrowVolumes,
        Self::Recreate,
        Self::Upgrade,
        Self::CutNode(0),
        Self::RestartApi,
        Self::TwoOperators,
    ];

    /// In one word, for tables and `--only`.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::DeletePod(_) => "delete-pod",
            Self::DeleteLeader => "delete-leader",
            Self::KillPod(_) => "kill-pod",
            Self::Evict(_) => "evict",
            Self::DrainNode(_) => "drain-node",
            Self::Restart => "rollout-restart",
            Self::Configure => "configure",
            Self::ScaleUp => "scale-up",
            Self::ScaleToOne => "scale-to-one",
            Self::StopAndStart => "stop-and-start",
            Self::RotateSecret => "rotate-secret",
            Self::CompromisedSecret => "compromised-secret",
            Self::RenewCertificates => "renew-certificates",
            Self::LoseVolume(_) => "lose-volume",
            Self::LoseSecret => "lose-secret",
            Self::BadImage => "bad-image",
            Self::Rollback => "rollback",
            Self::ReplaceVolumes => "replace-volumes",
            Self::GrowVolumes => "grow-volumes",
            Self::Recreate => "recreate",
            Self::Upgrade => "upgrade",
            Self::CutNode(_) => "cut-node",
            Self::RestartApi => "restart-api",
            Self::TwoOperators => "two-operators",
        }
    }

    fn can_be(self, means: Means) -> bool {
        match self {
            Self::Upgrade => means.releases,
            Self::RenewCertificates => means.tls,
            Self::CutNode(_) | Self::DrainNode(_) | Self::RestartApi => means.is_local,
            _ => true,
        }
    }

    fn at(self, ordinal: u32) -> Self {
        match self {
            Self::DeletePod(_) => Self::DeletePod(ordinal),
            Self::KillPod(_) => Self::KillPod(ordinal),
            Self::Evict(_) => Self::Evict(ordinal),
            Self::DrainNode(_) => Self::DrainNode(ordinal),
            Self::LoseVolume(_) => Self::LoseVolume(ordinal),
            Self::CutNode(_) => Self::CutNode(ordinal),
            other => other,
        }
    }

    /// True if so many nodes are wanted from its beginning to its end, and no more than one of them may be down at once.
    pub(super) fn keeps_all_but_one(self) -> bool {
        match self {
            Self::DeletePod(_)
            | Self::DeleteLeader
            | Self::KillPod(_)
            | Self::Evict(_)
            | Self::DrainNode(_)
            | Self::Restart
            | Self::Configure
            | Self::RotateSecret
            | Self::RenewCertificates
            | Self::LoseVolume(_)
            | Self::LoseSecret
            | Self::BadImage
            | Self::Rollback
            | Self::ReplaceVolumes
            | Self::GrowVolumes
            | Self::Upgrade
            | Self::CutNode(_)
            | Self::RestartApi
            | Self::TwoOperators => true,
            Self::ScaleUp | Self::ScaleToOne | Self::StopAndStart | Self::Recreate | Self::CompromisedSecret => false,
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DeletePod(ordinal)
            | Self::KillPod(ordinal)
            | Self::Evict(ordinal)
            | Self::DrainNode(ordinal)
            | Self::LoseVolume(ordinal)
            | Self::CutNode(ordinal) => write!(f, "{} {ordinal}", self.name()),
            _ => f.write_str(self.name()),
        }
    }
}

/// One round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    /// What is done.
    pub(super) operation: Operation,
    /// So many milliseconds later the operator's pod is killed.
    pub(super) operator_dies: Option<u64>,
}

impl Plan {
    /// The plan of this round. Every kind comes before any comes again.
    pub(super) fn new(seed: u64, round: u32, only: &[String], means: Means) -> Option<Self> {
        let meant = |operation: &Operation| {
            let is_named = only.is_empty() || only.iter().any(|name| operation.name().starts_with(name.as_str()));
            is_named && operation.can_be(means)
        };
        let mut left: Vec<Operation> = Operation::ALL.into_iter().filter(meant).collect();
        let kinds = u32::try_from(left.len()).ok().filter(|kinds| *kinds > 0)?;
        let mut turn = Dice::new(&[seed, u64::from(round / kinds), 0x6f70]);
        let mut operation = *left.first()?;
        for _ in 0..=round % kinds {
            operation = left.swap_remove(usize::try_from(turn.below(left.len() as u64)).ok()?);
        }
        let mut dice = Dice::new(&[seed, u64::from(round), 0x6f71]);
        let ordinal = u32::try_from(dice.below(u64::from(NODES))).ok()?;
        Some(Self {
            operation: operation.at(ordinal),
            operator_dies: dice.percent(50).then(|| dice.below(KILL_WITHIN_MS)),
        })
    }
}

/// A few rounds for every change.
pub(super) fn brief(means: Means) -> Vec<Plan> {
    let last = if means.is_local {
        Operation::RestartApi
    } else {
        Operation::Evict(1)
    };
    let plan = |(operation, operator_dies)| Plan {
        operation,
        operator_dies,
    };
    [(Operation::DeleteLeader, Some(1_000)), (last, None)].map(plan).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    const ALL: Means = Means {
        releases: true,
        is_local: true,
        tls: true,
    };

    #[test]
    fn every_kind_comes_once_before_any_comes_again_and_a_seed_says_the_same_every_time() {
        let plans = |seed: u64| -> Vec<Plan> { (0..48).filter_map(|round| Plan::new(seed, round, &[], ALL)).collect() };
        for half in plans(7).chunks(24) {
            let names: BTreeSet<&str> = half.iter().map(|plan| plan.operation.name()).collect();
            assert_eq!(names.len(), 24);
        }
        assert_eq!(plans(7), plans(7));
        assert_ne!(plans(7), plans(8));
    }

    #[test]
    fn only_what_is_named_is_done() {
        let only = ["rollout".to_owned()];
        let plan = Plan::new(1, 5, &only, ALL).unwrap();
        assert_eq!(plan.operation, Operation::Restart);
        assert_eq!(Plan::new(1, 5, &["nothing".to_owned()], ALL), None);
        let strangers = Means {
            releases: false,
            is_local: false,
            tls: false,
        };
        let only = ["cut-node", "upgrade", "renew-certificates"].map(str::to_owned);
        assert_eq!(Plan::new(1, 5, &only, strangers), None);
    }
}
