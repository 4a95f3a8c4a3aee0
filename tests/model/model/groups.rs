//! Joins: `sc_tokio::join` and its kinds.

use super::*;

/// A join while it runs.
pub(super) struct Joining<'p> {
    group: &'p Group,
    /// How many children were started.
    started: usize,
    /// Ends that nobody has looked at: whether the join was cancelled then, whose, and its result if it was not stopped.
    ends: Vec<(bool, usize, Option<Seen>)>,
    /// What has been looked at, by place.
    results: Vec<Option<Seen>>,
    decided: bool,
    /// The last word was a failure that came after the cancellation, and so may be its consequence.
    failed_late: bool,
    /// Somebody was stopped by the cancellation.
    missing: bool,
}

impl Joining<'_> {
    fn in_flight(&self) -> usize {
        let looked_at = self.results.iter().filter(|result| result.is_some()).count();
        self.started - looked_at
    }

    fn values(&self) -> impl Iterator<Item = &Seen> {
        self.results.iter().flatten().filter(|result| matches!(result, Seen::ValueOf(_)))
    }

    fn failures(&self) -> impl Iterator<Item = &Seen> {
        self.results.iter().flatten().filter(|result| !matches!(result, Seen::ValueOf(_)))
    }

    /// Whether what was looked at up to now says what becomes of the whole.
    fn says_enough(&self) -> bool {
        let (values, failures) = (self.values().count(), self.failures().count());
        match self.group.how {
            program::How::All | program::How::Map | program::How::ForEach => failures > 0,
            program::How::Settle => false,
            program::How::FirstOk => values > 0,
            program::How::Quorum(needed) => values >= needed || failures + needed > self.group.members.len(),
        }
    }

    /// Looks at one end.
    fn look(&mut self) {
        let Some(first) = (0..self.ends.len()).min_by_key(|end| (self.ends[*end].0, self.ends[*end].1)) else { return };
        let (late, index, result) = self.ends.remove(first);
        let Some(result) = result else {
            self.missing = true;
            return;
        };
        let is_consequence = late && !matches!(result, Seen::ValueOf(_));
        self.results[index] = Some(result);
        self.decided = self.says_enough();
        self.failed_late = if self.decided { is_consequence } else { self.failed_late || is_consequence };
    }
}

impl<'p> World<'p> {
    pub(super) fn join(&mut self, frame: usize, group: &'p Group) {
        self.seen(format!("join: {:?}", group.how));
        let ms = |span: Option<Span>| span.map(|span| span.ms);
        let settings = Settings {
            id: None,
            // A task that a child of it spawned fails the others.
            supervise: !matches!(group.how, program::How::All | program::How::Map | program::How::ForEach),
            timeout: ms(group.timeout),
            grace: ms(group.grace),
            finalizer_timeout: 0,
            shield: None,
            limit: None,
            body: None,
        };
        let scope = self.open(settings, Some(frame), None);
        let results = vec![None; group.members.len()];
        let (started, ends) = (0, Vec::new());
        let join = Joining { group, started, ends, results, decided: false, failed_late: false, missing: false };
        self.scopes[scope].join = Some(join);
        let body = self.scopes[scope].body;
        self.frames[body].doing = Doing::Collecting;
        self.frames[frame].doing = Doing::Inside(scope, Then::Learn);
    }

    /// A child of a join has ended: its failure is not its scope's.
    pub(super) fn hand_in(&mut self, child: usize, ending: Ending) -> Ending {
        let Frame { scope, task: Some(task), .. } = &self.frames[child] else { return ending };
        if task.kind == Kind::Ambient {
            return ending;
        }
        let scope = &mut self.scopes[*scope];
        let late = scope.cancelled.is_some();
        let Some(join) = &mut scope.join else { return ending };
        let index = join.group.members.iter().position(|member| member.code.id == task.code.id);
        let index = index.expect("the join has no other children");
        let (result, ending) = match ending {
            Ending::Value => (Some(Seen::ValueOf(task.code.id)), Ending::Value),
            Ending::Failed(failure) => (Some(failure), Ending::Value),
            other => (None, other),
        };
        join.ends.push((late, index, result));
        ending
    }

    /// The body of a join looks at the ends, starts children, and ends when it knows enough.
    pub(super) fn collect_somewhere(&mut self) -> bool {
        let is_open = |frame: &usize| matches!(self.frames[*frame].doing, Doing::Collecting);
        let bodies: Vec<_> = (0..self.frames.len()).filter(is_open).collect();
        bodies.into_iter().any(|body| self.collect(body))
    }

    fn collect(&mut self, body: usize) -> bool {
        let scope = self.frames[body].scope;
        let is_cancelled = self.scopes[scope].cancelled.is_some();
        let join = self.scopes[scope].join.as_mut().expect("its body collects");
        let is_first = join.started == 0 && join.results.iter().all(Option::is_none);
        // A quorum of nobody, or of more than there are, runs nothing.
        join.decided |= is_first && join.says_enough();
        if !join.decided && !join.ends.is_empty() {
            join.look();
            return true;
        }
        let members = &join.group.members;
        let width = join.group.width.unwrap_or(usize::MAX);
        let in_flight = join.in_flight();
        if !join.decided && !is_cancelled && join.started < members.len() && in_flight < width {
            let task = &members[join.started];
            join.started += 1;
            let is_borrowed = !join.group.parallel;
            self.spawn_as(scope, task, Readiness::Spawned, is_borrowed, Seat::Unneeded);
            return true;
        }
        if join.decided || (in_flight == 0 && (is_cancelled || join.started == members.len())) {
            self.end(body, Ending::Value);
            // With everybody else in it, if there are losers.
            for child in self.members(scope) {
                if in_flight > 0 && self.frames[child].task.is_some() && self.is_live(child) {
                    self.seen("a loser of a join cancelled");
                    self.stop(child, "Requested");
                }
            }
            return true;
        }
        false
    }

    /// A join has closed: what has ended and was not looked at counts as well.
    pub(super) fn learn(&mut self, frame: usize, scope: usize) {
        let panic = self.scopes[scope].primary.clone();
        let cut = Seen::Cancelled(self.scopes[scope].reason_or("AwaitedChild"));
        let join = self.scopes[scope].join.as_mut().expect("it is the scope of a join");
        while !join.decided && !join.ends.is_empty() {
            join.look();
        }
        let is_complete = join.results.iter().all(Option::is_some);
        let is_cut = join.failed_late || (!join.decided && (join.missing || !is_complete));
        let values: Vec<_> = join.values().cloned().collect();
        let failures: Vec<_> = join.failures().cloned().collect();
        let (end, given) = match join.group.how {
            // Of a task that somebody in it spawned.
            _ if panic.is_some() && (join.failed_late || !join.decided) => {
                (Decided::Failed, panic.into_iter().collect())
            }
            program::How::Settle => {
                (Decided::Won, join.results.iter().map(|result| result.clone().unwrap_or(cut.clone())).collect())
            }
            program::How::All | program::How::Map | program::How::ForEach => {
                match (is_cut, failures.into_iter().next()) {
                    (true, _) => (Decided::Failed, vec![as_error(cut)]),
                    (false, Some(failure)) => (Decided::Failed, vec![as_error(failure)]),
                    (false, None) if join.group.how == program::How::ForEach => (Decided::Won, Vec::new()),
                    (false, None) => (Decided::Won, values),
                }
            }
            program::How::FirstOk if !values.is_empty() => (Decided::Won, values),
            program::How::Quorum(needed) if values.len() >= needed => (Decided::Won, values),
            _ if is_cut => (Decided::Cancelled, vec![cut]),
            program::How::Quorum(needed) if needed > join.group.members.len() => (Decided::TooFew, Vec::new()),
            program::How::FirstOk if failures.is_empty() => (Decided::Empty, Vec::new()),
            _ => (Decided::Failed, failures),
        };
        let group = join.group.id;
        self.seen(format!("a join: {end:?}"));
        self.log(Entry::Joined { frame: self.id_of(frame), group, end, given });
        self.go_on(frame);
    }
}

/// Where a failure is given as an error.
fn as_error(failure: Seen) -> Seen {
    match failure {
        Seen::Cancelled(reason) => Seen::Error(Raised::Cancelled(reason)),
        failure => failure,
    }
}
