//! `/metrics` shows every promised name from the first scrape on, and nothing personal ever.

use crate::support::TestServer;

#[test]
fn every_promised_name_is_there_at_once() {
    let answer = TestServer::start().get("/metrics");
    let kind = answer.header("content-type");
    assert_eq!(kind, Some("text/plain; version=0.0.4; charset=utf-8"));
    let text = answer.text();
    for series in [
        "recant_http_requests_total{",
        "recant_http_request_duration_seconds_bucket{",
        "recant_http_rate_limited_total{",
        "recant_cluster_forwarded_total{outcome=\"answered\"} ",
        "recant_cluster_refused_total{code=\"not_current\"} ",
        "recant_api_keys_stale ",
        "recant_recommend_duration_seconds_bucket{",
        "recant_erasures_total{status=\"forgotten\"}",
        "recant_erasure_queue_depth ",
        "recant_erasure_oldest_pending_seconds ",
        "recant_erasure_accept_seconds_bucket{",
        "recant_erasure_forgotten_seconds_bucket{",
        "recant_erasure_certified_seconds_bucket{",
        "recant_erasure_blocks_updated_bucket{",
        "recant_model_version ",
        "recant_model_users ",
        "recant_model_items ",
        "recant_model_interactions ",
        "recant_model_residual ",
        "recant_model_certificate_frobenius ",
        "recant_swap_duration_seconds_count ",
        "recant_store_sync_seconds_count ",
        "process_resident_memory_bytes ",
    ] {
        assert!(text.contains(&format!("\n{series}")), "{series} in {text}");
    }
    for line in text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
    {
        let value = line.rsplit(' ').next().expect("a value");
        assert!(value.parse::<f64>().is_ok(), "{line}");
    }
}

#[test]
fn labels_come_from_a_fixed_list() {
    let server = TestServer::start();
    server.get("/recommend?user=needle&k=0");
    server.get("/needle");
    server.get("/erasures/needle");
    server.call("NEEDLE", "/needle", &[], b"");
    let text = server.get("/metrics").text().to_owned();
    assert!(!text.to_lowercase().contains("needle"), "{text}");
    for labels in [
        r#"method="GET",route="/recommend",status="400""#,
        r#"method="GET",route="/erasures/{id}",status="400""#,
        r#"method="GET",route="other",status="404""#,
        r#"method="OTHER",route="other",status="404""#,
    ] {
        let series = format!("recant_http_requests_total{{{labels}}} ");
        assert!(text.contains(&series), "{series} in {text}");
    }
}
