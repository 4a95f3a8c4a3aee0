//! Runs a plan: a governor that owns sessions that own executors.
//!
//! Each of them is a scope, and the scopes nest: the governor's (here), one in each session, one in each executor. What the
//! plan says about a level becomes that scope's policy, deadline and grace; all else follows. Whatever ends the plan, when
//! the governor's scope resolves, no task of it runs, and no process that it started is left.

mod board;
mod cli;
mod error;
mod executor;
mod level;
mod plan;
mod process;
mod report;
mod screen;
mod session;
mod tally;
mod work;

use std::io::{self, IsTerminal, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use clap::Parser;
use sc_examples::PLAN_ID;
use sc_examples::http::{self, Reply};
use sc_tokio::{Limit, Outcome, StartError, nursery};

use board::{Board, Row, Rows, say};
use cli::Options;
use error::Error;
use level::GOVERNOR;
use plan::{Plan, PlanError};
use report::{End, SessionReport};

/// What every scope of the plan may look at.
#[derive(Debug)]
struct World {
    plan: Plan,
    board: Arc<Board>,
    rows: Vec<Rows>,
    reports: Mutex<Vec<Option<SessionReport>>>,
    /// Shared by the sessions.
    executors_at_once: Option<Limit>,
    server: SocketAddr,
    /// Where the plan lies.
    directory: PathBuf,
}

#[tokio::main]
async fn main() -> ExitCode {
    let options = Options::parse();
    let plan = match prepare(&options) {
        Ok(plan) => plan,
        Err(error) => {
            say(format_args!("error: {error}"));
            return ExitCode::from(2);
        }
    };
    match run(&options, plan).await {
        Ok(end) => end.exit_code(),
        Err(error) => {
            say(format_args!("error: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn prepare(options: &Options) -> Result<Plan, PlanError> {
    let mut plan = Plan::load(&options.plan)?;
    if let Some(name) = &options.fail {
        plan.fail(name)?;
    }
    if options.deadline.is_some() {
        plan.limits.deadline = options.deadline;
    }
    Ok(plan)
}

async fn run(options: &Options, plan: Plan) -> Result<End, Error> {
    let interrupted = sc_examples::interrupted().await;
    let (listen, drawn, id) = (options.listen, !options.quiet && io::stderr().is_terminal(), new_id());

    // What surrounds the plan has a scope of its own: it outlives the governor, and goes at once when that is done.
    let (world, outcome) = nursery!(async |n| {
        // Here a port that is taken is an error of the call; once the server listens, its failure is the scope's.
        let server = async move |ready| http::serve(listen, ready, route).await.map_err(Error::Server);
        let server = n.task().name("server").daemon().start(server).await;
        let (server, _) = server.map_err(StartError::into_error)?;

        let board = Arc::new(Board::new(&plan, !options.quiet && !drawn));
        if drawn {
            n.task().name("screen").daemon().spawn(screen::keep(Arc::clone(&board)));
        }
        let world = Arc::new(World {
            board,
            rows: Board::rows(&plan),
            reports: Mutex::new(plan.sessions.iter().map(|_| None).collect()),
            executors_at_once: plan.executors_at_once.map(Limit::from),
            server,
            directory: options.plan.parent().map(Path::to_path_buf).unwrap_or_default(),
            plan,
        });
        // Whatever the plan starts can say what it is for, and nobody in between has to hand it down.
        let outcome = PLAN_ID.scope(id.clone(), govern(&world, interrupted)).await;
        Ok((world, outcome))
    })
    .await?;

    world.board.all_ended(world.rows.iter().flat_map(|rows| rows.executors.iter().copied().chain([rows.session])));
    let end = End::of(&world, &outcome);
    let report = report::report(&world, &id, &outcome, end);
    match io::stdout().write_all(report.as_bytes()) {
        // Whoever read the report has seen enough.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Error::Report(error)),
        _ => Ok(end),
    }
}

/// The governor's scope.
async fn govern(world: &Arc<World>, interrupted: impl Future<Output = ()> + Send + 'static) -> Outcome<(), Error> {
    let scope = nursery!(async |n| {
        world.board.opened(Row::GOVERNOR, n);
        let sessions: Vec<_> =
            (0..world.plan.sessions.len()).map(|number| n.spawn(session::run(Arc::clone(world), number))).collect();
        for session in sessions {
            // What became of it is in its report. A hard plan's scope ends here with the first failure.
            drop(session.join().await);
        }
        Ok(())
    })
    .named(world.plan.name.clone())
    .cancel_on(interrupted);

    let outcome = GOVERNOR.limit(scope, world.plan.limits).outcome().await;
    world.board.ended(Row::GOVERNOR, outcome.kind(), String::new());
    outcome
}

/// Of this run, so that what others have noted about it can be found.
fn new_id() -> String {
    let since = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    format!("{:x}-{:x}", since.as_secs(), std::process::id())
}

/// What the local server serves: pages of some kilobytes, fast and slow ones, and whose request it is.
fn route(path: &str) -> Reply {
    let number = |prefix| path.strip_prefix(prefix).and_then(|number: &str| number.parse::<u16>().ok());
    if let Some(number) = number("/page/") {
        Reply::new(200, format!("This is page {number}.\n").repeat(usize::from(number)))
    } else if let Some(millis) = number("/slow/") {
        Reply::new(200, "It was worth waiting for.\n").after(Duration::from_millis(millis.into()))
    } else if let ("/plan-id", Ok(id)) = (path, PLAN_ID.try_get()) {
        Reply::new(200, id)
    } else {
        Reply::new(404, "There is no such page.\n")
    }
}

impl World {
    fn reports<T>(&self, look: impl FnOnce(&mut Vec<Option<SessionReport>>) -> T) -> T {
        look(&mut self.reports.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
