//! The program, as a process, told to end by a signal.

use std::io::{self, BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::Instant;

use sc_tokio::{Cancelled, nursery};
use tokio::net::TcpStream;

use crate::support::{Client, eventually, watched};

const CLIENTS: usize = 50;

/// The program; killed if its test fails.
struct Program {
    process: Child,
    address: SocketAddr,
    /// `None` once it was asked for.
    errors: Option<JoinHandle<String>>,
}

impl Program {
    fn start(options: &[&str]) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_service"))
            .arg("127.0.0.1:0")
            .args(options)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the service starts");
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim_end().strip_prefix("listening on http://").expect(&line).parse().unwrap();
        let errors = process.stderr.take().unwrap();
        // Read all the time, since a full pipe would stop the program.
        let errors = Some(std::thread::spawn(|| io::read_to_string(errors).unwrap()));
        Self { process, address, errors }
    }

    fn terminate(&self) {
        // The shell's own `kill`, which every system has.
        let number = self.process.id().to_string();
        assert!(Command::new("sh").args(["-c", "kill -TERM \"$0\"", &number]).status().unwrap().success());
    }

    /// Its exit code, once it has ended, and what it has said about it.
    async fn end(mut self) -> (Option<i32>, String) {
        let ended = tokio::task::spawn_blocking(move || {
            let code = self.process.wait().unwrap().code();
            (code, self.errors.take().unwrap().join().unwrap())
        });
        watched(ended).await.unwrap()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What became of a request.
struct Asked {
    sent: Instant,
    answer: io::Result<u16>,
}

/// Asks again and again, each time over a connection of its own, until nobody listens any more.
async fn keep_asking(address: SocketAddr, client: usize, answers: Arc<AtomicUsize>) -> Vec<Asked> {
    let mut asked = Vec::new();
    for round in 0.. {
        let Ok(stream) = TcpStream::connect(address).await else { break };
        let mut connection = Client::over(stream);
        match client % 4 {
            0 => connection.ask("/products/13", "").await, // takes a while
            1 => connection.ask("/search?for=lamp", "").await,
            2 => connection.order((client * 1_000_000 + round) as u64).await,
            _ => connection.ask("/products/7", "").await,
        }
        let sent = Instant::now();
        let answer = connection.try_response().await.map(|response| response.status);
        answers.fetch_add(1, Relaxed);
        asked.push(Asked { sent, answer });
    }
    asked
}

#[tokio::test(flavor = "multi_thread")]
async fn told_to_end_under_load_it_answers_whoever_has_asked() {
    let program = Program::start(&[]);
    let (address, answers) = (program.address, Arc::new(AtomicUsize::new(0)));
    let (told, asked) = nursery!(async |n| {
        let client = |number| {
            let answers = Arc::clone(&answers);
            n.spawn(async move { Ok(keep_asking(address, number, answers).await) })
        };
        let clients: Vec<_> = (0..CLIENTS).map(client).collect();
        eventually("the service is busy", || answers.load(Relaxed) > 10 * CLIENTS).await;
        let told = Instant::now();
        program.terminate();
        let mut asked = Vec::new();
        for client in clients {
            asked.extend(client.await);
        }
        Ok::<_, Cancelled>((told, asked))
    })
    .await
    .unwrap();
    assert_eq!(program.end().await.0, Some(0));
    for asked in &asked {
        match &asked.answer {
            Ok(status) => assert!((200..300).contains(status), "{status}"),
            // Between the last look at who has connected and the closing of the port there is a moment.
            Err(error) => assert!(asked.sent > told, "{error}: asked {:?} before the signal", told - asked.sent),
        }
    }
    let in_time = asked.iter().filter(|asked| asked.sent < told).count();
    assert!(in_time > 10 * CLIENTS, "{in_time}");
}

#[tokio::test(flavor = "multi_thread")]
async fn neither_a_stream_nor_a_silent_client_keeps_it() {
    let program = Program::start(&[]);
    let _silent = Client::connect(program.address).await;
    let mut reader = Client::connect(program.address).await;
    reader.ask("/rates/stream", "").await;
    reader.head().await.unwrap();
    assert!(reader.chunk().await.unwrap().is_some());
    program.terminate();
    watched(async { while reader.chunk().await.unwrap().is_some() {} }).await;
    assert_eq!(program.end().await.0, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn before_the_drain_it_is_not_ready_and_serves_all_the_same() {
    let program = Program::start(&["--pre-drain", "10min"]);
    let is_ready = async || Client::connect(program.address).await.get("/ready").await.status;
    watched(async { while is_ready().await != 200 {} }).await;
    program.terminate();
    watched(async { while is_ready().await != 503 {} }).await;
    assert_eq!(Client::connect(program.address).await.get("/products/7").await.status, 200);
    assert_eq!(Client::connect(program.address).await.get("/live").await.status, 200);
    // A second signal is for those who cannot wait.
    program.terminate();
    let (code, errors) = program.end().await;
    assert_eq!(code, Some(1), "{errors}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_finish_in_the_drain_time_is_cut_short_and_named() {
    let program = Program::start(&["--drain", "200ms"]);
    let mut client = Client::connect(program.address).await;
    client.ask("/products/14", "x-timeout-ms: 30000\r\n").await;
    let mut other = Client::connect(program.address).await;
    watched(async {
        while !other.get("/tree").await.body.contains("child `catalog` (examples/service/src/handlers") {}
    })
    .await;
    program.terminate();
    assert_eq!(client.rest().await, "");
    let (code, errors) = program.end().await;
    assert_eq!(code, Some(1), "{errors}");
    assert!(errors.contains("not finished in the drain time of 200ms"), "{errors}");
    assert!(errors.contains("child `catalog` (examples/service/src/handlers/products.rs"), "{errors}");
}
