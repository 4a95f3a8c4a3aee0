//! An executor: a scope around one piece of work.

use sc_tokio::{Origin, OutcomeKind, Scope, nursery};

use crate::World;
use crate::error::Error;
use crate::level::EXECUTOR;
use crate::plan::Work;
use crate::tally::Tally;
use crate::{process, work};

/// Runs an executor of a session. Its error is the session's to judge.
pub(crate) async fn run(world: &World, session: usize, number: usize, tally: &Tally) -> Result<(), Error> {
    let (executor, row) = (&world.plan.sessions[session].executors[number], world.rows[session].executors[number]);
    let scope = nursery!(async |n| {
        world.board.opened(row, n);
        perform(&executor.work, n, world, tally).await
    })
    .named(executor.name.clone());

    let outcome = EXECUTOR.limit(scope, executor.limits).outcome().await;
    let note = match (outcome.kind(), outcome.value(), outcome.failures().first(), outcome.cancelled()) {
        (OutcomeKind::Ok | OutcomeKind::Partial, Some(value), ..) => value.clone(),
        (OutcomeKind::Failed, _, Some(failure), _) => failure.to_string(),
        (.., Some(cancelled)) => format!("{} in {}", cancelled.reason(), named(cancelled.origin())),
        _ => String::new(),
    };
    world.board.ended(row, outcome.kind(), note);
    outcome.into_result().map(drop).map_err(|error| error.of(&executor.name))
}

/// Without the place in the source: the report tells it once per session.
fn named(origin: &Origin) -> String {
    origin.name().map_or_else(|| origin.to_string(), |name| format!("`{name}`"))
}

/// Does the work, in the executor's scope, and says in a few words what came of it.
async fn perform(work: &Work, n: &Scope<Error>, world: &World, tally: &Tally) -> Result<String, Error> {
    match work {
        Work::Get { paths } => work::get(n, world.server, paths, &tally.tasks).await,
        Work::Run { program, args } => process::run(n, program, args, &tally.processes).await,
        Work::Read { files } => work::read(n, &world.directory, files, &tally.tasks).await,
        Work::Primes { below, parts } => work::primes(n, *below, parts.get(), &tally.tasks).await,
        Work::Fail { after, message } => {
            tokio::time::sleep(after.unwrap_or_default()).await;
            Err(Error::Planned(message.clone()))
        }
        Work::Hang => std::future::pending().await,
    }
}
