//! Runs the `line_server` program, with more clients than it has threads.

#![cfg(unix)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};

/// A server that is killed if its test fails.
struct Server {
    process: Child,
    output: BufReader<ChildStdout>,
    errors: BufReader<ChildStderr>,
    address: String,
}

impl Server {
    fn start() -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_line_server"))
            .arg("127.0.0.1:0")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("line_server starts");
        let mut output = BufReader::new(process.stdout.take().unwrap());
        let errors = BufReader::new(process.stderr.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        let address = line.strip_prefix("listening on ").expect(&line).trim_end().to_owned();
        Self { process, output, errors, address }
    }

    fn client(&self) -> Client {
        Client(BufReader::new(TcpStream::connect(&self.address).expect("the server accepts")))
    }

    /// Interrupts the server, and gives its exit code and its last words.
    fn interrupt(mut self) -> (Option<i32>, String) {
        // The shell's own `kill`, which every system has.
        let number = self.process.id().to_string();
        assert!(Command::new("sh").args(["-c", "kill -INT \"$0\"", &number]).status().unwrap().success());
        let mut output = String::new();
        self.output.read_to_string(&mut output).unwrap();
        (self.process.wait().unwrap().code(), output)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

struct Client(BufReader<TcpStream>);

impl Client {
    fn send(&mut self, text: impl AsRef<[u8]>) {
        self.0.get_mut().write_all(text.as_ref()).unwrap();
    }

    /// The next line; empty when the server has closed the connection.
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        line
    }

    /// Says that no more lines will come.
    fn done(&self) {
        self.0.get_ref().shutdown(Shutdown::Write).unwrap();
    }
}

#[test]
fn a_thousand_connections_at_the_same_time_are_served_and_end_with_the_server() {
    let server = Server::start();
    let mut clients: Vec<_> = (0..1000).map(|_| server.client()).collect();
    for round in 0..3 {
        for (number, client) in clients.iter_mut().enumerate() {
            client.send(format!("client {number} round {round}\n"));
        }
        for (number, client) in clients.iter_mut().enumerate() {
            assert_eq!(client.line(), format!("{round} round {number} client\n"));
        }
    }
    for client in &clients[..500] {
        client.done();
    }
    for client in &mut clients[..500] {
        assert_eq!(client.line(), "");
    }
    let (code, output) = server.interrupt();
    assert_eq!(output, "connections served: 1000, still open: 0\n");
    assert_eq!(code, Some(0));
    for client in &mut clients[500..] {
        assert_eq!(client.line(), "");
    }
}

#[test]
fn a_client_that_says_goodbye_gets_every_reply() {
    let server = Server::start();
    let mut client = server.client();
    client.send("one two\n\nthree four five");
    client.done();
    assert_eq!([client.line(), client.line(), client.line()], ["two one\n", "\n", "five four three\n"]);
    assert_eq!(client.line(), "");
    assert_eq!(server.interrupt().1, "connections served: 1, still open: 0\n");
}

#[test]
fn a_client_that_talks_nonsense_is_told_of_and_the_others_are_served() {
    let mut server = Server::start();
    let (mut good, mut bad) = (server.client(), server.client());
    bad.send(b"\xff\n");
    assert_eq!(bad.line(), "");
    let mut error = String::new();
    server.errors.read_line(&mut error).unwrap();
    assert!(error.starts_with("127.0.0.1:") && error.contains(": invalid utf-8 sequence"), "{error}");
    good.send("still there\n");
    assert_eq!(good.line(), "there still\n");
    assert_eq!(server.interrupt().0, Some(0));
}

#[test]
fn a_port_that_is_taken_is_an_error() {
    let server = Server::start();
    let output = Command::new(env!("CARGO_BIN_EXE_line_server")).arg(&server.address).output().unwrap();
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("error: "), "{output:?}");
    assert_eq!(output.status.code(), Some(1));
}
