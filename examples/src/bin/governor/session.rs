//! A session: a scope whose children are executors.

use std::sync::Arc;

use sc_tokio::nursery;

use crate::World;
use crate::error::Error;
use crate::executor;
use crate::level::SESSION;
use crate::report::SessionReport;
use crate::tally::Tally;

/// Runs the session of that number. Its error is the plan's to judge.
pub(crate) async fn run(world: Arc<World>, number: usize) -> Result<(), Error> {
    let (session, rows) = (&world.plan.sessions[number], &world.rows[number]);
    let tally = Tally::default();
    let scope = nursery!(async |n| {
        world.board.opened(rows.session, n);
        for (executor, name) in session.executors.iter().map(|executor| executor.name.clone()).enumerate() {
            let (its_world, tally, alive) = (Arc::clone(&world), tally.clone(), tally.tasks.enter());
            let code = async move {
                let _alive = alive;
                executor::run(&its_world, number, executor, &tally).await
            };
            if let Ok(seat) = n.try_reserve() {
                seat.task().name(name).spawn(code);
            } else {
                world.board.queued(rows.executors[executor]);
                n.task().name(name).spawn(code);
            }
        }
        // The scope waits for them; nobody has to.
        Ok(())
    })
    .named(session.name.clone());
    // The same for all sessions: who is over it waits for its turn, and if its session ends first, never starts.
    let scope = match &world.executors_at_once {
        Some(limit) => scope.limit(limit),
        None => scope,
    };

    let outcome = SESSION.limit(scope, session.limits).outcome().await;
    world.board.all_ended(rows.executors.iter().copied());
    let report = SessionReport::new(&outcome, SESSION.policy(session.limits), tally);
    world.board.ended(rows.session, outcome.kind(), report.error.clone().unwrap_or_default());
    world.reports(|reports| reports[number] = Some(report));
    outcome.into_result().map_err(|error| error.of(&session.name))
}
