//! When what a node holds is of no use any more, and its state comes from another.

use std::time::Duration;

use recant_cluster::{MemberStatus, Stopped};
use recant_http::NodeRole;
use recant_replication::Status;
use tokio::time::sleep;

use super::membership::NodeMembership;
use super::status::ask_status;

/// Before other nodes are asked again whether one leads.
const PAUSE: Duration = Duration::from_secs(1);

/// Returns when what a node holds is of no use: most nodes hold something else, or another leads and the log goes on
/// under a key that this node does not have.
pub(crate) async fn until_of_no_use(node: &NodeMembership) {
    let mut status = node.running().await.status();
    let is_useless = |it: &Status| matches!(it.stopped, Some(Stopped::Differs | Stopped::NoKey));
    let Ok(found) = status.wait_for(is_useless).await.map(|it| it.clone()) else {
        // The node has ended.
        return std::future::pending().await;
    };
    if found.stopped == Some(Stopped::NoKey) {
        until_another_leads(node, &found.members).await;
    }
}

/// What a node holds may be all there is, until another is seen to lead with what it lacks.
async fn until_another_leads(node: &NodeMembership, members: &[MemberStatus]) {
    loop {
        for member in members.iter().filter(|it| it.node != *node.name()) {
            let asked = ask_status(node.peers(), &member.address).await;
            if asked.is_ok_and(|it| it.role == NodeRole::Leader.as_str()) {
                return;
            }
        }
        sleep(PAUSE).await;
    }
}
