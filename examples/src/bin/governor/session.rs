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
            let (world, tally, alive) = (Arc::clone(&world), tally.clone(), tally.tasks.enter());
            n.task().name(name).spawn(async move {
                let _alive = alive;
                executor::run(&world, number, executor, &tally).await
            });
        }
        // The scope waits for them; nobody has to.
        Ok(())
    })
    .named(session.name.clone());

    let outcome = SESSION.limit(scope, session.limits).outcome().await;
    world.board.all_ended(rows.executors.iter().copied());
    let report = SessionReport::new(&outcome, SESSION.policy(session.limits), tally);
    world.board.ended(rows.session, outcome.kind(), report.error.clone().unwrap_or_default());
    world.reports(|reports| reports[number] = Some(report));
    outcome.into_result().map_err(|error| error.of(&session.name))
}
