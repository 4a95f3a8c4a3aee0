//! Spawn and join: what exactly everybody does is said in `subjects`.

use sc_bench::subjects::Subject;
use sc_bench::work::{self, Work};

use super::{sizes, times};
use crate::rounds::{Contest, Contestant, Flavour, Plan};

pub(super) fn contests(plan: Plan) -> Vec<Contest> {
    let mut contests = Vec::new();
    for flavour in Flavour::BOTH {
        for &count in sizes(plan) {
            contests.push(contest("ready", count, flavour, work::ready));
            contests.push(contest("suspended once", count, flavour, work::suspended));
        }
    }
    contests
}

fn contest<F: Work>(kind: &str, count: u32, flavour: Flavour, child: fn(u64) -> F) -> Contest {
    let times = times(count);
    let mut contest = Contest::new("spawn and join", flavour, times * count).kind(kind).n(count);
    // Ambient spawns have a measure of their own.
    for subject in Subject::ALL.into_iter().filter(|&subject| subject != Subject::Ambient) {
        let contestant = Contestant::repeated(subject.name(), times, move || subject.run(count, child));
        contest = if subject.is_ours() {
            contest.ours(contestant)
        } else {
            contest.peer_unless(subject.unable(count, flavour.threads()), contestant)
        };
    }
    let (bare, set) = match (kind, count) {
        ("ready", 10) => (1.25, 0.80),
        ("ready", _) => (1.15, 0.80),
        _ => (1.30, 0.85),
    };
    for ours in [Subject::Awaited, Subject::Dropped] {
        let target = |contest: Contest, peer: Subject, at_most| contest.target(ours.name(), peer.name(), at_most);
        contest = target(contest, Subject::Bare, bare);
        contest = target(contest, Subject::JoinSet, set);
    }
    contest
}
