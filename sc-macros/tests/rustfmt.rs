//! rustfmt formats the body of a `nursery!`, as long as its input is a Rust expression: without the `<Policy>` header.

use std::io::Write;
use std::process::{Command, Stdio};

const BADLY: &str = "async fn page(){
let page = nursery!( HEADER async   |n|->Result<u32,E>{
let user=n.spawn( fetch( 1 ) ) ;
        Ok( user . await+1 )}) METHOD .await;
}
";

const WELL: &str = "async fn page() {
    let page = nursery!(async |n| -> Result<u32, E> {
        let user = n.spawn(fetch(1));
        Ok(user.await + 1)
    })METHOD
    .await;
}
";

/// `None`: there is no rustfmt here. (`.ci/run` needs it anyway, for its step `format`.)
fn formatted(source: &str) -> Option<String> {
    let mut rustfmt = Command::new("rustfmt");
    rustfmt.args(["--edition", "2024", "--emit", "stdout"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut rustfmt = rustfmt.stderr(Stdio::piped()).spawn().ok()?;
    rustfmt.stdin.take().expect("it is piped").write_all(source.as_bytes()).ok()?;
    let output = rustfmt.wait_with_output().expect("rustfmt ends with its input");
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    if complaint.contains("is not installed") {
        return None;
    }
    assert!(output.status.success(), "{complaint}");
    Some(String::from_utf8(output.stdout).expect("rustfmt writes text"))
}

/// Skips the test, and says so, where there is no rustfmt.
macro_rules! formatted {
    ($header:literal, $method:literal) => {
        match formatted(&BADLY.replace("HEADER", $header).replace("METHOD", $method)) {
            Some(formatted) => formatted,
            None => return eprintln!("skipped: rustfmt is not installed"),
        }
    };
}

#[test]
fn a_body_without_a_header_is_formatted() {
    assert_eq!(formatted!("", ""), WELL.replace("METHOD", ""));
}

#[test]
fn a_policy_given_as_a_method_leaves_the_body_formatted() {
    assert_eq!(formatted!("", ". policy( Supervise )"), WELL.replace("METHOD", "\n    .policy(Supervise)"));
}

/// The price of the header, which its documentation names: rustfmt does not know what that is, and touches nothing.
#[test]
fn a_body_with_a_header_is_left_as_it_is() {
    let formatted = formatted!("<Supervise>", "");
    assert!(formatted.contains("async   |n|->Result<u32,E>{\nlet user=n.spawn( fetch( 1 ) ) ;\n"), "{formatted}");
}
