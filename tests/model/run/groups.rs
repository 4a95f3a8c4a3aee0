//! Joins.

use sc_tokio::join;

use super::*;

/// Notes that a join was dropped before it had a result.
struct Unresolved<'r> {
    run: &'r Run,
    ids: Option<(usize, usize)>,
}

impl Drop for Unresolved<'_> {
    fn drop(&mut self) {
        unpoisoned(&self.run.ran).joins_dropped.extend(self.ids);
    }
}

/// Sets a join up as the program says; a macro, since each has a type of its own.
macro_rules! join_as {
    ($group:ident, $join:expr) => {{
        let mut join = $join;
        if let Some(width) = $group.width {
            join = join.limit(width);
        }
        if let Some(timeout) = $group.timeout {
            join = join.timeout(Duration::from_millis(timeout.ms));
        }
        if let Some(grace) = $group.grace {
            join = join.grace(Duration::from_millis(grace.ms));
        }
        if $group.parallel {
            join = join.parallel();
        }
        join.into_future()
    }};
}

pub(super) fn group_of<'n>(run: &'n Arc<Run>, outer: usize, group: &'n program::Group) -> Boxed<'n, ()> {
    Box::pin(async move {
        let mut unresolved = Unresolved { run, ids: Some((group.id, group.last_id())) };
        let result = AssertUnwindSafe(given_by(run, group)).catch_unwind().await;
        unresolved.ids = None;
        let (end, given) = result.unwrap_or_else(|payload| {
            (Decided::Failed, vec![Seen::Panic(number(&*payload).expect("a panic of the program"))])
        });
        let given = given.into_iter().map(|seen| run.deliver(seen)).collect();
        run.add(Entry::Joined { frame: outer, group: group.id, end, given });
    })
}

async fn given_by(run: &Arc<Run>, group: &program::Group) -> (Decided, Vec<Seen>) {
    let member = |task: &Task| {
        let (code, token) = (task.code.clone(), run.token(task.code.id));
        frame(Here::Nothing, Arc::clone(run), code, token, None)
    };
    let members = group.members.iter().map(member);
    let (called, tasks) = (Arc::clone(run), group.members.clone());
    let call = move |task: Task| {
        let token = called.token(task.code.id);
        frame(Here::Nothing, Arc::clone(&called), task.code, token, None)
    };
    match group.how {
        program::How::All => all_given(join_as!(group, join::all(members)).await),
        program::How::Map => all_given(join_as!(group, join::map(tasks, call)).await),
        program::How::ForEach => {
            let call = move |task| call(task).map(|result| result.map(drop));
            all_given(join_as!(group, join::for_each(tasks, call)).await.map(|()| Vec::new()))
        }
        program::How::Settle => {
            let results = join_as!(group, join::settle(members)).await;
            let given = results.iter().map(|result| match result {
                Ok(token) => Seen::ValueOf(token.id()),
                Err(failure) => seen(failure),
            });
            (Decided::Won, given.collect())
        }
        program::How::FirstOk => race_given(join_as!(group, join::first_ok(members)).await.map(|token| vec![token])),
        program::How::Quorum(needed) => race_given(join_as!(group, join::quorum(needed, members)).await),
    }
}

fn values(tokens: &[Token]) -> (Decided, Vec<Seen>) {
    (Decided::Won, tokens.iter().map(|token| Seen::ValueOf(token.id())).collect())
}

fn all_given(result: Result<Vec<Token>, Fault>) -> (Decided, Vec<Seen>) {
    match result {
        Ok(tokens) => values(&tokens),
        Err(fault) => (Decided::Failed, vec![Seen::Error(fault.raised())]),
    }
}

fn race_given(result: Result<Vec<Token>, RaceError<Fault>>) -> (Decided, Vec<Seen>) {
    match result {
        Ok(tokens) => values(&tokens),
        Err(RaceError::Empty) => (Decided::Empty, Vec::new()),
        Err(RaceError::TooFew { .. }) => (Decided::TooFew, Vec::new()),
        Err(RaceError::Cancelled(cancelled)) => (Decided::Cancelled, vec![seen(&Failure::Cancelled(cancelled))]),
        Err(failed) => (Decided::Failed, failed.failures().iter().map(seen).collect()),
    }
}
