//! The metrics of a node among several. A new one is one line here.

use recant_types::MetricKind::{Counter, Gauge, Histogram};
use recant_types::{BLOCK_BUCKETS, REQUEST_BUCKETS};

recant_types::declare_metrics! {
    CLUSTER_ROLE = "recant_cluster_role", Gauge, labels: true, "1 for what the node does now, by role: leader or follower.";
    CLUSTER_TERM = "recant_cluster_term", Gauge, labels: false, "The term of the leader that the node follows, or its own.";
    CLUSTER_TAKEOVERS_TOTAL = "recant_cluster_takeovers_total", Counter, labels: false, "Times that this node began to lead.";
    CLUSTER_NODES = "recant_cluster_nodes", Gauge, labels: true, "Nodes that the log knows of, by state: current, out, owing.";
    CLUSTER_OWING_OLDEST_SECONDS = "recant_cluster_owing_oldest_seconds", Gauge, labels: false, "How long ago the oldest erasure was accepted that some node was away for and has not settled; 0 without any.";
    CLUSTER_LEASE_REMAINING_SECONDS = "recant_cluster_lease_remaining_seconds", Gauge, labels: false, "How long the node may still answer readers without hearing of the leader.";
    CLUSTER_ENTRIES_APPLIED = "recant_cluster_entries_applied", Gauge, labels: false, "The number of the last entry of the log that the node has applied.";
    CLUSTER_ENTRIES_BEHIND = "recant_cluster_entries_behind", Gauge, labels: false, "Entries of the log that the node has read and not applied.";
    CLUSTER_LOG_APPEND_SECONDS = "recant_cluster_log_append_seconds", Histogram(REQUEST_BUCKETS), labels: false, "Time from an append to its acknowledgement by the log.";
    CLUSTER_LOG_APPEND_REFUSED_TOTAL = "recant_cluster_log_append_refused_total", Counter, labels: false, "Appends that the log refused because its tail was another one.";
    CLUSTER_LOG_FOUND_MINE_TOTAL = "recant_cluster_log_found_mine_total", Counter, labels: false, "Entries of this node that were found in the log though their acknowledgement was late or lost.";
    CLUSTER_VOID_ENTRIES_TOTAL = "recant_cluster_void_entries_total", Counter, labels: false, "Entries of the log that do not count: of a leader that led no longer, or second ones.";
    CLUSTER_ACCEPT_WAIT_SECONDS = "recant_cluster_accept_wait_seconds", Histogram(REQUEST_BUCKETS), labels: false, "Time that an erasure which the leader had applied waited for the other nodes.";
    CLUSTER_EVERYWHERE_WAIT_SECONDS = "recant_cluster_everywhere_wait_seconds", Histogram(REQUEST_BUCKETS), labels: false, "Time that a version which readers of the leader saw waited until those of all nodes did.";
    CLUSTER_LOG_FULL = "recant_cluster_log_full", Gauge, labels: false, "1 on a leader while the log takes no more additions; 0 otherwise.";
    CLUSTER_LOG_BYTES = "recant_cluster_log_bytes", Gauge, labels: false, "Bytes of the log, as the leader last heard; 0 on other nodes.";
    CLUSTER_LOG_SYNCED = "recant_cluster_log_synced", Gauge, labels: false, "1 when the servers of the log say that what they acknowledge is on their disks, or are trusted; 0 otherwise.";
    CLUSTER_LOG_SILENT = "recant_cluster_log_silent", Gauge, labels: false, "1 while the log does not answer the node; 0 otherwise.";
    CLUSTER_GROUP_REQUESTS = "recant_cluster_group_requests", Histogram(BLOCK_BUCKETS), labels: false, "Requests in an entry of the log that this node's store has applied.";
    CLUSTER_NODE_LAG_VERSIONS = "recant_cluster_node_lag_versions", Gauge, labels: true, "On the leader, versions of the model that a node's readers are behind, by node.";
    CLUSTER_VERSIONS_SENT_BYTES_TOTAL = "recant_cluster_versions_sent_bytes_total", Counter, labels: false, "Bytes of versions of the model sent to other nodes.";
    CLUSTER_TRANSFER_SECONDS = "recant_cluster_transfer_seconds", Histogram(REQUEST_BUCKETS), labels: false, "Time that this node took to get its state from another.";
    CLUSTER_DIGEST_MISMATCH_TOTAL = "recant_cluster_digest_mismatch_total", Counter, labels: false, "Times that a node was found to hold something else than others after the same entries.";
    CLUSTER_APPLY_FAILURES_TOTAL = "recant_cluster_apply_failures_total", Counter, labels: false, "Times that an entry of the log could not be applied; it is tried again.";
}
