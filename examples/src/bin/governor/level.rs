//! What the three levels have in common: a scope, limited as the plan says.

use std::time::Duration;

use sc_tokio::{FailFast, NurseryBuilder, Supervise};

use crate::error::Error;
use crate::plan::{Limits, OnFailure};

/// What holds where the plan says nothing.
pub(crate) struct Level {
    policy: OnFailure,
    grace: Duration,
}

/// Each level has more grace than the one below: a level that is cancelled together with its children can still report
/// what became of them.
pub(crate) const GOVERNOR: Level = Level { policy: OnFailure::Soft, grace: Duration::from_secs(1) };
pub(crate) const SESSION: Level = Level { policy: OnFailure::Hard, grace: Duration::from_millis(500) };
pub(crate) const EXECUTOR: Level = Level { policy: OnFailure::Hard, grace: Duration::ZERO };

impl Level {
    pub(crate) fn policy(&self, limits: Limits) -> OnFailure {
        limits.policy.unwrap_or(self.policy)
    }

    pub(crate) fn limit<F, T>(
        &self,
        scope: NurseryBuilder<F, T, Error>,
        limits: Limits,
    ) -> NurseryBuilder<F, T, Error> {
        let scope = match self.policy(limits) {
            OnFailure::Hard => scope.policy(FailFast),
            OnFailure::Soft => scope.policy(Supervise),
        };
        let scope = scope.grace(limits.grace.unwrap_or(self.grace));
        // What the levels above allow holds in any case; this can only be shorter.
        match limits.deadline {
            Some(deadline) => scope.timeout(deadline),
            None => scope,
        }
    }
}
