//! The server and the client that the examples share.

use std::io::{self, ErrorKind};

use sc_examples::PLAN_ID;
use sc_examples::http::{self, Reply};
use sc_tokio::{StartError, nursery};

/// Answers with the path, and with the id that came with the request.
fn echo(path: &str) -> Reply {
    Reply::new(200, format!("{path} {}", PLAN_ID.try_get().as_deref().unwrap_or("nobody")))
}

#[tokio::test]
async fn the_server_answers_from_the_moment_it_is_ready() -> io::Result<()> {
    nursery!(async |n| -> io::Result<()> {
        for round in 0..50 {
            let server = async |ready| http::serve(http::ANY_PORT, ready, echo).await;
            let (address, server) = n.start(server).await.map_err(StartError::into_error)?;
            let path = format!("/{round}");
            assert_eq!(http::get(address, &path).await?.body, format!("{path} nobody"));
            server.cancel().await;
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_port_that_is_taken_fails_the_start_and_not_the_scope() -> io::Result<()> {
    nursery!(async |n| -> io::Result<()> {
        let (taken, server) = n
            .task()
            .daemon()
            .start(async |ready| http::serve(http::ANY_PORT, ready, echo).await)
            .await
            .map_err(StartError::into_error)?;
        drop(server);
        let second = n.start(async move |ready| http::serve(taken, ready, echo).await).await;
        assert!(matches!(&second, Err(StartError::Error(error)) if error.kind() == ErrorKind::AddrInUse), "{second:?}");
        assert_eq!(http::get(taken, "/").await?.status, 200);
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_request_says_whose_it_is() -> io::Result<()> {
    nursery!(async |n| -> io::Result<()> {
        let server = n.task().daemon().start(async |ready| http::serve(http::ANY_PORT, ready, echo).await).await;
        let (address, _) = server.map_err(StartError::into_error)?;
        let asks: Vec<_> = ["one", "two", "three"]
            .map(|id| {
                // The child inherits it: nobody hands it to the request.
                PLAN_ID.sync_scope(id.to_owned(), || n.spawn(async move { http::get(address, "/page").await }))
            })
            .into();
        let mut answers = Vec::new();
        for ask in asks {
            answers.push(ask.await.body);
        }
        assert_eq!(answers, ["/page one", "/page two", "/page three"]);
        assert_eq!(http::get(address, "/page").await?.body, "/page nobody");
        Ok(())
    })
    .await
}
