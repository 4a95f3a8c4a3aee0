use sc_tokio::{Cancelled, Failure, OutcomeKind, Reason, Supervise, nursery};
use std::time::Duration;

#[tokio::test]
async fn join_two() {
    let x = nursery!(async |n| {
        let a = n.spawn(async { Ok(1) });
        let b = n.spawn(async {
            tokio::task::yield_now().await;
            Ok(2)
        });
        Ok::<_, Cancelled>(a.await + b.await)
    })
    .await
    .unwrap();
    assert_eq!(x, 3);
}

#[tokio::test]
async fn fail_fast() {
    let x: anyhow::Result<()> = nursery!(async |n| {
        let _ = n.spawn(std::future::pending::<()>());
        let _ = n.spawn(async { Err::<(), _>(anyhow::anyhow!("boom")) });
        std::future::pending().await
    })
    .await;
    assert_eq!(x.unwrap_err().to_string(), "boom");
}

#[tokio::test(start_paused = true)]
async fn deadline() {
    let t = tokio::time::Instant::now();
    let x: Result<(), Cancelled> = nursery!(async |n| {
        let _ = n.spawn(std::future::pending::<()>());
        std::future::pending().await
    })
    .named("page")
    .timeout(Duration::from_secs(2))
    .await;
    println!("{}", x.as_ref().unwrap_err());
    assert_eq!(x.unwrap_err().reason(), Reason::Deadline);
    assert_eq!(t.elapsed(), Duration::from_secs(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn borrowed_and_supervise() {
    let s = String::from("hi");
    let out = nursery!(<Supervise> async |n| {
        let l = n.spawn_borrowed(async { tokio::task::yield_now().await; Ok(s.len()) });
        let bad = n.spawn(async { Err::<(), _>(std::io::Error::other("x")) });
        let _ = bad.join().await;
        Ok(l.await)
    })
    .outcome()
    .await;
    assert_eq!(out.kind(), OutcomeKind::Ok);
}
