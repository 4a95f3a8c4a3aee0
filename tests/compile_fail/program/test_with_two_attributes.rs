#[sc_tokio::test]
#[test]
async fn answers() {}

fn main() {}
