//! Servers that acknowledge what no disk has.

use recant_jetstream::testing::{NatsOptions, NatsServers};
use recant_jetstream::{Unfit, check_servers};
use ureq::Agent;

fn agent() -> Agent {
    Agent::new_with_defaults()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_does_not_sync_is_refused_and_one_that_does_is_not() {
    let Some(servers) = NatsServers::start(1) else {
        return;
    };
    let fit = servers.monitor_urls();
    assert_eq!(check_servers(agent(), fit.clone()).await, Ok(()));

    let lazy = NatsOptions {
        syncs_always: false,
    };
    let lazy = NatsServers::start_with(1, lazy).expect("it was there");
    let all = [fit, lazy.monitor_urls()].concat();
    let unfit = check_servers(agent(), all.clone()).await;
    let unfit = unfit.expect_err("one does not sync");
    assert_eq!((&unfit.url, &unfit.why), (&all[1], &Unfit::NotSynced));
    let sentence = unfit.to_string();
    assert!(sentence.contains("sync_interval: always"), "{sentence}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_cannot_be_asked_is_not_trusted() {
    let Some(mut servers) = NatsServers::start(1) else {
        return;
    };
    let urls = servers.monitor_urls();
    servers.kill_all();
    let silent = check_servers(agent(), urls.clone()).await;
    assert!(matches!(
        silent.expect_err("it is gone").why,
        Unfit::Silent(_)
    ));
    servers.start_again();
    assert_eq!(check_servers(agent(), urls.clone()).await, Ok(()));
    servers.server(0).suspend();
    let hung = check_servers(agent(), urls).await;
    assert!(matches!(hung.expect_err("it hangs").why, Unfit::Silent(_)));
}
