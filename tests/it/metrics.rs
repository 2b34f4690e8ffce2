//! What Prometheus scrapes follows from the calls that were made.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tonic::Code;

use tsio::proto::CreateAwardsRequest;

use crate::client::{Client, YEAR, fresh, of_school};
use crate::harness::{Db, Server, both};
use crate::money::{DAY, credit};

both!(calls_are_counted_by_method_and_code);

async fn calls_are_counted_by_method_and_code(db: Db) {
    let server = Server::start_with(&db, &["--metrics-listen", "127.0.0.1:0"]);
    let client = Client::of(&server).await;
    let offers = client.seed().await;
    for _ in 0..3 {
        client.note(&offers[0].offer, "counted", &fresh()).await.unwrap();
    }
    let nobody = uuid::Uuid::nil().to_string();
    assert_eq!(client.note(&nobody, "of nothing", &fresh()).await.unwrap_err().code(), Code::NotFound);

    let school = of_school(&offers, 910_003);
    client.financed(YEAR, "credit", 100_000).await;
    client.accepted(school).await;
    client.awarded(&school.offer, credit(10_000)).await;
    let over = CreateAwardsRequest {
        request_id: fresh(),
        offer: school.offer.clone(),
        awards: vec![credit(90_001)],
        date: DAY.to_owned(),
        ..Default::default()
    };
    let over = client.award_service().create_awards(client.ask(over)).await.unwrap_err();
    assert_eq!(over.code(), Code::FailedPrecondition);

    let text = get(&server, "/metrics").await;
    assert!(text.starts_with("HTTP/1.1 200 OK\r\n"), "{text}");
    for (code, times) in [("OK", 3), ("NOT_FOUND", 1), ("INTERNAL", 0)] {
        let line = format!(
            "tsio_grpc_server_handled_total{{grpc_code=\"{code}\",grpc_method=\"NoteOffer\",grpc_service=\"tsio.v1.OfferService\"}} {times}\n"
        );
        assert!(text.contains(&line), "{line}{text}");
    }
    for line in [
        "tsio_grpc_server_handled_total{grpc_code=\"FAILED_PRECONDITION\",grpc_method=\"CreateAwards\",grpc_service=\"tsio.v1.AwardService\"} 1\n",
        "tsio_fund_available_pence{programme=\"2021-22\",region=\"national\",strand=\"credit\"} 90000\n",
        "tsio_fund_committed_pence{programme=\"2021-22\",region=\"national\",strand=\"credit\"} 10000\n",
    ] {
        assert!(text.contains(line), "{line}{text}");
    }
    let took =
        "tsio_grpc_server_handling_seconds_count{grpc_method=\"NoteOffer\",grpc_service=\"tsio.v1.OfferService\"} 4\n";
    assert!(text.contains(took), "{text}");
    assert!(get(&server, "/").await.starts_with("HTTP/1.1 404 "));
}

/// Where the server says that it is scraped, and what it answers there.
async fn get(server: &Server, path: &str) -> String {
    let said = server.stderr();
    let line = said.lines().find(|it| it.contains("\"message\":\"metrics\"")).unwrap();
    let line: serde_json::Value = serde_json::from_str(line).unwrap();
    let mut stream = TcpStream::connect(line["fields"]["listen"].as_str().unwrap()).await.unwrap();
    stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: here\r\n\r\n").as_bytes()).await.unwrap();
    let mut answer = String::new();
    timeout(Duration::from_secs(30), stream.read_to_string(&mut answer)).await.unwrap().unwrap();
    answer
}
